"""Who computes the blocks of a sweep: this process, one after the other, or the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any

from workbench.errors import WorkbenchError
from workbench.parallel import cores
from workbench.sweeps.cells import Cell, computed
from workbench.sweeps.layout import Layout
from workbench.sweeps.plan import Plan
from workbench.sweeps.stores import CellStore, Zarr

Block = tuple[int, ...]
Advance = Callable[[int], Any]

#: Blocks handed out for every worker: one to work on, one to go on with.
_AHEAD = 2
#: A block whose workers died so often is given up: it is what kills them.
_DEATHS = 10
_SECONDS_TO_CONNECT = 5
LOCAL = "local"
#: What workers of this machine import as they start, while the client prepares.
_PRELOADED = ["workbench.sweeps.cells", "workbench.simulation.sampling.chains"]
#: Interrupted, the process ends without waiting for its workers; Python would warn about what they shared.
_QUIET = "ignore:resource_tracker:UserWarning"


def one_by_one(plan: Plan, layout: Layout, store: CellStore, blocks: Sequence[Block], advance: Advance) -> None:
    """Compute the blocks in this process."""
    for block in blocks:
        for cell in computed(plan, layout, block):
            store.put(cell)
            advance(1)


def on_cluster(client: Any, store: Zarr, blocks: Sequence[Block], advance: Advance) -> None:
    """Compute the blocks on the workers of a cluster, which write into the store themselves.

    A few blocks a worker are handed out at a time, and only whether they are done comes back: neither the client nor
    the scheduler grows with the number of cells. A block whose worker dies goes to another one.
    """
    import distributed

    waiting, deaths = list(reversed(blocks)), dict[Block, int]()
    running: dict[Any, Block] = {}
    # Nothing is computed twice within a sweep; keys of their own keep two sweeps on one cluster apart.
    results: Any = distributed.as_completed(  # type: ignore[no-untyped-call]
        [], loop=client.loop, raise_errors=False
    )

    def hand_out() -> None:
        while waiting and len(running) < _AHEAD * max(1, _threads(client)):
            block = waiting.pop()
            future = client.submit(_compute, store, block, pure=False, retries=0)
            running[future] = block
            results.add(future)

    hand_out()
    try:
        while running:
            future = next(results)
            block = running.pop(future)
            error = _error(future)
            if error is not None and client.status != "running":
                raise WorkbenchError("the scheduler is gone; what is done is kept")
            if error is None:
                advance(len(block))
            elif deaths.get(block, 0) < _DEATHS:
                deaths[block] = deaths.get(block, 0) + 1
                waiting.append(block)
            else:
                words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                for number in block:
                    store.put(Cell(number, None, f"its worker died {_DEATHS} times ({words})"))
                advance(len(block))
            future.release()
            hand_out()
    except BaseException:
        client.cancel(list(running), force=True)
        raise


def _error(future: Any) -> BaseException | None:
    """Why a block did not come to its end; None if it did."""
    try:
        return None if future.status == "finished" else future.exception(timeout=_SECONDS_TO_CONNECT)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return error


def _compute(store: Zarr, block: Block) -> int:
    """On a worker."""
    for cell in computed(store.plan, store.layout, block):
        store.put(cell)
    return len(block)


def _threads(client: Any) -> int:
    return sum(client.nthreads().values())


@contextmanager
def cluster(scheduler: str, workers: int | None) -> Iterator[Any]:
    """A client of the scheduler at an address, or of a cluster on this machine with one worker a core.

    Raises:
        WorkbenchError: if Dask is not installed, nobody answers, no worker comes, or the workers run other code.
    """
    if find_spec("distributed") is None:
        raise WorkbenchError(
            "a cluster needs Dask; pip install 'stagewise-workbench[sweep]', or leave `scheduler` out: cells are then "
            "computed one after another"
        )
    with _local(workers) if scheduler == LOCAL else _remote(scheduler) as client:
        _refuse_other_code(client)
        yield client


@contextmanager
def starting(scheduler: str, workers: int | None) -> Iterator[Callable[[], Any]]:
    """A `cluster` that comes up while the caller goes on; calling what is handed out waits for its client."""
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        coming = pool.submit(stack.enter_context, cluster(scheduler, workers))
        yield coming.result


@contextmanager
def _local(workers: int | None) -> Iterator[Any]:
    import logging

    import dask
    import distributed

    os.environ.setdefault("PYTHONWARNINGS", _QUIET)
    settings = {
        "distributed.scheduler.allowed-failures": _DEATHS,
        "distributed.admin.tick.limit": "1h",
        "distributed.worker.daemon": True,
        "distributed.logging.distributed": "critical",
    }
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        dask.config.set(settings),
        distributed.LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers or cores(),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            preload=_PRELOADED,
        ) as machines,
        distributed.Client(machines, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        yield client


@contextmanager
def _remote(address: str) -> Iterator[Any]:
    import distributed

    try:
        client: Any = distributed.Client(  # type: ignore[no-untyped-call]
            address, timeout=_SECONDS_TO_CONNECT, set_as_default=False
        )
    except (OSError, ValueError, TypeError) as error:
        raise WorkbenchError(
            f"`scheduler` {address!r}: nobody answers there ({type(error).__name__}); give the address that "
            "`dask scheduler` printed, such as tcp://127.0.0.1:8786"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_SECONDS_TO_CONNECT)
        except TimeoutError:
            raise WorkbenchError(
                f"`scheduler` {address!r} has no workers; start some with: dask worker {address} --nthreads 1"
            ) from None
        yield client


def _refuse_other_code(client: Any) -> None:
    """Numbers of other code would be mixed in."""
    from workbench.comparison.identity import code_digest

    here = code_digest()
    for worker, there in client.run(_code, on_error="return").items():
        if isinstance(there, OSError):
            continue  # it died meanwhile; another one takes its place
        if isinstance(there, Exception):
            raise WorkbenchError(
                f"worker {worker} cannot run a cell ({type(there).__name__}: {' '.join(str(there).split())[:200]}); "
                "install this version of the workbench there"
            )
        if there != here:
            raise WorkbenchError(
                f"worker {worker} runs other code ({there}; {here} here); install the same workbench on both"
            )


def _code() -> str:
    from workbench.comparison.identity import code_digest

    return code_digest()
