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
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Cost, Table, number, race
from numpy.typing import NDArray

from workbench.networks import Network, network
from workbench.semantics import task_from_spec
from workbench.theory import (
    damped_newton,
    default_damping,
    gradient_kernel,
    item_curves,
    leave_one_out,
    local_bif,
    mode_strengths,
    required_gamma,
    settling_time,
    trajectory_derivative,
)

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


def deep_ticks(net: Network) -> dict[str, Callable[[], Any]]:
    """One tick of a slider at any depth, measure by measure; the kernel of one item, the others of all pairs."""
    t = np.linspace(0.0, settling_time(net), 61)
    modes, a, active, curves = net.modes, mode_strengths(net, t), net.active, item_curves(net.modes, SOURCE, depth=4)
    assert active is not None
    shape: dict[str, Any] = {"hidden": net.widths, "active": active, "depth": net.depth}
    gamma, damping = required_gamma(modes, 100.0, depth=net.depth), default_damping(modes, depth=net.depth)
    return {
        "gradient kernel": lambda: curves.curves(t, A0),
        "damped Newton": lambda: damped_newton(modes, a, t, damping=damping, **shape),
        "local BIF": lambda: local_bif(modes, a, t, n_beta=100.0, gamma=gamma, n_outputs=net.task.n_outputs, **shape),
        "trajectory derivative": lambda: trajectory_derivative(modes, t, a0=A0, active=active, depth=net.depth),
        "leave-one-out": lambda: leave_one_out(net, t),
    }


def cost_of(work: Callable[[], Any], rounds: int = 7) -> Cost:
    """CPU microseconds of a call."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(1e6 * (time.process_time() - began))
    return Cost(min(spent), statistics.median(spent))


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
    deep = network(task_from_spec("tree"), 16, f"balanced:{A0}", depth=4)
    ticks = {f"depth 4, 61 checkpoints: {name}": cost_of(tick) for name, tick in deep_ticks(deep).items()}
    imports = {f"import {name}, fresh process": import_cost(name) for name in ("numpy", "workbench.theory")}
    rows = []
    for group in (curves_cost, imports, ticks):
        base = next(iter(group.values())).least
        for name, cost in group.items():
            rows.append((name, number(cost.least / 1e3), number(cost.median / 1e3), number(base / cost.least)))
    return Table(
        "Closed forms",
        ("what", "CPU ms, least", "median", "times less than the line above"),
        [(*row[:3], row[3] if k in (1, 3) else "") for k, row in enumerate(rows)],
        "Curves: strengths of 8 modes and the influence of one item on all others at 1000 times. Goals: curves under "
        "1 ms; import under 600 ms, no torch; a tick at depth 4 under 1 ms (kernel) or 30 ms (the others).",
    )


if __name__ == "__main__":
    print(table())
