"""Many training runs in as many batches as the memory asks for, and one progress for all of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from threading import Lock

from workbench.errors import ConditionError

Progress = Callable[[int], None]

#: Runs are trained in several batches beyond this many bytes.
MEMORY = 1e9


def run_batches(runs: int, bytes_per_run: float, memory: float, at_least: int = 1) -> list[slice]:
    """Slices of runs, of nearly equal size, that fit the memory; at least ``at_least``, but never an empty one."""
    fitting = int(memory // bytes_per_run)
    if fitting < 1:
        raise ConditionError(
            "memory for at least one run",
            f"{memory:.3g} bytes, while a run takes {bytes_per_run:.3g}",
            f"give memory = {bytes_per_run:.3g} or more",
        )
    count = max(-(-runs // fitting), min(at_least, runs))
    edges = [round(k * runs / count) for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def shared_progress(progress: Progress | None, batches: int) -> Progress | None:
    """Turn the steps of each of several batches into steps of all of them."""
    if progress is None or batches == 1:
        return progress
    told, seen, alone = 0, 0, Lock()

    def report(steps: int) -> None:
        nonlocal told, seen
        with alone:
            seen += steps
            progress(seen // batches - told)
            told = seen // batches

    return report
