"""Cost of the symbolic half: a slider's curves, and what it takes to import it.

    python benchmarks/theory.py

The curves are the strengths of all modes and the influence of one item on all others at 1000 times, on the 8-item
tree: once through the prepared path (`item_curves`), once through the plain functions, which check their conditions
and give all pairs. Both are checked to be equal. The import is timed in fresh processes, beside that of numpy alone.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import numpy as np
from harness import Cost, Table, number, race
from numpy.typing import NDArray

from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.theory import gradient_kernel, item_curves, mode_strengths

Array = NDArray[np.float64]

A0, SOURCE, CALLS = 0.01, 0, 50


def import_cost(module: str, runs: int = 5) -> Cost:
    """CPU microseconds of ``import module`` in a fresh process, the interpreter's own start left out."""
    code = (
        f"import sys, time; t = time.process_time(); import {module}; t = time.process_time() - t\n"
        "assert 'torch' not in sys.modules\nprint(t)"
    )
    command = [sys.executable, "-c", code]
    found = [1e6 * float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(runs)]
    return Cost(min(found), statistics.median(found))


def table() -> Table:
    """Cost of the curves both ways, and of the import."""
    start = network(task_from_spec("tree"), 16, f"balanced:{A0}")
    times = np.linspace(0.0, 30.0, 1000)
    curves = item_curves(start.modes, SOURCE)

    def prepared() -> tuple[Array, Array]:
        return curves.curves(times, A0)

    def plain() -> tuple[Array, Array]:
        a = mode_strengths(start, times)
        return a, gradient_kernel(start.modes, a)[:, SOURCE]

    for ours, theirs in zip(prepared(), plain(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12 * np.abs(theirs).max())
    curves_cost = race(
        {
            "curves, plain: mode_strengths, gradient_kernel": lambda: sum(bool(plain()) for _ in range(CALLS)),
            "curves, prepared: item_curves": lambda: sum(bool(prepared()) for _ in range(CALLS)),
        },
        rounds=20,
    )
    imports = {f"import {name}, fresh process": import_cost(name) for name in ("numpy", "workbench.theory")}
    rows = []
    for group in (curves_cost, imports):
        base = next(iter(group.values())).least
        for name, cost in group.items():
            rows.append((name, number(cost.least / 1e3), number(cost.median / 1e3), number(base / cost.least)))
    return Table(
        "Closed forms",
        ("what", "CPU ms, least", "median", "times less than the line above"),
        [(*row[:3], "" if k % 2 == 0 else row[3]) for k, row in enumerate(rows)],
        "Curves: strengths of 8 modes and the influence of one item on all others at 1000 times. Goals: curves under "
        "1 ms; import under 600 ms, never importing torch.",
    )


if __name__ == "__main__":
    print(table())
