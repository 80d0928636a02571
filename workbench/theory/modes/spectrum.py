"""Spectra of hierarchies: which modes a tree has, how strong they are, how often they repeat.

Sources: Saxe et al. (2019) for the branching diffusion; the node-indicator spectra follow from the same Haar basis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.modes import haar_basis
from workbench.theory.closed_form import ClosedForm, Step, Variable

Array = NDArray[np.float64]

#: Kind of a spectrum: name of its forms up to the level.
FORM_NAMES = {"indicator": "nu_indicator_k", "indicator_pm1": "nu_pm1_k", "diffusion": "nu_diffusion_k"}


def level_projector(hierarchy: Hierarchy, level: int) -> sp.Matrix:
    """Exact ``(P, P)`` projector ``H_k`` on the modes of one level: block means of level k minus those of k-1."""

    def block_mean(k: int) -> sp.Matrix:
        ancestor, size = hierarchy.ancestor(k), hierarchy.cover[k]
        return sp.Matrix(
            hierarchy.n_items,
            hierarchy.n_items,
            lambda i, j: sp.Rational(1, size) if ancestor[i] == ancestor[j] else sp.S.Zero,
        )

    return block_mean(level) - block_mean(level - 1) if level else block_mean(0)


@dataclass(frozen=True)
class HierarchySpectrum:
    """Eigenvalues of ``Y^T Y`` for a hierarchy, level by level.

    Attributes:
        eigenvalues: D + 1 closed forms ``nu_k``; the singular values of Y are ``sqrt(nu_k)`` and those of Syx
            ``sqrt(nu_k c / P)``.
        multiplicities: how many modes each level has.
        hierarchy: the tree.
    """

    hierarchy: Hierarchy
    eigenvalues: tuple[ClosedForm, ...]
    multiplicities: tuple[int, ...]

    def item_vectors(self) -> tuple[Array, NDArray[np.int64]]:
        """The Haar basis; see `haar_basis`. Within a level only the projector on all of them is identifiable."""
        return haar_basis(self.hierarchy)

    def values(self, **parameters: float) -> Array:
        """``(D + 1,)`` the eigenvalues as numbers; parameters are those of the closed forms."""
        return np.array([form(**parameters) for form in self.eigenvalues])

    def singular_values(self, c: float | None = None, **parameters: float) -> Array:
        """``(D + 1,)`` singular values of Syx, ``sqrt(nu_k c / P)``; c = 1/P (one-hot items) unless given."""
        P = self.hierarchy.n_items
        return np.asarray(np.sqrt(self.values(**parameters) * (1 / P if c is None else c) / P))


def multiplicities(hierarchy: Hierarchy) -> tuple[int, ...]:
    """Modes per level: 1 for the root, ``N_k - N_{k-1}`` below."""
    nodes = hierarchy.nodes
    return (1, *(nodes[k] - nodes[k - 1] for k in range(1, hierarchy.depth + 1)))


_Levels = tuple[tuple[Any, ...], list[Any], Any, list[Any], str, str, int]


def _by_level(weights: Sequence[Any], cover: Sequence[int]) -> list[Any]:
    """``sum_{l >= k} w_l M_l`` of every level k."""
    return [sum(w * m for w, m in zip(weights[k:], cover[k:], strict=True)) for k in range(len(cover))]


def _diffusion(hierarchy: Hierarchy, kind: str) -> _Levels:
    """Symbols, weight of every level, offset, eigenvalues, and words of branching diffusion."""
    D = hierarchy.depth
    symbols = sp.symbols(f"eps1:{D + 1}", positive=True)
    keep = [(1 - 2 * e) ** 2 for e in symbols]
    rho = [sp.prod(keep[level:]) for level in range(D + 1)]
    weights: list[Any] = [rho[0], *(rho[k] - rho[k - 1] for k in range(1, D + 1))]
    meaning = "flip probability on the edges into level {}"
    explain = "C = sum_l (rho_l - rho_{l-1}) x [same node of level l]"
    return symbols, weights, sp.S.Zero, _by_level(weights, hierarchy.cover), meaning, explain, 1


def _indicators(hierarchy: Hierarchy, kind: str) -> _Levels:
    """The same of 0/1 and +-1 properties of the nodes."""
    if kind not in ("indicator", "indicator_pm1"):
        raise WorkbenchError(f"kind {kind!r} is unknown; use 'indicator', 'indicator_pm1' or 'diffusion'")
    symbols = sp.symbols(f"q0:{hierarchy.depth + 1}", nonnegative=True)
    scale = 4 if kind == "indicator_pm1" else 1
    weights = [scale * q for q in symbols]
    nu = _by_level(weights, hierarchy.cover)
    # (2Y-1)^T(2Y-1) = 4 Y^T Y - 4 J + N J per node property: only the constant vector feels the last two.
    offset = sp.S.Zero
    if scale == 4:
        offset = sum(q * (n - 4) for q, n in zip(symbols, hierarchy.nodes, strict=True))
    nu[0] += offset * hierarchy.n_items
    meaning, explain = "copies of the properties of level {}", "Y^T Y = sum_l q_l x [same node of level l]"
    return symbols, weights, offset, nu, meaning, explain, 0


@lru_cache(maxsize=64)
def hierarchy_spectrum(hierarchy: Hierarchy, kind: str = "indicator") -> HierarchySpectrum:
    """Eigenvalues of ``Y^T Y`` on a balanced tree, as closed forms that verify themselves on the tree.

    Args:
        hierarchy: the tree.
        kind: ``"indicator"`` for 0/1 node properties with ``q0..qD`` copies per level (q0 = root);
            ``"indicator_pm1"`` for +-1 ones; ``"diffusion"`` for branching diffusion with flip probabilities
            ``eps1..epsD`` and infinitely many properties (then ``nu_k`` is per property).

    Returns:
        The spectrum; each ``nu_k`` is evaluated with keywords ``q0=1, q1=1, ...`` or ``eps1=0.1, ...``.
    """
    D = hierarchy.depth
    levels_of = _diffusion if kind == "diffusion" else _indicators
    symbols, weights, offset, nu, meaning, explain, first = levels_of(hierarchy, kind)
    variables = tuple(Variable(symbol, meaning.format(level)) for level, symbol in enumerate(symbols, start=first))
    gram = _gram(hierarchy, weights, offset)
    basis, levels = haar_basis(hierarchy)
    forms = []
    for k in range(D + 1):
        exact = sp.simplify(nu[k]) if kind == "diffusion" else sp.expand(nu[k])
        column = int(np.flatnonzero(levels == k)[0]) if (levels == k).any() else None
        steps = [
            Step(
                f"The Gram matrix of the items, {explain}; its entry for item 1 with itself:",
                gram[0, 0],
                (gram - _gram_of_properties(hierarchy, kind, symbols)).applyfunc(sp.expand),
                why="what two items have in common was decided at the nodes above both",
            )
        ]
        if column is not None:
            # Any rescaling of the Haar vector to whole numbers keeps sympy exact.
            v = sp.Matrix(
                [sp.nsimplify(round(x / np.abs(basis[basis[:, column] != 0, column]).min())) for x in basis[:, column]]
            )
            steps.append(
                Step(
                    f"applied to a Haar vector of level {k} gives back that vector times",
                    exact,
                    gram * v - exact * v,
                    why="a Haar vector weighs branches against each other: what they share cancels",
                )
            )
        forms.append(
            ClosedForm(
                name=f"{FORM_NAMES[kind]}{k}",
                title=f"Eigenvalue of Y^T Y on level {k} of a {','.join(map(str, hierarchy.branching))} tree",
                quantity=sp.Symbol(f"nu_{k}"),
                expression=exact,
                variables=variables,
                steps=tuple(steps),
                source="Saxe et al. (2019), supplement; Haar basis of a balanced tree",
                unit="property^2",
            )
        )
    return HierarchySpectrum(hierarchy, tuple(forms), multiplicities(hierarchy))


def _gram_of_properties(hierarchy: Hierarchy, kind: str, symbols: Sequence[Any]) -> sp.Matrix:
    """``Y^T Y`` from the properties themselves: one column a node, or the correlation of two ends of a diffusion."""
    P, D, lca = hierarchy.n_items, hierarchy.depth, hierarchy.common_ancestor_level
    if kind == "diffusion":
        # Below the common ancestor both paths keep a sign independently, with mean 1 - 2 eps an edge.
        return sp.Matrix(P, P, lambda i, j: sp.prod([(1 - 2 * symbols[k]) ** 2 for k in range(lca[i, j], D)]))
    total = sp.zeros(P, P)
    for level, copies in enumerate(symbols):
        ancestor = hierarchy.ancestor(level)
        for node in sorted(set(ancestor)):
            column = sp.Matrix([int(x == node) for x in ancestor])
            column = 2 * column - sp.ones(P, 1) if kind == "indicator_pm1" else column
            total += copies * column * column.T
    return total


def _gram(hierarchy: Hierarchy, weights: Sequence[Any], offset: Any) -> sp.Matrix:
    by_level = [sp.expand(sum(weights[: level + 1]) + offset) for level in range(hierarchy.depth + 1)]
    lca = hierarchy.common_ancestor_level
    return sp.Matrix(hierarchy.n_items, hierarchy.n_items, lambda i, j: by_level[lca[i, j]])
