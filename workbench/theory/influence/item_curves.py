"""The analytic path of a slider: strengths of all modes and the influence of one item, nothing else, nothing checked.

The same numbers as `mode_strengths` and `gradient_kernel`, without conditions and without a ``(T, P, P)``
array: every mode follows ``a = a0 s / (s E + c a0 (1 - E))``, ``E = e^{-2 s t}``, and the kernel of one source
is two matrix products. Modes of equal strength (a level of a tree) share a curve and are evaluated once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.semantics.modes import Modes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ItemCurves:
    """What a slider needs of a task and one source item; make it once with `item_curves`.

    Attributes:
        s: ``(G,)`` distinct singular values.
        c: input scale.
        group: ``(K,)`` which of them belongs to each mode.
        shared: ``(G, P)``, ``sum over the modes of a group of v_k,source v_k,target``.
        own: ``(G,)``, ``sum over the group of v_k,source^2``.
        source: index of the source item.
        scale: P^2.
    """

    s: Array
    c: float
    group: NDArray[np.intp]
    shared: Array
    own: Array
    source: int
    scale: float

    def strengths(self, times: Array, a0: float) -> Array:
        """``(T, G)`` strengths of the groups from a0; ``strengths[:, group]`` are those of all modes."""
        E = np.exp(np.multiply.outer(times, -2.0 * self.s))
        start = self.c * a0
        return np.asarray(a0 * self.s / (start + (self.s - start) * E))

    def curves(self, times: Array, a0: float) -> tuple[Array, Array]:
        """``(T, K)`` strengths of all modes and ``(T, P)`` one-step influence ``-K`` of the source; negative helps."""
        a = self.strengths(times, a0)
        return a[:, self.group], -self._kernel(a)

    def kernel(self, a: Array) -> Array:
        """``(T, P)`` kernel of the source with every item, from ``(T, K)`` strengths of all modes."""
        first = np.unique(self.group, return_index=True)[1]
        return self._kernel(a[:, first])

    def _kernel(self, a: Array) -> Array:
        e2 = np.square(self.s - self.c * a)
        kernel = (e2 @ self.shared) * (a @ self.shared)
        kernel[:, self.source] += (a * e2) @ self.own
        kernel *= self.scale
        return np.asarray(kernel)


def item_curves(modes: Modes, source: int) -> ItemCurves:
    """Prepare the curves of one source item; see `ItemCurves`."""
    V = modes.V[:, : modes.rank]
    rounded = np.round(modes.s / modes.s[0], 12)
    _, first, group = np.unique(-rounded, return_index=True, return_inverse=True)
    member = (group[None, :] == np.arange(len(first))[:, None]).astype(np.float64)
    return ItemCurves(
        s=modes.s[first],
        c=modes.c,
        group=group,
        shared=member @ (V[source][:, None] * V.T),
        own=member @ V[source] ** 2,
        source=source,
        scale=float(modes.n_items**2),
    )
