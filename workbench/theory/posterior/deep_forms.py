"""The Hessian of a pair of modes at any depth, derived: two D x D blocks, a Gauss-Newton part and a Hankel part.

`pair_blocks` evaluates them for whole networks. Source: derived for this project.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare

w_a, w_b, e_a, e_b, c = sp.symbols("w_a w_b e_a e_b c", positive=True)
_NOTES = "derived for this project"


def pair_variables(depth: int) -> tuple[Variable, ...]:
    """Weights and residuals of two modes, and the input scale."""
    strength = "weight^2" if depth == 2 else f"weight^{depth}"
    return (
        Variable(w_a, "weight of mode a in every layer", "weight"),
        Variable(w_b, "weight of mode b in every layer", "weight"),
        Variable(e_a, "residual of mode a", f"loss / {strength}"),
        Variable(e_b, "residual of mode b", f"loss / {strength}"),
        Variable(c, "input scale", f"loss / weight^{2 * depth}"),
    )


def second_variation(depth: int) -> sp.Matrix:
    """Hessian of ``|S - c W_D ... W_1|^2 / 2c`` in (Z^0_ab .. Z^{D-1}_ab, Z^0_ba .. Z^{D-1}_ba), by differentiation.

    The product is linear in every layer: a derivative puts a unit matrix in the layer's place.
    """
    A, E = sp.diag(w_a, w_b), sp.diag(e_a, e_b)
    units = {"ab": sp.Matrix([[0, 1], [0, 0]]), "ba": sp.Matrix([[0, 0], [1, 0]])}
    variables = [(layer, units[kind]) for kind in ("ab", "ba") for layer in range(depth)]

    def product(replaced: dict[int, sp.Matrix]) -> sp.Matrix:
        total = sp.eye(2)
        for layer in range(depth):
            total = replaced.get(layer, A) * total
        return total

    first = [product({layer: unit}) for layer, unit in variables]

    def entry(i: int, j: int) -> Any:
        (layer, unit), (other, second) = variables[i], variables[j]
        bent = sp.zeros(2) if layer == other else product({layer: unit, other: second})
        return c * sum(x * y for x, y in zip(first[i], first[j], strict=True)) - (E.T * bent).trace()

    return sp.Matrix(2 * depth, 2 * depth, entry)


def blocks(depth: int) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """``B_+``, ``B_-`` and the direction j."""
    j = sp.Matrix([w_a ** (depth - 1 - layer) * w_b**layer for layer in range(depth)])

    def hankel(row: int, column: int) -> Any:
        n = row + column
        if n <= depth - 2:
            return e_b * w_b**n * w_a ** (depth - 2 - n)
        return sp.S.Zero if n == depth - 1 else e_a * w_a ** (2 * depth - 2 - n) * w_b ** (n - depth)

    M = sp.Matrix(depth, depth, hankel)
    return c * j * j.T - M, c * j * j.T + M, j


def _exponent_step() -> Step:
    """The coupling of two layers at any depth, and why it is Hankel after the exchange."""
    D, layer, m, partner = sp.symbols("D l m k", positive=True)
    coupling = w_a ** (D - 1 - m) * w_b ** (m - layer - 1) * w_a**layer
    n = m + partner
    exchanged = coupling.subs(layer, D - 1 - partner)
    return Step(
        "At any depth, for l < m: mode a enters and leaves, b lies between, so that H(Z^m_ab, Z^l_ba) is -e_a times "
        "the product below; exchanged, l = D - 1 - k, it depends on n = m + k alone:",
        coupling,
        sp.simplify(sp.powsimp(exchanged / (w_a ** (2 * D - 2 - n) * w_b ** (n - D))) - 1),
        why="between two layers the loss bends through the residual, times the weights of the layers in between",
    )


@cache
def deep_block_form(depth: int) -> ClosedForm:
    """Curvature that the even part of a pair's gradient meets, ``j^T B_+ j``, with the derivation of B_+ and B_-."""
    H, (even, odd, j) = second_variation(depth), blocks(depth)
    # Z^l_ab <-> Z^{D-1-l}_ba
    exchange = sp.Matrix(depth, depth, lambda row, column: int(row + column == depth - 1))
    plus, minus = (sp.eye(depth).row_join(sign * exchange) / sp.sqrt(2) for sign in (1, -1))
    own = sp.Symbol("w", positive=True)
    together, ones = even.subs({w_b: own, w_a: own, e_b: e_a}), sp.ones(depth, 1)
    along = depth * c * own ** (2 * depth - 2) - (depth - 1) * e_a * own ** (depth - 2)
    expression = sp.factor((j.T * even * j)[0])
    return ClosedForm(
        name=f"pair_blocks_depth_{depth}",
        title=f"Curvature along the even gradient of a pair of modes, {depth} layers",
        quantity=sp.Symbol("j^T B_+ j"),
        expression=expression,
        variables=pair_variables(depth),
        unit=f"loss weight^{2 * depth - 4}",
        source=_NOTES,
        conditions=(
            Condition(sp.And(bare(w_a) >= 0, bare(w_b) >= 0), "w_a, w_b >= 0", "orient the modes so that a >= 0"),
        ),
        steps=(
            _exponent_step(),
            Step(
                "Differentiate the loss of two modes by (Z^l_ab, Z^l_ba); the exchange of Z^l_ab with Z^{D-1-l}_ba "
                "leaves the Hessian as it is, so that even and odd combinations do not mix:",
                H,
                (plus * H * minus.T).applyfunc(sp.expand),
                why="a check against derivatives of an explicit network",
            ),
            Step(
                "Block of the even combinations, c j j^T - M:",
                even,
                (plus * H * plus.T - even).applyfunc(sp.expand),
                why="what the outputs see, less what the residuals bend",
            ),
            Step(
                "and of the odd ones, c j j^T + M:",
                odd,
                (minus * H * minus.T - odd).applyfunc(sp.expand),
                why="the same with the other sign",
            ),
            Step(
                "A mode with itself: all layers together are an eigenvector, of curvature",
                along,
                (together * ones - along * ones).applyfunc(sp.expand),
                why="to scale all layers at once is the one direction that changes the strength",
            ),
            Step(
                "Along j the even block has",
                expression,
                sp.expand(expression - (j.T * even * j)[0]),
                why="the curvature that a step along the gradient meets",
            ),
        ),
    )


