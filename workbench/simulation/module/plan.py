"""Step size, burn-in and thinning of the chains of a module, and the refusals that name what would do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import ConditionError, SamplingError, WorkbenchError
from workbench.simulation.module.batching import Batching
from workbench.simulation.module.curvature import extreme_curvatures
from workbench.simulation.module.losses import Data, ModuleLosses
from workbench.simulation.sampling import batch_means, diagnostics

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ModuleSampling:
    """How to sample around a checkpoint of a module.

    Attributes:
        chains: independent chains. draws: kept draws of each.
        sampler: ``"sgld"``, or ``"rmsprop"``: preconditioned by the root mean square of the gradients of the
            potential.
        step: step size eps. burn_in: discarded steps. thin: steps from one draw to the next. None: from the extreme
            curvatures of the loss, as for the networks of this package.
        batch_size: examples of a mini-batch, drawn anew for every chain and step; None: all.
        parameters: names, patterns or slices (`layers.0.qkv.weight[16:32]`) of what is to be sampled; none: all.
        batching: how chains are moved: ``"auto"`` tries both ways for a moment.
        batches: in time, of every chain, for its Monte Carlo error.
        seed: every chain draws from a stream of its own, numbered by (seed, checkpoint, chain).
        force_short: accept chains shorter than `diagnostics.LENGTH` autocorrelation times; implied by giving step,
            burn_in and thin.
    """

    chains: int = 4
    draws: int = 200
    sampler: Literal["sgld", "rmsprop"] = "sgld"
    step: float | None = None
    burn_in: int | None = None
    thin: int | None = None
    batch_size: int | None = None
    parameters: tuple[str, ...] = ()
    batching: Batching = "auto"
    batches: int = 20
    seed: int = 0
    force_short: bool = False

    def __post_init__(self) -> None:
        for name, options in (("sampler", ("sgld", "rmsprop")), ("batching", ("auto", "vmap", "loop"))):
            if getattr(self, name) not in options:
                raise WorkbenchError(f"`{name}` {getattr(self, name)!r} is unknown; use {', '.join(options)}")
        if self.chains < 1 or self.draws < max(4, self.batches) or self.batches < 4:
            raise WorkbenchError(
                f"`chains` {self.chains}, `draws` {self.draws}, `batches` {self.batches}; give at least 1 chain, 4 "
                "batches, and a draw a batch"
            )
        positive = {"step": self.step, "thin": self.thin, "batch_size": self.batch_size}
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise WorkbenchError(f"`{name}` = {value:g}; it must be positive")

    @property
    def any_length(self) -> bool:
        """Whether chains too short for their autocorrelation time are accepted."""
        return self.force_short or None not in (self.step, self.burn_in, self.thin)


@dataclass(frozen=True)
class ModulePlan:
    """What the chains do: step eps, burn-in and thinning in steps."""

    step: float
    burn_in: int
    thin: int

    def steps(self, draws: int) -> int:
        """Steps of every chain."""
        return self.burn_in + 1 + self.thin * (draws - 1)

    def draws_at(self, step: int) -> bool:
        """Whether the state after step number ``step``, from 0, is a draw."""
        return step >= self.burn_in and (step - self.burn_in) % self.thin == 0


def module_plan(model: ModuleLosses, data: Data, n_beta: float, gamma: float, sampling: ModuleSampling) -> ModulePlan:
    """The plan asked for, and what is left open in it from the curvatures of the loss; see `sampling.plan`."""
    if None not in (sampling.step, sampling.burn_in, sampling.thin):
        assert sampling.step is not None and sampling.burn_in is not None and sampling.thin is not None
        return ModulePlan(sampling.step, sampling.burn_in, sampling.thin)
    least, most = extreme_curvatures(model, data) if n_beta else (0.0, 0.0)
    low, high = n_beta * least + gamma, n_beta * most + gamma
    if low <= 0:
        raise ConditionError(
            "the local posterior exists (gamma > -n beta lambda_min)",
            f"`gamma` = {gamma:g}, where lambda_min = {least:.4g}",
            f"use `gamma` above {-n_beta * least:.4g} (20 times that for accuracy), or a smaller n beta",
        )
    scale = _scale(sampling, high)
    step = sampling.step if sampling.step is not None else 0.1 / (high * scale)
    slowest = step * low * scale / 2
    autocorrelation = max(1.0, 2 / slowest - 1)
    thin = sampling.thin or max(math.ceil(0.5 / slowest), diagnostics.thinning(sampling.draws, autocorrelation))
    burn_in = sampling.burn_in if sampling.burn_in is not None else math.ceil(10 / slowest)
    if not sampling.any_length:
        diagnostics.check_planned_length(sampling.draws, thin, autocorrelation)
    return ModulePlan(step, burn_in, thin)


def _scale(sampling: ModuleSampling, precision: float) -> float:
    """RMSProp divides the force by its root mean square, sqrt(p) in a direction of precision p."""
    return 1.0 if sampling.sampler == "sgld" else precision**-0.5


def diverged(
    model: ModuleLosses,
    data: Data,
    n_beta: float,
    gamma: float,
    *,
    plan: ModulePlan,
    sampling: ModuleSampling,
    alive: torch.Tensor,
    at: str,
) -> SamplingError:
    """The error that names a chain that left, and the step that would do."""
    precision = n_beta * extreme_curvatures(model, data)[1] + gamma if n_beta else gamma
    scale = _scale(sampling, precision)
    stable, advised = 4 / (precision * scale), 0.1 / (precision * scale)
    remedy = f"`step` {advised:.2g}" if advised < plan.step / 2 else "a larger `gamma`, which keeps chains near it"
    return SamplingError(
        f"{int((~alive).sum())} of {len(alive)} chains diverged{at}, the first is number {int(alive.int().argmin())}: "
        f"step {plan.step:.3g}, while steps below {stable:.3g} are stable there; use {remedy}"
    )


def check_measured_length(ess: Array, sampling: ModuleSampling, thin: int) -> None:
    """Refuse chains too short for the autocorrelation time measured for some loss."""
    total = sampling.chains * sampling.draws
    tau = total / ess
    error = batch_means.relative_error(sampling.batches, sampling.chains)
    least = diagnostics.autocorrelation_in_steps(tau * max(0.0, 1 - 3 * error), thin)
    if not (diagnostics.LENGTH * least > sampling.draws * thin).any():
        return
    worst = int(np.nanargmax(least))
    steps = float(diagnostics.autocorrelation_in_steps(tau, thin)[worst])
    raise SamplingError(
        f"chains too short: {sampling.draws} draws {thin} steps apart last {sampling.draws * thin / steps:.2g} "
        f"autocorrelation times ({steps:.3g} steps) of loss {worst}, {diagnostics.LENGTH} are needed: use at least "
        f"{math.ceil(diagnostics.LENGTH * steps / thin)} draws, or `force_short`"
    )
