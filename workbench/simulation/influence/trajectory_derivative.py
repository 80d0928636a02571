"""Derivative of the losses through every step of training: ``dl_j(t) / d eps_i`` of ``L + sum_i eps_i l_i``.

Forward mode: with the weights w of a run go their derivatives ``S_i = dw / d eps_i`` for all items at once. A step of
gradient descent takes them along exactly::

    S_i <- S_i - eta (H S_i + g_i),      dl_j / d eps_i = g_j . S_i

and momentum and Adam carry the derivatives of their averages too. In a mini-batch step eps_i counts as in the run
itself: item i of a batch of B weighs ``(1 + P eps_i) / B``. The result is the derivative of the discrete algorithm, not
of a flow; a leave-one-out run is eps_i = -1/P to first order.

With ReLU a finite change also makes units switch on or off for an item a step earlier or later. The derivative, exact
between such events, does not see them: retraining with 1e-4 of an item's weight can differ from it by tens of percent.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.network.backprop import NetworkBatch, split_layers
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.running.batches import MEMORY, Progress, run_batches, shared_progress
from workbench.simulation.running.place import CPU, Place
from workbench.simulation.running.threads import torch_threads
from workbench.simulation.training.descent import descend
from workbench.simulation.training.output_basis import on_outputs, output_basis
from workbench.simulation.training.recipes import ItemWeights, Recipe, as_recipe
from workbench.simulation.training.schedule import Schedule
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]


def trajectory_derivative(
    network: Network,
    training: Recipe | Schedule,
    *,
    window: tuple[float, float] = (0.0, np.inf),
    item_weights: ArrayLike | None = None,
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Array:
    """``dl_j(t)/deps_i`` of training, ``(T, source P, target P)``; negative = helpful.

    Args:
        network: the start; any depth and activation.
        training: recipe of the training, or its schedule.
        window: eps_i acts only in the steps that begin in ``[t0, t1)``.
        item_weights: ``(P,)`` factors of the item losses in the training itself; 1 unless given, 0 for an item that
            is only looked at.
        place: device and precision.
        memory: bytes that the derivatives of one batch of items may take; more items go in several batches.
        progress: called with the number of steps done since the last call, counted once for all items.
        slot: where to keep the work done so far, and to go on with what was kept there.

    In units of the loss per unit of eps.
    """
    begin, end = window
    if not 0 <= begin <= end:
        raise WorkbenchError(f"window ({begin:g}, {end:g}); give 0 <= t0 <= t1")
    recipe = as_recipe(training, network)
    small, P = on_outputs(network, output_basis([network], recipe)), network.task.n_items
    derivative = np.zeros((len(recipe.schedule.steps), P, P))
    factors = np.broadcast_to(np.asarray(1.0 if item_weights is None else item_weights, dtype=np.float64), P)
    per_item = 8.0 * (8 * small.n_weights + 6 * P * sum(rows for rows, _ in small.shapes))
    batches = run_batches(P, per_item, memory)
    report, phases = shared_progress(progress, len(batches)), _window_weights(recipe.schedule, window, P)
    with torch_threads(1):
        for sources in batches:
            part, runs = derivative[:, sources], _Tangents(small, recipe, place, sources.stop - sources.start, factors)

            def record(k: int, part: Array = part, runs: _Tangents = runs) -> None:
                part[k] = runs.loss_derivatives()

            kept = {"slot": slot.part(sources.start), "recorded": {"derivative": part}}
            descend(runs, recipe, phases.of(sources), record, progress=report, **kept)  # type: ignore[arg-type]
    return derivative


def _window_weights(schedule: Schedule, window: tuple[float, float], P: int) -> ItemWeights:
    """What eps of each source does to the weights of the items, ``P d omega_j / d eps_i``: P inside the window."""
    first, last = (int(np.rint(min(t / schedule.eta, schedule.total))) for t in window)
    begins = sorted({0, first, last})
    return ItemWeights(tuple(begins), np.stack([(first <= n < last) * P * np.eye(P) for n in begins]))


class _Tangents:
    """One run with all items, and the derivatives of its weights by eps of M source items; a `descent.Stepper`."""

    def __init__(self, network: Network, recipe: Recipe, place: Place, sources: int, factors: Array) -> None:
        self._model, self._recipe = NetworkModel.of(network, place), recipe
        self._w, self._factors = place.tensor(network.flat)[None], place.tensor(factors)[None]
        self._S = self._w.new_zeros((sources, network.n_weights))
        self._own, self._dg = self._w.new_empty((sources, 1, network.task.n_items)), torch.empty_like(self._S)
        self._memory, self._dmemory = (recipe.optimizer.init(x) for x in (self._w, self._S))
        self._directions, self._out = (split_layers(x, network.shapes) for x in (self._S, self._dg))
        self._batches: dict[int | None, NetworkBatch] = {None: self._model.batch(self._w)}

    def weigh(self, omega: Array) -> None:
        """``(M, P)`` derivatives of the item weights from now on."""
        self._own.copy_(torch.tensor(omega)[:, None, :])

    def step(self, items: torch.Tensor | None, n: int) -> None:
        """See `descent.Stepper.step`."""
        size, optimizer, eta = None if items is None else len(items), self._recipe.optimizer, self._recipe.schedule.eta
        if size not in self._batches:
            self._batches[size] = self._model.batch(self._w, size)
        batch, own, factors = self._batches[size], self._own, self._factors
        if items is not None:
            batch.choose(items)
            own, factors = own[:, :, items], factors[:, items]
        batch.refresh()
        count = own.shape[2]
        weights = factors / count
        batch.gradient_derivatives(self._directions, weights[0], own / count, self._out)
        g = batch.gradient(weights)
        optimizer.step(self._w, self._memory, g, eta, n)
        optimizer.step_derivative(self._S, self._memory, self._dmemory, g, self._dg, eta, n)

    def numbers(self) -> dict[str, torch.Tensor]:
        """See `descent.Stepper.numbers`."""
        averages = {f"m{n}": x for n, x in enumerate(self._memory)}
        return {"w": self._w, "S": self._S, **averages, **{f"d{n}": x for n, x in enumerate(self._dmemory)}}

    def loss_derivatives(self) -> Array:
        """``(M, P)``, ``g_j . S_i``."""
        batch = self._batches[None]
        batch.refresh()
        df = batch.output_derivatives(self._directions)[-1]
        return np.asarray((batch.error * df).sum(dim=1).cpu().numpy(), dtype=np.float64)
