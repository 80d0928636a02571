"""Gaussian prediction of the local Bayesian influence function for an aligned network of any depth.

The local posterior around a checkpoint w* is ``exp(-n beta L(w) - gamma |w - w*|^2 / 2)``. It is expanded at its
maximum (the localised MAP), which stays aligned and balanced. With ``C = (n beta H + gamma)^{-1}`` there,

    Cov(l_i, l_j) = g_i^T C g_j + tr(H_i C H_j C) / 2,

block by block of `pair_blocks` and, for the trace, by Wick's theorem (`second_order`). Nothing of the size of the
Hessian is ever formed.

Source: Kreer et al. (2025) for the BIF; the Gaussian prediction was derived for this project.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import Modes
from workbench.theory.posterior.hessian import check_local_posterior, curvature_range, layer_widths
from workbench.theory.posterior.pair_blocks import aligned_state, weight_covariances
from workbench.theory.posterior.second_order import first_order, item_pairs, second_order

Array = NDArray[np.float64]


def quartic_variance(hidden: int, n_outputs: int, gamma: float) -> float:
    """Variance of ``|dW2 dW1 x|^2 / 2``, the part of an item's loss that the prediction leaves out; x of length 1.

    Where gamma alone holds the weights: ``|dW1 x|^2`` and, given it, ``|dW2 dW1 x|^2`` are chi-square of N_h and N_o
    degrees of freedom over gamma, so it is ``N_h N_o (2 N_h + 2 N_o + 4) / (4 gamma^4)``, units loss^2.
    """
    return hidden * n_outputs * (2 * hidden + 2 * n_outputs + 4) / (4 * gamma**4)


def localised_map(u_star: Array, s: Array, c: float, n_beta: float, gamma: float, *, depth: int = 2) -> Array:
    """Weight ``u`` of every mode in every layer at the maximum of the local posterior, same shape as ``u_star``.

    Solves ``g(u) = gamma (u - u*) - n beta u^{D-1} (s - c u^D) = 0``, of degree 2D - 1, a cubic for two layers. Between
    u* and the learned weight ``(s/c)^{1/D}`` g changes sign, so a root exists, and g has no other for
    ``gamma > n beta unique_gamma(s, c, D)``. Where several exist the posterior has several maxima and no one Gaussian.
    An unlearned mode (u* = 0) stays at 0 where its layers hold one another there, D >= 2.

    Raises:
        ConditionError: where the maximum is not unique, naming the gamma that makes it so.
    """
    u_star, s = np.broadcast_arrays(np.asarray(u_star, dtype=np.float64), np.asarray(s, dtype=np.float64))
    _check_unique(u_star, s, c, n_beta, gamma, depth)
    learned = (s / c) ** (1 / depth)
    low, high, u = np.minimum(u_star, learned), np.maximum(u_star, learned), u_star.copy()
    for _ in range(200):
        value = gamma * (u - u_star) - n_beta * u ** (depth - 1) * (s - c * u**depth)
        low, high = np.where(value < 0, u, low), np.where(value > 0, u, high)
        slope = gamma - n_beta * _bend(u, s, c, depth)
        newton = u - value / np.where(slope == 0, 1.0, slope)
        # Newton's step, or the middle of the bracket where that leaves it.
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        stays = (value == 0) | ((u_star == 0) & (depth > 1))
        following = np.where(stays, u, following)
        done = np.abs(following - u).max(initial=0.0) <= 1e-15 * max(1.0, float(u.max(initial=0.0)))
        u = following
        if done:
            break
    return np.asarray(u)


def _bend(u: Array, s: Array, c: float, depth: int) -> Array:
    """``d/du [u^{D-1} (s - c u^D)]``."""
    if depth == 1:
        return np.full_like(u, -c)
    return (depth - 1) * s * u ** (depth - 2) - (2 * depth - 1) * c * u ** (2 * depth - 2)


def unique_gamma(s: Array, c: float, depth: int) -> Array:
    """gamma / n beta above which the local posterior of a mode has one maximum wherever u* is, same shape as ``s``.

    g rises everywhere if gamma exceeds ``n beta`` times the largest slope of ``u^{D-1} (s - c u^D)``, which is
    ``(D/2) s u^{D-2}`` at ``c u^D = s (D-2)/(2 (2D-1))``; s itself for two layers, 0 for one.
    """
    if depth == 1:
        return np.zeros_like(s)
    steepest = (s * (depth - 2) / (2 * (2 * depth - 1) * c)) ** (1 / depth)
    return np.asarray(depth / 2 * s * steepest ** (depth - 2))


def _check_unique(u_star: Array, s: Array, c: float, n_beta: float, gamma: float, depth: int) -> None:
    """Count the roots of g where the simple bound does not answer."""
    if depth <= 2:
        return
    for mode in np.argwhere(gamma <= n_beta * unique_gamma(s, c, depth)):
        k = tuple(mode)
        g = np.zeros(2 * depth)
        g[0], g[depth] = n_beta * c, -n_beta * s[k]
        g[-2] += gamma
        g[-1] -= gamma * u_star[k]
        roots = np.roots(g)
        real = roots[(np.abs(roots.imag) < 1e-9 * np.abs(roots)) & (roots.real > 0)].real
        if len(real) > 1 or (u_star[k] == 0 and len(real)):
            needed = n_beta * float(unique_gamma(s, c, depth).max())
            raise ConditionError(
                "the local posterior has one maximum",
                f"{len(real) + (u_star[k] == 0)} stationary points of a mode of singular value {s[k]:.4g} at gamma = "
                f"{gamma:g}",
                f"use gamma above {needed:.4g}, or a smaller n beta",
            )


def local_bif(
    modes: Modes,
    a: Array,
    times: Array,
    *,
    n_beta: float,
    gamma: float,
    hidden: int | Sequence[int],
    n_outputs: int,
    active: int,
    depth: int = 2,
    order: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Array:
    """Predicted ``BIF(i, j) = -Cov(l_i, l_j)`` at every checkpoint, ``(T, P, P)``, units loss^2.

    Args:
        modes: modes of the task.
        a: ``(T, K)`` mode strengths at the checkpoints.
        times: ``(T,)``, for error messages.
        n_beta: inverse temperature times number of items.
        gamma: localization.
        hidden: units of the hidden layers, all alike or one number a layer; units without a mode widen it too.
        n_outputs: N_o, likewise.
        active: how many modes have a hidden unit, ``min(K, widths)``.
        depth: number of layers D.
        order: 1 for ``g_i^T C g_j`` alone.
        progress: called with the number of checkpoints done since the last call.

    Raises:
        ConditionError: where ``n beta H + gamma`` is not positive definite, or has more than one maximum.
    """
    widths = layer_widths(hidden, depth)
    check_local_posterior(times, curvature_range(modes, a, widths, active, depth=depth)[0], n_beta, gamma)
    star = aligned_state(modes, a, active, depth)
    state = star.at(localised_map(star.w, star.groups.s, modes.c, n_beta, gamma, depth=depth))
    if depth > 2:
        # For two layers the maximum is never more curved than w*: gamma - n beta e = gamma u* / u > 0 there.
        strengths = state.w[:, state.groups.of_mode[: modes.rank]] ** depth
        check_local_posterior(times, curvature_range(modes, strengths, widths, active, depth=depth)[0], n_beta, gamma)
    pairs = item_pairs(state.groups.projectors)
    idle, null_outputs = [width - active for width in widths], n_outputs - modes.rank
    bif = np.empty((len(a), modes.n_items, modes.n_items))
    for checkpoints in state.batches():
        part = state.part(checkpoints)
        covariances = weight_covariances(part, n_beta, gamma)
        values = first_order(part, covariances, pairs)
        if order > 1:
            values = values + second_order(part, covariances, pairs, idle=idle, null_outputs=null_outputs)
        bif[checkpoints] = -pairs.matrix(values)
        if progress:
            progress(len(part.w))
    return bif
