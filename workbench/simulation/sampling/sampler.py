"""What a sampler is: a step of all chains, what is known of its step size, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.simulation.network.model import ModelBatch
from workbench.simulation.sampling.posterior import LocalPosterior

if TYPE_CHECKING:
    from workbench.simulation.sampling.plan import Sampling

Array = NDArray[np.float64]


class State(Protocol):
    """What a sampler changes in place: chains, and tensors and numbers of its own as attributes."""

    @property
    def batch(self) -> ModelBatch: ...


@dataclass(frozen=True)
class Precisions:
    """What is known of the posteriors of all checkpoints before sampling.

    Attributes:
        n_weights: N. n_items: P.
        low, high: smallest and largest precision ``n beta h + gamma`` of any checkpoint.
        gradient_noise: largest variance of the gradient of U by mini-batches of so many items.
    """

    n_weights: int
    n_items: int
    low: float
    high: float
    gradient_noise: Callable[[int], float] = field(default=lambda size: 0.0)


@dataclass(frozen=True)
class Plan:
    """Step size and lengths that follow from the curvature of the posterior; see `plan.plan`.

    Attributes:
        step: eps; where HMC starts to adapt it.
        burn_in, thin: in steps.
        expected_bias: relative bias of the largest variance by the step size (and the mini-batches); 0 for HMC.
        lambda_min, lambda_max: ``(T,)`` extreme curvatures of the loss.
        autocorrelation: expected autocorrelation time of the slowest direction, in steps.
        leapfrogs: gradients that one step takes.
        expected_acceptance: of HMC at the step it starts from.
    """

    step: float
    burn_in: int
    thin: int
    expected_bias: float
    lambda_min: Array = field(default_factory=lambda: np.zeros(0))
    lambda_max: Array = field(default_factory=lambda: np.zeros(0))
    autocorrelation: float = 1.0
    leapfrogs: int = 1
    expected_acceptance: float = 1.0

    def steps(self, draws: int) -> int:
        """Steps of every chain."""
        return self.burn_in + 1 + self.thin * (draws - 1)

    def draws_at(self, step: int) -> bool:
        """Whether the state after step number ``step``, counted from 0, is a draw."""
        return step >= self.burn_in and (step - self.burn_in) % self.thin == 0


@dataclass(frozen=True)
class Sampler:
    """A sampler; `samplers.SAMPLERS` lists them.

    Attributes:
        name: as in `Sampling` and on the command line.
        title: in words.
        init: ``init(target, plan, sampling)``, the state of every chain at its checkpoint.
        update: ``update(state, target, noise, extra, step)``: step number 0, 1, ... of every chain, in place, with
            standard normal numbers: noise ``(B, N)`` and ``(B, extra)`` more.
        plan: ``plan(precisions, sampling)``: step size, burn-in and thinning.
        stable: steps below this are stable in a direction of this precision.
        usual: a good step for this largest precision.
        extra: ``extra(target, sampling)``, how many more numbers a chain needs in every step.
        mini_batches: whether it takes gradients of some of the items.
        rotates: whether its steps on all items have the same law in every orthonormal basis of inputs and outputs.
        captured: whether all steps are alike, so that a GPU may replay them as one graph.
        acceptance: ``(B,)`` mean acceptance of the chains of a state, where there is such a thing.
        fused: module with a kernel that does many steps on a GPU.
    """

    name: str
    title: str
    init: Callable[[LocalPosterior, Plan, Sampling], Any]
    update: Callable[[Any, LocalPosterior, torch.Tensor, torch.Tensor, int], None]
    plan: Callable[[Precisions, Sampling], Plan]
    stable: Callable[[float], float]
    usual: Callable[[float], float]
    extra: Callable[[LocalPosterior, Sampling], int] = field(default=lambda target, sampling: 0)
    mini_batches: bool = False
    rotates: bool = False
    captured: bool = True
    acceptance: Callable[[Any], torch.Tensor] | None = None
    fused: str | None = None
