"""A linear network without the directions that never move: what the flows are integrated in.

Gradient flow moves a layer only along what reaches it, whatever the item weights, so three reductions are exact, for
any start, any depth and any inputs:

* **inputs**: an orthonormal basis of the inputs' span (for inputs of equal length and orthogonal, that of the modes);
* **outputs**: one of the span of the targets and of what the last layer reaches at t = 0;
* **hidden layer l**: one of ``range(W_l) + range(W_{l+1}^T)`` at t = 0. Idle units (of an aligned start) drop out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network
from workbench.semantics import SemanticTask, singular_modes

Array = NDArray[np.float64]

#: Directions below this fraction of the largest are rounding, not part of the start.
_SPAN_TOLERANCE = 1e-13


@dataclass(frozen=True, eq=False)
class ReducedFlow:
    """A start in the coordinates of its spans.

    Attributes:
        layers: D weights at t = 0, ``(h_l, h_{l-1})`` with ``h_0 = n`` inputs and ``h_D = q`` outputs.
        Syx: ``(q, n)`` covariance of outputs and inputs, all items at weight 1.
        Sxx: ``(n,)`` covariance of the inputs, diagonal in their basis.
        inputs: ``(n, P)``.
        targets: ``(q, P)``.
        bases: D + 1 orthonormal bases, ``(n_l, h_l)``, of the inputs, every hidden layer and the outputs.
        start: the D weights as given, ``(n_l, n_{l-1})``.
        n_items: P, over which the loss is a mean.
    """

    layers: tuple[Array, ...]
    Syx: Array
    Sxx: Array
    inputs: Array
    targets: Array
    bases: tuple[Array, ...]
    start: tuple[Array, ...]
    n_items: int

    @property
    def size(self) -> int:
        """Numbers in the state of one run."""
        return sum(W.size for W in self.layers)

    def repeated(self, runs: int) -> tuple[Array, ...]:
        """The start, once for every run: ``(runs, h_l, h_{l-1})``."""
        return tuple(np.repeat(W[None], runs, axis=0) for W in self.layers)

    def losses(self, layers: Sequence[Any]) -> Any:
        """``(R, P)`` item losses ``|y_j - W x_j|^2 / 2`` of R runs; complex weights are not conjugated."""
        outputs = self.inputs
        for W in layers:
            outputs = W @ outputs
        return 0.5 * np.square(self.targets - outputs).sum(axis=-2)

    def lifted(self, layers: Sequence[Array]) -> tuple[Array, ...]:
        """All weights ``(..., n_l, n_{l-1})`` of a network whose reduced weights are ``layers``."""
        return tuple(
            W0 + after @ (W - reduced) @ before.T
            for W0, reduced, W, (before, after) in zip(
                self.start, self.layers, layers, pairwise(self.bases), strict=True
            )
        )


def reduced_flow(network: Network) -> ReducedFlow:
    """The start of a linear network in the coordinates of its spans."""
    task, start = network.task, network.weights
    into, Sxx = _input_basis(task)
    inputs = into.T @ task.X
    first, last = start[0] @ into, start[-1]
    outputs = _basis(_basis(task.Y), last if len(start) > 1 else first)
    seen = [first, *start[1:]]
    hidden = [_basis(below, above.T) for below, above in pairwise(seen)]
    bases = (into, *hidden, outputs)
    layers = tuple(after.T @ W @ before for W, (before, after) in zip(start, pairwise(bases), strict=True))
    targets = outputs.T @ task.Y
    return ReducedFlow(layers, targets @ inputs.T / task.n_items, Sxx, inputs, targets, bases, start, task.n_items)


def _input_basis(task: SemanticTask) -> tuple[Array, Array]:
    """``(N_i, n)`` orthonormal basis of the inputs in which Sxx is diagonal, and ``(n,)`` its diagonal."""
    if task.input_scale is not None:
        modes = singular_modes(task)
        return task.X @ modes.V / np.sqrt(modes.c * task.n_items), np.full(task.n_items, modes.c)
    left, size, _ = np.linalg.svd(task.X, full_matrices=False)
    kept = size > _SPAN_TOLERANCE * size[0]
    return left[:, kept], size[kept] ** 2 / task.n_items


def _basis(*blocks: Array) -> Array:
    """Orthonormal basis of the columns of all blocks, each block measured by its own size."""
    scaled = [block / (float(np.linalg.norm(block, 2)) or 1.0) for block in blocks]
    left, size, _ = np.linalg.svd(np.concatenate(scaled, axis=1), full_matrices=False)
    return np.asarray(left[:, size > _SPAN_TOLERANCE * max(float(size[0]), 1.0)])
