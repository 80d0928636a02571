"""Minus the inner products of the items' gradients at every checkpoint, for networks of any depth and activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network
from workbench.simulation.network.model import NetworkModel
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


def gradient_kernel(trajectory: Trajectory) -> Array:
    """``(T, P, P)`` of ``-g_i . g_j`` at every checkpoint, g_i the gradient of ``l_i = |y_i - f(x_i)|^2 / 2``."""
    batch = NetworkModel.of(trajectory.network).trajectory(trajectory.weights)
    return np.asarray(-batch.kernel().numpy(), dtype=np.float64)


def item_gradients(network: Network) -> Array:
    """``(P, N)`` gradients of the item losses, first layer first."""
    batch = NetworkModel.of(network).trajectory(tuple(W[None] for W in network.weights))
    return np.asarray(batch.item_gradients()[0].numpy(), dtype=np.float64)