@cache
def four_measures_form() -> ClosedForm:
    """One pair of modes in four measures: the amplitudes are the same, what stands between them is not."""
    D, d, gamma, n_beta, t, P = sp.symbols("D d gamma n_beta t P", positive=True)
    B = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"B_{min(i, j)}{max(i, j)}", real=True))
    j, eps, rate = sp.Matrix(sp.symbols("j_0 j_1", positive=True)), sp.Symbol("epsilon", real=True), sp.Symbol("r")
    jj = (j.T * j)[0]

    def through(precision: sp.Matrix) -> Any:
        return (j.T * precision.adjugate() * j)[0] / precision.det()

    damped, sampled = through(B + d * sp.eye(2)), through(n_beta * B + gamma * sp.eye(2))
    # To first order in t the path is straight: eps and Psi keep their values.
    u = sp.Symbol("u", positive=True)
    history = eps * sp.integrate(sp.exp(rate * (t - u)) * jj * eps, (u, 0, t))
    even, odd = (e_a + e_b) ** 2, (e_a - e_b) ** 2
    gain = (w_a ** (2 * D) - w_b ** (2 * D)) / (w_a**2 - w_b**2)
    expression = -(P**2) * (e_a**2 + e_b**2) * gain
    return ClosedForm(
        name="four_measures",
        title="What a pair of modes contributes to the gradient kernel, the limit of three other measures",
        quantity=sp.Symbol("k_ab"),
        expression=expression,
        variables=(*pair_variables(2)[:4], Variable(D, "number of layers"), Variable(P, "number of items")),
        unit="loss^2 / weight^2",
        source=_NOTES,
        conditions=(
            Condition(sp.And(bare(w_a) > 0, bare(w_b) > 0), "w_a, w_b > 0", "give modes that have a hidden unit"),
            Condition(sp.Ne(*bare(w_a, w_b)), "w_a and w_b differ", "use the limit D w^(2D - 2) of the last factor"),
        ),
        steps=(
            Step(
                "Every measure is -(P^2/2) sum_{a<b} v_ai v_bi v_aj v_bj sum_{+-}, with the amplitude eps = e_a +- e_b "
                "twice and between them j.j (kernel), j^T (B + d)^-1 j (damped Newton), j^T (n beta B + gamma)^-1 j "
                "(first-order BIF), or the integral of Psi (j.j) over the past (derivative). Strong damping leaves",
                jj,
                sp.limit(d * damped, d, sp.oo) - jj,
                why="measures differ in the operator between two equal forces; strong damping leaves a multiple of 1",
            ),
            Step("strong localisation", jj, sp.limit(gamma * sampled, gamma, sp.oo) - jj, why="a stiff prior damps"),
            Step(
                "and a short past, r the rate of Psi, t times the kernel:",
                eps**2 * jj,
                sp.simplify(sp.limit(history / t, t, 0) - eps**2 * jj),
                why="a past too short to change anything is one step",
            ),
            Step(
                "In three layers j.j is the sum below; for any depth it is (w_a^2D - w_b^2D)/(w_a^2 - w_b^2):",
                sum(x**2 for x in blocks(3)[2]),
                sp.simplify(sum(x**2 for x in blocks(3)[2]) - gain.subs(D, 3)),
                why="one term a layer: what reaches it from below times what reaches it from above",
            ),
            Step(
                "Both signs together give the pair's term of the kernel:",
                expression,
                sp.expand(expression + P**2 / 2 * (even + odd) * gain),
                why="and this is the kernel, found before without any operator",
            ),
        ),
    )


