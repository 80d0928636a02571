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
from numpy.typing import NDArray

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import VARIABLES, a0, c, mode_loss_step, mode_strength_form, s, t

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
        mode_loss_step("Loss of one mode:", w1 * w2),
        Step(
            "The imbalance is conserved: d(w2^2 - w1^2)/dt is",
            sp.S.Zero,
            sp.expand(w2 * w2_dot - w1 * w1_dot),
            why="the loss depends on the product alone; what one layer gains in squared weight, the other gains too",
        ),
        Step(
            "The strength a = w1 w2 grows at the rate",
            rate,
            sp.expand(w1_dot * w2 + w1 * w2_dot - rate),
            why="each layer's growth is driven by the other, so the sum of squared weights is the speed of learning",
        ),
        Step(
            "and w1^2 + w2^2 = sqrt(lambda^2 + 4 a^2), since",
            (w1**2 + w2**2) ** 2,
            sp.expand((w1**2 + w2**2) ** 2 - (w2**2 - w1**2) ** 2 - 4 * w1**2 * w2**2),
            why="with the imbalance fixed the speed is a function of a alone: one equation is left",
        ),
    )


_LEARNED = (
    Condition(sp.And(bare(s) > 0, bare(c) > 0), "s and c positive", "use mode_strength, which covers s <= 0"),
    Condition(
        sp.Or(bare(a0) > 0, sp.Ne(bare(lamda), 0)),
        "a0 > 0, or lambda other than 0",
        "at lambda = 0 a mode with a0 < 0 is never learned, see stable_manifold_form",
    ),
    _FORWARD,
)


def _steps_to_rate_of(Y: sp.Symbol, strength: sp.Expr, length: sp.Expr) -> tuple[Step, Step]:
    e = sp.Symbol("e", positive=True)
    return (
        Step(
            "With Y = (w1 + w2)^2 = 2a + sqrt(lambda^2 + 4a^2) the strength is",
            strength,
            sp.expand((Y - 2 * strength) ** 2 - lamda**2 - 4 * strength**2),
            why="in Y the square root of the speed disappears",
        ),
        Step(
            "and with e = s - c a the rate of Y is",
            2 * Y * e,
            sp.simplify(length * e / sp.diff(strength, Y) - 2 * Y * e),
            why="Y grows at the rate of a balanced mode",
        ),
    )


@cache
def unbalanced_form() -> ClosedForm:
    """``a(t)`` through ``Y = (w1 + w2)^2``, smooth at lambda = 0."""
    Y, r, Y_star = sp.symbols("Y r Y_star", positive=True)
    kap = sp.sqrt(c**2 * lamda**2 + 4 * s**2)
    fixed = 2 * s / c + sp.sqrt(lamda**2 + 4 * s**2 / c**2)
    start = 2 * a0 + sp.sqrt(lamda**2 + 4 * a0**2)
    decayed = (start - fixed) / (start + lamda**2 / fixed) * sp.exp(-kap * t)
    Y_t = (fixed + decayed * lamda**2 / fixed) / (1 - decayed)
    strength, length = (Y - lamda**2 / Y) / 4, (Y + lamda**2 / Y) / 2
    kap_star, s_star = (c * x.subs(Y, Y_star) for x in (length, strength))
    in_r = (Y_star + r * lamda**2 / Y_star) / (1 - r)
    left = -sp.diff(in_r, r) * kap_star * r - (2 * Y * (s - c * strength)).subs({Y: in_r, s: s_star}, simultaneous=True)
    return ClosedForm(
        name="unbalanced_strength",
        title="Strength of a mode learned by a two-layer network at imbalance lambda",
        quantity=sp.Function("a")(t),
        expression=(Y_t - lamda**2 / Y_t) / 4,
        variables=(*(VARIABLES[x] for x in (t, s, c, a0)), IMBALANCE),
        unit="weight^2",
        source=SOURCE,
        conditions=_LEARNED,
        steps=(
            *unbalanced_flow_steps(),
            *_steps_to_rate_of(Y, strength, length),
            Step(
                "Y rests where e = 0, at Y* =",
                fixed,
                sp.radsimp(s - c * strength.subs(Y, fixed)),
                why="learning ends where nothing is left to learn",
            ),
            Step(
                "The rate is quadratic in Y: r = (Y - Y*)/(Y + lambda^2/Y*) decays as e^{-kap t}, with kap =",
                kap,
                sp.radsimp(kap_star.subs(Y_star, fixed) - c * (fixed - 2 * s / c)),
                why="a quadratic rate between its two roots is an exponential in the ratio of the distances to them",
            ),
            Step("and Y follows from r:", in_r, sp.simplify(left), why="the ratio solved for Y"),
            Step(
                "which at t = 0 is Y0:",
                start,
                sp.simplify(in_r.subs(r, (Y - Y_star) / (Y + lamda**2 / Y_star)) - Y),
                why="the solution is that of this start",
            ),
            Step(
                "Rich limit lambda -> 0: the logistic curve",
                mode_strength_form().expression,
                sp.simplify((Y_t / 4).subs(lamda, 0) - mode_strength_form().expression),
                why="without imbalance the formula must be the balanced one",
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
            Step(
                "In units of time 1/|lambda|, with epsilon = 1/|lambda|, the rate is",
                rate,
                sp.simplify(
                    sp.sqrt(size**2 + 4 * strength**2) / size * (s - c * strength) - rate.subs(shrink, 1 / size)
                ),
                why="a layer that begins large hardly changes and sets the pace alone",
            ),
            Step(
                "In the limit epsilon -> 0:",
                s - c * strength,
                rate.subs(shrink, 0) - (s - c * strength),
                why="the pace is constant: a linear network, all modes at once, no stages",
            ),
            Step(
                "The first correction is of second order in epsilon; the first-order term is",
                sp.S.Zero,
                sp.diff(rate, shrink).subs(shrink, 0),
                why="a lazy network is close to its limit already at moderate imbalance",
            ),
            Step(
                "The limit equation is linear; its solution leaves",
                sp.S.Zero,
                sp.diff(expression, t) - size * (s - c * expression),
                why="a check by differentiation",
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
                why="from the wrong side the mode runs to 0, where a balanced network stays for ever",
            ),
            Step("and starts at", -b0, expression.subs(t, 0) + b0, why="the solution is that of this start"),
        ),
    )
