"""Measures at a checkpoint for networks of any depth and activation: gradient kernel and damped Newton.

The gradient of ``l_i`` by layer l is ``delta_l h_{l-1}^T`` with the error and activity of item i alone, so
``g_i . g_j = sum_l (delta_l,i . delta_l,j) (h_{l-1,i} . h_{l-1,j})``; the gradients themselves are never stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.networks import Activation, Network
from workbench.semantics import SemanticTask
from workbench.simulation.influence.trajectory_derivative import hessian_products
from workbench.simulation.network.backprop import activities, errors_backwards
from workbench.simulation.training.descent import CPU
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


def network_kernel(trajectory: Trajectory) -> Array:
    """``(T, P, P)`` inner products of the per-item gradients of ``l_i = |y_i - f(x_i)|^2 / 2`` at every checkpoint."""
    network = trajectory.network
    return item_kernel([torch.tensor(W) for W in trajectory.weights], network.task, network.activation)


def item_kernel(layers: Sequence[torch.Tensor], task: SemanticTask, activation: Activation) -> Array:
    """``(T, P, P)`` kernels of networks with layers ``(T, n_l, n_{l-1})``; see `network_kernel`."""
    h = activities(layers, CPU.inputs(task), activation)
    deltas = errors_backwards(layers, h, h[-1] - CPU.tensor(task.Y), activation)
    below = [CPU.tensor(task.X), *h[:-1]]
    kernel = sum((d.mT @ d) * (a.mT @ a) for d, a in zip(deltas, below, strict=True))
    return np.asarray(kernel, dtype=np.float64)


def network_damped_newton(trajectory: Trajectory, damping: float) -> Array:
    """``(T, P, P)`` influence ``-g_i . (H + damping)^{-1} g_j`` of a network of any depth and activation.

    Args:
        trajectory: T checkpoints; the Hessian is explicit, so networks of up to some thousand weights.
        damping: must exceed ``-lambda_min`` of the Hessian at every checkpoint, and 0.
    """
    P = trajectory.network.task.n_items
    influence = np.empty((len(trajectory.times), P, P))
    for k, t in enumerate(trajectory.times):
        network = trajectory.at(k)
        values, directions = np.linalg.eigh(hessian_products(network, np.eye(network.n_weights)))
        if not max(-float(values[0]), 0.0) < damping < np.inf:
            raise ConditionError(
                "H + damping is positive definite (damping > -lambda_min and damping > 0)",
                f"damping = {damping:g} at t = {t:.4g}, where lambda_min = {values[0]:.4g}",
                f"use a damping above {max(-float(values[0]), 0):.4g}",
            )
        g = item_gradients(network) @ directions
        influence[k] = -(g / (values + damping)) @ g.T
    return influence


def item_gradients(network: Network) -> Array:
    """``(P, N)`` gradients of the item losses, first layer first."""
    layers = [CPU.tensor(W) for W in network.weights]
    h = activities(layers, CPU.inputs(network.task), network.activation)
    deltas = errors_backwards(layers, h, h[-1] - CPU.tensor(network.task.Y), network.activation)
    below = [CPU.tensor(network.task.X), *h[:-1]]
    parts = [torch.einsum("op,ip->poi", d, a).flatten(1) for d, a in zip(deltas, below, strict=True)]
    return np.asarray(torch.cat(parts, dim=1).numpy(), dtype=np.float64)
