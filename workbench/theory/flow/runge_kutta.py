"""Numeric integration through given times that never stores the path: large batches do not fit twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError

Array = NDArray[np.float64]


def march(
    rate: Callable[[float, Array], Array],
    begin: float,
    y: Array,
    times: Array,
    *,
    rtol: float,
    atol: float | Array,
) -> Iterator[tuple[int, Array]]:
    """Integrate ``dy/dt = rate(t, y)`` from ``y`` at time ``begin`` through ascending ``times >= begin``.

    Explicit Runge-Kutta of order 8 (Dormand & Prince) with step control, interpolated at order 7.

    Yields:
        Index of the time and the state then.
    """
    # Here and not above: scipy.integrate takes a tenth of a second to import.
    from scipy.integrate import DOP853

    k = 0
    while k < len(times) and times[k] <= begin:
        yield k, y
        k += 1
    if k == len(times):
        return
    solver = DOP853(rate, begin, y, float(times[-1]), rtol=rtol, atol=atol)
    while k < len(times):
        message = solver.step()
        if solver.status == "failed":
            raise WorkbenchError(
                f"the flow cannot be integrated past t = {solver.t:.4g} ({message}); use a larger rtol"
            )
        if times[k] <= solver.t:
            reached = int(np.searchsorted(times, solver.t, side="right"))
            for state in solver.dense_output()(times[k:reached]).T:
                yield k, state
                k += 1
