"""Training as people train: networks of any depth, mini-batches, momentum, Adam; many runs in one batch.

Run r descends ``(1/B) sum over its batch of omega_ri l_i``. The runs of a batch may differ in their initial weights
(seeds) and item weights omega (held-out items, windows, subsets), never in the order of the items. A step is worth
``eta`` of flow time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.simulation.network.backprop import Inputs, activities, gradients, split_layers
from workbench.simulation.running.batches import MEMORY, Progress, run_batches, shared_progress
from workbench.simulation.running.cuda_graph import STEPS, Repeated
from workbench.simulation.running.threads import torch_threads
from workbench.simulation.training.recipes import Items, ItemWeights, Recipe
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where and how precisely to compute."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float64

    def tensor(self, values: ArrayLike) -> torch.Tensor:
        """Numbers on the device."""
        return torch.tensor(np.asarray(values), dtype=self.dtype, device=self.device)

    def chosen_rows(self, values: Array, index: NDArray[np.int64]) -> torch.Tensor:
        """``values[index]`` on the device, where rows that repeat are repeated."""
        rows, where = np.unique(index, return_inverse=True)
        return self.tensor(values[rows])[torch.tensor(where, device=self.device)]

    def inputs(self, task: SemanticTask) -> Inputs:
        """Of all items."""
        return Inputs(None if task.one_hot else self.tensor(task.X))

    def chosen(self, inputs: Inputs, items: Items | None) -> Inputs:
        """Of the items of a batch."""
        if items is None:
            return inputs
        index = torch.tensor(items, device=self.device)
        return Inputs(None, index) if inputs.X is None else Inputs(inputs.X[:, index])


CPU = Place()


def descend_batch(
    networks: Sequence[Network],
    recipe: Recipe,
    item_weights: ItemWeights,
    record: Callable[[int, list[torch.Tensor]], None],
    *,
    place: Place = CPU,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
    recorded: dict[str, Array] | None = None,
) -> None:
    """Train R runs and hand their layers ``(R, n_l, n_{l-1})`` to ``record(checkpoint, layers)``.

    Args:
        networks: start of each run, or a single one for all of them.
        recipe: how to train.
        item_weights: of the R runs.
        record: gets tensors that are overwritten later.
        place: device and precision.
        progress: called with the number of steps done since the last call.
        slot: where to keep the work done so far, and to go on with what was kept there.
        recorded: the arrays that ``record`` writes to; they are kept along.
    """
    first = networks[0]
    flat = place.tensor(np.stack([network.flat for network in networks]))
    flat = flat.expand(item_weights.runs, -1).contiguous()
    layers = split_layers(flat, first.shapes)
    gradient = torch.empty_like(flat)
    gradient_layers = split_layers(gradient, first.shapes)
    inputs, P = place.inputs(first.task), first.task.n_items
    Y = place.tensor(first.task.Y)
    memory, batches = recipe.optimizer.init(flat), recipe.batches(P)
    done, times, recorded = 0, recipe.schedule.times, recorded or {}
    if (kept := slot.load()) is not None:
        done, batches = int(kept["done"]), islice(batches, int(kept["done"]), None)
        flat.copy_(torch.from_numpy(kept["w"]))
        memory = tuple(torch.from_numpy(kept[f"m{n}"]).to(x) for n, x in enumerate(memory))
        for name, values in recorded.items():
            values[:] = kept[name]
        if progress:
            progress(done)

    def keep() -> None:
        averages = {f"m{n}": x.cpu() for n, x in enumerate(memory)}
        slot.save({"done": done, "w": flat.cpu(), **averages, **recorded})

    factors = torch.empty_like(place.tensor(item_weights.values[0])[:, None, :])

    def step(items: Items | None, n: int) -> None:
        nonlocal memory
        seen = place.chosen(inputs, items)
        h = activities(layers, seen, first.activation)
        delta = torch.sub(h[-1], Y if items is None else Y[:, items])
        delta *= (factors if items is None else factors[:, :, items]) / delta.shape[-1]
        gradients(layers, h, delta, seen, first.activation, gradient_layers)
        memory = recipe.optimizer.step(flat, memory, gradient, recipe.schedule.eta, n)

    before, shown, steady = done, -1, Repeated(lambda: step(None, 0), flat.device)
    for k, wanted in enumerate(recipe.schedule.steps):
        if wanted < before:
            continue
        while done < wanted:
            phase, until = item_weights.phase(done)
            if phase != shown:
                factors.copy_(place.tensor(item_weights.values[phase])[:, None, :])
                shown = phase
            stretch = range(done, min(wanted, until, done + STEPS))
            if recipe.steady:
                steady(len(stretch))
            else:
                for n in stretch:
                    step(next(batches), n + 1)
            done = stretch.stop
            if progress:
                progress(len(stretch))
            if slot.due():
                keep()
        if not bool(torch.isfinite(flat).all()):
            raise WorkbenchError(
                f"training diverged before t = {times[k]:.4g} with eta = {recipe.schedule.eta:.3g}; use a smaller "
                "learning rate, such as learning_rate(network, 0.1) for a linear network"
            )
        record(k, layers)
    if slot.store is not None:
        keep()


def train_networks(
    networks: Sequence[Network],
    recipe: Recipe,
    *,
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> list[Trajectory]:
    """Train networks of one shape on all items of one task side by side, and keep their weights at every checkpoint.

    Args:
        networks: the starts. recipe: how to train. place: device and precision.
        memory: bytes that the runs trained at one time may take, besides what is kept; more are trained in several
            batches.
        progress: called with the number of steps done since the last call, counted once for all runs.
        slot: where to keep the work done so far, and to go on with what was kept there.
    """
    first = networks[0]
    for network in networks:
        if (network.shapes, network.activation) != (first.shapes, first.activation) or network.task is not first.task:
            raise WorkbenchError("networks of one batch share task, layer sizes and activation; train others apart")
    kept = [np.zeros((len(recipe.schedule.steps), len(networks), *shape)) for shape in first.shapes]
    weights = ItemWeights.constant(np.ones((len(networks), first.task.n_items)))
    batches = run_batches(len(networks), bytes_per_run(first), memory)
    report = shared_progress(progress, len(batches))
    with torch_threads(1):
        for runs in batches:

            def keep(k: int, layers: list[torch.Tensor], runs: slice = runs) -> None:
                for store, W in zip(kept, layers, strict=True):
                    store[k, runs] = W.cpu().numpy()

            descend_batch(
                networks[runs],
                recipe,
                weights.of(runs),
                keep,
                place=place,
                progress=report,
                slot=slot.part(runs.start),
                recorded={f"at{layer}": store[:, runs] for layer, store in enumerate(kept)},
            )
    return [
        Trajectory(network, "trained", recipe.schedule.times, tuple(W[:, r] for W in kept), recipe.schedule.eta)
        for r, network in enumerate(networks)
    ]


def bytes_per_run(network: Network) -> float:
    """Weights, gradient, change and two memories; activities, residuals and their temporaries; item weights."""
    P, rows = network.task.n_items, sum(rows for rows, _ in network.shapes)
    return 8.0 * (6 * network.n_weights + 4 * rows * P + 4 * P)
