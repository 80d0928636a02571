"""Trajectories: a network at its checkpoints, the same type whether it was predicted or trained.

A measure that needs only weights runs on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network, two_layers
from workbench.semantics import SemanticTask

Array = NDArray[np.float64]
Side = Literal["predicted", "trained"]

#: How the names of variables in saved results end for either side.
SUFFIX: dict[Side, str] = {"predicted": "analytic", "trained": "simulated"}


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A network at T checkpoints.

    Attributes:
        network: task and initial weights.
        side: ``"predicted"`` by theory or ``"trained"``.
        times: ``(T,)`` flow times t = learning rate x step.
        weights: D layers, ``(T, n_l, n_{l-1})``. A prediction from weights that are not aligned gives them up to one
            rotation of the hidden units per checkpoint, which no output, loss, kernel or posterior feels.
        eta: learning rate of the training (0 for a prediction: the flow).
    """

    network: Network
    side: Side
    times: Array
    weights: tuple[Array, ...]
    eta: float = 0.0

    @property
    def task(self) -> SemanticTask:
        """What the network learns."""
        return self.network.task

    @property
    def W1(self) -> Array:
        """``(T, N_h, N_i)``, of two layers."""
        return two_layers(self.weights)[0]

    @property
    def W2(self) -> Array:
        """``(T, N_o, N_h)``, of two layers."""
        return two_layers(self.weights)[1]

    def at(self, k: int) -> Network:
        """The network at checkpoint k."""
        return Network(self.task, tuple(W[k] for W in self.weights), self.network.activation)

    @cached_property
    def outputs(self) -> Array:
        """``(T, N_o, P)`` of every item."""
        h, kind = self.weights[0] @ self.task.X, self.network.activation
        for W in self.weights[1:]:
            h = W @ (h if kind == "linear" else np.maximum(h, 0) if kind == "relu" else np.tanh(h))
        return np.asarray(h)

    @cached_property
    def mode_strengths(self) -> Array:
        """``(T, K)`` strengths ``a_k = u_k^T f(V_in)_k``, of a linear network ``u_k^T W_D ... W_1 v_k``."""
        modes = self.network.modes
        V = modes.V[:, : modes.rank] / np.sqrt(modes.c * modes.n_items)
        if self.network.activation != "linear":
            return np.asarray(np.einsum("ok,top,pk->tk", modes.U, self.outputs, V, optimize=True))
        # From both ends: in the outputs, modes that are learned would drown a small one in their rounding.
        left: Array = np.broadcast_to(modes.U.T, (len(self.times), *modes.U.T.shape))
        for W in reversed(self.weights[1:]):
            left = left @ W
        return np.asarray(np.einsum("tkh,thk->tk", left, self.weights[0] @ (self.task.X @ V)))

    @cached_property
    def item_losses(self) -> Array:
        """``(T, P)`` losses ``l_i = |y_i - f(x_i)|^2 / 2``."""
        return np.asarray(0.5 * ((self.task.Y - self.outputs) ** 2).sum(axis=1))

    @property
    def loss(self) -> Array:
        """``(T,)`` mean of the item losses."""
        return np.asarray(self.item_losses.mean(axis=1))
