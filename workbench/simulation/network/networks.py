"""Networks of any depth: ``f(x) = W_D phi(W_{D-1} ... phi(W_1 x))`` with phi the identity, ReLU or tanh.

Only linear networks have an analytic side. Trained from an aligned balanced start, every mode of theirs follows
``da/dt = D a^{2-2/D} (s - c a)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.semantics import SemanticTask, singular_modes
from workbench.trajectory import Start

Array = NDArray[np.float64]
Activation = Literal["linear", "relu", "tanh"]


@dataclass(frozen=True, eq=False)
class Network:
    """Weights of a network and what it is to learn.

    Attributes:
        task: P items.
        weights: D layers, ``(n_l, n_{l-1})`` each, from ``n_0 = N_i`` to ``n_D = N_o``.
        activation: of the hidden layers; the output layer is linear.
    """

    task: SemanticTask
    weights: tuple[Array, ...]
    activation: Activation = "linear"

    def __post_init__(self) -> None:
        if self.activation not in get_args(Activation):
            raise WorkbenchError(f"activation {self.activation!r} is unknown; use linear, relu or tanh")
        layers = tuple(np.asarray(W, dtype=np.float64) for W in self.weights)
        object.__setattr__(self, "weights", layers)
        ends = (self.task.n_inputs, self.task.n_outputs)
        chained = bool(layers) and all(W.ndim == 2 for W in layers)
        chained = chained and all(b.shape[1] == a.shape[0] for a, b in pairwise(layers))
        if not chained or (layers[0].shape[1], layers[-1].shape[0]) != ends:
            raise WorkbenchError(
                f"layers of shape {', '.join(str(W.shape) for W in layers) or '(none)'} do not lead from "
                f"{ends[0]} inputs to {ends[1]} outputs; give (outputs, inputs) of every layer, first layer first"
            )

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""
        return len(self.weights)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shape of every layer."""
        return tuple((W.shape[0], W.shape[1]) for W in self.weights)

    @property
    def n_weights(self) -> int:
        """N, the number of weights."""
        return sum(W.size for W in self.weights)

    @property
    def flat(self) -> Array:
        """``(N,)`` all weights, first layer first."""
        return np.concatenate([W.ravel() for W in self.weights])


def network_of(start: Start) -> Network:
    """The two-layer linear network of a `Start`."""
    return Network(start.task, (start.W1, start.W2))


def gaussian_network(
    task: SemanticTask,
    *,
    depth: int,
    hidden: int | Sequence[int],
    sigma: float,
    activation: Activation = "linear",
    seed: int = 0,
) -> Network:
    """Independent normal weights of standard deviation ``sigma``.

    Args:
        task: what to learn.
        depth: D >= 1 weight layers.
        hidden: width of all hidden layers, or of each of the D - 1.
        sigma: standard deviation.
        activation: of the hidden layers.
        seed: of the weights.
    """
    widths = (task.n_inputs, *_hidden_widths(depth, hidden), task.n_outputs)
    rng = np.random.default_rng([seed, 0xDEE9])
    layers = tuple(sigma * rng.standard_normal((after, before)) for before, after in pairwise(widths))
    return Network(task, layers, activation)


def aligned_network(
    task: SemanticTask, *, depth: int, hidden: int | Sequence[int], a0: float, seed: int = 0
) -> Network:
    """Linear network whose layers are aligned with the modes and balanced: every mode at ``a0^{1/D}`` in each layer.

    ``W_1 = a0^{1/D} R_1 V_in^T, W_l = a0^{1/D} R_l R_{l-1}^T, W_D = a0^{1/D} U R_{D-1}^T`` with random orthonormal
    columns R_l; as many modes as the narrowest layer is wide. Source: Saxe, McClelland & Ganguli (2014).
    """
    widths, modes = _hidden_widths(depth, hidden), singular_modes(task)
    if not 0 < a0 < np.inf:
        raise WorkbenchError(f"a0 {a0:g}; modes start at a finite strength above 0, such as 0.01")
    K = min(modes.rank, *widths) if widths else modes.rank
    rng = np.random.default_rng([seed, 0xDEE9])
    V_in = task.X @ modes.V[:, :K] / np.sqrt(modes.c * task.n_items)
    frames = [np.linalg.qr(rng.standard_normal((width, width)))[0][:, :K] for width in widths]
    chain = [V_in, *frames, modes.U[:, :K]]
    return Network(task, tuple(a0 ** (1 / depth) * after @ before.T for before, after in pairwise(chain)))


def _hidden_widths(depth: int, hidden: int | Sequence[int]) -> tuple[int, ...]:
    if depth < 1:
        raise WorkbenchError(f"depth {depth}; a network has at least 1 layer of weights")
    widths = (hidden,) * (depth - 1) if isinstance(hidden, int) else tuple(hidden)
    if len(widths) != depth - 1 or any(width < 1 for width in widths):
        raise WorkbenchError(f"hidden {hidden} for depth {depth}; give one width >= 1, or {depth - 1} of them")
    return widths
