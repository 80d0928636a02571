"""Low-temperature covariance of the item losses when the modes share one two-layer network.

Localised at 0, the modes with ``s_k > e = gamma / n beta`` are learned up to ``a_k = (s_k - e) / c``; the
others are at 0. Fluctuations about this maximum give, with ``H_k`` the item projector of a level (or of a
single mode)::

    Cov(l_i, l_j) = sum_{k <= k'} H_k(ij) H_k'(ij) c_kk'
    learned:            c_kk = P^2 e^2 / (c n beta),      c_kk' = 2 P^2 e^2 / (c n beta)
    learned, unlearned: c_kk' = (P^2 a_k / n beta) [ s_k (e^2 + s_k'^2) + 2 e s_k'^2 ] / (s_k^2 - s_k'^2)

It holds away from the thresholds ``n beta = gamma / s_k``, where the mode that is about to be learned
fluctuates critically.  Source: derived for this project.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.modes import Modes
from workbench.theory.posterior.coupled_forms import learned_pair_form, unlearned_pair_form
from workbench.theory.roots import sign_changes

Array = NDArray[np.float64]
Near = Literal["raise", "nan", "ignore"]

#: Least distance from a threshold in units of the critical fluctuations (see `threshold_distance`).
MARGIN = 3.0


def threshold_distance(s: ArrayLike, c_value: float, n_beta: ArrayLike, gamma: float) -> Array:
    """``(T,)`` distance of e = gamma / n beta from the nearest ``s_k`` in units of the critical fluctuations.

    A mode at its threshold fluctuates by ``1 / sqrt(n beta c)`` in strength, which is ``sqrt(c / n beta)`` in
    s: the low-temperature formula needs ``|s_k - e| sqrt(n beta / c) >> 1``.
    """
    grid = np.atleast_1d(np.asarray(n_beta, dtype=np.float64))
    gap = np.abs(np.asarray(s, dtype=np.float64) - (gamma / grid)[:, None]).min(axis=1)
    return np.asarray(gap * np.sqrt(grid / c_value))


def _checked(s: Array, c_value: float, n_beta: ArrayLike, gamma: float, near: Near) -> tuple[Array, NDArray[np.bool_]]:
    grid = np.atleast_1d(np.asarray(n_beta, dtype=np.float64))
    if not (gamma > 0 and grid.size and (grid > 0).all() and np.isfinite(grid).all()):
        raise ConditionError(
            "n beta > 0 and gamma > 0",
            f"n beta = {grid.min(initial=np.inf):g}, gamma = {gamma:g}",
            "give both",
        )
    if near not in ("raise", "nan", "ignore"):
        raise WorkbenchError(f"near_threshold {near!r} is unknown; use 'raise', 'nan' or 'ignore'")
    distance = threshold_distance(s, c_value, grid, gamma)
    close = distance < MARGIN if near != "ignore" else np.zeros(len(grid), dtype=bool)
    if near == "raise" and close.any():
        worst = int(np.argmin(distance))
        mode = float(s[np.argmin(np.abs(s - gamma / grid[worst]))])
        raise ConditionError(
            f"n beta is {MARGIN:g} critical fluctuations away from every threshold gamma / s_k",
            f"n beta = {grid[worst]:.6g}, {distance[worst]:.3g} away from {gamma / mode:.6g}",
            "move n beta, raise gamma at the same n beta / gamma, or pass near_threshold='nan'",
        )
    return grid, close


def coupling(s: ArrayLike, c_value: float, n_items: int, n_beta: float, gamma: float) -> Array:
    """``(K, K)`` M with ``Cov_ij = sum_ab M_ab (v_ai v_aj)(v_bi v_bj)``; off the diagonal M_ab = c_ab / 2."""
    strength = np.asarray(s, dtype=np.float64)
    learned = n_beta * strength > gamma
    M = np.zeros((len(strength), len(strength)))
    M[np.ix_(learned, learned)] = learned_pair_form().function(n_items, n_beta, gamma, c_value)
    mixed = unlearned_pair_form().function(
        n_items, n_beta, gamma, c_value, strength[learned, None], strength[None, ~learned]
    )
    M[np.ix_(learned, ~learned)] = mixed / 2
    M[np.ix_(~learned, learned)] = mixed.T / 2
    return M


def coupled_covariance(modes: Modes, n_beta: ArrayLike, gamma: float, *, near_threshold: Near = "raise") -> Array:
    """``(T, P, P)`` Cov(l_i, l_j) of a two-layer network localised at 0, unit loss^2; the BIF is minus this.

    Args:
        modes: modes of the task. The network needs a hidden unit for every learned mode; more change nothing.
        n_beta: ``(T,)`` values of inverse temperature times number of items.
        gamma: localization. Accurate to a few percent at n beta, gamma of order 1e4, to 5-40% at 1e2.
        near_threshold: what to do less than `MARGIN` critical fluctuations away from a threshold gamma / s_k:
            ``"raise"`` a ConditionError, return ``"nan"`` there, or ``"ignore"``.
    """
    grid, close = _checked(modes.s, modes.c, n_beta, gamma, near_threshold)
    pairs = modes.V[:, None, :] * modes.V[None, :, :]
    M = [coupling(modes.s_all, modes.c, modes.n_items, float(value), gamma) for value in grid]
    covariance = np.einsum("ija,tab,ijb->tij", pairs, np.array(M), pairs, optimize=True)
    covariance[close] = np.nan
    return np.asarray(covariance)


def level_projector_values(hierarchy: Hierarchy) -> Array:
    """``(D + 1, D + 1)`` value of H_k (column) for a pair with common ancestor on level m (row).

    Row D is an item with itself.

    ``1/M_k - 1/M_{k-1}`` for k <= m (1/M_{-1} = 0), ``-1/M_m`` for k = m + 1, 0 below.
    """
    inverse = 1 / np.array(hierarchy.cover, dtype=np.float64)
    H = np.tril(np.broadcast_to(np.diff(inverse, prepend=0.0), (len(inverse), len(inverse)))).copy()
    H[np.arange(len(inverse) - 1), np.arange(1, len(inverse))] = -inverse[:-1]
    return H


def coupled_covariance_by_level(
    hierarchy: Hierarchy,
    s_levels: ArrayLike,
    n_beta: ArrayLike,
    gamma: float,
    *,
    c: float | None = None,
    near_threshold: Near = "raise",
) -> Array:
    """``(D + 1, T)`` covariance of items with common ancestor on level m = 0..D (D: an item with itself).

    Args:
        hierarchy: the tree.
        s_levels: ``(D + 1,)`` singular value of every level's modes.
        n_beta: ``(T,)``.
        gamma: localization.
        c: input scale; 1/P (one-hot items) unless given.
        near_threshold: see `coupled_covariance`.
    """
    s, scale = _levels(hierarchy, s_levels), 1 / hierarchy.n_items if c is None else c
    grid, close = _checked(s[s > 0], scale, n_beta, gamma, near_threshold)
    H = level_projector_values(hierarchy)
    M = np.array([coupling(s, scale, hierarchy.n_items, float(value), gamma) for value in grid])
    covariance = np.einsum("mk,tkl,ml->mt", H, M, H)
    covariance[:, close] = np.nan
    return np.asarray(covariance)


def _levels(hierarchy: Hierarchy, s_levels: ArrayLike) -> Array:
    s = np.asarray(s_levels, dtype=np.float64)
    if s.shape != (hierarchy.depth + 1,) or not (s >= 0).all() or not s.any():
        raise WorkbenchError(
            f"singular values {s.tolist()} for a tree of depth {hierarchy.depth}; "
            f"give one >= 0 per level 0..{hierarchy.depth}"
        )
    return s


def coupled_flips(hierarchy: Hierarchy, s_levels: ArrayLike) -> dict[int, Array]:
    """``n beta / gamma`` at which the covariance of pairs with common ancestor on level m < D changes sign.

    The sign depends on n beta and gamma through their ratio alone, and not on c. Jumps at the thresholds
    themselves, where the formula does not hold, are not counted.
    """
    s = _levels(hierarchy, s_levels)
    thresholds = 1 / np.unique(s[s > 0])[::-1]
    bounds = np.append(thresholds, 4 * thresholds[-1])
    flips: dict[int, Array] = {}
    for m in range(hierarchy.depth):

        def value(ratio: Array, m: int = m) -> Array:
            covariance = coupled_covariance_by_level(
                hierarchy, s, np.atleast_1d(ratio), 1.0, c=1.0, near_threshold="ignore"
            )
            return np.asarray(covariance[m].reshape(np.shape(ratio)))

        inside = [sign_changes(value, np.linspace(low, high, 201)[1:-1]) for low, high in pairwise(bounds)]
        flips[m] = np.concatenate(inside)
    return flips