@cache
def unique_gamma_form() -> ClosedForm:
    """gamma over n beta above which the local posterior of a mode has one maximum, wherever the checkpoint is."""
    D, s, u, star, n_beta, gamma = sp.symbols("D s u u_star n_beta gamma", positive=True)
    weights = sp.symbols("w_1:4", positive=True)
    loss = (s - c * sp.prod(weights)) ** 2 / (2 * c)
    energy = n_beta * loss + gamma / 2 * sum((w - star) ** 2 for w in weights)
    force = gamma * (u - star) - n_beta * u ** (D - 1) * (s - c * u**D)
    at_three = sp.diff(energy, weights[0]).subs(dict.fromkeys(weights, u)) - force.subs(D, 3)
    slope = (D - 1) * s * u ** (D - 2) - (2 * D - 1) * c * u ** (2 * D - 2)
    top = (s * (D - 2) / (2 * (2 * D - 1) * c)) ** (1 / D)
    expression = D / 2 * s * top ** (D - 2)
    # With c u^D in place of u: slope = u^{D-2} ((D-1) s - (2D-1) x).
    x = sp.Symbol("x", positive=True)
    steepest = sp.solve((D - 2) * ((D - 1) * s - (2 * D - 1) * x) - D * (2 * D - 1) * x, x)[0]
    return ClosedForm(
        name="unique_gamma",
        title="Localisation, over n beta, beyond which a mode's local posterior has one maximum",
        quantity=sp.Symbol("gamma_1"),
        expression=expression,
        variables=(
            Variable(s, "singular value", "loss / weight^D"),
            Variable(c, "input scale", "loss / weight^2D"),
            Variable(D, "number of layers, 2 or more"),
        ),
        unit="loss / weight^2",
        source=_NOTES,
        conditions=(Condition(bare(D) > 2, "D > 2", "for two layers it is s"),),
        steps=(
            Step(
                "On equal layers of weight u the posterior exp(-n beta L - gamma |w - u*|^2 / 2) is stationary where "
                "this vanishes, a polynomial of degree 2D - 1; from the energy of three layers:",
                force,
                sp.expand(at_three), why="a second maximum needs this polynomial to have three roots"),
            Step("It rises everywhere if gamma/n beta exceeds the largest slope of u^(D-1) (s - c u^D):", slope,
                 sp.simplify(sp.diff(u ** (D - 1) * (s - c * u**D), u) - slope),
             why="one that rises everywhere has one root: one maximum"),
            Step("which is largest at c u^D =", steepest, sp.simplify(steepest - s * (D - 2) / (2 * (2 * D - 1))),
             why="the slope of the slope vanishes there"),
            Step("and there is", expression, sp.simplify(
                (D - 1) * s - (2 * D - 1) * steepest - D * s / 2), why="the largest slope, which is the bound"),
            Step("For D -> 2 it is s, what two layers need:", s, sp.limit(expression.subs({s: 1, c: 1}), D, 2) - 1,
             why="at two layers the posterior is known in closed form, and agrees"),
        ),
    )  # fmt: skip
