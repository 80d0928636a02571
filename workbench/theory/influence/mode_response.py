"""How a pair of modes responds to a small change of the item weights: the linearised flow, solved.

Upweighting item i by eps adds ``eps r_i x_i^T`` to the target of the flow. Along an aligned balanced
trajectory with ``alpha_a = c a_a`` and ``e_a = s_a - alpha_a`` the linearised Riccati equation splits into
pairs of modes, and each pair into scalar equations::

    m_ab = (I++_ab + I+-_ab - I+-_ba) / 2
    dI++_ab/dt = (e_a - alpha_a + e_b - alpha_b) I++_ab + (e_a + e_b)(alpha_a + alpha_b)
    dI+-_ab/dt = (e_a - alpha_a - s_b) I+-_ab + (e_a - e_b) alpha_a

The product W2 W1 changes by ``(P/c) v_ai v_bi m_ab`` in its entry (output mode a, input mode b).
`trajectory_derivative` integrates the same equations for all pairs at once. Source: derived for this project.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.influence.sech_integrals import SechConvolution, SechTransform, sech_of, sech_steps
from workbench.theory.influence.tree_kernel import projector_step, relation
from workbench.theory.modes.balanced import VARIABLES, a0, c, mode_strength_form, pair_variables, residual_form, s, t

_NOTES = "derived for this project"


@cache
def linearised_steps() -> tuple[Step, ...]:
    """From the Riccati equation of the weights to the scalar equations of a pair of modes (c = 1)."""
    alpha_a, alpha_b, e_a, e_b, phi = sp.symbols("alpha_a alpha_b e_a e_b phi", positive=True)
    p, q, g, h, eps = sp.symbols("p q g h epsilon", real=True)
    own = sp.symbols("g_a g_b h_a h_b p_a p_b", real=True)
    A, E, zero = sp.diag(alpha_a, alpha_b), sp.diag(e_a, e_b), sp.zeros(2)
    path = A.row_join(A).col_join(A.row_join(A))
    W, G, H = (
        sp.Matrix([[own[4], p], [q, own[5]]]),
        sp.Matrix([[own[0], g], [g, own[1]]]),
        sp.Matrix([[own[2], h], [h, own[3]]]),
    )
    change = G.row_join(W.T).col_join(W.row_join(H))
    force = phi * E * sp.ones(2)
    F = zero.row_join(E + A).col_join((E + A).row_join(zero))
    F_i = zero.row_join(force.T).col_join(force.row_join(zero))
    S, target = path + eps * change, F + eps * F_i
    moved = sp.diff(target * S + S * target - S * S, eps).subs(eps, 0)
    written = F * change + change * F + F_i * path + path * F_i - path * change - change * path
    dg, dp, dq, dh = (sp.expand(moved[i, j]) for i, j in ((0, 1), (2, 1), (3, 0), (2, 3)))
    plus, minus, total = e_a + e_b, e_a - e_b, alpha_a + alpha_b
    u, v = p - q + g - h, p - q - g + h
    u_dot, v_dot = (
        (minus - total) * u + 2 * phi * minus * alpha_a,
        -(minus + total) * v + 2 * phi * minus * alpha_b,
    )
    sums = sp.Matrix(
        [
            dp + dq - (plus * (g + h) - total * (p + q) + phi * plus * total),
            dg + dh - (plus * (p + q) - total * (g + h) + phi * plus * total),
        ]
    )
    p_dot = e_a * g + e_b * h - total * p + phi * e_a * total
    return (
        Step("Upweighting item i adds phi e_a in row a to Syx; with S = c Q Q^T the flow dS/dt is",
             sp.Symbol("F S + S F - S^2"), (moved - written).applyfunc(sp.expand),
             why="more weight on an item is a slightly different task; the response of learning to it is linear"),
        Step("To first order entry (a, b) of W2 W1 changes by p at the rate", p_dot, sp.expand(dp - p_dot),
             why="the response mixes modes that do not mix without it"),
        Step("p + q (entries ab and ba) and g + h (of W1^T W1, W2 W2^T) obey one equation, so both are",
             phi * sp.Symbol("I++_ab"), sums.applyfunc(sp.expand),
             why="two sums with one equation and one start are one function: half of the unknowns are gone"),
        Step("Of the antisymmetric parts u = p - q + g - h =: 2 phi I+-_ab has", u_dot,
             sp.expand(dp - dq + dg - dh - u_dot),
             why="the other half separates as well: each is driven by one residual"),
        Step("and v = p - q - g + h =: -2 phi I+-_ba has", v_dot, sp.expand(dp - dq - dg + dh - v_dot),
             why="by exchange of the two modes"),
        Step("so that p = phi m_ab with m_ab =", sp.Symbol("(I++_ab + I+-_ab - I+-_ba)/2"),
             sp.expand(p - ((p + q) + (u + v) / 2) / 2),
             why="the response is the sum of a symmetric and an antisymmetric part"),
    )  # fmt: skip


def _solutions(s_a: Any, s_b: Any, kappa_a: Any, kappa_b: Any) -> tuple[Any, Any]:
    """I++_ab and I+-_ab: variation of constants, with ``1 + tanh x = 2/(1 + kappa e^{-2st})``."""
    (sech_a, rise_a), (sech_b, rise_b) = (
        (sech_of(t, s_k, k), 2 / (1 + k * sp.exp(-2 * s_k * t))) for s_k, k in ((s_a, kappa_a), (s_b, kappa_b))
    )
    ratio = sp.sqrt(kappa_b / kappa_a)
    both = (
        s_a**2 / 8 * sech_a * rise_b * SechConvolution(t, s_a, s_b, kappa_a)
        + s_b**2 / 8 * sech_b * rise_a * SechConvolution(t, s_b, s_a, kappa_b)
        + s_a**2 / 8 * sech_a * sech_b * sp.sqrt(kappa_b) * SechTransform(t, s_a, s_b, kappa_a)
        + s_b**2 / 8 * sech_a * sech_b * sp.sqrt(kappa_a) * SechTransform(t, s_b, s_a, kappa_b)
        + s_a * s_b / 2 * (rise_a - rise_b - (ratio - 1 / ratio) / 2 * sech_a * sech_b) / (s_a - s_b)
    )
    one = s_a**2 / 4 * sech_a * SechConvolution(t, s_a, s_b, kappa_a) - s_a * s_b / 4 * rise_a * sp.sqrt(
        kappa_b
    ) * sp.exp(-s_b * t) * SechConvolution(t, s_b, s_a, kappa_b)
    return both, one


def _left_over(expression: Any, symbols: tuple[Any, ...]) -> Any:
    """Numerator of what an equation leaves, as a polynomial in the decaying exponentials."""
    y = sp.symbols("y_a y_b", positive=True)
    decayed = {sp.exp(-s_k * t): y_k for s_k, y_k in zip(symbols, y, strict=True)}
    decayed |= {sp.exp(-2 * s_k * t): y_k**2 for s_k, y_k in zip(symbols, y, strict=True)}
    return sp.expand(sp.numer(sp.together(sp.expand_power_exp(expression).subs(decayed))))


@cache
def mode_response_form() -> ClosedForm:
    """``m_ab(t)`` of two modes of different strength that start at a0; bounded term by term at long times."""
    s_a, s_b, k_a, k_b = sp.symbols("s_a s_b k_a k_b", positive=True)
    start = {k_a: sp.sqrt(s_a / (c * a0) - 1), k_b: sp.sqrt(s_b / (c * a0) - 1)}
    both, one_ab = _solutions(s_a, s_b, k_a**2, k_b**2)
    _, one_ba = _solutions(s_b, s_a, k_b**2, k_a**2)
    e_a, e_b = (
        s_k * k**2 * sp.exp(-2 * s_k * t) / (1 + k**2 * sp.exp(-2 * s_k * t)) for s_k, k in ((s_a, k_a), (s_b, k_b))
    )
    alpha_a, alpha_b = s_a - e_a, s_b - e_b
    both_left = sp.diff(both, t) - (e_a - alpha_a + e_b - alpha_b) * both - (e_a + e_b) * (alpha_a + alpha_b)
    one_left = sp.diff(one_ab, t) - (e_a - alpha_a - s_b) * one_ab - (e_a - e_b) * alpha_a
    expression = ((both + one_ab - one_ba) / 2).subs(start)
    return ClosedForm(
        name="mode_response",
        title="Response of a pair of modes to the weight of an item",
        quantity=sp.Function("m_ab")(t),
        expression=expression,
        variables=pair_variables(s_a, s_b),
        unit="loss / weight^2",
        source=_NOTES,
        conditions=(
            Condition(
                sp.And(
                    bare(a0) > 0, *(bare(c) * bare(a0) < bare(x) for x in (s_a, s_b)), sp.Ne(*bare(s_a, s_b))
                ),
                "0 < c a0 < s_a, s_b and s_a != s_b",
                "use equal_mode_response_form for modes of one strength; pair_responses takes every case",
            ),
            Condition(bare(t) >= 0, "t >= 0", "give times after the start of training"),
        ),
        steps=(
            *linearised_steps(),
            *sech_steps(),
            Step("By variation of constants, with kappa_a = k_a^2, x_a(u) = s_a u - log(kappa_a)/2, "
                 "Lambda(t, s_a, s_b, kappa_a) = int_0^t e^{-s_b (t - u)} sech x_a(u) du and "
                 "Gamma(t, s_a, s_b, kappa_a) = int_0^t e^{-s_b u} sech x_a(u) du, I++_ab =", both,
                 _left_over(both_left, (s_a, s_b)), why="the source, carried forward from when it acted"),
            Step("and I+-_ab =", one_ab, _left_over(one_left, (s_a, s_b)), why="the same with the other sign"),
            Step("Both vanish at t = 0, where the convolutions do:", sp.S.Zero,
                 sp.Matrix([sp.simplify(x.subs(t, 0)) for x in (both, one_ab)]),
             why="weights on items change nothing before training begins"),
        ),
    )  # fmt: skip


@cache
def equal_mode_response_form() -> ClosedForm:
    """``m_aa = 2 alpha e t``: a mode with itself, or with another of its level."""
    residual = residual_form().expression
    alpha = c * mode_strength_form().expression
    expression = 2 * t * c * (s - residual) / c * residual
    e_k, alpha_k, half = sp.symbols("e alpha m", positive=True)
    return ClosedForm(
        name="equal_mode_response",
        title="Response of a mode to the weight of an item",
        quantity=sp.Function("m_aa")(t),
        expression=expression,
        variables=(VARIABLES[t], VARIABLES[s], VARIABLES[c], VARIABLES[a0]),
        unit="loss / weight^2",
        source=_NOTES,
        conditions=(
            Condition(sp.And(bare(a0) > 0, bare(s) > 0), "a0 > 0 and s > 0", "give a mode that is learned"),
        ),
        steps=(
            Step("For e_a = e_b the antisymmetric parts are not driven and m_aa = I++_aa / 2 obeys dm/dt =",
                 2 * (e_k - alpha_k) * half + 2 * e_k * alpha_k,
                 sp.expand((2 * (e_k - alpha_k) * 2 * half + 4 * e_k * alpha_k) / 2
                           - 2 * (e_k - alpha_k) * half - 2 * e_k * alpha_k),
             why="a mode cannot be rotated into itself"),
            Step("solved by 2 alpha e t:", expression,
                 sp.simplify(sp.diff(2 * alpha * residual * t, t)
                             - 2 * (residual - alpha) * 2 * alpha * residual * t - 2 * alpha * residual),
             why="the weight makes the mode's clock run faster: the slope 2 a e, times t"),
        ),
    )  # fmt: skip


def _loss_step() -> Step:
    """Two modes: the loss of item j, of residual r_j, when the product changes by ``(P/c) v_ai v_bi m_ab``."""
    P, eps = sp.symbols("P epsilon", positive=True)
    v, u, e = (sp.Matrix(sp.symbols(f"{x}_a {x}_b", real=True)) for x in ("v", "u", "e"))
    m = sp.Matrix(2, 2, sp.symbols("m_aa m_ab m_ba m_bb", real=True))
    change = sp.Matrix(2, 2, lambda a, b: P / c * v[a] * v[b] * m[a, b])
    r = sp.sqrt(P / c) * sp.diag(*e) * u - eps * sp.sqrt(c * P) * change * u
    in_modes = -(P**2) / c * sum(v[a] * v[b] * u[a] * u[b] * e[a] * m[a, b] for a in (0, 1) for b in (0, 1))
    moved = sp.diff((r.T * r)[0] / 2, eps).subs(eps, 0)
    return Step(
        "dl_j = -r_j . (dW x_j) in modes, here two, u of item j and v of i:",
        in_modes,
        sp.expand(moved - in_modes),
        why="the change of a loss is the change of the weights as seen from the item's error",
    )


@cache
def tree_derivative_form(cover: tuple[int, ...], m: int) -> ClosedForm:
    """``dl_j/deps_i = -(P^2/c) sum_{k,k'} H_k H_k' e_k m_kk'`` for two items with common ancestor on level m.

    Args:
        cover: ``M_l``, how many items a node of level l covers (`Hierarchy.cover`).
        m: level of the common ancestor, 0 (root) to D (the item itself).
    """
    D, P = len(cover) - 1, cover[0]
    e = sp.symbols(f"e_0:{D + 1}", real=True)
    responses = [[sp.Symbol(f"m_{k}{j}", real=True) for j in range(D + 1)] for k in range(D + 1)]
    terms = [[e[k] * responses[k][j] for j in range(D + 1)] for k in range(D + 1)]
    expression = -(P**2) / c * relation([relation(row, cover, m) for row in terms], cover, m)
    H = [relation([int(k == j) for j in range(D + 1)], cover, m) for k in range(D + 1)]
    by_projectors = -(P**2) / c * sum(H[k] * H[j] * terms[k][j] for k in range(D + 1) for j in range(D + 1))
    return ClosedForm(
        name=f"tree_derivative_m{m}",
        title=f"Effect of an item's weight on an item whose common ancestor with it is on level {m}",
        quantity=sp.Symbol(f"dl_j/deps_i^({m})"),
        expression=expression,
        variables=(
            *(Variable(e[k], f"residual of level {k}", "loss / weight^2") for k in range(D + 1)),
            *(
                Variable(responses[k][j], f"response of output level {k} and input level {j}", "loss / weight^2")
                for k in range(D + 1)
                for j in range(D + 1)
            ),
            VARIABLES[c],
        ),
        unit="loss",
        source=_NOTES,
        steps=(
            _loss_step(),
            projector_step(cover, m),
            Step(
                "Summed by parts:",
                expression,
                sp.expand(expression - by_projectors),
                why="levels share one curve, so differences between neighbouring levels are all that is left",
            ),
        ),
    )
