"""The second-order part of the local covariance, ``tr(H_i C H_j C) / 2``, at any depth and without a Hessian.

The second variation of an item's loss is a quadratic form of three kinds of vectors, linear in the change Z of the
weights (layers counted 0 .. D-1, hidden unit h; v_ai the item vectors)::

    H_i = |f_i|^2 - 2 sum_{m=1}^{D-1} sum_h p^m_h(i) q^m_h(i)
    f_a(i)   = sqrt(cP)  sum_b v_bi sum_l     w_a^{D-1-l} Z^l_ab w_b^l     (change of the output)
    q^m_h(i) = sqrt(cP)  sum_b v_bi sum_{l<m} w_h^{m-1-l} Z^l_hb w_b^l     (change of what reaches layer m)
    p^m_h(i) = sqrt(P/c) sum_a v_ai e_a w_a^{D-1-m} Z^m_ah                 (layer m, weighed with what is wrong above)

Of the covariances of Z only ``X_ab`` (Z_ab with itself) and ``Y_ab`` (Z_ab with Z_ba) differ from 0, so the covariance
of two such vectors is ``delta_hh' R_h(ij) + r_hh' v_h'i v_hj``, where the R are sums over modes of ``v_ai v_aj``.
Wick's theorem makes of ``Cov(H_i, H_j)`` products of two of them; sums over equal modes are projectors ``H_g(ij)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.theory.posterior.pair_blocks import AlignedState, WeightCovariances, path_gain

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairing:
    """Covariance of two of the vectors f, p, q between items i and j: ``delta_hh' R_h(ij) + r_hh' v_h'i v_hj``.

    Attributes:
        over: ``(T, G, G)`` coefficients of R: ``R_h(ij) = sum_g over_hg H_g(ij)``.
        swap: ``(T, G, G)`` r.
    """

    over: Array
    swap: Array


def pairings(state: AlignedState, covariances: WeightCovariances) -> dict[str, Pairing]:
    """The covariances of f, p^m and q^m by name: ``ff``, ``fp1``, ``fq1``, ``pp12``, ``qq12``, ``pq12``, ..."""
    D, w, e = state.depth, state.w, state.e
    X, Y = covariances.X, covariances.Y
    Y_back = np.swapaxes(Y, 1, 2)
    gain = {m: _gain(state, m) for m in range(1, D + 1)}
    # p^m weighs Z^m_ah with e_a w_a^{D-1-m}; on axes (a, h).
    pull = {m: e * w ** (D - 1 - m) for m in range(1, D)}

    def contracted(left: Array, middle: Array, right: Array) -> Array:
        return np.asarray(np.einsum("tabl,tablk,tabk->tab", left, middle, right))

    def reach(m: int, k: int) -> Pairing:
        """q^m with q^k; m or k = D is f."""
        left, right = gain[m], gain[k]
        return Pairing(contracted(left, X, right), contracted(left, Y, np.swapaxes(right, 1, 2)))

    table = {"ff": reach(D, D)}
    for m in range(1, D):
        table[f"fq{m}"] = reach(D, m)
        table[f"fp{m}"] = _with_pull(gain[D], X, Y, pull[m], m)
        for k in range(1, D):
            table[f"qq{m}{k}"] = reach(m, k)
            table[f"qp{m}{k}"] = _with_pull(gain[m], X, Y, pull[k], k)
            weights = pull[m][:, None, :] * pull[k][:, None, :]
            table[f"pp{m}{k}"] = Pairing(
                weights * np.swapaxes(X[..., m, k], 1, 2),
                pull[m][:, None, :] * pull[k][:, :, None] * Y_back[..., m, k],
            )
    return table


def _gain(state: AlignedState, length: int) -> Array:
    """``(T, G, G, D)`` gains of the first ``length`` layers."""
    return path_gain(state.w[:, :, None], state.w[:, None, :], length, state.depth)


def _with_pull(gain: Array, X: Array, Y: Array, pull: Array, m: int) -> Pairing:
    """f or q, whose gain is given, with p^m: ``over`` meets Z_hb with Z^m_bh, ``swap`` meets Z_hh' with Z^m_hh'."""
    return Pairing(
        np.einsum("tabl,tabl->tab", gain, Y[..., m]) * pull[:, None, :],
        np.einsum("tabl,tabl->tab", gain, X[..., m]) * pull[:, :, None],
    )


@dataclass(frozen=True, eq=False)
class ItemPairs:
    """Projectors at the pairs of items i <= j: what turns sums over modes into entries of a matrix of items.

    Attributes:
        of_pair: ``(G, n)`` ``H_g(ij)``.
        own: ``(G, P)`` ``H_g(ii)``.
        rows, columns: ``(n,)`` i and j.
    """

    of_pair: Array
    own: Array
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def matrix(self, values: Array) -> Array:
        """``(T, P, P)`` symmetric matrices from ``(T, n)`` values of the pairs."""
        full = np.empty((len(values), self.own.shape[1], self.own.shape[1]))
        full[:, self.rows, self.columns] = values
        full[:, self.columns, self.rows] = values
        return full

    def outer(self, weights: Array) -> Array:
        """``(T, n)`` ``sum_gk weights_gk H_k(ii) H_g(jj)``, made symmetric in i and j."""
        full = np.swapaxes(self.own.T @ (weights @ self.own), 1, 2)
        return np.asarray((full + np.swapaxes(full, 1, 2))[:, self.rows, self.columns] / 2)


def item_pairs(projectors: Array) -> ItemPairs:
    """From ``(G, P, P)`` projectors."""
    rows, columns = np.triu_indices(projectors.shape[1])
    return ItemPairs(
        projectors[:, rows, columns], np.ascontiguousarray(np.einsum("gii->gi", projectors)), rows, columns
    )


def first_order(state: AlignedState, covariances: WeightCovariances, pairs: ItemPairs) -> Array:
    """``g_i^T C g_j``, ``(T, n)``: ``P^2 sum_ab H_a(ij) H_b(ij) (e_a^2 Var F_ab + e_a e_b Cov(F_ab, F_ba))``."""
    gain, e = _gain(state, state.depth), state.e
    along = np.einsum("tabl,tablk,tabk->tab", gain, covariances.X, gain)
    across = np.einsum("tabl,tablk,tabk->tab", gain, covariances.Y, np.swapaxes(gain, 1, 2))
    weights = e[:, :, None] ** 2 * along + e[:, :, None] * e[:, None, :] * across
    P = pairs.own.shape[1]
    return np.asarray(P**2 * ((weights @ pairs.of_pair) * pairs.of_pair).sum(axis=1))


def second_order(
    state: AlignedState,
    covariances: WeightCovariances,
    pairs: ItemPairs,
    *,
    idle: Sequence[int],
    null_outputs: int,
) -> Array:
    """``tr(H_i C H_j C) / 2``, ``(T, n)``; ``idle`` units a hidden layer have no mode, nor have ``null_outputs``."""
    D, c, P = state.depth, state.c, pairs.own.shape[1]
    table, H = pairings(state, covariances), pairs.of_pair
    size = state.groups.size
    outputs, hidden = state.has_output.astype(float), state.groups.learned.astype(float)

    def wick(first: Pairing, second: Pairing, rows: Array, columns: Array) -> Array:
        """``sum_hh'`` of the product of two pairings, h over the groups ``rows`` and h' over ``columns``."""
        both = rows * columns
        R, S = first.over @ H, second.over @ H
        own, other = (np.einsum("tgg->tg", x.swap)[:, :, None] * (both[:, None] * H) for x in (first, second))
        counted = (both * size)[:, None]
        swapped = first.swap * second.swap * rows[:, None] * columns[None, :]
        return np.asarray((counted * R * S + own * S + other * R).sum(axis=1)) + pairs.outer(swapped)

    total = 0.5 * (c * P) ** 2 * wick(table["ff"], table["ff"], outputs, outputs)
    lost = (state.w ** (2 * D - 2) * covariances.null) @ H
    total += 0.5 * (c * P) ** 2 * null_outputs * lost**2
    for m in range(1, D):
        # |f_i|^2 with p_j q_j and the same with i and j exchanged: `outer` is symmetric, the rest is anyway.
        total -= 2 * c * P**2 * wick(table[f"fp{m}"], table[f"fq{m}"], outputs, hidden)
        for k in range(1, D):
            total += P**2 * wick(table[f"pp{m}{k}"], table[f"qq{m}{k}"], hidden, hidden)
            total += P**2 * wick(_transposed(table[f"qp{k}{m}"]), table[f"qp{m}{k}"], hidden, hidden)
    return np.asarray(total + P**2 * _idle_units(state, covariances, H, idle))


def _transposed(pairing: Pairing) -> Pairing:
    """p with q from q with p: what multiplies ``v_h'i v_hj`` has h and h' exchanged."""
    return Pairing(pairing.over, np.swapaxes(pairing.swap, 1, 2))


def _idle_units(state: AlignedState, covariances: WeightCovariances, H: Array, idle: Sequence[int]) -> Array:
    """Hidden units without a mode: ``Var p Var q + Cov(p, q)^2``, all that they have is the weight in and out."""
    D, w, e = state.depth, state.w, state.e
    total = np.zeros(())
    for below, units in enumerate(idle):
        p = (e**2 * w ** (2 * (D - 2 - below)) * covariances.idle) @ H
        q = (w ** (2 * below) * covariances.idle) @ H
        pq = (e * w ** (D - 2) * covariances.idle_cross) @ H
        total = total + units * (p * q + pq**2)
    return np.asarray(total)
