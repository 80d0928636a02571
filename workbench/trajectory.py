"""Initial weights and trajectories: the currency between the symbolic and the simulated half.

A `Trajectory` is the same type whether it was predicted or trained, so a measure that needs only weights runs
on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.semantics import Modes, SemanticTask, singular_modes

Array = NDArray[np.float64]
Origin = Literal["analytic", "simulated"]

#: Squares of ``s / a0`` must stay far from overflow.
_SMALLEST = 1e-60


@dataclass(frozen=True)
class Init:
    """How a network starts: ``balanced:a0`` or ``gaussian:sigma``.

    ``balanced``: both layers aligned with the modes of the task and equal in size, every mode at strength a0
    (the condition of the closed forms). ``gaussian``: independent normal weights of standard deviation sigma.
    """

    kind: Literal["balanced", "gaussian"]
    scale: float

    @classmethod
    def parse(cls, text: str) -> Init:
        """From ``"balanced:0.01"`` or ``"gaussian:0.01"``."""
        kind, _, value = text.partition(":")
        try:
            scale = float(value or 0.01)
        except ValueError:
            scale = float("nan")
        if kind not in ("balanced", "gaussian") or not 0 < scale < np.inf:
            raise WorkbenchError(f"init {text!r} is unknown; use balanced:a0 or gaussian:sigma, such as balanced:0.01")
        if not _SMALLEST <= scale <= 1 / _SMALLEST:
            raise WorkbenchError(f"init {text!r}: give a scale between {_SMALLEST:g} and {1 / _SMALLEST:g}")
        return cls(kind, scale)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.kind}:{self.scale:g}"


def choose_init(task: SemanticTask, text: str = "auto") -> Init:
    """``text`` parsed; ``"auto"``: balanced:0.01, or a 500th of the strongest mode where 0.01 is too near to it.

    A table in small numbers ends at small strengths; a start above them has nothing left to learn.
    """
    if text != "auto":
        return Init.parse(text)
    modes = singular_modes(task)
    strongest = float(modes.s[0] / modes.c)
    return Init("balanced", 0.01 if strongest >= 0.1 else float(f"{strongest / 500:.1g}"))


@dataclass(frozen=True, eq=False)
class Start:
    """Initial weights of a two-layer network.

    Attributes:
        W1: ``(N_h, N_i)``.
        W2: ``(N_o, N_h)``.
        modes: modes of the task.
        active: how many modes carry weight at the start of an aligned network, ``min(N_h, K)``; None if the
            start is not aligned.
        a0: their initial strength; None if the start is not aligned.
        frame: ``(N_h, N_h)`` orthogonal; its first ``active`` columns are the hidden directions R of the modes.
    """

    task: SemanticTask
    init: Init
    seed: int
    W1: Array
    W2: Array
    modes: Modes
    active: int | None = None
    a0: float | None = None
    frame: Array | None = None

    @property
    def hidden(self) -> int:
        """N_h."""
        return int(self.W1.shape[0])


def initial_weights(task: SemanticTask, init: Init, hidden: int, seed: int = 0) -> Start:
    """Initial weights for ``hidden`` units; the same seed gives the same weights on either side."""
    if hidden < 1:
        raise WorkbenchError(f"hidden {hidden}; a network needs at least 1 hidden unit")
    rng = np.random.default_rng([seed, 0x1417])
    modes = singular_modes(task)
    if init.kind == "gaussian":
        W1 = init.scale * rng.standard_normal((hidden, task.n_inputs))
        W2 = init.scale * rng.standard_normal((task.n_outputs, hidden))
        return Start(task, init, seed, W1, W2, modes)
    largest = float(modes.s[0] / modes.c)
    if init.scale >= largest:
        raise WorkbenchError(
            f"init {init}: the start is above the strongest mode's final strength {largest:.3g}; use a smaller a0"
        )
    K = min(hidden, modes.rank)
    frame = np.linalg.qr(rng.standard_normal((hidden, hidden)))[0]
    V_in = task.X @ modes.V[:, :K] / np.sqrt(modes.c * task.n_items)
    root = np.sqrt(init.scale)
    return Start(
        task,
        init,
        seed,
        W1=root * frame[:, :K] @ V_in.T,
        W2=root * modes.U[:, :K] @ frame[:, :K].T,
        modes=modes,
        active=K,
        a0=init.scale,
        frame=frame,
    )


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A network at its checkpoints.

    Attributes:
        start: task and initial weights.
        origin: predicted (``"analytic"``) or trained (``"simulated"``).
        times: ``(T,)`` flow times t = learning rate x step.
        W1: ``(T, N_h, N_i)``.
        W2: ``(T, N_o, N_h)``. An unaligned prediction gives the weights up to one rotation of the hidden units
            per checkpoint, which no output, loss, kernel or posterior feels.
        eta: learning rate of the simulation (0 for a prediction: the flow).
    """

    start: Start
    origin: Origin
    times: Array
    W1: Array
    W2: Array
    eta: float = 0.0

    @property
    def task(self) -> SemanticTask:
        """What the network learns."""
        return self.start.task

    @cached_property
    def mode_strengths(self) -> Array:
        """``(T, K)`` strengths ``a_k = u_k^T W2 W1 v_k``."""
        modes, task = self.start.modes, self.task
        V_in = task.X @ modes.V[:, : modes.rank] / np.sqrt(modes.c * task.n_items)
        return np.asarray(np.einsum("ok,toh,thk->tk", modes.U, self.W2, self.W1 @ V_in, optimize=True))

    @cached_property
    def item_losses(self) -> Array:
        """``(T, P)`` losses ``l_i = |y_i - W2 W1 x_i|^2 / 2``."""
        outputs = self.W2 @ (self.W1 @ self.task.X)
        return np.asarray(0.5 * ((self.task.Y - outputs) ** 2).sum(axis=1))

    @property
    def loss(self) -> Array:
        """``(T,)`` mean of the item losses."""
        return np.asarray(self.item_losses.mean(axis=1))
