"""Covariances of the weights of a balanced aligned network of any depth, pair of modes by pair of modes.

Perturb layer l by ``Z^l_ab``, from mode b below it to mode a above it, ``l = 0 .. D-1``; ``w_a = a_a^{1/D}`` is the
weight of mode a in every layer and ``e_a = s_a - c a_a`` its residual. The Hessian of the mean loss couples ``Z_ab``
with ``Z_ba`` alone, and the exchange ``Z^l_ab <-> Z^{D-1-l}_ba`` splits the pair into two D x D blocks
(`deep_block_form` has the derivation)::

    B_+- = c j j^T -+ M,       j_l = w_a^{D-1-l} w_b^l
    M_ll' = e_b w_b^n w_a^{D-2-n} (n <= D-2),  0 (n = D-1),  e_a w_a^{2D-2-n} w_b^{n-D} (n >= D),     n = l + l'

With ``C_+- = (n beta B_+- + gamma)^{-1}`` the Gaussian with this precision has

    Cov(Z^l_ab, Z^l'_ab) = X_ab = (C_+ + C_-)_ll' / 2,      Cov(Z^l_ab, Z^l'_ba) = Y_ab = (C_+ - C_-)_{l, D-1-l'} / 2

and all other covariances of modes vanish. Modes of equal strength share one block, so groups of them stand for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.semantics.modes import Modes
from workbench.theory.modes.groups import ModeGroups, mode_groups

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Numbers in the blocks of one batch of checkpoints.
_BATCH = 2**20


@dataclass(frozen=True, eq=False)
class AlignedState:
    """An aligned network at T checkpoints, by groups of equal modes (null modes included).

    Attributes:
        groups: the groups; those without a hidden unit have strength 0.
        w: ``(T, G)`` weight of a mode in every layer.
        e: ``(T, G)`` residuals.
        c: input scale.
        depth: number of layers D.
    """

    groups: ModeGroups
    w: Array
    e: Array
    c: float
    depth: int

    @property
    def has_output(self) -> NDArray[np.bool_]:
        """``(G,)`` whether the modes have a direction among the outputs: all but the null modes."""
        return self.groups.s > 0

    def at(self, w: Array) -> AlignedState:
        """The same network with other weights."""
        return AlignedState(self.groups, w, self.groups.s - self.c * w**self.depth, self.c, self.depth)

    def batches(self) -> Iterator[slice]:
        """Checkpoints in batches of moderate memory."""
        G, P = len(self.groups.s), len(self.groups.of_mode)
        size = max(1, _BATCH // max((G * self.depth) ** 2, G * P**2 // 2))
        for first in range(0, len(self.w), size):
            yield slice(first, min(first + size, len(self.w)))

    def part(self, checkpoints: slice) -> AlignedState:
        """Some of the checkpoints."""
        return AlignedState(self.groups, self.w[checkpoints], self.e[checkpoints], self.c, self.depth)


def aligned_state(modes: Modes, a: Array, active: int, depth: int) -> AlignedState:
    """The network whose mode strengths are ``a`` ``(T, K)``, of which the first ``active`` have hidden units."""
    strengths = np.zeros((len(a), modes.n_items))
    strengths[:, :active] = a[:, :active]
    groups = mode_groups(modes, active, null=True, apart=strengths)
    first = groups.first
    w = strengths[:, first] ** (1 / depth)
    return AlignedState(groups, w, groups.s - modes.c * strengths[:, first], modes.c, depth)


def _powers(w: Array, exponents: Index) -> Array:
    """``w^k`` on new last axes; ``0^0 = 1``, negative exponents give 0 (they stand where a term is absent)."""
    return np.where(exponents >= 0, w[(..., *[None] * exponents.ndim)] ** np.maximum(exponents, 0), 0.0)


def path_gain(above: Array, below: Array, length: int, depth: int) -> Array:
    """``w_a^{length-1-l} w_b^l``, ``l < length``, on a new axis (D): what Z^l_ab adds to the product of the layers."""
    layer = np.arange(depth)
    return _powers(above, length - 1 - layer) * _powers(below, layer)


def pair_blocks(state: AlignedState, a: Index, b: Index) -> tuple[Array, Array]:
    """``B_+`` and ``B_-`` of pairs of groups a and b ``(n,)``, ``(T, n, D, D)``.

    Where a mode has no hidden unit the weights that it lacks have zeros.
    """
    D, w, e, layer = state.depth, state.w, state.e, np.arange(state.depth)
    n = np.add.outer(layer, layer)
    low = e[:, b, None, None] * _powers(w[:, a], D - 2 - n) * _powers(w[:, b], n)
    high = e[:, a, None, None] * _powers(w[:, a], 2 * D - 2 - n) * _powers(w[:, b], n - D)
    M = np.where(n <= D - 2, low, np.where(n >= D, high, 0.0))
    learned = state.groups.learned
    exists = (learned[a][:, None] | (layer == D - 1)) & (learned[b][:, None] | (layer == 0))
    M = M * exists[:, :, None] * exists[:, None, :]
    j = path_gain(w[:, a], w[:, b], D, D)
    gauss_newton = state.c * j[..., :, None] * j[..., None, :]
    return gauss_newton - M, gauss_newton + M


@dataclass(frozen=True, eq=False)
class WeightCovariances:
    """``X`` and ``Y`` of the head of this module, ``(T, G, G, D, D)``, and what idle units and null outputs have.

    Attributes:
        idle: ``(T, G)`` variance of the weights between a hidden unit without a mode and the modes.
        idle_cross: ``(T, G)`` covariance of the weight into it and out of it.
        null: ``(T, G)`` variance of the weight from a mode to an output without a mode.
    """

    X: Array
    Y: Array
    idle: Array
    idle_cross: Array
    null: Array


def weight_covariances(state: AlignedState, n_beta: float, gamma: float) -> WeightCovariances:
    """Covariances of the Gaussian with precision ``n beta H + gamma``."""
    D, G, T = state.depth, len(state.groups.s), len(state.w)
    eye, uniform = np.eye(D), np.full((D, D), 1 / D)
    a, b = np.triu_indices(G)
    plus, minus = (n_beta * block + gamma * eye for block in pair_blocks(state, a, b))
    # A single mode has no partner: its pair block would hold curvatures that no weight has.
    alone = np.flatnonzero(state.groups.size == 1)
    for block in (plus, minus):
        block[:, (a == b) & (state.groups.size[a] == 1)] = eye
    C_plus, C_minus = np.linalg.inv(plus), np.linalg.inv(minus)
    X, Y = np.empty((T, G, G, D, D)), np.empty((T, G, G, D, D))
    X[:, a, b], Y[:, a, b] = (C_plus + C_minus) / 2, ((C_plus - C_minus) / 2)[..., ::-1]
    # The exchange of Z^l_ab with Z^{D-1-l}_ba gives the other half.
    X[:, b, a], Y[:, b, a] = X[:, a, b][..., ::-1, ::-1], np.swapaxes(Y[:, a, b], -1, -2)
    along, across = (n_beta * curvature + gamma for curvature in self_curvatures(state))
    own = uniform / along[..., None, None] + (eye - uniform) / across[..., None, None]
    X[:, alone, alone], Y[:, alone, alone] = own[:, alone], 0.0
    bend = n_beta * state.e * state.w ** max(D - 2, 0)
    free = gamma**2 - bend**2
    null = 1 / (n_beta * state.c * state.w ** (2 * D - 2) + gamma)
    return WeightCovariances(X, Y, gamma / free, bend / free, null)


def self_curvatures(state: AlignedState) -> tuple[Array, Array]:
    """``(T, G)`` curvatures of a mode: D weights together, ``D c w^{2D-2} - (D-1) e w^{D-2}``, one against another."""
    D, bend = state.depth, state.e * state.w ** max(state.depth - 2, 0)
    return D * state.c * state.w ** (2 * D - 2) - (D - 1) * bend, bend
