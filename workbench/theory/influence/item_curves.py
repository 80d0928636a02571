"""The analytic path of a slider: strengths of all modes and the influence of one item, nothing else, nothing checked.

The same numbers as `mode_strength` and `gradient_kernel`, without conditions and without a ``(T, P, P)`` array: every
mode of a group (`mode_groups`) follows one curve, evaluated once, for two layers
``a = a0 s / (s E + c a0 (1 - E))``, ``E = e^{-2 s t}``; the influence of one source is two matrix products a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.semantics.modes import Modes
from workbench.theory.modes.groups import ModeGroups, mode_groups
from workbench.theory.modes.strength import mode_strength

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ItemCurves:
    """What a slider needs of a task and one source item; make it once with `item_curves`.

    Attributes:
        groups: modes that share a curve.
        c: input scale.
        shared: ``(G, P)``, ``sum over the modes of a group of v_k,source v_k,target``.
        source: index of the source item.
        depth: number of weight layers D.
    """

    groups: ModeGroups
    c: float
    shared: Array
    source: int
    depth: int

    def strengths(self, times: Array, a0: float) -> Array:
        """``(T, G)`` strengths of the groups from a0; ``strengths[:, groups.of_mode]`` are those of all modes."""
        s = self.groups.s
        if self.depth != 2:
            return mode_strength(times[:, None], s, c=self.c, a0=a0, depth=self.depth)
        E = np.exp(np.multiply.outer(times, -2.0 * s))
        start = self.c * a0
        return np.asarray(a0 * s / (start + (s - start) * E))

    def curves(self, times: Array, a0: float) -> tuple[Array, Array]:
        """``(T, K)`` strengths of all modes and ``(T, P)`` one-step influence ``-K`` of the source; negative helps."""
        a = self.strengths(times, a0)
        return a[:, self.groups.of_mode], self._influence(a)

    def influence(self, a: Array) -> Array:
        """``(T, P)`` one-step influence ``-K`` of the source on every item, from ``(T, K)`` strengths of all modes."""
        return self._influence(a[:, self.groups.first])

    def _influence(self, a: Array) -> Array:
        D, P = self.depth, self.shared.shape[1]
        e2 = np.square(self.groups.s - self.c * a)
        powers = [np.ones_like(a), *(a ** (2 * layer / D) for layer in range(1, D))]
        kernel = np.zeros((len(a), P))
        for layer in range(1, D):
            kernel += ((e2 * powers[D - 1 - layer]) @ self.shared) * (powers[layer] @ self.shared)
        kernel[:, self.source] += (e2 * powers[D - 1]) @ self.shared[:, self.source]
        kernel *= -(P**2)
        return kernel


def item_curves(modes: Modes, source: int, *, depth: int = 2) -> ItemCurves:
    """Prepare the curves of one source item, for mode strengths > 0; see `ItemCurves`."""
    groups = mode_groups(modes)
    return ItemCurves(groups, modes.c, groups.projectors[:, source], source, depth)
