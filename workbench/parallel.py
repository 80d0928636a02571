"""Independent jobs side by side on the processor's cores, each with one thread of its own inside numpy.

Sharing single matrix products among threads costs more than it gains at the sizes met here, and ruins everything
when another program wants the cores too; whole jobs do not wait for one another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event
from typing import TypeVar

from threadpoolctl import threadpool_limits

Job = TypeVar("Job")
Result = TypeVar("Result")


#: How many cores a job may use that has others beside it.
_SHARE: ContextVar[int | None] = ContextVar("share", default=None)


def cores() -> int:
    """Processor cores this process may use; ``OMP_NUM_THREADS`` lowers it, and `on_one_core` makes it one."""
    share = _SHARE.get()
    if share is not None:
        return share
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else allowed


@contextmanager
def on_one_core() -> Iterator[None]:
    """Run the body on one core: cut up in the same way, its work has the same last digits wherever it runs."""
    token = _SHARE.set(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        _SHARE.reset(token)


def in_threads(run: Callable[[Job, Event], Result], jobs: Sequence[Job], workers: int | None = None) -> list[Result]:
    """``[run(job, stopped) for job in jobs]`` with as many jobs at once as there are cores.

    ``stopped`` is set when a job fails or the user interrupts; a long job should look at it now and then and return
    or raise.
    """
    count, stopped = min(workers or cores(), len(jobs)), Event()
    with threadpool_limits(1, user_api="blas"):
        if count <= 1:
            return [run(job, stopped) for job in jobs]
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(run, job, stopped) for job in jobs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
