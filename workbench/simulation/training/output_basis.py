"""The space of the outputs that training happens in, where the rule does not care about the output basis.

Gradient descent commutes with rotations of the outputs, and the residuals never leave ``span[Y, W_D(0)]``: trained in
a basis B of it, from ``B^T W_D`` on targets ``B^T Y``, a network has the same losses and hidden weights, with at most
P + n_{D-1} outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.simulation.training.recipes import Recipe

Array = NDArray[np.float64]


def output_basis(networks: Sequence[Network], recipe: Recipe) -> Array | None:
    """``(N_o, q)`` orthonormal columns that span the targets and the initial outputs; None where that is no less."""
    if not recipe.optimizer.rotates:
        return None
    columns = networks[0].task.Y
    for network in networks:
        left, size, _ = np.linalg.svd(np.concatenate([columns, network.weights[-1]], axis=1), full_matrices=False)
        if not size[-1] <= 1e-13 * size[0] and len(size) == len(left):
            return None
        columns = left * size  # as many columns as outputs at most, and the same span
    return np.asarray(left[:, size > 1e-13 * size[0]])


def on_outputs(network: Network, basis: Array | None) -> Network:
    """The same problem on the outputs in the basis."""
    if basis is None:
        return network
    task, names = network.task, tuple(f"direction {k + 1}" for k in range(basis.shape[1]))
    smaller = SemanticTask(task.name, task.items, names, basis.T @ task.Y, X=task.X)
    return replace(network, task=smaller, weights=(*network.weights[:-1], basis.T @ network.weights[-1]))
