"""Louder targets of an item: ``dl_j(t) / d eps_i`` of training on ``(1 + P eps_i) y_i``, by retraining.

Runs on `doubled_targets` have the targets of one item a little larger or smaller; the losses are those of the items as
they are. Two runs an item give the derivative up to the square of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network
from workbench.semantics.doubled import doubled_targets, louder
from workbench.simulation.influence.leave_one_out import retrained_losses
from workbench.simulation.running.batches import MEMORY, Progress
from workbench.simulation.running.place import CPU, Place
from workbench.simulation.training.recipes import Recipe
from workbench.simulation.training.schedule import Schedule
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]

#: Relative change of an item's targets: its square, the error, and rounding over it are both about 1e-8.
STEP = 1e-4


def frozen_input_derivative(
    network: Network,
    training: Recipe | Schedule,
    *,
    starts: Sequence[tuple[Network, Network]] | None = None,
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Array:
    """``dl_j(t)/deps_i`` of training on ``Syx + eps_i y_i x_i^T`` with Sxx as it is, ``(T, source P, target P)``.

    Args:
        network: the start; any depth and activation.
        training: recipe, or schedule.
        starts: for every item the starts of its two runs, of targets times ``1 + STEP`` and ``1 - STEP``; None: the
            network itself.
        place, memory, progress, slot: as in `retrained_losses`.

    In units of the loss per unit of eps.
    """
    P = network.task.n_items
    weights = np.vstack([louder(P, STEP), louder(P, -STEP)]).real
    doubled = replace(network, task=doubled_targets(network.task))
    several = None
    if starts is not None:
        several = [replace(doubled, weights=pair[side].weights) for side in (0, 1) for pair in starts]
    losses = retrained_losses(
        doubled, training, weights, starts=several, place=place, memory=memory, progress=progress, slot=slot
    )[..., :P]
    return np.asarray(P * (losses[:, :P] - losses[:, P:]) / (2 * STEP))
