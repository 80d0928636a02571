"""Limits of an axis that hold still while a slider moves, until the curves leave them or shrink within them."""

from __future__ import annotations

import numpy as np

_STEPS = np.array([1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0])
#: Curves that fill less than this share of the axis get new limits.
_LEAST = 0.45


def rounded_up(value: float) -> float:
    """The next of a few round numbers above a positive one."""
    if not value > 0:
        return 1.0
    size = 10.0 ** np.floor(np.log10(value))
    return float(size * _STEPS[min(np.searchsorted(_STEPS, value / size * (1 - 1e-9)), len(_STEPS) - 1)])


class Scale:
    """Limits of one axis."""

    def __init__(self, low: float = 0.0, high: float = 0.0) -> None:
        self.limits = (low, high)

    def fit(self, low: float, high: float) -> None:
        """Make room for values from ``low`` to ``high``, with 0 among them."""
        low, high = min(low, 0.0), max(high, 0.0)
        bottom, top = self.limits
        if bottom <= low and high <= top and high - low >= _LEAST * (top - bottom):
            return
        room = 0.06 * (high - low) or 1.0
        self.limits = (
            -rounded_up(room - low) if low < 0 else (-0.0 if high > 0 else -1.0),
            rounded_up(high + room) if high > 0 else rounded_up(0.06 * -low),
        )
