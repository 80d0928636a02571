"""Training with item weights as ordinary training: ``w_i |y_i - W x_i|^2`` is the error of ``sqrt(w_i) (x_i, y_i)``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.simulation import Schedule, train

Array = NDArray[np.float64]


def reweighted(start: Network, item_weights: Array) -> Network:
    """The same linear network, on a task whose items count ``(P,)`` times as much."""
    task, root = start.task, np.sqrt(item_weights)
    scaled = SemanticTask(task.name, task.items, task.properties, task.Y * root, task.X * root)
    return replace(start, task=scaled, active=None, a0=None, frames=None)


def trained_product(start: Network, schedule: Schedule, item_weights: Array) -> Array:
    """``(T, N_o, N_i)`` product of the layers of a network trained with item weights."""
    path = train(reweighted(start, item_weights), schedule)
    product = path.weights[0]
    for W in path.weights[1:]:
        product = W @ product
    return np.asarray(product)


def derivative_by_retraining(start: Network, schedule: Schedule, step: float = 1e-4) -> tuple[Array, Array]:
    """Product of ordinary training ``(T, N_o, N_i)``, and its derivative by every eps_i ``(source P, T, N_o, N_i)``.

    Central differences of ``1 + P eps_i = 1 +- step``: an error of the square of the step, and rounding over it.
    """
    P = start.task.n_items
    change = []
    for i in range(P):
        more, less = (trained_product(start, schedule, 1 + sign * step * np.eye(P)[i]) for sign in (1, -1))
        change.append((more - less) * P / (2 * step))
    return trained_product(start, schedule, np.ones(P)), np.stack(change)
