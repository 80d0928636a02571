"""Closed forms of the two-phase picture: what mixing phases adds to a covariance, and two layers, which have one phase.

At low temperature a mode of a D-layer network sits in the potential

    n beta (s - c a)^2 / 2c + (D gamma / 2) a^(2/D)

For D = 2 it is convex: the mode leaves 0 continuously at ``n beta = gamma / s`` and there are no two
phases to mix. For D >= 3 it has two minima (`coexistence`).

Sources: Lee, Smith, Adam & Hoogland (2025) for the law of total covariance over phases; derived for this project.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.posterior.mode_prior import NOTES

D, gamma, n_beta, s, c, a = sp.symbols("D gamma n_beta s c a", positive=True)

_VARIABLES = {
    D: Variable(D, "depth, number of layers"),
    gamma: Variable(gamma, "localization (inverse prior variance of a weight)", "1 / weight^2"),
    n_beta: Variable(n_beta, "inverse temperature times number of items", "1 / loss"),
    s: Variable(s, "singular value of Syx", "loss / weight^D"),
    c: Variable(c, "input scale, Sxx = c I (1/P for one-hot items)", "loss / weight^(2D)"),
    a: Variable(a, "mode strength", "weight^D"),
}
_LEARNED = Condition(
    sp.And(bare(gamma) > 0, bare(n_beta) * bare(s) > bare(gamma)),
    "n beta > gamma / s > 0 (the mode is learned)",
    "raise n beta or lower gamma; below the threshold the most probable strength is 0",
)


def phase_variables(*symbols: sp.Symbol) -> tuple[Variable, ...]:
    """What the symbols of both files mean."""
    return tuple(_VARIABLES[symbol] for symbol in symbols)


@cache
def total_covariance_form() -> ClosedForm:
    """Covariance of two losses under a mixture of two phases: within the phases, plus between their means."""
    p, C_U, C_V = sp.symbols("pi_U Cov_U Cov_V", real=True)
    iU, iV, jU, jV = sp.symbols("mu_iU mu_iV mu_jU mu_jV", real=True)
    second_moment = p * (C_U + iU * jU) + (1 - p) * (C_V + iV * jV)
    means = (p * iU + (1 - p) * iV) * (p * jU + (1 - p) * jV)
    expression = p * C_U + (1 - p) * C_V + p * (1 - p) * (iU - iV) * (jU - jV)
    between = expression.subs({C_U: 0, C_V: 0})
    return ClosedForm(
        name="total_covariance",
        title="Covariance of two losses in a mixture of phases U and V",
        quantity=sp.Symbol("Cov_ij"),
        expression=expression,
        variables=(
            Variable(p, "probability of phase U; phase V has 1 - pi_U"),
            Variable(C_U, "covariance inside phase U", "loss^2"),
            Variable(C_V, "covariance inside phase V", "loss^2"),
            Variable(iU, "mean of l_i in phase U", "loss"),
            Variable(iV, "mean of l_i in phase V", "loss"),
            Variable(jU, "mean of l_j in phase U", "loss"),
            Variable(jV, "mean of l_j in phase V", "loss"),
        ),
        unit="loss^2",
        conditions=(Condition(sp.And(bare(p) >= 0, bare(p) <= 1), "0 <= pi_U <= 1", "give a probability"),),
        source="Lee, Smith, Adam & Hoogland (2025)",
        steps=(
            Step(
                "E[l_i l_j], phase by phase; in each it is the covariance and the product of the means:",
                second_moment,
                sp.expand(second_moment - p * iU * jU - (1 - p) * iV * jV - p * C_U - (1 - p) * C_V),
                why="a mixture of phases: an average over them",
            ),
            Step(
                "E[l_i] E[l_j]:",
                means,
                sp.expand(means - (p * iU + (1 - p) * iV) * (p * jU + (1 - p) * jV)),
                why="the same for the means",
            ),
            Step(
                "Their difference, sorted:",
                expression,
                sp.expand(second_moment - means - expression),
                why="inside each phase, and between phases: the second part is what a transition adds",
            ),
            Step(
                "For given means the between-phase part is extremal where the phases weigh the same, pi_U =",
                sp.Rational(1, 2),
                sp.expand(sp.diff(between, p).subs(p, sp.Rational(1, 2))),
                why="at a transition both phases weigh the same, so there it is largest",
            ),
        ),
    )


@cache
def penalty_form() -> ClosedForm:
    """``(D gamma / 2) a^(2/D)``: the least a localization at 0 charges for a product of D weights."""
    x, w, multiplier = sp.symbols("x w multiplier", positive=True)
    weight = a ** (1 / D)
    expression = D * gamma * a ** (2 / D) / 2
    stationary = gamma * w**2 - multiplier
    return ClosedForm(
        name="penalty",
        title="Localization penalty of a mode at low temperature",
        quantity=sp.Symbol("penalty"),
        expression=expression,
        variables=phase_variables(a, gamma, D),
        source=NOTES,
        conditions=(Condition(bare(D) >= 1, "D >= 1", "give the number of layers"),),
        steps=(
            Step(
                "Penalty gamma/2 sum w^2 at fixed log a = sum log w: each weight obeys",
                sp.Eq(gamma * w**2, multiplier),
                sp.diff(gamma * w**2 / 2 - multiplier * sp.log(w), w) * w - stationary,
                why="at low temperature the weights are as small as the strength allows",
            ),
            Step(
                "It is strictly convex in x = log w (second derivative), so the one solution is the minimum:",
                2 * gamma * sp.exp(2 * x),
                sp.diff(gamma * sp.exp(2 * x) / 2, x, 2) - 2 * gamma * sp.exp(2 * x),
                why="so there is no other way to share the strength",
            ),
            Step(
                "All weights are equal, w =",
                weight,
                weight**D - a,
                why="equal weights have the smallest sum of squares for a given product",
            ),
            Step(
                "and the penalty is",
                expression,
                D * gamma * weight**2 / 2 - expression,
                why="what a strength costs: in deep networks it rises from 0 steeply, which keeps small modes at 0",
            ),
        ),
    )


@cache
def learned_strength_form() -> ClosedForm:
    """Two layers: the most probable strength ``(s - gamma / n beta) / c`` above the threshold, 0 below it."""
    potential = n_beta * (s - c * a) ** 2 / (2 * c) + penalty_form().expression.subs(D, 2)
    expression = (s - gamma / n_beta) / c
    return ClosedForm(
        name="learned_strength",
        title="Most probable strength of a two-layer mode at low temperature",
        quantity=sp.Symbol("a_MAP"),
        expression=expression,
        variables=phase_variables(n_beta, gamma, s, c),
        unit="weight^2",
        conditions=(_LEARNED,),
        source=NOTES,
        steps=(
            Step(
                "The potential, with the penalty of two layers gamma a:",
                potential,
                sp.expand(potential - n_beta * (s - c * a) ** 2 / (2 * c) - gamma * a),
                why="loss and penalty of a mode as a function of its strength",
            ),
            Step(
                "It is convex, so there is one phase:",
                n_beta * c,
                sp.diff(potential, a, 2) - n_beta * c,
                why="two layers go over from unlearned to learned without a jump",
            ),
            Step(
                "Its minimum:",
                expression,
                sp.diff(potential, a).subs(a, expression),
                why="the most probable strength falls short of s/c by what the penalty takes",
            ),
            Step(
                "It leaves 0 continuously at n beta =",
                gamma / s,
                expression.subs(n_beta, gamma / s),
                why="below this the data do not pay for the penalty",
            ),
        ),
    )


@cache
def low_temperature_variance_form() -> ClosedForm:
    """Two layers, learned: ``Var q = P^2 gamma^2 / (c (n beta)^3)`` of ``q = (P / 2c)(s - c a)^2``."""
    P = sp.Symbol("P", positive=True)
    strength = learned_strength_form().expression
    potential = n_beta * (s - c * a) ** 2 / (2 * c) + gamma * a
    slope = sp.diff(P * (s - c * a) ** 2 / (2 * c), a).subs(a, strength)
    expression = P**2 * gamma**2 / (c * n_beta**3)
    return ClosedForm(
        name="low_temperature_variance",
        title="Variance of a learned two-layer mode's loss at low temperature",
        quantity=sp.Symbol("Var_q"),
        expression=expression,
        variables=(*phase_variables(n_beta, gamma, s, c), Variable(P, "number of items")),
        unit="loss^2",
        conditions=(_LEARNED,),
        source=NOTES,
        steps=(
            Step(
                "Slope of q at the most probable strength:",
                slope,
                sp.expand(slope + P * gamma / n_beta),
                why="the loss of a mode moves with its strength by this much",
            ),
            Step(
                "Variance of a there, one over the curvature:",
                1 / sp.diff(potential, a, 2),
                sp.simplify(1 / sp.diff(potential, a, 2) - 1 / (n_beta * c)),
                why="in a narrow maximum the strength is normal",
            ),
            Step(
                "To first order:",
                expression,
                sp.expand(slope**2 / sp.diff(potential, a, 2)) - expression,
                why="variance of the strength times the squared slope",
            ),
        ),
    )
