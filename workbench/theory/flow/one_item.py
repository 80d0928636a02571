"""Gradient flow of an aligned network in which one item weighs differently: a few directions per item, at any depth.

Modes of equal singular value share a curve, so that the frame of a group of them is free; take as its first direction
``p_g ~ V_g^T e_i``, what item i sees of it. Then ``r_i x_i^T``, all that the weight of item i changes, joins the
directions ``p_g`` alone: D layers of G x G numbers for G groups, whatever P is. With ``q_i = (|V_g^T e_i|)_g``,
``S = diag(s_g)`` and W the product of the layers in those directions::

    dW_l/dt = (W_D ... W_{l+1})^T E (W_{l-1} ... W_1)^T,     E = (S - c W) (I + (omega - 1) q_i q_i^T)

and every other direction of a group keeps the residual ``e_g(t)`` of its mode. The losses, with
``q_ij = (e_i^T V_g V_g^T e_j / |V_g^T e_i|)_g``, are

    l_j = (P / 2c) [ |(S - c W) q_ij|^2 + sum_g e_g^2 ( |V_g^T e_j|^2 - q_ijg^2 ) ]

Items that see the groups alike, such as all items of a tree, share one run.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.flow.aligned import mode_residuals
from workbench.theory.flow.reduction import ReducedFlow
from workbench.theory.flow.weighted_flow import ALWAYS, Progress, Window, checked_times, checked_window, run_losses
from workbench.theory.modes.groups import ModeGroups, mode_groups

Array = NDArray[np.float64]

#: Items whose q differ by less share a run.
_ALIKE = 12


def one_item_losses(
    network: Network,
    times: ArrayLike,
    weight: float = 0.0,
    *,
    window: Window = ALWAYS,
    rtol: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """``(T, P, P)``: entry (t, i, j) is the loss of item j at time t in the run in which item i has ``weight``.

    Args:
        network: aligned and balanced, of any depth.
        times: ``(T,)`` flow times >= 0, in any order.
        weight: of item i inside the window; 0 leaves it out.
        window, rtol, progress: as of `weighted_flow`, to whose numbers this comes down.
    """
    if network.active is None or network.a0 is None:
        raise ConditionError(
            "balanced aligned initial weights", f"init {network.init}", "use weighted_flow, which takes any start"
        )
    t, back = np.unique(checked_times(times), return_inverse=True)
    if weight == 1.0:
        losses = _ordinary_losses(network, t)[:, None, :]
        return np.broadcast_to(losses, (len(t), losses.shape[2], losses.shape[2]))[back]
    groups, P, c = mode_groups(network.modes, network.active, null=True), network.modes.n_items, network.modes.c
    seen = np.sqrt(np.diagonal(groups.projectors, axis1=1, axis2=2)).T
    _, kinds, kind = np.unique(seen.round(_ALIKE), axis=0, return_index=True, return_inverse=True)
    flow = _flow_of_groups(network, groups, seen[kinds])
    omega = np.ones((len(kinds), len(kinds)))
    np.fill_diagonal(omega, weight)
    # q_ij, 0 where item i sees nothing of a group; and what is left of item j in each group.
    share = groups.projectors.transpose(1, 0, 2) / np.where(seen > 0, seen, np.inf)[:, :, None]
    rest = seen.T**2 - share**2
    alone = _residuals(network, groups, t)
    S = flow.Syx
    losses = np.empty((len(t), P, P))

    @cache
    def items_of(start: int, stop: int) -> tuple[Any, Any, Any]:
        items = np.flatnonzero((kind >= start) & (kind < stop))
        # Most often all items, of which no copy is made.
        every = len(items) == P
        return slice(None) if every else items, share if every else share[items], rest if every else rest[items]

    def record(k: int, runs: slice, layers: Any) -> None:
        of_runs, seen_by, left = items_of(runs.start, runs.stop)
        product = layers[0]
        for W in layers[1:]:
            product = W @ product
        # Until the window begins one run stands for all.
        runs_apart = np.broadcast_to(S - c * product, (runs.stop - runs.start, *S.shape))
        apart = runs_apart[kind[of_runs] - runs.start] @ seen_by
        losses[k, of_runs] = P / (2 * c) * (np.einsum("rgj,rgj->rj", apart, apart) + alone[k] ** 2 @ left)

    run_losses(flow, omega, t, record, window=checked_window(window), rtol=rtol, progress=progress)
    return losses[back]


def _residuals(network: Network, groups: ModeGroups, times: Array) -> Array:
    """``(T, G)`` ``e_g``, 0 for the directions without signal."""
    e, known = np.zeros((len(times), len(groups.s))), groups.s > 0
    e[:, known] = mode_residuals(network, times)[:, groups.first[known]]
    return e


def _ordinary_losses(network: Network, times: Array) -> Array:
    """``(T, P)`` with every item at weight 1: ``(P / 2c) sum_k e_k^2 v_kj^2``."""
    modes, e = network.modes, mode_residuals(network, times)
    return np.asarray(modes.n_items / (2 * modes.c) * e**2 @ (modes.V[:, : modes.rank] ** 2).T)


def _flow_of_groups(network: Network, groups: ModeGroups, seen: Array) -> ReducedFlow:
    """One direction a group: the items are the ``(R, G)`` rows of ``seen``, of which the mean loss knows nothing."""
    G, P, c, D = len(groups.s), network.modes.n_items, network.modes.c, network.depth
    a0 = network.a0 or 0.0
    output, hidden = np.eye(G)[groups.s > 0], np.eye(G)[groups.learned]
    frames = [np.eye(G), *[hidden] * (D - 1), output]
    learned = np.diag(groups.learned * a0 ** (1 / D))
    layers = tuple(after @ learned @ before.T for before, after in pairwise(frames))
    inputs = np.sqrt(c * P) * seen.T
    Syx = output @ np.diag(groups.s)
    # Of P items, as the mean loss has it, although few kinds of them are followed.
    return ReducedFlow(layers, Syx, np.full(G, c), inputs, Syx / c @ inputs, tuple(frames), layers, P)
