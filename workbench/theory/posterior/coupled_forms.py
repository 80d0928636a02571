"""Derivation of the mode-coupled covariance at low temperature: from the Hessian's blocks to ``c_kk'``.

The posterior of a two-layer network localised at 0 is expanded at its maximum, where every learned mode has
the residual ``e = gamma / n beta``. `coupled_posterior` evaluates the result for whole tasks.
Source: derived for this project.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.posterior.hessian import pair_block_form
from workbench.theory.posterior.mode_prior import NOTES

P, n_beta, gamma, c, s_k, s_other = sp.symbols("P n_beta gamma c s_k s_other", positive=True)
_VARIABLES = {
    P: Variable(P, "number of items"),
    n_beta: Variable(n_beta, "inverse temperature times number of items", "1 / loss"),
    gamma: Variable(gamma, "localization", "1 / weight^2"),
    c: Variable(c, "input scale, Sxx = c I (1/P for one-hot items)", "loss / weight^4"),
    s_k: Variable(s_k, "singular value of the learned mode", "loss / weight^2"),
    s_other: Variable(s_other, "singular value of the unlearned mode", "loss / weight^2"),
}
_LEARNED = Condition(
    bare(n_beta) * bare(s_k) > bare(gamma),
    "n beta s_k > gamma (mode k is learned)",
    "raise n beta or lower gamma",
)


def _item_force() -> sp.Matrix:
    """Gradient of ``|r_i - F x_i|^2 / 2`` over ``-P v_ai v_bi``, for an item with both modes."""
    a, b, e_a, e_b = sp.symbols("a b e_a e_b", positive=True)
    z_ab, x_ab, z_ba, x_ba, v_a, v_b = sp.symbols("z_ab x_ab z_ba x_ba v_a v_b", real=True)
    A, v = sp.diag(sp.sqrt(a), sp.sqrt(b)), sp.Matrix([v_a, v_b])
    F = sp.Matrix([[0, z_ab], [z_ba, 0]]) * A + A * sp.Matrix([[0, x_ab], [x_ba, 0]])
    r = sp.sqrt(P / c) * sp.diag(e_a, e_b) * v - sp.sqrt(c * P) * F * v
    loss, variables = (r.T * r)[0] / 2, (z_ab, x_ab, z_ba, x_ba)
    still = dict.fromkeys(variables, 0)
    return sp.Matrix([sp.simplify(sp.diff(loss, x).subs(still) / (-P * v_a * v_b)) for x in variables])


def _rest_step(statement: str, shown: Any, residual: Any) -> Step:
    """Where a learned mode rests: the energy of its two equal weights u is stationary at s - c u^2 = gamma / n beta."""
    u, v, s = sp.symbols("u v s", positive=True)
    energy = n_beta * (s - c * u * v) ** 2 / (2 * c) + gamma / 2 * (u**2 + v**2)
    left = sp.expand(sp.diff(energy, u).subs(v, u) - u * (gamma - n_beta * (s - c * u**2)))
    return Step(
        statement,
        shown,
        sp.Matrix([left, residual]),
        "the penalty holds it back by this much, so that its losses keep a slope",
    )


@cache
def pair_force_steps() -> tuple[Step, ...]:
    """The change of two losses in one pair of modes, resolved into the blocks B+ and B- of the Hessian."""
    a, b, e_a, e_b = sp.symbols("a b e_a e_b", positive=True)
    x = sp.Matrix([sp.sqrt(b), sp.sqrt(a)])
    force = sp.Matrix([e_a * sp.sqrt(b), e_a * sp.sqrt(a), e_b * sp.sqrt(a), e_b * sp.sqrt(b)])
    even = sp.Matrix([[1, 0, 0, 1], [0, 1, 1, 0]]) / sp.sqrt(2)
    odd = sp.Matrix([[1, 0, 0, -1], [0, 1, -1, 0]]) / sp.sqrt(2)
    return (
        Step(
            "l_i changes by -P v_ai v_bi (e_a F_ab + e_b F_ba), F = Z A + A X; in (Z_ab, X_ab, Z_ba, X_ba):",
            force,
            _item_force() - force,
            why="the slope of an item's loss in the four weights that carry mode a into mode b",
        ),
        Step(
            "Its even part:",
            (e_a + e_b) / sp.sqrt(2) * x,
            sp.expand(even * force - (e_a + e_b) / sp.sqrt(2) * x),
            why="even and odd weights have blocks of their own, so the slope is split in the same way",
        ),
        Step(
            "Its odd part:",
            (e_a - e_b) / sp.sqrt(2) * x,
            sp.expand(odd * force - (e_a - e_b) / sp.sqrt(2) * x),
            why="the remainder",
        ),
    )


def _blocks(a: Any, b: Any, s_a: Any, s_b: Any) -> tuple[Any, Any]:
    """B+ and B- of `pair_block_form` at strengths a, b."""
    form = pair_block_form()
    values = dict(zip((v.symbol for v in form.variables), (a, b, s_a, s_b, c), strict=True))
    return form.steps[2].expression.subs(values), form.steps[3].expression.subs(values)


@cache
def learned_pair_form() -> ClosedForm:
    """``c_kk = P^2 e^2 / (c n beta)`` of a learned mode; two learned modes have ``c_kk' = 2 c_kk``."""
    e, (a, b) = gamma / n_beta, sp.symbols("a b", positive=True)
    expression = P**2 * e**2 / (c * n_beta)
    alone = 2 * P**2 * e**2 * a / (n_beta * (3 * c * a - (c * a + e)) + gamma)
    x = sp.Matrix([sp.sqrt(b), sp.sqrt(a)])
    precision = _blocks(a, b, c * a + e, c * b + e)[0] + e * sp.eye(2)
    pseudo_inverse = x * x.T / (c * (a + b) ** 2)
    pair = P**2 / 2 * (2 * e) ** 2 / n_beta * (x.T * pseudo_inverse * x)[0]
    return ClosedForm(
        name="learned_pair",
        title="Coupling of learned modes in the covariance of the losses",
        quantity=sp.Symbol("c_kk"),
        expression=expression,
        variables=tuple(_VARIABLES[v] for v in (P, n_beta, gamma, c)),
        unit="loss^2",
        source=NOTES,
        steps=(
            *pair_force_steps(),
            _rest_step("A learned mode rests where its residual is", e, gamma - n_beta * e),
            Step(
                "Alone it adds 2 P^2 e^2 a / (n beta (3 c a - s) + gamma) =",
                expression,
                alone - expression,
                why="from the formula of one mode",
            ),
            Step(
                "For two of them B+ + e has rank one:",
                precision,
                sp.expand(precision - c * x * x.T),
                why="one of its two directions is free: it changes both layers and not their product",
            ),
            Step(
                "Its pseudo-inverse leaves out the gauge direction, on which no loss depends:",
                pseudo_inverse,
                sp.simplify(precision * pseudo_inverse * precision - precision),
                why="fluctuations there are free and change nothing",
            ),
            Step(
                "so the pair has (the odd part has no force)",
                2 * expression,
                pair - 2 * expression,
                why="forces and stiffness of the pair put together",
            ),
        ),
    )


