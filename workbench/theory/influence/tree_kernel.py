"""The one-step influence on a tree: it depends on two items through the level of their common ancestor alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import sympy as sp

from workbench.semantics.hierarchy import Hierarchy
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import a0, c, mode_strength_form, residual_form, s, t
from workbench.theory.modes.spectrum import level_projector


def relation(values: Sequence[Any], cover: Sequence[int], m: int) -> Any:
    """``R_m[f] = sum_{k<=m} (f_k - f_{k+1}) / M_k``: what two items with common ancestor on level m share of f.

    It is ``sum_k f_k H_k(i, j)`` with the level projectors H_k, summed by parts.
    """
    if m + 1 < len(values):
        return sum((values[k] - values[k + 1]) * sp.Rational(1, cover[k]) for k in range(m + 1))
    shared = sum((values[k] - values[k + 1]) * sp.Rational(1, cover[k]) for k in range(m))
    return shared + values[m] * sp.Rational(1, cover[m])


def projector_values(cover: Sequence[int], m: int) -> list[Any]:
    """``H_k(i, j)`` of every level k for a pair whose common ancestor is on level m."""
    inverse = [sp.Rational(1, size) for size in cover]
    return [
        inverse[k] - (inverse[k - 1] if k else 0) if k <= m else -inverse[m] if k == m + 1 else sp.S.Zero
        for k in range(len(cover))
    ]


def projector_step(cover: Sequence[int], m: int) -> Step:
    """The values of the projectors, read off the tree itself."""
    tree = Hierarchy(tuple(above // below for above, below in pairwise(cover)))
    levels = tree.common_ancestor_level
    j = next(j for j in range(tree.n_items) if levels[0, j] == m)
    values = sp.Matrix(projector_values(cover, m))
    exact = sp.Matrix([level_projector(tree, k)[0, j] for k in range(len(cover))])
    return Step(
        "Modes of one level share one curve, and sum_a v_ai v_aj over level k is the projector H_k(i, j), a difference "
        "of block means; for this pair, k = 0, 1, ...:",
        values.T,
        values - exact,
        "two items are the same down to their common ancestor and part on the level below it, where the sign turns",
    )


@cache
def tree_kernel_form(cover: tuple[int, ...], m: int) -> ClosedForm:
    """``-K_ij = -P^2 R_m[e^2] R_m[a]`` for two different items whose common ancestor is on level m < D.

    Args:
        cover: ``M_l``, how many items a node of level l covers (`Hierarchy.cover`).
        m: level of the common ancestor.
    """
    D = len(cover) - 1
    strengths = sp.symbols(f"a_0:{D + 1}", positive=True)
    singular = sp.symbols(f"s_0:{D + 1}", positive=True)
    e = [s_k - c * a_k for s_k, a_k in zip(singular, strengths, strict=True)]
    e_symbols = sp.symbols(f"e_0:{D + 1}", positive=True)
    P, H = cover[0], projector_values(cover, m)
    by_projectors = -(P**2) * (
        sum(h * x**2 for h, x in zip(H, e, strict=True)) * sum(h * x for h, x in zip(H, strengths, strict=True))
    )
    expression = -(P**2) * relation([x**2 for x in e], cover, m) * relation(strengths, cover, m)
    shown = -(P**2) * relation([x**2 for x in e_symbols], cover, m) * relation(strengths, cover, m)
    return ClosedForm(
        name=f"tree_kernel_m{m}",
        title=f"One-step influence of two items whose common ancestor is on level {m}",
        quantity=-sp.Symbol(f"K^{{({m})}}"),
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
            projector_step(cover, m),
            Step(
                "The mode form summed over levels and by parts, with e_k = s_k - c a_k:",
                sp.factor(shown),
                sp.expand(by_projectors - expression),
                "only levels down to the one below the common ancestor count: deeper ones cancel for this pair",
            ),
        ),
    )


@dataclass(frozen=True)
class TreeKernel:
    """The one-step influence of a pair as expressions in ``(t, c, a0, s_0..s_D)``, all modes starting at a0.

    Attributes:
        residuals: ``R_m[e^2]``. strengths: ``R_m[a]``. influence: ``-P^2`` times their product.
        symbols: the arguments, in order.
    """

    residuals: Any
    strengths: Any
    influence: Any
    symbols: tuple[sp.Symbol, ...]


def tree_kernel_in_time(cover: tuple[int, ...], m: int, empty: frozenset[int] = frozenset()) -> TreeKernel:
    """The tree form over time; levels in ``empty`` have no signal and so no mode: their a and e are 0."""
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
