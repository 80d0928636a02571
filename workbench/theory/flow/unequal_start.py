"""Two aligned layers of unequal size: the start read off the weights, and its trajectory, mode by mode.

Every mode has ``w2^2 - w1^2 = lambda``, conserved along the flow, and no mode mixes with another:
``W1 = R diag(w1) V_in^T``, ``W2 = U diag(w2) R^T`` with the closed forms of `unbalanced_weights`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.networks import Network
from workbench.semantics.modes import Modes
from workbench.theory.modes.unbalanced_weights import mode_weights
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Departure from alignment and from one lambda, as a share of the largest squared weight, that is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class UnequalStart:
    """An aligned start of two layers with one imbalance.

    Attributes:
        modes: of the task.
        w1, w2: ``(active,)`` weights of the strongest modes, ``w1 w2 > 0``; every other mode has none.
        lam: ``w2^2 - w1^2``, weight^2.
        first, last: the layers without their sizes, ``(N_h, N_i)`` and ``(N_o, N_h)`` a mode: ``(active, ...)`` each.
    """

    modes: Modes
    w1: Array
    w2: Array
    lam: float
    first: Array
    last: Array

    @property
    def active(self) -> int:
        """How many modes have a hidden unit."""
        return len(self.w1)

    @property
    def a0(self) -> Array:
        """``(active,)`` initial strengths."""
        return self.w1 * self.w2

    def weights(self, times: ArrayLike) -> tuple[Array, Array]:
        """``(T, active)`` weights w1 and w2 at the flow times."""
        t, s = np.asarray(times, dtype=np.float64)[:, None], self.modes.s[: self.active]
        return mode_weights(t, s, c=self.modes.c, a0=self.a0, lam=self.lam)


def unequal_start(network: Network) -> UnequalStart | None:
    """The start, if that is what the weights are: two linear layers, aligned with the modes, of unequal size."""
    task = network.task
    if network.active is not None or network.depth != 2 or network.activation != "linear" or task.input_scale is None:
        return None
    modes, (W1, W2) = network.modes, network.weights
    V_in = task.X @ modes.V[:, : modes.rank] / np.sqrt(modes.c * task.n_items)
    below, above = W1 @ V_in, modes.U.T @ W2
    first, second = below.T @ below, above @ above.T
    size = max(float(np.linalg.norm(W, 2)) for W in (W1, W2)) ** 2
    # Nothing outside of the modes, and one hidden direction a mode.
    outside = np.abs([(W1**2).sum() - np.trace(first), (W2**2).sum() - np.trace(second)]).max()
    mixed = max(float(np.abs(M - np.diag(np.diag(M))).max()) for M in (first, second, above @ below))
    x2, z2, a = np.diag(first), np.diag(second), np.diag(above @ below)
    active = int(np.count_nonzero(np.maximum(x2, z2) > _ROUNDING * size))
    learned = slice(0, active)
    lam = float((z2 - x2)[learned].mean()) if active else 0.0
    apart = np.abs((z2 - x2)[learned] - lam).max(initial=0.0) + np.abs(x2 * z2 - a**2).max() / (size or 1.0)
    rest = max(float(np.maximum(x2, z2)[active:].max(initial=0.0)), outside, mixed, apart)
    if abs(lam) <= _ROUNDING * size or rest > _ROUNDING * size * max(1, task.n_items) or not (a[learned] > 0).all():
        return None
    w1, w2 = np.sqrt(x2[learned]), np.sqrt(z2[learned])
    frame = below[:, learned] / w1 if lam < 0 else above[learned].T / w2
    first_layer = frame.T[:, :, None] * V_in.T[learned, None, :]
    last_layer = modes.U.T[learned, :, None] * frame.T[:, None, :]
    return UnequalStart(modes, a[learned] / w2 if lam > 0 else w1, w2 if lam > 0 else a[learned] / w1, lam,
                        first_layer, last_layer)  # fmt: skip


def unequal_trajectory(network: Network, start: UnequalStart, times: ArrayLike) -> Trajectory:
    """Weights of the gradient flow, every mode on its closed form."""
    w1, w2 = start.weights(times)
    layers = (np.tensordot(w1, start.first, 1), np.tensordot(w2, start.last, 1))
    return Trajectory(network, "predicted", np.asarray(times, dtype=np.float64), layers)
