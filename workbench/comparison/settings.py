"""What to compare and how: one frozen record that travels into every result."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from workbench.errors import WorkbenchError
from workbench.influence import DEFAULT_MEASURES, MEASURES
from workbench.simulation.influence.two_layer_retraining import Convention

Spacing = Literal["even", "log", "stages"]
#: Fourth powers of the settings, as of gamma in the variance of a loss, must stay far from overflow.
_LARGEST = 1e60


@dataclass(frozen=True)
class Settings:
    """Settings of a comparison; ``None`` means chosen from the theory.

    Attributes:
        task: task specification or path, for the record.
        hidden: hidden units.
        init: ``balanced:a0`` or ``gaussian:sigma``; ``auto``: balanced:0.01, smaller for a table in small numbers.
        checkpoints: number of checkpoints from 0.
        spacing: of the checkpoints: ``"even"`` in flow time (denser early if the first stage would be missed),
            ``"log"``, or ``"stages"``: where theory puts the half-rise times of the modes, and evenly between them.
        t_max: last flow time; None: until 99.5% of the learnable loss is gone, and a quarter more.
        eta: learning rate; None: for mode strengths within 1e-3.
        eta_fraction: the learning rate as a fraction of the largest stable one, instead of eta.
        measures: which measures of influence.
        convention: weights of the remaining items in leave-one-out and window removal.
        window: (t0, t1) of window removal; None: from 0 to the first half-rise time.
        chains, draws, sampler, step_size: of the sampled local posterior.
        batch_size: items a mini-batch of SGLD; None: all.
        force_short: accept chains too short for their autocorrelation time.
        n_beta, gamma: of the local posterior; None: from the size of the losses and the largest singular value.
        damping: of the damped influence function; None: twice the largest singular value.
        seed: of everything random.
        device, dtype: of the simulation; dtype concerns the sampler, training is always float64.
    """

    task: str = "tree"
    hidden: int = 16
    init: str = "auto"
    checkpoints: int = 60
    t_max: float | None = None
    eta: float | None = None
    eta_fraction: float | None = None
    spacing: Spacing = "even"
    measures: tuple[str, ...] = DEFAULT_MEASURES
    convention: Convention = "unnormalised"
    window: tuple[float, float] | None = None
    chains: int = 4
    draws: int = 500
    sampler: Literal["sgld", "rmsprop", "hmc"] = "sgld"
    step_size: float | None = None
    batch_size: int | None = None
    force_short: bool = False
    n_beta: float | None = None
    gamma: float | None = None
    damping: float | None = None
    seed: int = 0
    device: str = "auto"
    dtype: str = "float64"

    def __post_init__(self) -> None:
        unknown = [name for name in self.measures if name not in MEASURES]
        if unknown or not self.measures:
            raise WorkbenchError(
                f"measure {', '.join(unknown) or '(none)'} is unknown; choose from {', '.join(MEASURES)}"
            )
        for name in ("t_max", "eta", "eta_fraction", "step_size", "n_beta", "gamma"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise WorkbenchError(f"{name.replace('_', '-')} {value:g}; give a positive number")
            if value is not None and not 1 / _LARGEST <= value <= _LARGEST:
                raise WorkbenchError(
                    f"{name.replace('_', '-')} {value:g}; give a positive number from {1 / _LARGEST:g} to {_LARGEST:g}"
                )
        # A damping of 0 is refused where -lambda_min is known, with the value that would do.
        if self.damping is not None and not 0 <= self.damping <= _LARGEST:
            raise WorkbenchError(f"damping {self.damping:g}; give a positive number up to {_LARGEST:g}")
        if self.eta is not None and self.eta_fraction is not None:
            raise WorkbenchError(
                f"eta {self.eta:g} and eta-fraction {self.eta_fraction:g}; give the learning rate one way"
            )
        if self.spacing not in get_args(Spacing):
            raise WorkbenchError(f"spacing {self.spacing!r} is unknown; use {', '.join(get_args(Spacing))}")
        if self.window is not None and not 0 <= self.window[0] < self.window[1]:
            raise WorkbenchError(f"window {self.window[0]:g}:{self.window[1]:g}; give 0 <= t0 < t1, such as 0:5")
        if self.hidden < 1:
            raise WorkbenchError(f"hidden {self.hidden}; a network needs at least 1 hidden unit")
        if self.checkpoints < 4:
            raise WorkbenchError(f"checkpoints {self.checkpoints}; give at least 4, so that curves can be told apart")
        if not 0 <= self.seed < 2**63:
            raise WorkbenchError(f"seed {self.seed}; give a whole number from 0 to 2^63 - 1")
        if self.dtype not in ("float32", "float64"):
            raise WorkbenchError(f"dtype {self.dtype!r} is unknown; use float32 or float64")

    def resolve_device(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        if self.device not in ("auto", "cpu", "cuda"):
            raise WorkbenchError(f"device {self.device!r} is unknown; use auto, cpu or cuda")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise WorkbenchError("device cuda: no CUDA device is available here; use --device cpu")
        return "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"

    def torch_dtype(self) -> torch.dtype:
        """The sampler's dtype."""
        return torch.float64 if self.dtype == "float64" else torch.float32

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return dataclasses.asdict(self)
