"""Runs side by side that training moves step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.networks import Network
from workbench.simulation.network.backprop import NetworkBatch, packed_layers, split_layers
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.running.place import Place
from workbench.simulation.training.gram_descent import GramDescent
from workbench.simulation.training.optimizers import GradientDescent
from workbench.simulation.training.recipes import Recipe

Array = NDArray[np.float64]


class Stepper(Protocol):
    """What `descend` moves step by step: runs side by side, and perhaps derivatives that go with them."""

    def weigh(self, omega: Array) -> None:
        """``(R, P)`` item weights from now on."""

    def step(self, items: torch.Tensor | None, n: int) -> None:
        """Step number n = 1, 2, ... on a mini-batch, or on all items; works in place."""

    def numbers(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step; what is put into them is gone on with."""


class Descent:
    """R runs of networks of one shape by any rule, whose layers lie one after the other; a `Stepper`."""

    def __init__(self, model: NetworkModel, layers: Sequence[torch.Tensor], recipe: Recipe) -> None:
        self.w = torch.cat([W.reshape(-1) for W in layers])
        self.layers = packed_layers(self.w, model.shapes)
        self._model, self._recipe, self._memory = model, recipe, recipe.optimizer.init(self.w)
        self._omega = self.w.new_empty((len(layers[0]), len(model.items)))
        self._share = torch.empty_like(self._omega)
        self._batches: dict[int | None, NetworkBatch] = {}

    def weigh(self, omega: Array) -> None:
        """See `Stepper.weigh`."""
        self._omega.copy_(torch.tensor(omega))
        self._share.copy_(self._omega / self._omega.shape[1])

    def step(self, items: torch.Tensor | None, n: int) -> None:
        """See `Stepper.step`."""
        size = None if items is None else len(items)
        if size not in self._batches:
            self._batches[size] = self._model.batch(self.w, size)
        batch, omega = self._batches[size], self._share
        if items is not None:
            batch.choose(items)
            omega = self._omega[:, items] / len(items)
        batch.refresh()
        optimizer, eta = self._recipe.optimizer, self._recipe.schedule.eta
        if isinstance(optimizer, GradientDescent):
            batch.descend(omega, eta)
        else:
            optimizer.step(self.w, self._memory, batch.gradient(omega), eta, n)

    def numbers(self) -> dict[str, torch.Tensor]:
        """See `Stepper.numbers`."""
        return {"w": self.w, **{f"m{n}": x for n, x in enumerate(self._memory)}}


def stepper(networks: Sequence[Network], recipe: Recipe, runs: int, place: Place) -> Descent | GramDescent:
    """R runs from the networks, or all of them from a single one."""
    first, model = networks[0], NetworkModel.of(networks[0], place)
    flat = place.tensor(np.stack([network.flat for network in networks])).expand(runs, -1)
    layers = split_layers(flat, first.shapes)
    if model.bilinear and recipe.batch_size is None and isinstance(recipe.optimizer, GradientDescent):
        return GramDescent(first.task, layers, recipe.schedule.eta, place)
    return Descent(model, layers, recipe)
