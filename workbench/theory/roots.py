"""All roots of a smooth function of time on an interval."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sign_changes(f: Callable[[Array], Array], grid: Array) -> Array:
    """Times between the first and last grid point at which ``f`` changes sign, refined to rounding error.

    Two roots between neighbouring grid points cancel and are not seen: the grid must resolve the function.
    """
    values = np.asarray(f(grid))
    # Below this the values are rounding error of a function that is identically zero.
    floor = 1e-13 * np.abs(values).max(initial=0.0)
    sign = np.where(np.abs(values) <= floor, 0, np.sign(values))
    keep = np.flatnonzero(sign)
    changes = [
        scipy.optimize.brentq(lambda t: float(f(np.array(t))), grid[i], grid[j], xtol=1e-14, rtol=1e-14)
        for i, j in itertools.pairwise(keep)
        if sign[i] != sign[j]
    ]
    return np.array(changes, dtype=np.float64)
