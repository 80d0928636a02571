"""Where the unlearned and the learned phase of a mode are equally deep: three layers and more.

The potential ``n beta (s - c a)^2 / 2c + (D gamma / 2) a^(2/D)`` of `phases` has two minima for D >= 3, and the
transition between them is of first order. Source: derived for this project.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, bare
from workbench.theory.posterior.mode_prior import NOTES
from workbench.theory.posterior.phases import D, a, c, gamma, n_beta, penalty_form, phase_variables, s

_FIRST_ORDER = Condition(
    bare(D) >= 3,
    "D >= 3 (a first-order transition)",
    "use learned_strength_form for two layers: they change continuously",
)


def _coexistence() -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
    gain = n_beta * (a * s - c * a**2 / 2) - penalty_form().expression
    slope = n_beta * (s - c * a) - gamma * a ** (2 / D - 1)
    ratio = (D - 2) / (D - 1)
    temperature = gamma * (s / c) ** (2 / D) * c / s**2 * (D - 1) * ratio ** (2 / D - 1)
    return gain, slope, ratio * s / c, temperature


def _depth_gained() -> sp.Expr:
    """Potential at a = 0 less that at a."""
    potential = n_beta * (s - c * a) ** 2 / (2 * c) + penalty_form().expression
    return potential.subs(a, 0) - potential


@cache
def coexistence_strength_form() -> ClosedForm:
    """Depth D >= 3: the strength of the learned phase where both phases are equally deep."""
    gain, slope, strength, _ = _coexistence()
    charge = n_beta * a * (s - c * a)
    balance = sp.expand(n_beta * (s - c * a / 2) - D * n_beta * (s - c * a) / 2)
    return ClosedForm(
        name="coexistence_strength",
        title="Strength of the learned phase at coexistence",
        quantity=sp.Symbol("a_c"),
        expression=strength,
        variables=phase_variables(D, s, c),
        unit="weight^D",
        conditions=(_FIRST_ORDER,),
        source=NOTES,
        steps=(
            Step(
                "Depth of the learned minimum relative to a = 0:",
                gain,
                sp.expand(gain - _depth_gained()),
                why="two minima, learned and unlearned: which is deeper decides",
            ),
            Step(
                "It is stationary where this vanishes:",
                slope,
                sp.powsimp(sp.expand(sp.diff(gain, a) - slope)),
                why="the condition of a minimum",
            ),
            Step(
                "so the penalty gamma a^(2/D) there is",
                charge,
                sp.powsimp(sp.expand(charge - a * slope)) - gamma * a ** (2 / D),
                why="the penalty is eliminated, and with it the temperature",
            ),
            Step(
                "and the depth, divided by a, is",
                balance,
                sp.expand(balance * a - gain - D / 2 * (gamma * a ** (2 / D) - charge)),
                why="what is left depends on the strength alone",
            ),
            Step(
                "which is 0 at",
                strength,
                sp.simplify(balance.subs(a, strength)),
                why="both minima are equally deep: the mode jumps to this strength",
            ),
        ),
    )


@cache
def coexistence_temperature_form() -> ClosedForm:
    """Depth D >= 3: the n beta at which the learned phase becomes as deep as the unlearned one."""
    gain, slope, strength, temperature = _coexistence()
    m = sp.Symbol("m", positive=True)
    # D = m + 2 tells sympy that D - 2 and D - 1 are positive, so that powers combine.
    at = {a: strength, n_beta: temperature}
    two = sp.limit(temperature.subs(D, m + 2), m, 0)
    return ClosedForm(
        name="coexistence_temperature",
        title="n beta at which unlearned and learned phase are equally deep",
        quantity=sp.Symbol("n_c_beta"),
        expression=temperature,
        variables=phase_variables(D, gamma, s, c),
        unit="1 / loss",
        conditions=(_FIRST_ORDER,),
        source=NOTES,
        steps=(
            Step(
                "The learned phase at coexistence has strength",
                strength,
                sp.simplify(strength - coexistence_strength_form().expression),
                why="from the condition of equal depth",
            ),
            Step(
                "It is stationary there at",
                temperature,
                sp.powsimp(sp.simplify(sp.expand_power_base(slope.subs(at).subs(D, m + 2), force=True))),
                why="the temperature that belongs to it",
            ),
            Step(
                "where it is as deep as a = 0:",
                sp.S.Zero,
                sp.powsimp(sp.simplify(sp.expand_power_base(gain.subs(at).subs(D, m + 2), force=True))),
                why="a check that needs none of the steps above",
            ),
            Step(
                "As D goes to 2 it becomes the continuous threshold,",
                gamma / s,
                sp.simplify(two - gamma / s),
                why="without a jump at two layers, with one beyond",
            ),
        ),
    )
