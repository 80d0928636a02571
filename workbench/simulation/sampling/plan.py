"""How the local posterior is to be sampled, and the step size and lengths that follow from its curvature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.simulation.influence.two_layer_gradients import extreme_curvatures, gradient_kernel
from workbench.simulation.sampling import diagnostics, hmc, minibatch, rmsprop, sgld
from workbench.simulation.sampling.network_posterior import NetworkCheckpoints
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]
#: What can be sampled around: two-layer linear networks, and those of any depth and activation.
Checkpoints = Trajectory | NetworkCheckpoints


@dataclass(frozen=True)
class Sampling:
    """How to sample.

    Attributes:
        chains: chains per checkpoint.
        draws: kept draws per chain.
        sampler: ``"sgld"``, ``"rmsprop"``, or the exact referee ``"hmc"``, whose steps are whole trajectories.
        step: step size eps; None chooses ``eps p = 0.1`` for the largest precision p, a bias of 2.5%. HMC then adapts
            its own during the burn-in; a step that is given stays.
        burn_in: discarded steps; None: ten relaxation times of the slowest direction, for HMC at least 200.
        thin: steps from one kept draw to the next; None: half a relaxation time (HMC: 1), or more if the chain would
            otherwise be too short for its autocorrelation time.
        batch_size: items a mini-batch of SGLD, drawn anew for every chain and step; None: all items.
        batches: batches a chain is cut into for its Monte Carlo error; see `batch_means`.
        seed: every chain draws from its own stream, numbered by (seed, checkpoint, chain).
        traces: keep the losses of every draw; R-hat and effective sample size are then those of arviz-stats.
        force: accept chains shorter than `diagnostics.LENGTH` autocorrelation times. Implied by giving step,
            burn-in and thinning all three: nothing is then left to plan.
        device, dtype: where and how precisely the chains run. A GPU draws other random numbers than a processor.
    """

    chains: int = 4
    draws: int = 500
    sampler: Literal["sgld", "rmsprop", "hmc"] = "sgld"
    step: float | None = None
    burn_in: int | None = None
    thin: int | None = None
    batches: int = 40
    seed: int = 0
    traces: bool = False
    batch_size: int | None = None
    force: bool = False
    device: str = "cpu"
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        if self.sampler not in ("sgld", "rmsprop", "hmc"):
            raise WorkbenchError(f"sampler {self.sampler!r} is unknown; use sgld, rmsprop or hmc")
        if self.batch_size is not None and (self.sampler != "sgld" or self.batch_size < 1):
            raise WorkbenchError(
                f"batch size {self.batch_size} with sampler {self.sampler}; mini-batches of 1 item or more go with sgld"
            )
        if self.chains < 1 or self.draws < self.batches:
            raise WorkbenchError(
                f"chains {self.chains}, draws {self.draws}; give at least 1 chain and {self.batches} draws "
                f"({self.batches} batches, for the Monte Carlo error)"
            )

    @property
    def any_length(self) -> bool:
        """Whether chains too short for their autocorrelation time are accepted."""
        return self.force or None not in (self.step, self.burn_in, self.thin)


@dataclass(frozen=True)
class Plan:
    """Step size and lengths that follow from the curvature of the posterior; see `plan`.

    Attributes:
        step: eps; where HMC starts to adapt it.
        burn_in, thin: in steps.
        expected_bias: relative bias of the largest variance by the step size (and the mini-batches); 0 for HMC.
        lambda_min, lambda_max: ``(T,)`` extreme curvatures of the loss.
        autocorrelation: expected autocorrelation time of the slowest direction, in steps.
        leapfrogs: leapfrog steps of one step of HMC.
        expected_acceptance: of HMC at the step it starts from.
    """

    step: float
    burn_in: int
    thin: int
    expected_bias: float
    lambda_min: Array
    lambda_max: Array
    autocorrelation: float = 1.0
    leapfrogs: int = 1
    expected_acceptance: float = 1.0

    def steps(self, draws: int) -> int:
        """Steps of every chain."""
        return self.burn_in + 1 + self.thin * (draws - 1)

    def draws_at(self, step: int) -> bool:
        """Whether the state after step number ``step``, counted from 0, is a draw."""
        return step >= self.burn_in and (step - self.burn_in) % self.thin == 0


def plan(
    trajectory: Checkpoints, n_beta: float, gamma: float, sampling: Sampling, *, curvatures: Array | None = None
) -> Plan:
    """Choose step size, burn-in and thinning from the exact extreme curvatures at every checkpoint.

    Args:
        trajectory: T checkpoints.
        n_beta, gamma: of the local posterior.
        sampling: what is asked for.
        curvatures: ``(T, 2)`` smallest and largest curvature of the loss, if they are known.

    Raises:
        ConditionError: where ``n beta H + gamma`` is not positive definite: no local posterior to sample.
        WorkbenchError: for a mini-batch of more items than there are.
    """
    task = trajectory.task
    if sampling.batch_size is not None and sampling.batch_size > task.n_items:
        raise WorkbenchError(f"batch size {sampling.batch_size} of {task.n_items} items; use {task.n_items} or fewer")
    if curvatures is None and isinstance(trajectory, NetworkCheckpoints):
        curvatures = trajectory.curvatures()
    elif curvatures is None:
        weights = zip(trajectory.W1, trajectory.W2, strict=True)
        curvatures = np.array([extreme_curvatures(task.X, task.Y, W1, W2) for W1, W2 in weights])
    ends = curvatures
    precisions = n_beta * ends + gamma
    low, high = float(precisions[:, 0].min()), float(precisions[:, 1].max())
    if low <= 0:
        k = int(precisions[:, 0].argmin())
        raise ConditionError(
            "the local posterior exists (gamma > -n beta lambda_min)",
            f"gamma = {gamma:g} at t = {trajectory.times[k]:.4g}, where lambda_min = {ends[k, 0]:.4g}",
            f"use gamma above {-n_beta * ends[k, 0]:.4g} (20 times that for accuracy), or a smaller n beta",
        )
    if sampling.sampler == "hmc":
        return _plan_trajectories(trajectory, sampling, low, high, ends)
    # RMSProp divides the force by the root mean square force, sqrt(p) in a direction of precision p.
    scale = 1.0 if sampling.sampler == "sgld" else high**-0.5
    step = sampling.step if sampling.step is not None else 0.1 / (high * scale)
    slowest = step * low * scale / 2
    autocorrelation = max(1.0, 2 / slowest - 1)
    thin = sampling.thin or max(math.ceil(0.5 / slowest), diagnostics.thinning(sampling.draws, autocorrelation))
    burn_in = sampling.burn_in if sampling.burn_in is not None else math.ceil(10 / slowest)
    inflation = sgld.variance_inflation(step * scale, high)
    if sampling.sampler == "rmsprop":
        inflation += rmsprop.variance_inflation(rmsprop.ALPHA, 1 - step * scale * high / 2) - 1
    if sampling.batch_size is not None and sampling.batch_size < task.n_items:
        noise = minibatch.gradient_noise(
            trajectory.kernel
            if isinstance(trajectory, NetworkCheckpoints)
            else partial(gradient_kernel, task.X, task.Y),
            trajectory.W1,
            trajectory.W2,
            n_beta=n_beta,
            gamma=gamma,
            batch_size=sampling.batch_size,
        )
        inflation = minibatch.variance_inflation(step, high, noise)
    return Plan(step, burn_in, thin, inflation - 1, ends[:, 0], ends[:, 1], autocorrelation)


def _plan_trajectories(trajectory: Checkpoints, sampling: Sampling, low: float, high: float, ends: Array) -> Plan:
    N = trajectory.W1[0].size + trajectory.W2[0].size
    how = hmc.tuned(N, low, high, sampling.step)
    burn_in = sampling.burn_in if sampling.burn_in is not None else max(200, math.ceil(10 * how.autocorrelation))
    thin = sampling.thin or diagnostics.thinning(sampling.draws, how.autocorrelation)
    return Plan(
        how.step, burn_in, thin, 0.0, ends[:, 0], ends[:, 1], how.autocorrelation, how.leapfrogs, how.acceptance
    )
