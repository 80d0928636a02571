"""Damped influence and local posterior at any weights of any number of linear layers, from explicit Hessians.

With ``A_l = W_D .. W_{l+1}``, ``B_ml = W_{m-1} .. W_{l+1}`` and ``h_l = W_l .. W_1 x`` the loss ``l = |r|^2 / 2`` of an
item has, for the weights of layers l < m, row by row (p, q of layer m; u, v of layer l)::

    g_l = -(A_l^T r) h_{l-1}^T,     H_ml = A_m^T A_l (x) h_{m-1} h_{l-1}^T - (A_m^T r)_p (B_ml)_qu (h_{l-1})_v

where the second term is absent for l = m. For small networks: ``P N^2`` numbers and ``P N^3`` operations a checkpoint.
`pair_blocks` has aligned networks of any size, `dense_posterior` two layers with less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError, human_bytes
from workbench.theory.posterior.dense_posterior import MEMORY_LIMIT, descend

Array = NDArray[np.float64]


def refuse_if_too_large(n_weights: int, n_items: int, measure: str) -> None:
    """Raise before the Hessians of the items are allocated, with the bytes and what to do instead."""
    needed = 8.0 * (4 * n_weights**2 + 2 * n_items * n_weights**2)
    if needed > MEMORY_LIMIT:
        raise WorkbenchError(
            f"Hessians of {n_items} items and {n_weights} weights take {human_bytes(needed)} (limit "
            f"{human_bytes(MEMORY_LIMIT)}); use `init` balanced:0.01, whose prediction needs none, a smaller `hidden` "
            f"or `depth`, or `measures` without {measure}"
        )


def item_derivatives(X: Array, Y: Array, layers: Sequence[Array]) -> tuple[Array, Array]:
    """Gradients ``(P, N)`` and Hessians ``(P, N, N)`` of the item losses, weights layer by layer and row by row."""
    P, D = X.shape[1], len(layers)
    reached, above = [X], [np.eye(Y.shape[0])]
    for W in layers:
        reached.append(W @ reached[-1])
    for W in layers[:0:-1]:
        above.insert(0, above[0] @ W)
    R = Y - reached[-1]
    maps = [np.einsum("ou,vi->iouv", A, h).reshape(P, len(Y), -1) for A, h in zip(above, reached[:-1], strict=True)]
    J = np.concatenate(maps, axis=2)
    gradients, hessians = -np.einsum("oi,ion->in", R, J), J.transpose(0, 2, 1) @ J
    cuts = np.cumsum([0, *(W.size for W in layers)])
    for low in range(D):
        between = np.eye(len(layers[low]))
        for high in range(low + 1, D):
            back = above[high].T @ R
            bend = np.einsum("pi,qu,vi->ipquv", back, between, reached[low]).reshape(P, layers[high].size, -1)
            rows, columns = slice(*cuts[high : high + 2]), slice(*cuts[low : low + 2])
            hessians[:, rows, columns] -= bend
            hessians[:, columns, rows] -= bend.transpose(0, 2, 1)
            between = layers[high] @ between
    return gradients, hessians


def _positive(precision: Array, times: Array, k: int, name: str, value: float, needed: float) -> tuple[Array, bool]:
    try:
        return scipy.linalg.cho_factor(precision)  # type: ignore[no-any-return]
    except np.linalg.LinAlgError as error:
        raise ConditionError(
            f"the curvature with {name} is positive definite", f"{name} = {value:g} at t = {times[k]:.4g}",
            f"use {name} above {needed:.4g}",
        ) from error  # fmt: skip


def dense_newton(
    X: Array,
    Y: Array,
    layers: Sequence[Array],
    times: Array,
    *,
    damping: float,
    progress: Callable[[int], None] | None = None,
) -> Array:
    """``-g_i^T (H + damping)^{-1} g_j``, ``(T, P, P)``, of layers ``(T, n_l, n_{l-1})``."""
    refuse_if_too_large(sum(W[0].size for W in layers), X.shape[1], "damped_newton")
    influence = []
    for k in range(len(times)):
        g, items = item_derivatives(X, Y, [W[k] for W in layers])
        H = items.mean(axis=0)
        needed = -float(scipy.linalg.eigvalsh(H, subset_by_index=[0, 0])[0])
        factor = _positive(H + damping * np.eye(len(H)), times, k, "damping", damping, needed)
        influence.append(-g @ scipy.linalg.cho_solve(factor, g.T))
        if progress:
            progress(1)
    return np.array(influence)


def dense_bif(
    X: Array,
    Y: Array,
    layers: Sequence[Array],
    times: Array,
    *,
    n_beta: float,
    gamma: float,
    progress: Callable[[int], None] | None = None,
) -> Array:
    """``-Cov(l_i, l_j)`` to second order at the localised maximum, ``(T, P, P)``: ``g C g + tr(H_i C H_j C) / 2``."""
    N, P = sum(W[0].size for W in layers), X.shape[1]
    refuse_if_too_large(N, P, "local_bif")
    influence = np.empty((len(times), P, P))
    for k in range(len(times)):
        here = [W[k] for W in layers]
        smallest = float(scipy.linalg.eigvalsh(item_derivatives(X, Y, here)[1].mean(axis=0), subset_by_index=[0, 0])[0])
        needed = -n_beta * smallest
        if gamma <= needed:
            raise ConditionError(
                "the local posterior exists (gamma > -n beta lambda_min)",
                f"gamma = {gamma:g} at t = {times[k]:.4g}, where lambda_min = {smallest:.4g}",
                f"use gamma above {needed:.4g}, or a smaller n beta",
            )
        g, items = item_derivatives(X, Y, _maximum(X, Y, here, n_beta, gamma, 2 * needed))
        precision = n_beta * items.mean(axis=0) + gamma * np.eye(N)
        factor = _positive(precision, times, k, "gamma", gamma, 2 * needed)
        C = scipy.linalg.cho_solve(factor, np.eye(N))
        spread = (items @ C).reshape(P, N, N)
        second = spread.reshape(P, -1) @ spread.transpose(0, 2, 1).reshape(P, -1).T
        influence[k] = -(g @ C @ g.T + second / 2)
        if progress:
            progress(1)
    return influence


def _maximum(X: Array, Y: Array, layers: list[Array], n_beta: float, gamma: float, enough: float) -> list[Array]:
    """Layers at the maximum of the local posterior around ``layers``; see `dense_posterior.dense_map`."""
    star = np.concatenate([W.ravel() for W in layers])
    cuts = np.cumsum([0, *(W.size for W in layers)])

    def unpack(w: Array) -> list[Array]:
        return [w[i:j].reshape(W.shape) for (i, j), W in zip(pairwise(cuts), layers, strict=True)]

    def height(w: Array) -> float:
        outputs = X
        for W in unpack(w):
            outputs = W @ outputs
        return float(n_beta * ((Y - outputs) ** 2).sum() / (2 * X.shape[1]) + gamma / 2 * ((w - star) @ (w - star)))

    def force(w: Array) -> Array:
        return np.asarray(n_beta * item_derivatives(X, Y, unpack(w))[0].mean(axis=0) + gamma * (w - star))

    def step(w: Array, pull: Array) -> Array:
        values, vectors = np.linalg.eigh(n_beta * item_derivatives(X, Y, unpack(w))[1].mean(axis=0))
        return np.asarray(vectors @ ((vectors.T @ pull) / np.maximum(np.abs(values + gamma), 1e-8 * gamma)))

    return unpack(descend(star, height, force, step, gamma, enough))
