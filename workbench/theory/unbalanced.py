"""One aligned mode of a two-layer network whose layers start at different sizes.

With weights w1, w2 the strength is ``a = w1 w2`` and the imbalance ``lambda = w2^2 - w1^2`` is conserved::

    da/dt = sqrt(lambda^2 + 4 a^2) (s - c a)

``lambda = 0`` is the rich, sigmoidal regime of `mode_dynamics`; ``c |lambda| >> s`` the lazy, exponential
one.
Sources: Saxe et al. (2014); Braun et al. (2022); Domine et al. (2024); derived for this project.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.mode_dynamics import VARIABLES, a0, c, mode_strength_form, s, t

Array = NDArray[np.float64]
SOURCE = "Braun et al. (2022); Domine et al. (2024); derived for this project"

lamda = sp.Symbol("lamda", real=True)
IMBALANCE = Variable(lamda, "imbalance w2^2 - w1^2, conserved", "weight^2")
_FORWARD = Condition(bare(t) >= 0, "t >= 0", "give times after the start of training")


@cache
def unbalanced_flow_steps() -> tuple[Step, ...]:
    """From the loss of one mode to its equation at imbalance lambda."""
    w1, w2 = sp.symbols("w1 w2", real=True)
    loss = (s - c * w1 * w2) ** 2 / (2 * c)
    w1_dot, w2_dot = -sp.diff(loss, w1), -sp.diff(loss, w2)
    rate = (w1**2 + w2**2) * (s - c * w1 * w2)
    return (
        Step("Loss of one mode:", loss),
        Step(
            "The imbalance is conserved: d(w2^2 - w1^2)/dt is",
            sp.S.Zero,
            sp.expand(w2 * w2_dot - w1 * w1_dot),
        ),
        Step("The strength a = w1 w2 grows at the rate", rate, sp.expand(w1_dot * w2 + w1 * w2_dot - rate)),
        Step(
            "and w1^2 + w2^2 = sqrt(lambda^2 + 4 a^2), since",
            (w1**2 + w2**2) ** 2,
            sp.expand((w1**2 + w2**2) ** 2 - (w2**2 - w1**2) ** 2 - 4 * w1**2 * w2**2),
        ),
    )


@cache
def unbalanced_form() -> ClosedForm:
    """``a(t)`` through ``Y = (w1 + w2)^2``, smooth at lambda = 0."""
    Y, r, Y_star, e = sp.symbols("Y r Y_star e", positive=True)
    kap = sp.sqrt(c**2 * lamda**2 + 4 * s**2)
    fixed = 2 * s / c + sp.sqrt(lamda**2 + 4 * s**2 / c**2)
    start = 2 * a0 + sp.sqrt(lamda**2 + 4 * a0**2)
    decayed = (start - fixed) / (start + lamda**2 / fixed) * sp.exp(-kap * t)
    Y_t = (fixed + decayed * lamda**2 / fixed) / (1 - decayed)
    strength, length = (Y - lamda**2 / Y) / 4, (Y + lamda**2 / Y) / 2
    kap_star, s_star = c * length.subs(Y, Y_star), c * strength.subs(Y, Y_star)
    in_r = (Y_star + r * lamda**2 / Y_star) / (1 - r)
    left = -sp.diff(in_r, r) * kap_star * r - (2 * Y * (s - c * strength)).subs(
        {Y: in_r, s: s_star}, simultaneous=True
    )
    return ClosedForm(
        name="unbalanced_strength",
        title="Strength of a mode learned by a two-layer network at imbalance lambda",
        quantity=sp.Function("a")(t),
        expression=(Y_t - lamda**2 / Y_t) / 4,
        variables=(*(VARIABLES[x] for x in (t, s, c, a0)), IMBALANCE),
        unit="weight^2",
        source=SOURCE,
        conditions=(
            Condition(
                sp.And(bare(s) > 0, bare(c) > 0), "s and c positive", "use mode_strength, which covers s <= 0"
            ),
            Condition(
                sp.Or(bare(a0) > 0, sp.Ne(bare(lamda), 0)),
                "a0 > 0, or lambda other than 0",
                "at lambda = 0 a mode with a0 < 0 is never learned, see stable_manifold_form",
            ),
            _FORWARD,
        ),
        steps=(
            *unbalanced_flow_steps(),
            Step(
                "With Y = (w1 + w2)^2 = 2a + sqrt(lambda^2 + 4a^2) the strength is",
                strength,
                sp.expand((Y - 2 * strength) ** 2 - lamda**2 - 4 * strength**2),
            ),
            Step(
                "and with e = s - c a the rate of Y is",
                2 * Y * e,
                sp.simplify(length * e / sp.diff(strength, Y) - 2 * Y * e),
            ),
            Step("Y rests where e = 0, at Y* =", fixed, sp.radsimp(s - c * strength.subs(Y, fixed))),
            Step(
                "The rate is quadratic in Y: r = (Y - Y*)/(Y + lambda^2/Y*) decays as e^{-kap t}, with kap =",
                kap,
                sp.radsimp(kap_star.subs(Y_star, fixed) - c * (fixed - 2 * s / c)),
            ),
            Step("and Y follows from r:", in_r, sp.simplify(left)),
            Step(
                "which at t = 0 is Y0:",
                start,
                sp.simplify(in_r.subs(r, (Y - Y_star) / (Y + lamda**2 / Y_star)) - Y),
            ),
            Step(
                "Rich limit lambda -> 0: the logistic curve",
                mode_strength_form().expression,
                sp.simplify((Y_t / 4).subs(lamda, 0) - mode_strength_form().expression),
            ),
        ),
    )


@cache
def lazy_limit_form() -> ClosedForm:
    """``a(t)`` for c|lambda| >> s: exponential approach at the rate c|lambda|, as of a linear model."""
    size = sp.Symbol("lamda", positive=True)
    expression = s / c + (a0 - s / c) * sp.exp(-c * size * t)
    strength, shrink = sp.Symbol("a", real=True), sp.Symbol("epsilon", positive=True)
    rate = sp.sqrt(1 + 4 * shrink**2 * strength**2) * (s - c * strength)
    return ClosedForm(
        name="lazy_strength",
        title="Strength of a mode in the lazy limit",
        quantity=sp.Function("a")(t),
        expression=expression,
        variables=(
            *(VARIABLES[x] for x in (t, s, c, a0)),
            Variable(size, "absolute value of the imbalance", "weight^2"),
        ),
        unit="weight^2",
        source=SOURCE,
        conditions=(Condition(bare(c) > 0, "c positive", "c = 1/P for one-hot items"), _FORWARD),
        steps=(
            *unbalanced_flow_steps(),
            Step("In units of time 1/|lambda|, with epsilon = 1/|lambda|, the rate is", rate),
            Step("In the limit epsilon -> 0:", s - c * strength, rate.subs(shrink, 0) - (s - c * strength)),
            Step(
                "The first correction is of second order in epsilon; the first-order term is",
                sp.S.Zero,
                sp.diff(rate, shrink).subs(shrink, 0),
            ),
            Step(
                "The limit equation is linear; its solution leaves",
                sp.S.Zero,
                sp.diff(expression, t) - size * (s - c * expression),
            ),
        ),
    )


@cache
def stable_manifold_form() -> ClosedForm:
    """``a(t)`` from a0 = -b0 < 0 at lambda = 0, the stable manifold of the saddle: never learned."""
    b0 = sp.Symbol("b0", positive=True)
    decay = sp.exp(-2 * s * t)
    expression = -b0 * decay / (1 + c * b0 / s * (1 - decay))
    return ClosedForm(
        name="stable_manifold",
        title="Strength of a balanced mode that starts with the wrong sign",
        quantity=sp.Function("a")(t),
        expression=expression,
        variables=(
            VARIABLES[t],
            VARIABLES[s],
            VARIABLES[c],
            Variable(b0, "-a0, size of the negative start", "weight^2"),
        ),
        unit="weight^2",
        source=SOURCE,
        conditions=(
            Condition(sp.And(bare(s) > 0, bare(b0) > 0), "s and b0 positive", "use mode_strength"),
            _FORWARD,
        ),
        steps=(
            *unbalanced_flow_steps(),
            Step(
                "At lambda = 0 and a < 0 the rate is -2 a (s - c a); the solution leaves",
                sp.S.Zero,
                sp.diff(expression, t) + 2 * expression * (s - c * expression),
            ),
            Step("and starts at", -b0, expression.subs(t, 0) + b0),
        ),
    )


@cache
def unbalanced_weight_form() -> ClosedForm:
    """``w1(t)`` of one mode, the solution of `riccati` for a 1-1-1 network; w2 follows by swapping the
    layers.

    With ``E = e^{-2 mu t}``, ``h = (1 - E)/(2 mu)``, ``mu = sqrt(s^2 + L^2)``, ``L = c lambda/2``. Every
    term is positive for s, w1, w2 > 0: nothing cancels, at lambda = 0 or at c|lambda| >> s, early or late.
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
            Step("e^{Ft} = cosh(mu t) + F sinh(mu t)/mu and M = 1 + c Q0^T Phi Q0 give", grown / sp.sqrt(M)),
            Step(
                "Put into dw1/dt = w2 (s - c w1 w2), with mu^2 = s^2 + L^2 and 2L = c (w2^2 - w1^2):",
                sp.S.Zero,
                sp.rem(sp.expand(left), s**2 + L**2 - mu**2, s),
            ),
            Step("At t = 0 it is", w1, (grown / sp.sqrt(M)).subs({E: 1, h: 0}) - w1),
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
    grown = (total * (E + (mu + s_) * h) + difference * L * h) / np.sqrt(
        floor + c_ * h * (q_plus**2 + q_minus**2 * E)
    )
    other = np.divide(lam_, grown, out=np.zeros(grown.shape), where=~stuck & (grown > 0))
    decayed = np.sqrt(np.abs(a_) * E / (1 + 2 * c_ * np.abs(a_) * h))
    # With weights of opposite signs and nearly equal size w1 + w2 is what grows, and a difference of w1 and
    # w2 would lose it.
    opposed = (a_ < 0) & (np.abs(lam_) < np.abs(a_))
    w1_t = np.select([stuck, opposed], [-decayed, (grown - other) / 2], pair[0])
    w2_t = np.select([stuck, opposed], [decayed, (grown + other) / 2], pair[1])
    return flip * w1_t, w2_t


def _along_eigenvectors(a: Array, lam: Array, delta: Array) -> tuple[Array, Array, Array, Array]:
    """``q_+``, ``q_-``, ``w1 + w2`` and ``w2 - w1``, each without cancellation; ``delta = th - pi/4``."""
    large = np.sqrt(np.hypot(lam, 2 * a) + 2 * np.abs(a))
    small = np.divide(np.abs(lam), large, out=np.zeros(large.shape), where=large > 0)
    total = np.where(a < 0, small, large)
    difference = np.where(lam < 0, -1.0, 1.0) * np.where(a < 0, large, small)
    q_plus = (np.cos(delta) * total + np.sin(delta) * difference) / np.sqrt(2)
    return q_plus, (np.cos(delta) * difference - np.sin(delta) * total) / np.sqrt(2), total, difference
