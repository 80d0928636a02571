"""Losses of many runs from one start that weigh the items differently: held-out items, windows, subsets."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.running.batches import MEMORY, Progress, run_batches, shared_progress
from workbench.simulation.running.place import CPU, Place
from workbench.simulation.running.threads import in_threads, torch_threads
from workbench.simulation.training.descent import bytes_per_run, descend
from workbench.simulation.training.output_basis import on_outputs, output_basis
from workbench.simulation.training.recipes import ItemWeights, Recipe, as_recipe
from workbench.simulation.training.schedule import Schedule
from workbench.simulation.training.steppers import stepper
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]
Convention = Literal["unnormalised", "renormalised"]

#: Weights of all runs of one job together; more do not fit a processor's cache.
_JOB_WEIGHTS = 1e5
#: Floating-point operations a step from which sharing the runs among cores pays.
_WORTH_A_CORE = 1e6


def leave_one_out_weights(n_items: int, convention: Convention) -> Array:
    """``(P, P)`` item weights, row i for the run without item i.

    ``"unnormalised"``: the others keep weight 1, so the loss is ``(1/P) sum over j != i`` (eps_i = -1/P).
    ``"renormalised"``: they get P/(P-1), the mean over the items kept. The second speeds up every other item and
    so changes the sign of most early entries; never mix the two.
    """
    if convention not in ("unnormalised", "renormalised"):
        raise WorkbenchError(f"convention {convention!r} is unknown; use 'unnormalised' or 'renormalised'")
    keep = 1.0 - np.eye(n_items)
    return keep if convention == "unnormalised" else keep * n_items / (n_items - 1)


def retrained_losses(
    network: Network,
    training: Recipe | Schedule,
    item_weights: ItemWeights | ArrayLike,
    *,
    starts: Sequence[Network] | None = None,
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Array:
    """``(T, R, P)`` item losses of R runs from one start that weigh the items differently.

    Args:
        network: the start.
        training: recipe of the training, or its schedule.
        item_weights: ``(R, P)`` factors, or `ItemWeights` that change on the way.
        starts: R starts of the network's shape and task, one a run; None: all runs begin at the network.
        place: device and precision.
        memory: bytes that the runs trained at one time may take; more are trained in several batches. The numbers of
            a run do not depend on the runs beside it.
        progress: called with the number of steps done since the last call, counted once for all runs.
        slot: where to keep the work done so far, and to go on with what was kept there.
    """
    recipe = as_recipe(training, network)
    weights = item_weights if isinstance(item_weights, ItemWeights) else ItemWeights.constant(item_weights)
    P = network.task.n_items
    if weights.values.shape[2] != P:
        raise WorkbenchError(f"item weights for {weights.values.shape[2]} items; the task has {P}")
    basis = output_basis([network] if starts is None else starts, recipe)
    small = on_outputs(network, basis)
    each = [small] if starts is None else [on_outputs(start, basis) for start in starts]
    losses = np.zeros((len(recipe.schedule.steps), weights.runs, P))
    jobs, workers = _jobs(weights.runs, small, place)
    batches = run_batches(weights.runs, bytes_per_run(small), memory / workers, jobs)
    report = shared_progress(progress, len(batches))

    def train_some(rows: slice, stopped: Event) -> None:
        chosen, part = weights.of(rows), losses[:, rows]
        runs = stepper(each if starts is None else each[rows], recipe, chosen.runs, place)
        model = NetworkModel.of(small, place)

        def record(k: int) -> None:
            if stopped.is_set():
                raise WorkbenchError("stopped: another batch of runs failed")
            batch = model.batch(torch.cat([W.flatten(1) for W in runs.layers], dim=1))
            batch.refresh()
            part[k] = batch.losses().cpu().numpy()

        descend(runs, recipe, chosen, record, progress=report, slot=slot.part(rows.start), recorded={"losses": part})

    with torch_threads(workers):
        in_threads(train_some, batches)
    return losses


def _jobs(runs: int, network: Network, place: Place) -> tuple[int, int]:
    """Into how many jobs to cut the runs, and how many run at a time: work for every core, and cached jobs."""
    if place.device != "cpu":
        return 1, 1
    flops = 6.0 * runs * network.n_weights * network.task.n_items
    workers = max(1, min(torch.get_num_threads(), int(flops // _WORTH_A_CORE)))
    return max(workers, int(np.ceil(runs * network.n_weights / _JOB_WEIGHTS))), workers
