"""Training as people train: networks of any depth, mini-batches, momentum, Adam; many runs in one batch.

Run r descends ``(1/B) sum over its batch of omega_ri l_i``. The runs of a batch may differ in their initial weights
(seeds) and item weights omega (held-out items, windows, subsets), never in the order of the items. A step is worth
``eta`` of flow time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.running.batches import MEMORY, Progress, run_batches, shared_progress
from workbench.simulation.running.cuda_graph import STEPS, Repeated
from workbench.simulation.running.place import CPU, Place
from workbench.simulation.running.threads import torch_threads
from workbench.simulation.training.output_basis import on_outputs, output_basis
from workbench.simulation.training.recipes import ItemWeights, Recipe, as_recipe
from workbench.simulation.training.schedule import Schedule
from workbench.simulation.training.steppers import Stepper, stepper
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


def descend(
    runs: Stepper,
    recipe: Recipe,
    item_weights: ItemWeights,
    record: Callable[[int], None],
    *,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
    recorded: dict[str, Array] | None = None,
) -> None:
    """Take the steps of a recipe, and call ``record(checkpoint)`` at every checkpoint.

    Args:
        runs: what moves.
        recipe: schedule and mini-batches.
        item_weights: of the R runs.
        progress: called with the number of steps done since the last call.
        slot: where to keep the work done so far, and to go on with what was kept there.
        recorded: the arrays that ``record`` writes to; they are kept along.
    """
    recorded = recorded or {}
    done = _restored(runs, slot, recorded)
    batches = islice(recipe.batches(item_weights.values.shape[2]), done, None)
    device = next(iter(runs.numbers().values())).device
    if progress and done:
        progress(done)

    def keep() -> None:
        if slot.store is not None:
            slot.save({"done": done, **{name: x.cpu() for name, x in runs.numbers().items()}, **recorded})

    before, shown, repeated = done, -1, Repeated(lambda: runs.step(None, 0), device)
    for k, wanted in enumerate(recipe.schedule.steps):
        if wanted < before:
            continue
        while done < wanted:
            phase, until = item_weights.phase(done)
            if phase != shown:
                runs.weigh(item_weights.values[phase])
                shown = phase
            stretch = range(done, min(wanted, until, done + STEPS))
            if recipe.steady:
                repeated(len(stretch))
            else:
                for n, items in zip(stretch, batches, strict=False):
                    runs.step(None if items is None else torch.tensor(items, device=device), n + 1)
            done = stretch.stop
            if progress:
                progress(len(stretch))
            if slot.due():
                keep()
        if not all(bool(torch.isfinite(x).all()) for x in runs.numbers().values()):
            raise WorkbenchError(
                f"training diverged before t = {recipe.schedule.times[k]:.4g} with eta = {recipe.schedule.eta:.3g}; "
                "the largest stable learning rate is 2 / (largest curvature), of two linear layers about 1 / s_max: "
                "use a smaller `eta`"
            )
        record(k)
    keep()


def _restored(runs: Stepper, slot: Slot, recorded: dict[str, Array]) -> int:
    """Put what was kept back into the runs and the records; the steps that were done."""
    kept = slot.load()
    if kept is None:
        return 0
    for name, values in runs.numbers().items():
        values.copy_(torch.from_numpy(kept[name]))
    for name, array in recorded.items():
        array[:] = kept[name]
    return int(kept["done"])


def train(
    network: Network,
    training: Recipe | Schedule | ArrayLike,
    *,
    eta: float | None = None,
    place: Place = CPU,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Trajectory:
    """Train one network on all items and keep its weights at every checkpoint.

    Args:
        network: the start.
        training: a `Recipe`, a `Schedule`, or ``(T,)`` flow times, which become multiples of ``eta``.
        eta: learning rate for times; None: a hundredth of the largest stable one of a linear network.
        place: device and precision.
        progress: called with the number of steps done since the last call.
        slot: where to keep the work done so far, and to go on with what was kept there.
    """
    return train_networks([network], as_recipe(training, network, eta), place=place, progress=progress, slot=slot)[0]


def train_networks(
    networks: Sequence[Network],
    training: Recipe | Schedule,
    *,
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> list[Trajectory]:
    """Train networks of one shape on all items of one task side by side, and keep their weights at every checkpoint.

    Args:
        networks: the starts. how: see `train`. place: device and precision.
        memory: bytes that the runs trained at one time may take, besides what is kept; more are trained in several
            batches.
        progress: called with the number of steps done since the last call, counted once for all runs.
        slot: where to keep the work done so far, and to go on with what was kept there.
    """
    first, recipe = networks[0], training if isinstance(training, Recipe) else Recipe(training)
    for network in networks:
        if (network.shapes, network.activation) != (first.shapes, first.activation) or network.task is not first.task:
            raise WorkbenchError("networks of one batch share task, layer sizes and activation; train others apart")
    kept = [np.zeros((len(recipe.schedule.steps), len(networks), *shape)) for shape in first.shapes]
    weights = ItemWeights.constant(np.ones((len(networks), first.task.n_items)))
    batches = run_batches(len(networks), bytes_per_run(first), memory)
    report = shared_progress(progress, len(batches))
    with torch_threads(1):
        for rows in batches:
            parts = [store[:, rows] for store in kept]
            _train_batch(networks[rows], recipe, weights.of(rows), parts, place, report, slot.part(rows.start))
    schedule = recipe.schedule
    return [
        Trajectory(network, "trained", schedule.times, tuple(W[:, r] for W in kept), schedule.eta)
        for r, network in enumerate(networks)
    ]


def _train_batch(
    networks: Sequence[Network],
    recipe: Recipe,
    weights: ItemWeights,
    kept: list[Array],
    place: Place,
    progress: Progress | None,
    slot: Slot,
) -> None:
    """Put the layers of R runs at every checkpoint into ``kept``, ``(T, R, n_l, n_{l-1})`` each."""
    basis = output_basis(networks, recipe)
    runs = stepper([on_outputs(network, basis) for network in networks], recipe, weights.runs, place)

    def record(k: int) -> None:
        for store, W in zip(kept, runs.layers, strict=True):
            store[k] = W.cpu().numpy() if basis is None or store is not kept[-1] else basis @ W.cpu().numpy()

    recorded = {f"at{layer}": store for layer, store in enumerate(kept)}
    descend(runs, recipe, weights, record, progress=progress, slot=slot, recorded=recorded)


def bytes_per_run(network: Network) -> float:
    """Weights, gradient, change and two memories; activities, residuals and their temporaries; item weights."""
    P, rows = network.task.n_items, sum(rows for rows, _ in network.shapes)
    return 8.0 * (6 * network.n_weights + 4 * rows * P + 4 * P)
