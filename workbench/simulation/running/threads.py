"""How work is shared among processor cores: by whole jobs where there are many, else within torch's operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event

import torch

from workbench import parallel
from workbench.parallel import Job, Result

#: Below this many floating-point operations a step, sharing it among threads costs more than the step.
WORTH_SHARING = 2e7


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run the body with ``count`` torch threads and restore the setting afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(run: Callable[[Job, Event], Result], jobs: Sequence[Job]) -> list[Result]:
    """`workbench.parallel.in_threads` with one torch thread a job, as many jobs at once as torch has threads."""
    workers = torch.get_num_threads()
    with torch_threads(1):
        return parallel.in_threads(run, jobs, workers)
