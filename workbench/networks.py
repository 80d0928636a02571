"""Networks with their initial weights: ``f(x) = W_D phi(W_{D-1} ... phi(W_1 x))``, phi the identity, ReLU or tanh.

Either side of the workbench starts from the same `Network`. Only linear networks have closed forms: trained from
aligned balanced weights, every mode of theirs follows ``da/dt = D a^{2-2/D} (s - c a)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.semantics import Modes, SemanticTask, nearest_modes, prepared, singular_modes

Array = NDArray[np.float64]
Activation = Literal["linear", "relu", "tanh"]

#: Squares of ``s / a0`` must stay far from overflow.
_SMALLEST, _LARGEST = 1e-60, 1e60
#: Smallest ``|lambda| / a0``: less is a balanced start but for rounding, and the inverse leaves a weight in rounding.
_LEAST_LAMBDA = 1e-8


@dataclass(frozen=True)
class Init:
    """How a network starts: ``balanced:a0``, ``unequal:a0:lambda`` or ``gaussian:sigma``.

    ``balanced``: all layers aligned with the modes of the task and equal in size, every mode at strength a0
    (the condition of the closed forms). ``unequal``: two aligned layers with ``w2^2 - w1^2 = lambda`` in every mode,
    from rich (lambda near 0) to lazy. ``gaussian``: independent normal weights of standard deviation sigma.
    """

    kind: Literal["balanced", "unequal", "gaussian"]
    scale: float
    lam: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Init:
        """From ``"balanced:0.01"``, ``"unequal:0.01:0.5"`` or ``"gaussian:0.01"``."""
        kind, *values = text.split(":")
        try:
            scale, lam = ([float(value or 0.01) for value in values] + [0.01, 0.0][len(values) :])[:2]
        except ValueError:
            scale = lam = float("nan")
        numbers = {"balanced": (0, 1), "gaussian": (0, 1), "unequal": (2,)}
        if len(values) not in numbers.get(kind, ()) or not 0 < scale < np.inf or not abs(lam) < np.inf:
            raise WorkbenchError(
                f"init {text!r} is unknown; use balanced:a0, gaussian:sigma or unequal:a0:lambda, such as balanced:0.01"
            )
        if not _SMALLEST <= scale <= _LARGEST:
            raise WorkbenchError(f"init {text!r}: give a scale between {_SMALLEST:g} and {_LARGEST:g}")
        if kind == "unequal" and not _LEAST_LAMBDA <= abs(lam) / scale <= 1 / _LEAST_LAMBDA:
            raise WorkbenchError(
                f"init {text!r}: give a lambda of size {_LEAST_LAMBDA * scale:g} to {scale / _LEAST_LAMBDA:g}; "
                f"balanced:{scale:g} is lambda 0"
            )
        return cls(kind, scale, lam)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.kind}:{self.scale:g}" + (f":{self.lam:g}" if self.kind == "unequal" else "")


def choose_init(task: SemanticTask, text: str = "auto") -> Init:
    """``text`` parsed; ``"auto"``: balanced:0.01, or a 500th of the strongest mode where 0.01 is too near to it.

    Inputs that are not white have no aligned start: gaussian:0.1.
    A table in small numbers ends at small strengths; a start above them has nothing left to learn.
    """
    if text != "auto":
        return Init.parse(text)
    if task.input_scale is None:
        return Init("gaussian", 0.1)
    modes = singular_modes(task)
    strongest = float(modes.s[0] / modes.c)
    return Init("balanced", 0.01 if strongest >= 0.1 else float(f"{strongest / 500:.1g}"))


@dataclass(frozen=True, eq=False)
class Network:
    """A network at its initial weights, and what it is to learn.

    Attributes:
        task: P items.
        weights: D layers, ``(n_l, n_{l-1})`` each, from ``n_0 = N_i`` to ``n_D = N_o``.
        activation: of the hidden layers; the output layer is linear.
        init: how the weights came about; None where they were given.
        seed: of the weights.
        active: how many modes carry weight in an aligned network, ``min(K, widths)``; None if it is not aligned.
        a0: their initial strength; None if the network is not aligned.
        frames: ``(n_l, active)`` orthonormal hidden directions R_l of the modes, one a hidden layer, of an aligned
            network.
    """

    task: SemanticTask
    weights: tuple[Array, ...]
    activation: Activation = "linear"
    init: Init | None = None
    seed: int = 0
    active: int | None = None
    a0: float | None = None
    frames: tuple[Array, ...] | None = None

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

    @cached_property
    def modes(self) -> Modes:
        """Singular modes of the task; of inputs that are not white those of its outputs, a guide to its stages."""
        return nearest_modes(self.task)

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""
        return len(self.weights)

    @property
    def widths(self) -> tuple[int, ...]:
        """``n_1, ..., n_{D-1}``, units of every hidden layer."""
        return tuple(W.shape[0] for W in self.weights[:-1])

    @property
    def hidden(self) -> int:
        """Units of the narrowest hidden layer; of a single layer of weights, of its narrower end."""
        return min(self.widths or self.weights[0].shape)

    @property
    def gaussian(self) -> bool:
        """Whether the weights are known to be independent normal numbers."""
        return self.init is not None and self.init.kind == "gaussian"

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

    @property
    def W1(self) -> Array:
        """``(N_h, N_i)``, of two layers."""
        return two_layers(self.weights)[0]

    @property
    def W2(self) -> Array:
        """``(N_o, N_h)``, of two layers."""
        return two_layers(self.weights)[1]


def two_layers(weights: tuple[Array, ...]) -> tuple[Array, Array]:
    """The pair, where there are two."""
    if len(weights) != 2:
        raise ConditionError("two layers of weights", f"{len(weights)}", "use the tuple weights instead of W1 and W2")
    return weights[0], weights[1]


def network(
    task: SemanticTask,
    hidden: int | Sequence[int] = 16,
    init: Init | str = "balanced:0.01",
    depth: int = 2,
    activation: Activation = "linear",
    seed: int = 0,
) -> Network:
    """A network with its initial weights; the same arguments give the same weights on either side.

    Args:
        task: what it is to learn.
        hidden: units of all hidden layers, or of each of the D - 1.
        init: ``"balanced:a0"`` (linear networks), ``"unequal:a0:lambda"`` (two linear layers), ``"gaussian:sigma"``, or
            ``"auto"`` (`choose_init`).
        depth: D >= 1 layers of weights.
        activation: of the hidden layers.
        seed: of the weights.
    """
    task = prepared(task)  # refuses what is no task
    chosen = init if isinstance(init, Init) else choose_init(task, init)
    # Two layers keep a stream of their own, so that the numbers of earlier results stay what they were.
    widths, rng = _hidden_widths(depth, hidden), np.random.default_rng([seed, 0x1417 if depth == 2 else 0xDEE9])
    if chosen.kind == "gaussian":
        sizes = (task.n_inputs, *widths, task.n_outputs)
        layers = tuple(chosen.scale * rng.standard_normal((after, before)) for before, after in pairwise(sizes))
        return Network(task, layers, activation, chosen, seed)
    if activation != "linear":
        wanted = f"linear hidden layers for {chosen.kind} initial weights"
        raise ConditionError(wanted, f"activation {activation!r}", "use gaussian:sigma")
    if chosen.kind == "unequal" and depth != 2:
        raise ConditionError("depth 2 for layers of unequal size", f"depth {depth}", "use balanced:a0")
    return _aligned(task, widths, chosen, seed, rng)


def _aligned(task: SemanticTask, widths: tuple[int, ...], init: Init, seed: int, rng: np.random.Generator) -> Network:
    """Layers aligned with the modes and balanced, every mode at ``a0^{1/D}`` in each.

    ``W_1 = a0^{1/D} R_1 V_in^T, W_l = a0^{1/D} R_l R_{l-1}^T, W_D = a0^{1/D} U R_{D-1}^T`` with random orthonormal
    columns R_l; as many modes as the narrowest layer is wide. Two layers of unequal size have w1 and w2 in place of
    the roots, ``w1 w2 = a0, w2^2 - w1^2 = lambda``. Source: Saxe, McClelland & Ganguli (2014).
    """
    modes, depth = singular_modes(task), len(widths) + 1
    largest = float(modes.s[0] / modes.c)
    if init.scale >= largest:
        raise WorkbenchError(
            f"init {init}: the start is above the strongest mode's final strength {largest:.3g}; use a smaller a0"
        )
    K = min(modes.rank, *widths) if widths else modes.rank
    V_in = task.X @ modes.V[:, :K] / np.sqrt(modes.c * task.n_items)
    frames = tuple(np.linalg.qr(rng.standard_normal((width, width)))[0][:, :K] for width in widths)
    chain = [V_in, *frames, modes.U[:, :K]]
    if init.kind == "unequal":
        larger = np.sqrt((np.hypot(init.lam, 2 * init.scale) + abs(init.lam)) / 2)
        sizes = (larger, init.scale / larger) if init.lam < 0 else (init.scale / larger, larger)
        layers = tuple(size * after @ before.T for size, (before, after) in zip(sizes, pairwise(chain), strict=True))
        return Network(task, layers, "linear", init, seed)
    layers = tuple(init.scale ** (1 / depth) * after @ before.T for before, after in pairwise(chain))
    return Network(task, layers, "linear", init, seed, active=K, a0=init.scale, frames=frames)


def _hidden_widths(depth: int, hidden: int | Sequence[int]) -> tuple[int, ...]:
    if depth < 1:
        raise WorkbenchError(f"depth {depth}; a network has at least 1 layer of weights")
    if isinstance(hidden, int) and hidden < 1:
        raise WorkbenchError(f"hidden {hidden}; a network needs at least 1 hidden unit")
    widths = (hidden,) * (depth - 1) if isinstance(hidden, int) else tuple(hidden)
    if len(widths) != depth - 1 or any(width < 1 for width in widths):
        raise WorkbenchError(f"hidden {hidden} for depth {depth}; give one width >= 1, or {depth - 1} of them")
    return widths
