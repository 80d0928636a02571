"""Cost of the symbolic half: a slider's curves, and what it takes to import it.

    python benchmarks/theory.py

The curves are the strengths of all modes and the influence of one item on all others at 1000 times, on the 8-item
tree: once through the prepared path (`item_curves`), once through the plain functions, which check their conditions
and give all pairs. Both are checked to be equal. Times are CPU milliseconds, the best of several repeats; only the
ratio travels between machines. The import is timed in fresh processes, beside that of numpy alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.semantics import task_from_spec
from workbench.theory import gradient_kernel, item_curves, mode_strengths
from workbench.trajectory import Init, initial_weights

Array = NDArray[np.float64]

A0, SOURCE = 0.01, 0


def best_cpu(run: Callable[[], object], repeats: int) -> float:
    """Best CPU milliseconds of one call."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        found.append(1e3 * (time.process_time() - began))
    return min(found)


def import_seconds(module: str, repeats: int = 5) -> float:
    """Best wall seconds of ``import module`` in a fresh process, the interpreter's own start left out."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    runs = (subprocess.run([sys.executable, "-c", code], check=True, capture_output=True) for _ in range(repeats))
    return min(float(done.stdout) for done in runs)


def main() -> None:
    start = initial_weights(task_from_spec("tree"), Init("balanced", A0), 16)
    times = np.linspace(0.0, 30.0, 1000)
    curves = item_curves(start.modes, SOURCE)

    def prepared() -> tuple[Array, Array]:
        return curves.curves(times, A0)

    def plain() -> tuple[Array, Array]:
        a = mode_strengths(start, times)
        return a, -gradient_kernel(start.modes, a)[:, SOURCE]

    for ours, theirs in zip(prepared(), plain(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12 * np.abs(theirs).max())
    slow, fast = best_cpu(plain, 50), best_cpu(prepared, 300)
    print(f"{'8 modes and one item on all others, 1000 times':<52}{'CPU ms':>10}{'ratio':>8}")
    print(f"{'plain: mode_strengths, gradient_kernel':<52}{slow:>10.3f}{1:>8.1f}")
    print(f"{'prepared: item_curves':<52}{fast:>10.3f}{slow / fast:>8.1f}")
    base, ours = import_seconds("numpy"), import_seconds("workbench.theory")
    print(f"\n{'import in a fresh process':<52}{'s':>10}{'ratio':>8}")
    print(f"{'numpy':<52}{base:>10.3f}{1:>8.1f}")
    print(f"{'workbench.theory':<52}{ours:>10.3f}{ours / base:>8.1f}")


if __name__ == "__main__":
    main()
