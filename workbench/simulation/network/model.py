"""What is trained and sampled, as training, retraining and samplers see it.

A `Model` is a function from N weights to the losses of its targets; many copies of it, each with weights of its own,
are worked with side by side: the runs of a training, the chains of a sampler. `ModelBatch` is such a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from workbench.networks import Activation, Network
from workbench.simulation.network.backprop import NetworkBatch
from workbench.simulation.running.place import CPU, Place

Tensor = torch.Tensor


class ModelBatch(Protocol):
    """B copies of a model at weights ``w``, ``(B, N)``, which others change in place; `refresh` follows."""

    @property
    def w(self) -> Tensor: ...

    def refresh(self) -> None:
        """Compute what follows from the weights as they are now."""

    def losses(self) -> Tensor:
        """``(B, targets)`` at the last `refresh`."""

    def gradient(self, omega: Tensor | None = None) -> Tensor:
        """``(B, N)`` gradient of ``sum_i omega_i l_i`` at the last `refresh`, in a buffer that is used again.

        ``omega`` is ``(B, sources)`` or ``(1, sources)``; None: 1 for all.
        """

    def kernel(self) -> Tensor:
        """``(B, P, P)`` inner products of the gradients of the losses."""

    def gauss_newton(self) -> Tensor:
        """``(B, N)`` diagonal of the Gauss-Newton part of the Hessian of the mean loss."""


class Model(Protocol):
    """Losses as a function of N weights; what is weighted has names, and so has what is measured."""

    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def n_weights(self) -> int: ...
    def batch(self, w: Tensor) -> ModelBatch: ...


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """Layered networks of one shape on one task, ``l_i = |y_i - f(x_i)|^2 / 2``; the `Model` of `Network`.

    Attributes:
        Y: ``(N_o, P)``.
        X: ``(N_i, P)``, or None for one-hot items.
        shapes: of the layers. activation: of the hidden ones.
        items: names.
    """

    Y: Tensor
    X: Tensor | None
    shapes: tuple[tuple[int, int], ...]
    activation: Activation
    items: tuple[str, ...]

    @classmethod
    def of(cls, network: Network, place: Place = CPU) -> NetworkModel:
        """Of a network's shape, activation and task."""
        task = network.task
        X = None if task.one_hot else place.tensor(task.X)
        return cls(place.tensor(task.Y), X, network.shapes, network.activation, task.items)

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose losses can be weighted: the items."""
        return self.items

    @property
    def targets(self) -> tuple[str, ...]:
        """What has a loss: the items."""
        return self.items

    @property
    def n_weights(self) -> int:
        """N."""
        return sum(rows * columns for rows, columns in self.shapes)

    @property
    def bilinear(self) -> bool:
        """Whether the network is two linear layers."""
        return len(self.shapes) == 2 and self.activation == "linear"

    def batch(self, w: Tensor, size: int | None = None) -> NetworkBatch:
        """B networks at weights ``w``, ``(B, N)``; with ``size``, buffers for mini-batches of so many items."""
        return NetworkBatch(self.Y, self.X, self.shapes, self.activation, w, size)

    def trajectory(self, weights: tuple[np.ndarray, ...]) -> NetworkBatch:
        """The networks of T checkpoints, ``(T, n_l, n_{l-1})`` each, side by side."""
        flat = np.concatenate([W.reshape(len(W), -1) for W in weights], axis=1)
        batch = self.batch(torch.tensor(flat, dtype=self.Y.dtype, device=self.Y.device))
        batch.refresh()
        return batch
