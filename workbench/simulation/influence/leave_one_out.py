"""Losses of many runs from one start that weigh the items differently: held-out items, windows, subsets."""

from __future__ import annotations

from threading import Event

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.simulation.network.backprop import activities
from workbench.simulation.running.batches import MEMORY, Progress, run_batches, shared_progress
from workbench.simulation.running.threads import in_threads, torch_threads
from workbench.simulation.training.descent import CPU, Place, bytes_per_run, descend_batch
from workbench.simulation.training.recipes import ItemWeights, Recipe
from workbench.simulation.training.two_layer_training import output_basis
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]

#: Floating-point operations a step from which sharing the runs among cores pays.
_WORTH_A_CORE = 1e6


def retrained_losses(
    network: Network,
    recipe: Recipe,
    item_weights: ItemWeights | ArrayLike,
    *,
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Array:
    """``(T, R, P)`` item losses of R runs from one start that weigh the items differently.

    Args:
        network: the start.
        recipe: how to train.
        item_weights: ``(R, P)`` factors, or `ItemWeights` that change on the way.
        place: device and precision.
        memory: bytes that the runs trained at one time may take; more are trained in several batches. The numbers of
            a run do not depend on the runs beside it.
        progress: called with the number of steps done since the last call, counted once for all runs.
        slot: where to keep the work done so far, and to go on with what was kept there.
    """
    weights = item_weights if isinstance(item_weights, ItemWeights) else ItemWeights.constant(item_weights)
    P = network.task.n_items
    if weights.values.shape[2] != P:
        raise WorkbenchError(f"item weights for {weights.values.shape[2]} items; the task has {P}")
    small = fewer_outputs(network, recipe)
    inputs, targets = place.inputs(network.task), place.tensor(small.task.Y)
    losses = np.zeros((len(recipe.schedule.steps), weights.runs, P))
    flops = 6.0 * weights.runs * small.n_weights * P
    workers = max(1, min(torch.get_num_threads(), int(flops // _WORTH_A_CORE))) if place.device == "cpu" else 1
    batches = run_batches(weights.runs, bytes_per_run(small), memory / workers, workers)
    report = shared_progress(progress, len(batches))

    def train_some(runs: slice, stopped: Event) -> None:
        def keep(k: int, layers: list[torch.Tensor]) -> None:
            if stopped.is_set():
                raise WorkbenchError("stopped: another batch of runs failed")
            residual = targets - activities(layers, inputs, network.activation)[-1]
            losses[k, runs] = residual.square().sum(dim=1).mul_(0.5).cpu().numpy()

        descend_batch(
            [small],
            recipe,
            weights.of(runs),
            keep,
            place=place,
            progress=report,
            slot=slot.part(runs.start),
            recorded={"losses": losses[:, runs]},
        )

    with torch_threads(workers):
        in_threads(train_some, batches)
    return losses


def fewer_outputs(network: Network, recipe: Recipe) -> Network:
    """The same problem on the outputs that can move, where the rule does not care about the output basis."""
    task = network.task
    if not recipe.optimizer.rotates:
        return network
    basis = output_basis(task.Y, network.weights[-1])
    if basis.shape[1] == task.n_outputs:
        return network
    names = tuple(f"direction {k + 1}" for k in range(basis.shape[1]))
    smaller = SemanticTask(task.name, task.items, names, basis.T @ task.Y, X=task.X)
    return Network(smaller, (*network.weights[:-1], basis.T @ network.weights[-1]), network.activation)
