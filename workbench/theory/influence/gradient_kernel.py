"""Gradient kernel ``K_ij = grad l_i . grad l_j``: in modes, and on a tree.

One gradient step on item i changes the loss of item j by ``-eta K_ij``; the influence is stored as ``-K``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import a0, c, mode_strength_form, residual_form, s, t

Array = NDArray[np.float64]


def gradient_kernel(modes: Modes, a: Array) -> Array:
    """Kernel of a balanced aligned two-layer network, evaluated from `kernel_form`'s sums.

        K_ij = P^2 [ (sum_k e_k^2 v_ki v_kj)(sum_k a_k v_ki v_kj) + delta_ij sum_k a_k e_k^2 v_ki^2 ]

    Args:
        modes: modes of the task.
        a: ``(T, K)`` mode strengths.

    Returns:
        ``(T, P, P)``, units loss^2 / weight^2; positive where a step on i helps j.
    """
    V = modes.V[:, : modes.rank]
    e2 = (modes.s - modes.c * a) ** 2
    kernel = (V * e2[:, None, :]) @ V.T * ((V * a[:, None, :]) @ V.T)
    diagonal = np.arange(modes.n_items)
    kernel[:, diagonal, diagonal] += (a * e2) @ (V**2).T
    return np.asarray(modes.n_items**2 * kernel)


def gradient_kernel_from_weights(X: Array, Y: Array, W1: Array, W2: Array) -> Array:
    """Kernel of any two-layer linear network from its weights, ``(T, P, P)``.

    K = (R^T R) o (X^T W1^T W1 X) + (R^T W2 W2^T R) o (X^T X),      R = Y - W2 W1 X
    """
    H = W1 @ X
    R = Y - W2 @ H
    back = np.swapaxes(W2, -1, -2) @ R

    def gram(M: Array) -> Array:
        return np.asarray(np.swapaxes(M, -1, -2) @ M)

    return gram(R) * gram(H) + gram(back) * gram(X)


@cache
def kernel_form() -> ClosedForm:
    """The kernel in modes, derived from the gradients of a two-item network with symbolic strengths."""
    s1, s2, a1, a2 = sp.symbols("s1 s2 a1 a2", positive=True)
    P = sp.Integer(2)
    V = sp.Matrix([[1, 1], [1, -1]]) / sp.sqrt(2)
    scale = sp.sqrt(c * P)
    targets = sp.diag(s1, s2) * V.T * sp.sqrt(P / c)
    weights = sp.symbols("x11 x12 x21 x22 z11 z12 z21 z22", real=True)
    W1, W2 = sp.Matrix(2, 2, weights[:4]), sp.Matrix(2, 2, weights[4:])
    at = dict(
        zip(weights, [*(sp.diag(sp.sqrt(a1), sp.sqrt(a2)) * V.T), *sp.diag(sp.sqrt(a1), sp.sqrt(a2))], strict=True)
    )
    gradients = []
    for i in range(2):
        r = targets[:, i] - scale * (W2 * W1)[:, i]
        gradients.append(sp.Matrix([sp.diff((r.T * r)[0] / 2, w) for w in weights]).subs(at))
    e1, e2 = s1 - c * a1, s2 - c * a2

    def in_modes(i: int, j: int) -> Any:
        pair = [V[i, k] * V[j, k] for k in range(2)]
        total = (e1**2 * pair[0] + e2**2 * pair[1]) * (a1 * pair[0] + a2 * pair[1])
        if i == j:
            total += a1 * e1**2 * V[i, 0] ** 2 + a2 * e2**2 * V[i, 1] ** 2
        return P**2 * total

    def from_gradients(i: int, j: int) -> Any:
        return sp.expand((gradients[i].T * gradients[j])[0])

    k, i, j = sp.Symbol("k"), sp.Symbol("i"), sp.Symbol("j")
    e_k, a_k, v = sp.IndexedBase("e"), sp.IndexedBase("a"), sp.IndexedBase("v")
    n_modes, n_items = sp.Symbol("K"), sp.Symbol("P")

    def over_modes(term: Any) -> Any:
        return sp.Sum(term, (k, 1, n_modes))

    general = n_items**2 * (
        over_modes(e_k[k] ** 2 * v[k, i] * v[k, j]) * over_modes(a_k[k] * v[k, i] * v[k, j])
        + sp.KroneckerDelta(i, j) * over_modes(a_k[k] * e_k[k] ** 2 * v[k, i] ** 2)
    )
    return ClosedForm(
        name="gradient_kernel",
        title="Gradient kernel of a balanced aligned two-layer network, two items (the pair that differs)",
        quantity=sp.Symbol("K_12"),
        expression=sp.factor(in_modes(0, 1)),
        variables=(
            Variable(s1, "singular value of the mean mode", "loss / weight^2"),
            Variable(s2, "singular value of the contrast mode", "loss / weight^2"),
            Variable(a1, "strength of the mean mode", "weight^2"),
            Variable(a2, "strength of the contrast mode", "weight^2"),
            Variable(c, "input scale", "loss / weight^4"),
        ),
        unit="loss^2 / weight^2",
        source="derived for this project; TracIn summand of Pruthi et al. (2020)",
        steps=(
            Step("For any number of modes the gradients give", general),
            Step(
                "Two items, modes mean and contrast; differentiate the losses of an explicit network, pair (1, 2):",
                sp.factor(in_modes(0, 1)),
                sp.expand(from_gradients(0, 1) - in_modes(0, 1)),
            ),
            Step(
                "and pair (1, 1), where the first-layer gradients of the same item overlap too:",
                sp.factor(in_modes(0, 0)),
                sp.expand(from_gradients(0, 0) - in_modes(0, 0)),
            ),
        ),
    )


def relation(values: Sequence[Any], cover: Sequence[int], m: int) -> Any:
    """``R_m[f] = sum_{k<=m} (f_k - f_{k+1}) / M_k``: what two items with common ancestor on level m share of f.

    It is ``sum_k f_k H_k(i, j)`` with the level projectors H_k, summed by parts.
    """
    if m + 1 < len(values):
        return sum((values[k] - values[k + 1]) * sp.Rational(1, cover[k]) for k in range(m + 1))
    shared = sum((values[k] - values[k + 1]) * sp.Rational(1, cover[k]) for k in range(m))
    return shared + values[m] * sp.Rational(1, cover[m])


@cache
def tree_kernel_form(cover: tuple[int, ...], m: int) -> ClosedForm:
    """``K_ij = P^2 R_m[e^2] R_m[a]`` for two different items whose common ancestor is on level m < D.

    Args:
        cover: ``M_l``, how many items a node of level l covers (`Hierarchy.cover`).
        m: level of the common ancestor, 0 (root) to D - 1 (siblings).
    """
    D = len(cover) - 1
    strengths = sp.symbols(f"a_0:{D + 1}", positive=True)
    singular = sp.symbols(f"s_0:{D + 1}", positive=True)
    e = [s_k - c * a_k for s_k, a_k in zip(singular, strengths, strict=True)]
    e_symbols = sp.symbols(f"e_0:{D + 1}", positive=True)
    P = cover[0]
    # Value of the level projector H_k on a pair with common level m; see semantics of the Haar basis.
    inverse = [sp.Rational(1, size) for size in cover]
    H = [
        inverse[k] - (inverse[k - 1] if k else 0) if k <= m else -inverse[m] if k == m + 1 else sp.S.Zero
        for k in range(D + 1)
    ]
    by_projectors = (
        P**2 * sum(h * x**2 for h, x in zip(H, e, strict=True)) * sum(h * x for h, x in zip(H, strengths, strict=True))
    )
    expression = P**2 * relation([x**2 for x in e], cover, m) * relation(strengths, cover, m)
    shown = P**2 * relation([x**2 for x in e_symbols], cover, m) * relation(strengths, cover, m)
    return ClosedForm(
        name=f"tree_kernel_{m}",
        title=f"Gradient kernel of two items whose common ancestor is on level {m}",
        quantity=sp.Symbol(f"K^({m})"),
        expression=expression,
        variables=(
            *(Variable(x, f"strength of level {k}", "weight^2") for k, x in enumerate(strengths)),
            *(Variable(x, f"singular value of level {k}", "loss / weight^2") for k, x in enumerate(singular)),
            Variable(c, "input scale", "loss / weight^4"),
        ),
        unit="loss^2 / weight^2",
        source="derived for this project",
        conditions=(Condition(bare(c) > 0, "c positive", "c = 1/P for one-hot items"),),
        steps=(
            Step("Modes of one level share one strength; sum the mode form over levels:", by_projectors),
            Step(
                "Summed by parts, with e_k = s_k - c a_k:",
                sp.factor(shown),
                sp.expand(by_projectors - expression),
            ),
        ),
    )


@dataclass(frozen=True)
class TreeKernel:
    """The kernel of a pair as expressions in ``(t, c, a0, s_0..s_D)``, all modes starting at a0.

    Attributes:
        residuals: ``R_m[e^2]``. strengths: ``R_m[a]``. kernel: ``P^2`` times their product.
        symbols: the arguments, in order.
    """

    residuals: Any
    strengths: Any
    kernel: Any
    symbols: tuple[sp.Symbol, ...]


def tree_kernel_in_time(cover: tuple[int, ...], m: int, empty: frozenset[int] = frozenset()) -> TreeKernel:
    """The tree kernel over time; levels in ``empty`` have no signal and so no mode: their a and e are 0."""
    D = len(cover) - 1
    singular = sp.symbols(f"s_0:{D + 1}", positive=True)
    a, e = (
        [_at(form, k, s_k, empty) for k, s_k in enumerate(singular)] for form in (mode_strength_form(), residual_form())
    )
    in_time = dict(zip(sp.symbols(f"a_0:{D + 1}", positive=True), a, strict=True))
    absent = {singular[k]: sp.S.Zero for k in empty}
    return TreeKernel(
        relation([e_k**2 for e_k in e], cover, m),
        relation(a, cover, m),
        tree_kernel_form(cover, m).expression.subs(absent).subs(in_time),
        (t, c, a0, *singular),
    )


def _at(form: ClosedForm, level: int, s_k: sp.Symbol, empty: frozenset[int]) -> Any:
    return sp.S.Zero if level in empty else form.expression.subs(s, s_k)
