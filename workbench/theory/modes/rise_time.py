"""When a mode reaches a share of its final strength, in every regime that has a closed form.

`mode_strength` inverted: exponential at depth 1, `balanced.half_rise_form` and its like at depth 2, the finite sum of
`depth.depth_time_form` beyond.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.modes.strength import clock, finite_sum

Array = NDArray[np.float64]


def half_rise_time(s: ArrayLike, *, c: ArrayLike, a0: ArrayLike, depth: int = 2, lam: ArrayLike = 0.0) -> Array:
    """Time at which a mode reaches half of its final strength s/c; see `rise_time`."""
    return rise_time(0.5, s, c=c, a0=a0, depth=depth, lam=lam)


def rise_time(
    share: ArrayLike, s: ArrayLike, *, c: ArrayLike, a0: ArrayLike, depth: int = 2, lam: ArrayLike = 0.0
) -> Array:
    """Time at which a mode reaches a share of its final strength s/c; all arguments but ``depth`` broadcast.

    Conditions: s > 0 and a0 < share s/c, share < 1; a0 > 0 at depth >= 3, and at depth 2 unless lam differs from 0.
    """
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (share, s, c, a0, lam)))
    share_, s_, c_, a0_, lam_ = arrays
    grows = (a0_ > 0) if depth > 2 else (a0_ > 0) | (lam_ != 0) | (depth == 1)
    if not ((s_ > 0) & (c_ > 0) & (c_ * a0_ < share_ * s_) & (share_ < 1) & grows).all():
        raise ConditionError(
            f"s > 0, {1 / np.min(share_):.4g} c a0 < s and a start that grows (a0 > 0, or lam other than 0 at depth 2)",
            f"s from {s_.min():g}, a0 from {a0_.min():g} to {a0_.max():g}",
            "leave out modes that are never learned and start from a smaller a0 > 0",
        )
    if depth != 2 and lam_.any():
        raise ConditionError("lam = 0 unless depth = 2", f"depth {depth}, lam = {lam_.max():g}", "use depth 2 or lam 0")
    if depth == 1:
        return np.asarray(np.log((1 - c_ * a0_ / s_) / (1 - share_)) / c_)
    if depth == 2:
        return _rise_two_layers(share_ * s_ / c_, s_, c_, a0_, lam_)
    z0 = np.log(c_ * a0_ / s_) - np.log1p(-c_ * a0_ / s_)
    start, there = np.exp(np.logaddexp(0, -z0) / depth), share_ ** (-1 / depth)
    K_start, K_there = (finite_sum(y, np.log(y - 1), depth, 1) for y in (start, there))
    return np.asarray((K_there - K_start) / clock(np.ones(s_.shape), s_, c_, depth))


def _rise_two_layers(goal: Array, s: Array, c: Array, a0: Array, lam: Array) -> Array:
    """``r = (Y - Y*)/(Y + lambda^2/Y*)`` decays at the rate kap; ``Y = 2a + sqrt(lambda^2 + 4a^2)``."""

    def difference(a: Array, b: Array) -> Array:
        """``Y(a) - Y(b)``, which in the lazy regime are nearly equal."""
        return np.asarray(2 * (a - b) * (1 + 2 * (a + b) / (np.hypot(lam, 2 * a) + np.hypot(lam, 2 * b))))

    def length(a: Array) -> Array:
        large = np.hypot(lam, 2 * a) + 2 * np.abs(a)
        return np.asarray(np.where(a < 0, lam**2 / large, large))

    end, rest = s / c, lam**2 / length(s / c)
    ratio = difference(end, a0) * (length(goal) + rest) / ((length(a0) + rest) * difference(end, goal))
    return np.asarray(np.log(ratio) / np.hypot(c * lam, 2 * s))
