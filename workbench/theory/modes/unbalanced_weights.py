"""Both weights of a mode of a two-layer network at any imbalance, without cancellation.

Sources: Braun et al. (2022); Domine et al. (2024); derived for this project.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.closed_form import ClosedForm, Step, Variable
from workbench.theory.modes.balanced import VARIABLES, c, s, t
from workbench.theory.modes.unbalanced import SOURCE, unbalanced_flow_steps

Array = NDArray[np.float64]


@cache
def unbalanced_weight_form() -> ClosedForm:
    """``w1(t)`` of one mode, the solution of `riccati` for a 1-1-1 network; w2 follows by swapping the layers.

    With ``E = e^{-2 mu t}``, ``h = (1 - E)/(2 mu)``, ``mu = sqrt(s^2 + L^2)``, ``L = c lambda/2``. Every term is
    positive for s, w1, w2 > 0: nothing cancels, at lambda = 0 or at c|lambda| >> s, early or late.
    """
    w1, w2, q_plus, q_minus = sp.symbols("w1 w2 q_plus q_minus", real=True)
    E, h, gap, mu, L = sp.symbols("E h gap mu L", real=True)
    grown = w1 * (E + gap * h) + w2 * s * h
    M = E + c * h * (q_plus**2 + q_minus**2 * E)
    # q_+^2 + q_-^2 = w1^2 + w2^2 and mu (q_+^2 - q_-^2) = Q0^T F Q0.
    square, form = w1**2 + w2**2, 2 * s * w1 * w2 + L * (w2**2 - w1**2)
    M_in_w = E + c * h * (square * (1 + E) + form / mu * (1 - E)) / 2
    in_E = {gap: mu - L, h: (1 - E) / (2 * mu)}
    N1 = grown.subs(in_E)
    N2 = (w2 * (E + (mu + L) * h) + w1 * s * h).subs(in_E)
    M_E = M_in_w.subs(in_E)
    # w1 = N1/sqrt(M) in dw1/dt = w2 (s - c w1 w2), times M^{3/2}; d/dt of a function of E is -2 mu E d/dE.
    left = -2 * mu * E * (sp.diff(N1, E) * M_E - N1 * sp.diff(M_E, E) / 2) - N2 * (s * M_E - c * N1 * N2)
    left = sp.numer(sp.together(left.subs(c, 2 * L / (w2**2 - w1**2))))
    return ClosedForm(
        name="unbalanced_weight",
        title="First-layer weight of a mode learned by a two-layer network at any imbalance",
        quantity=sp.Function("w1")(t),
        expression=grown / sp.sqrt(M),
        variables=(
            VARIABLES[s],
            VARIABLES[c],
            Variable(w1, "first-layer weight at t = 0", "weight"),
            Variable(w2, "second-layer weight at t = 0", "weight"),
            Variable(q_plus, "start along the growing eigenvector of F", "weight"),
            Variable(q_minus, "start along the decaying eigenvector of F", "weight"),
            Variable(E, "e^{-2 mu t}"),
            Variable(h, "(1 - E)/(2 mu)", "time"),
            Variable(gap, "mu - L", "1 / time"),
        ),
        unit="weight",
        source=SOURCE,
        steps=(
            *unbalanced_flow_steps(),
            Step(
                "e^{Ft} = cosh(mu t) + F sinh(mu t)/mu and M = 1 + c Q0^T Phi Q0 give",
                grown / sp.sqrt(M),
                sp.expand((w1 * (1 + E) / 2 + (s * w2 - L * w1) * h - grown).subs(in_E)),
                why="the general solution in matrices, for a single mode: F has the eigenvalues +mu and -mu",
            ),
            Step(
                "Put into dw1/dt = w2 (s - c w1 w2), with mu^2 = s^2 + L^2 and 2L = c (w2^2 - w1^2):",
                sp.S.Zero,
                sp.rem(sp.expand(left), s**2 + L**2 - mu**2, s),
                why="a check that needs none of the steps above",
            ),
            Step(
                "At t = 0 it is",
                w1,
                (grown / sp.sqrt(M)).subs({E: 1, h: 0}) - w1,
                why="the solution is that of this start",
            ),
        ),
    )


def initial_pair(a0: ArrayLike, lam: ArrayLike) -> tuple[Array, Array]:
    """``(w1, w2)`` with ``w1 w2 = a0`` and ``w2^2 - w1^2 = lambda``, the sign chosen so that w1 + w2 >= 0."""
    a, imbalance = np.broadcast_arrays(np.asarray(a0, dtype=np.float64), np.asarray(lam, dtype=np.float64))
    large = np.sqrt((np.hypot(imbalance, 2 * a) + np.abs(imbalance)) / 2)
    small = np.divide(a, large, out=np.zeros(a.shape), where=large > 0)
    return np.where(imbalance >= 0, small, large), np.where(imbalance >= 0, large, small)


def mode_weights(
    t: ArrayLike, s: ArrayLike, *, c: ArrayLike, a0: ArrayLike, lam: ArrayLike = 0.0
) -> tuple[Array, Array]:
    """Weights ``(w1, w2)`` of a two-layer mode at any imbalance; all arguments broadcast.

    Args:
        t: flow times >= 0.
        s: singular values of any sign; 0 for directions without signal.
        c: input scale(s) > 0, one per mode if Sxx is diagonal in the modes but not isotropic.
        a0: initial strengths ``w1 w2`` of any sign.
        lam: imbalance ``w2^2 - w1^2``, conserved.

    Returns:
        w1 and w2 in units of weight, each with the shape of all arguments broadcast; of the two solutions
        +-(w1, w2) the one with the larger initial weight positive. At lambda = 0 and a0 of the wrong sign
        the mode stays on the stable manifold of the saddle and decays to 0.
    """
    t_, s_, c_, a_, lam_ = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (t, s, c, a0, lam)))
    if not ((t_ >= 0) & (c_ > 0)).all():
        raise ConditionError(
            "t >= 0 and c > 0",
            f"smallest t = {t_.min():g}, c = {c_.min():g}",
            "count time from the start, give c > 0",
        )
    # A negative singular value is a positive one with the sign of w1 reversed.
    flip = np.where(s_ < 0, -1.0, 1.0)
    s_, a_ = np.abs(s_), flip * a_
    w1, w2 = initial_pair(a_, lam_)
    L = c_ * lam_ / 2
    mu = np.hypot(s_, L)
    rate = np.where(mu > 0, mu, 1.0)
    E = np.exp(-2 * mu * t_)
    h = np.where(mu > 0, -np.expm1(-2 * mu * t_) / (2 * rate), t_)
    q_plus, q_minus, total, difference = _along_eigenvectors(a_, lam_, np.arctan2(L, s_) / 2)
    # mu - L and mu + L without cancellation.
    wide = mu + np.abs(L)
    narrow = np.divide(s_**2, wide, out=np.zeros(wide.shape), where=wide > 0)
    below, above = np.where(L > 0, narrow, wide), np.where(L > 0, wide, narrow)
    weight = unbalanced_weight_form().function
    stuck = (lam_ == 0) & (a_ <= 0)
    # On the stable manifold M vanishes with E; any other value there does, it is not used.
    floor = np.where(stuck, 1.0, E)
    pair = (
        weight(s_, c_, w1, w2, q_plus, q_minus, floor, h, below),
        weight(s_, c_, w2, w1, q_plus, q_minus, floor, h, above),
    )
    grown = (total * (E + (mu + s_) * h) + difference * L * h) / np.sqrt(floor + c_ * h * (q_plus**2 + q_minus**2 * E))
    other = np.divide(lam_, grown, out=np.zeros(grown.shape), where=~stuck & (grown > 0))
    decayed = np.sqrt(np.abs(a_) * E / (1 + 2 * c_ * np.abs(a_) * h))
    # With weights of opposite signs and nearly equal size w1 + w2 is what grows, and a difference of w1 and
    # w2 would lose it.
    opposed = (a_ < 0) & (np.abs(lam_) < np.abs(a_))
    w1_t = np.select([stuck, opposed], [-decayed, (grown - other) / 2], pair[0])
    w2_t = np.select([stuck, opposed], [decayed, (grown + other) / 2], pair[1])
    return flip * w1_t, w2_t


def unequal_residual(t: ArrayLike, s: ArrayLike, *, c: ArrayLike, a0: ArrayLike, lam: ArrayLike) -> Array:
    """``e = s - c a`` of two layers with ``w2^2 - w1^2 = lam``, s > 0, all digits late in training; broadcasts.

    With ``Y = (w1 + w2)^2`` of `unbalanced.unbalanced_form` and its end Y*: ``e = (c/4)(Y* - Y)(1 + lam^2/(Y Y*))``,
    ``Y* - Y = -r (Y* + rest)/(1 - r)``, ``r = (Y0 - Y*)/(Y0 + rest) e^{-kap t}``, ``rest = lam^2/Y*``.
    """
    t, s, c, a0, lam = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (t, s, c, a0, lam)))
    end, kap = 2 * s / c + np.hypot(lam, 2 * s / c), np.hypot(c * lam, 2 * s)
    large = np.hypot(lam, 2 * a0) + 2 * np.abs(a0)
    start = np.where(a0 < 0, lam**2 / np.where(large > 0, large, 1.0), large)
    rest = lam**2 / end
    r = (start - end) / (start + rest) * np.exp(-kap * t)
    Y = (end + r * rest) / (1 - r)
    return np.asarray(-c / 4 * r * (end + rest) / (1 - r) * (1 + rest / np.where(Y > 0, Y, 1.0)))


def _along_eigenvectors(a: Array, lam: Array, delta: Array) -> tuple[Array, Array, Array, Array]:
    """``q_+``, ``q_-``, ``w1 + w2`` and ``w2 - w1``, each without cancellation; ``delta = th - pi/4``."""
    large = np.sqrt(np.hypot(lam, 2 * a) + 2 * np.abs(a))
    small = np.divide(np.abs(lam), large, out=np.zeros(large.shape), where=large > 0)
    total = np.where(a < 0, small, large)
    difference = np.where(lam < 0, -1.0, 1.0) * np.where(a < 0, large, small)
    q_plus = (np.cos(delta) * total + np.sin(delta) * difference) / np.sqrt(2)
    return q_plus, (np.cos(delta) * difference - np.sin(delta) * total) / np.sqrt(2), total, difference