@cache
def unlearned_pair_form() -> ClosedForm:
    """``c_kk'`` of a learned mode k with an unlearned one: the term that makes influence change sign."""
    e = gamma / n_beta
    a = (s_k - e) / c
    plus, minus = _blocks(a, sp.S.Zero, s_k, s_other)
    even, odd = (sp.simplify((block + e * sp.eye(2))[1, 1]) for block in (plus, minus))
    from_blocks = P**2 / 2 * a / n_beta * ((e + s_other) ** 2 / even + (e - s_other) ** 2 / odd)
    shape = s_k * (e**2 + s_other**2) + 2 * e * s_other**2
    expression = P**2 * a / n_beta * shape / (s_k**2 - s_other**2)
    return ClosedForm(
        name="unlearned_pair",
        title="Coupling of a learned and an unlearned mode in the covariance of the losses",
        quantity=sp.Symbol("c_kl"),
        expression=expression,
        variables=tuple(_VARIABLES[v] for v in (P, n_beta, gamma, c, s_k, s_other)),
        unit="loss^2",
        conditions=(
            _LEARNED,
            Condition(
                bare(n_beta) * bare(s_other) < bare(gamma),
                "n beta s_other < gamma (the other is not)",
                "use learned_pair_form",
            ),
        ),
        source=NOTES,
        steps=(
            *pair_force_steps(),
            _rest_step("The learned mode rests at", a, gamma - n_beta * (s_k - c * a)),
            Step(
                "The even block leaves x = (0, sqrt a) the precision",
                s_k - s_other,
                even - (s_k - s_other),
                why="the unlearned mode is at 0, so that only the learned one is a lever",
            ),
            Step("and the odd block", s_k + s_other, odd - (s_k + s_other), why="the same for the odd half"),
            Step("Their sum:", expression, sp.simplify(from_blocks - expression), why="the covariance of the pair"),
        ),
    )
