"""`mode_strength`: how strongly a mode is learned at time t, in every regime that has a closed form.

| regime | formula |
|---|---|
| depth 1 | exponential, `depth.shallow_form` |
| depth 2 | logistic at lambda = 0 (`mode_dynamics`), `unbalanced.unbalanced_weight_form` otherwise |
| depth >= 3 | ``K(y) = K(y0) + tau``, the finite sum of `depth.depth_time_form` inverted by Newton's method |
| s = 0 | power law, `depth.null_mode_form` |

For D >= 3 the unknown is not a but a logarithm of its distance from rest, in which K is concave or convex:
Newton's iteration from the right side then converges monotonically, without a bracket, up to rounding and
near saturation too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.modes.depth import null_mode_form, root_angles
from workbench.theory.modes.unbalanced_weights import mode_weights, unequal_residual

Array = NDArray[np.float64]
#: Strength and residual.
State = tuple[Array, Array]

#: Below this y^D the sum over roots cancels and the power series of K, in y^D, needs 32 terms at most.
_SERIES = 0.3
#: Newton's method takes at most 7 over 20 decades of the arguments.
_ITERATIONS = 30


def mode_strength(
    t: ArrayLike, s: ArrayLike, *, c: ArrayLike, a0: ArrayLike, depth: int = 2, lam: ArrayLike = 0.0
) -> Array:
    """Strength a(t) of a mode; all arguments but ``depth`` broadcast.

    Args:
        t: flow times >= 0.
        s: singular values, of any sign; 0 for directions without signal.
        c: input scale > 0; an array where the input covariance is diagonal in the modes, ``V diag(c) V^T``.
        a0: initial strength, of any sign. From a0 = 0 (at depth >= 2 and lam = 0) nothing is learned.
        depth: number of weight layers D >= 1, all of equal size at the start unless ``lam`` says otherwise.
        lam: imbalance ``w2^2 - w1^2``; depth 2 only.

    Returns:
        a in units of weight^D, exact up to rounding of a and of t: at D >= 3 it is the strength at a time
        within 2e-14 t of the one asked for (against 30-digit quadrature).
    """
    return mode_state(t, s, c=c, a0=a0, depth=depth, lam=lam)[0]


def mode_state(
    t: ArrayLike, s: ArrayLike, *, c: ArrayLike, a0: ArrayLike, depth: int = 2, lam: ArrayLike = 0.0
) -> State:
    """Strength a(t) and residual ``e = s - c a``, the latter without cancellation at late times.

    Arguments as in `mode_strength`.
    """
    if depth != int(depth) or depth < 1:
        raise ConditionError("a whole number of layers, depth >= 1", f"depth = {depth}", "use depth 1, 2, 3, ...")
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (t, s, c, a0, lam)))
    t_, s_, c_, a0_, lam_ = arrays
    if not all(np.isfinite(x).all() for x in arrays) or (t_ < 0).any() or (c_ <= 0).any():
        raise ConditionError(
            "finite arguments with t >= 0 and c > 0",
            f"smallest t = {t_.min():g}, c = {c_.min():g}",
            "count time from the start; c is the scale of the inputs, 1/P for one-hot items",
        )
    if depth != 2 and lam_.any():
        raise ConditionError("lam = 0 unless depth = 2", f"depth {depth}, lam = {lam_.max():g}", "use depth 2 or lam 0")
    if depth == 1:
        # `depth.shallow_form` without the cancellation of s/c at early times.
        decayed = np.exp(-c_ * t_)
        return a0_ * decayed - s_ / c_ * np.expm1(-c_ * t_), (s_ - c_ * a0_) * decayed
    if depth == 2:
        w1, w2 = mode_weights(t_, s_, c=c_, a0=a0_, lam=lam_)
        logistic = (lam_ == 0) & (a0_ > 0) & (s_ > 0)
        e = np.where(logistic, _logistic_residual(t_, s_, c_, a0_), s_ - c_ * w1 * w2)
        rising = (lam_ != 0) & (s_ > 0)
        e[rising] = unequal_residual(t_[rising], s_[rising], c=c_[rising], a0=a0_[rising], lam=lam_[rising])
        return w1 * w2, e
    # A negative strength is a positive one with the sign of s reversed.
    side = np.where(a0_ < 0, -1.0, 1.0)
    a, e = _deep(t_, side * s_, c_, side * a0_, int(depth))
    return side * a, side * e


def _logistic_residual(t: Array, s: Array, c: Array, a0: Array) -> Array:
    """`balanced.residual_form`, for s > 0 and a0 > 0."""
    decayed = np.exp(-2 * np.abs(s) * t)
    rest = s * decayed + c * a0 * (1 - decayed)
    return np.asarray(np.divide(s * (s - c * a0) * decayed, rest, out=np.zeros(rest.shape), where=rest != 0))


def _deep(t: Array, s: Array, c: Array, a0: Array, D: int) -> State:
    a = np.array(a0)
    e = np.array(s - c * a)
    # Where s is this small y^(2D-2) underflows, long before the signal matters.
    moving, null = (t > 0) & (a0 > 0), np.abs(s) <= 1e-100 * c * a0
    regimes: tuple[tuple[NDArray[np.bool_], Callable[[Array, Array, Array, Array, int], State]], ...] = (
        (null, _null),
        (~null & (s > c * a0), _rising),
        (~null & (s > 0) & (s < c * a0), _falling),
        (~null & (s < 0), _vanishing),
    )
    for where, solve in regimes:
        chosen = moving & where
        if chosen.any():
            a[chosen], e[chosen] = solve(t[chosen], s[chosen], c[chosen], a0[chosen], D)
    return a, e


def _null(t: Array, s: Array, c: Array, a0: Array, D: int) -> State:
    a = np.asarray(null_mode_form(D).function(t, c, a0))
    return a, s - c * a


def clock(t: Array, s: Array, c: Array, D: int) -> Array:
    """``tau``, the increase of K over time t."""
    return np.asarray(t * np.abs(s) * (np.abs(s) / c) ** (1 - 2 / D))


def _rising(t: Array, s: Array, c: Array, a0: Array, D: int) -> State:
    """0 < a < s/c, in ``z = logit(c a/s)``: K is concave, ``dK/dz = y^{D-2}/D``."""

    def K(z: Array) -> tuple[Array, Array]:
        log_y = np.logaddexp(0, -z) / D
        # ln(y - 1), which behaves as -z - ln D near saturation.
        log_gap = np.where(z > 600, -z - np.log(D), np.log(np.expm1(np.maximum(log_y, 1e-300))))
        y = np.exp(log_y)
        return finite_sum(y, log_gap, D, 1), y ** (D - 2) / D

    ratio = c * a0 / s
    z0 = np.log(ratio) - np.log1p(-ratio)
    target = K(z0)[0] + clock(t, s, c, D)
    # Lower bounds: K <= z/D + const everywhere, and K <= const + 1 - y^{D-2}/(D-2) where z < 0.
    asymptote, at_infinity = _constants(D)
    power = (D - 2) * np.maximum(1 - (target - at_infinity), 0.5)
    early = -np.log(np.expm1(np.maximum(np.log(power) * D / (D - 2), 1e-3)))
    middle = K(np.zeros(1))[0]
    start = np.where(target < middle, np.minimum(early, 0), np.maximum(0, D * (target - asymptote)))
    z = _newton(K, target, np.maximum(z0, start))
    decayed = np.exp(-np.abs(z))
    less, more = decayed / (1 + decayed), 1 / (1 + decayed)
    return s / c * np.where(z > 0, more, less), s * np.where(z > 0, less, more)


def _falling(t: Array, s: Array, c: Array, a0: Array, D: int) -> State:
    """a > s/c > 0, in ``z = ln(c a/s - 1)``: K is convex, ``dK/dz = -y^{2D-2}/D``."""

    def K(z: Array) -> tuple[Array, Array]:
        log_y = -np.logaddexp(0, z) / D
        log_gap = np.where(z < -600, z - np.log(D), np.log(-np.expm1(np.minimum(log_y, -1e-300))))
        y = np.exp(log_y)
        return _accurate_sum(y, log_gap, D, 1), -(y ** (2 * D - 2)) / D

    target = K(np.log(c * a0 / s - 1))[0] + clock(t, s, c, D)
    # Lower bounds: K >= -z/D + const and K >= y^{2D-2}/(2D-2).
    log_y = np.log((2 * D - 2) * target) / (2 * D - 2)
    far = np.log(np.expm1(np.maximum(-D * log_y, 1e-300)))
    z = _newton(K, target, np.maximum(far, -D * (target - _constants(D)[0])))
    return s / c * (1 + np.exp(z)), -s * np.exp(z)


def _vanishing(t: Array, s: Array, c: Array, a0: Array, D: int) -> State:
    """s < 0, a decays to 0, in ``z = ln y``: ln K is concave."""

    def log_K(z: Array) -> tuple[Array, Array]:
        y = np.exp(z)
        value = _accurate_sum(y, np.zeros(y.shape), D, -1)
        # y^{2D-2}/(1 + y^D), without the overflow of y^{2D}.
        return np.log(value), y ** (D - 2) / (y**-D + 1.0) / value

    z0 = np.log(-s / (c * a0)) / D
    target = np.log(np.exp(log_K(z0)[0]) + clock(t, s, c, D))
    bounds = [(target + np.log(n)) / n for n in (2 * D - 2, D - 2)]
    z = _newton(log_K, target, np.maximum(z0, np.maximum(*bounds)))
    a = -s / c * np.exp(-D * z)
    return a, s - c * a


def _newton(K: Callable[[Array], tuple[Array, Array]], target: Array, start: Array) -> Array:
    z = start
    for _ in range(_ITERATIONS):
        value, slope = K(z)
        step = (target - value) / slope
        z = z + step
        # Convergence is quadratic: after a step of 1e-9 the error is below rounding.
        if (np.abs(step) <= 1e-9 * np.maximum(1, np.abs(z))).all():
            break
    return z


@cache
def _roots(D: int, sign: int) -> tuple[Array, Array]:
    """Angles of the conjugate pairs of roots, and the real roots."""
    angles = np.array([float(angle) for angle in root_angles(D, sign)])
    real = (angles == 0) | np.isclose(angles, np.pi)
    return angles[~real], np.cos(angles[real]).round()


@cache
def _constants(D: int) -> tuple[float, float]:
    """``lim K - z/D`` towards saturation (from above: K + z/D), and ``lim K + y^{D-2}/(D-2)`` for a -> 0."""
    asymptote = float(finite_sum(np.ones(1), np.zeros(1), D, 1)[0]) + np.log(D) / D
    pairs, _ = _roots(D, 1)
    return asymptote, float(-2 / D * np.sum(np.sin(2 * pairs) * (np.pi - pairs)))


def finite_sum(y: Array, log_gap: Array, D: int, sign: int) -> Array:
    """`depth.primitive` over arrays; ``log_gap = ln|1 - y|`` is given, as y alone does not resolve it."""
    pairs, real = _roots(D, sign)
    # Accumulated root by root: as many temporaries of the size of y as roots would be slower than the loop.
    total = np.zeros(y.shape)
    for root in real:
        total += log_gap if root > 0 else np.log1p(y)
    for angle in pairs:
        cos, sin = np.cos(angle), np.sin(angle)
        total += np.cos(2 * angle) * np.log((y - cos) ** 2 + sin**2)
        if abs(cos) > 1e-15:  # of an imaginary root, as four layers have, nothing is left
            total += 2 * np.sin(2 * angle) * np.arctan2(y * sin, 1 - y * cos)
    return np.asarray(-sign * y ** (D - 2) / (D - 2) - total / D)


def _accurate_sum(y: Array, log_gap: Array, D: int, sign: int) -> Array:
    """K with small relative error also for small y, from ``K = sum_j sign^j y^{2D-2+jD}/(2D-2+jD)``."""
    x = sign * np.minimum(y**D, _SERIES)
    series = np.zeros(y.shape)
    for j in range(32, -1, -1):
        series = series * x + 1 / (2 * D - 2 + j * D)
    return np.where(y**D < _SERIES, y ** (2 * D - 2) * series, finite_sum(y, log_gap, D, sign))
