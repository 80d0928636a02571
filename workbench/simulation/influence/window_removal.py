"""Window removal by retraining: item i is absent only for t in [t0, t1]; any set of windows in one batch.

Influence is ``l_j`` with the item always there minus ``l_j`` with the window cut out; negative = helpful. The window
over all of training is leave-one-out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.simulation.influence.leave_one_out import Convention, leave_one_out_weights, retrained_losses
from workbench.simulation.running.batches import MEMORY, Progress
from workbench.simulation.running.place import CPU, Place
from workbench.simulation.training.recipes import ItemWeights, Recipe, as_recipe
from workbench.simulation.training.schedule import Schedule
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]
Window = tuple[float, float]


def window_steps(schedule: Schedule, windows: Sequence[Window]) -> NDArray[np.int64]:
    """``(W, 2)`` step counts nearest to the windows; an item is absent in the steps that begin between the two."""
    times = np.reshape(np.asarray(windows, dtype=np.float64), (-1, 2))
    for begin, end in times:
        if not 0 <= begin <= end:
            raise ConditionError(
                "windows (t0, t1) with 0 <= t0 <= t1", f"({begin:g}, {end:g})", "give the earlier time first"
            )
    return np.asarray(np.rint(np.minimum(times / schedule.eta, schedule.total)), dtype=np.int64)


def window_weights(n_items: int, steps: NDArray[np.int64], convention: Convention = "unnormalised") -> ItemWeights:
    """Item weights of ``1 + W P`` runs: all items throughout, then each window without each item.

    Args:
        n_items: P.
        steps: ``(W, 2)`` from `window_steps`.
        convention: weights of the items kept, inside the window; see `leave_one_out_weights`.
    """
    without = leave_one_out_weights(n_items, convention)
    begins = np.unique(np.append(steps, 0))
    inside = (steps[:, :1] <= begins) & (begins < steps[:, 1:])  # (W, S)
    runs = np.where(inside.T[:, :, None, None], without, 1.0)
    values = np.concatenate([np.ones((len(begins), 1, n_items)), runs.reshape(len(begins), -1, n_items)], axis=1)
    return ItemWeights(tuple(int(n) for n in begins), values)


def window_removal(
    network: Network,
    training: Recipe | Schedule,
    windows: Sequence[Window],
    *,
    convention: Convention = "unnormalised",
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Array:
    """Influence of each item's presence in each window, ``(window, T, source P, target P)``.

    Args:
        network: the start; any depth and activation.
        training: recipe or schedule of the training; held-out runs see the same mini-batches, without the item.
        windows: pairs ``(t0, t1)`` of flow times, ``0 <= t0 <= t1``, rounded to whole steps (`window_steps`).
        convention: weights of the items kept, inside the window: 1 (``"unnormalised"``) or P/(P-1)
            (``"renormalised"``).
        place, memory, progress, slot: see `retrained_losses`.
    """
    recipe, P = as_recipe(training, network), network.task.n_items
    weights = window_weights(P, window_steps(recipe.schedule, windows), convention)
    losses = retrained_losses(network, recipe, weights, place=place, memory=memory, progress=progress, slot=slot)
    change = losses[:, :1] - losses[:, 1:]
    return np.asarray(change.reshape(len(losses), len(windows), P, P).swapaxes(0, 1))
