"""The kernel of per-item gradients of a network of any depth and activation.

The gradient of ``l_i`` by layer l is ``delta_l h_{l-1}^T`` with the error and activity of item i alone, so
``g_i . g_j = sum_l (delta_l,i . delta_l,j) (h_{l-1,i} . h_{l-1,j})``; the gradients themselves are never stored.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.simulation.backprop import activities, errors_backwards
from workbench.simulation.deep_training import CPU, DeepTrajectory

Array = NDArray[np.float64]


def network_kernel(trajectory: DeepTrajectory) -> Array:
    """``(T, P, P)`` inner products of the per-item gradients of ``l_i = |y_i - f(x_i)|^2 / 2`` at every checkpoint."""
    network, layers = trajectory.network, [torch.tensor(W) for W in trajectory.weights]
    h = activities(layers, CPU.inputs(network.task), network.activation)
    deltas = errors_backwards(layers, h, h[-1] - CPU.tensor(network.task.Y), network.activation)
    below = [CPU.tensor(network.task.X), *h[:-1]]
    kernel = sum((d.mT @ d) * (a.mT @ a) for d, a in zip(deltas, below, strict=True))
    return np.asarray(kernel, dtype=np.float64)
