"""Limits of axes on round numbers: a slider rarely moves them, and the same values always give the same ones."""

from __future__ import annotations

import numpy as np

_STEPS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0])


def rounded_up(value: float) -> float:
    """The next of a few round numbers above a positive one."""
    if not value > 0:
        return 1.0
    size = 10.0 ** np.floor(np.log10(value))
    return float(size * _STEPS[min(np.searchsorted(_STEPS, value / size * (1 - 1e-9)), len(_STEPS) - 1)])


def limits(low: float, high: float) -> tuple[float, float]:
    """Round limits around values from ``low`` to ``high``, with 0 inside."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return -1.0, 1.0
    room = 0.04 * (high - low)
    bottom, top = (rounded_up(room - low) if low < 0 else 0.0), (rounded_up(room + high) if high > 0 else 0.0)
    # Beyond 0 a little room, of the round limits: that of the values would move with every one of them.
    return -(bottom or 0.04 * top), top or 0.04 * bottom
