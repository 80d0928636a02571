"""Derivative of the losses through the training history: ``dl_j(t) / d eps_i`` for ``L + sum_i eps_i l_i``.

For an aligned start of any depth, mode pair by mode pair, with the responses ``x_ab`` of `mode_transport`::

    dl_j/deps_i = -P^2 sum_{a,b} (v_ai v_bi)(v_aj v_bj) e_a(t) x_ab(t)

Early on ``dl_j/deps_i = -t K_ij``. For two layers ``x_ab = m_ab / c`` has the closed form of `mode_response`. Source:
derived for this project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import Modes
from workbench.theory.flow.weighted_flow import ALWAYS, Window
from workbench.theory.influence.mode_transport import pair_responses
from workbench.theory.modes.groups import ModeGroups, mode_groups

Array = NDArray[np.float64]


def started_groups(modes: Modes, a0: float, active: int | None = None) -> tuple[ModeGroups, Array]:
    """The groups of all P modes, null modes too, and ``(G,)`` their strengths at t = 0: 0 without a hidden unit."""
    if not a0 > 0:
        raise ConditionError("a0 > 0", f"a0 = {a0:g}", "use the a0 of the start")
    groups = mode_groups(modes, active, null=True)
    return groups, np.where(groups.learned, a0, 0.0)


def trajectory_derivative(
    modes: Modes,
    times: ArrayLike,
    *,
    a0: float,
    active: int | None = None,
    depth: int = 2,
    window: Window = ALWAYS,
) -> Array:
    """``dl_j(t)/deps_i`` on an aligned balanced trajectory, ``(T, source P, target P)``; negative = helpful.

    Args:
        modes: modes of the task.
        times: ``(T,)`` flow times >= 0.
        a0: initial strength of every mode that has a hidden unit.
        active: how many modes have one, ``min(K, widths)``; all unless given.
        depth: number of layers D >= 1.
        window: eps_i acts only between these flow times; from start to end unless given.

    Units of the loss per unit of eps (eps_i = -1/P is leave-one-out). Accurate to rounding (1e-13 of the
    largest entry) at every t.
    """
    groups, strengths = started_groups(modes, a0, active)
    x, e = pair_responses(groups.s, strengths, times, c=modes.c, depth=depth, window=window)
    return in_items(groups, e[:, :, None] * x)


def in_items(groups: ModeGroups, weights: Array) -> Array:
    """``-P^2 sum_{a,b} (v_ai v_bi)(v_aj v_bj) w_ab``, ``(T, P, P)``, of ``(T, G, G)`` weights of pairs of groups."""
    P = groups.projectors.shape[1]
    # The form is symmetric in i and j: half the pairs are enough.
    rows, columns = np.triu_indices(P)
    pairs = groups.projectors[:, rows, columns]
    influence = np.empty((len(weights), P, P))
    for k, one in enumerate(weights):
        half = -(P**2) * ((one @ pairs) * pairs).sum(axis=0)
        influence[k, rows, columns] = half
        influence[k, columns, rows] = half
    return influence
