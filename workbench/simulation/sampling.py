"""Sample the local posterior around every checkpoint of a trajectory: all checkpoints and chains in one batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import ConditionError, SamplingError, WorkbenchError
from workbench.simulation import diagnostics, hmc, minibatch, network_posterior, resuming, rmsprop, sgld
from workbench.simulation.deep_training import Place
from workbench.simulation.gradients import extreme_curvatures
from workbench.simulation.moments import BatchMoments, CovarianceEstimate, estimate
from workbench.simulation.network_posterior import NetworkCheckpoints, NetworkPosterior
from workbench.simulation.target import LocalPosterior, Noise, block_steps, item_losses
from workbench.simulation.threads import in_threads
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]
Progress = Callable[[int], None]
Checkpoints = Trajectory | NetworkCheckpoints

#: One group of checkpoints holds no more sums and noise than this many bytes,
_GROUP_BYTES = 3e8
#: and no more weights than a processor's cache does: larger batches wait for memory.
_GROUP_WEIGHTS = 1e5


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
        device, dtype: where and how precisely the chains run.
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


@dataclass(frozen=True)
class LocalSamples:
    """What sampling returns.

    Attributes:
        estimate: covariances and means of the losses with their errors.
        plan: how they were made.
        traces: ``(T, C, draws, P)`` losses, if asked for.
        acceptance: ``(T, C)`` mean acceptance of HMC after its burn-in.
    """

    estimate: CovarianceEstimate
    plan: Plan
    traces: Array | None = field(default=None)
    acceptance: Array | None = field(default=None)


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
    if isinstance(trajectory, NetworkCheckpoints):
        _refuse_for_networks(sampling)
        curvatures = trajectory.curvatures() if curvatures is None else curvatures
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
    if sampling.batch_size is not None:
        noise = minibatch.gradient_noise(
            task.X,
            task.Y,
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


def sample_local_posterior(
    trajectory: Checkpoints,
    *,
    n_beta: float,
    gamma: float,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
    planned: Plan | None = None,
    slot: Slot = NOWHERE,
) -> LocalSamples:
    """Covariances of the per-item losses under the local posterior around every checkpoint.

    Args:
        trajectory: T checkpoints of a two-layer linear network, trained or predicted, or `NetworkCheckpoints` of one of
            any depth and activation.
        n_beta: inverse temperature times number of items. gamma: localization.
        sampling: chains, draws, sampler and seed.
        progress: called with the number of chain-steps done since the last call.
        planned: a `plan` made before, to save its curvatures.
        slot: where to keep the chains as they run, and to go on with what was kept there.

    Raises:
        SamplingError: if a chain diverges, naming its checkpoint and the largest stable step; if the chains are too
            short for their autocorrelation time, naming the length they need; if HMC hardly accepts.
        ConditionError: where there is no local posterior.
    """
    settings = sampling or Sampling()
    how = planned or plan(trajectory, n_beta, gamma, settings)
    if not settings.any_length:
        diagnostics.check_planned_length(settings.draws, how.thin, how.autocorrelation)
    T, P, C = len(trajectory.times), trajectory.task.n_items, settings.chains
    N = trajectory.W1[0].size + trajectory.W2[0].size
    a_checkpoint = C * 8 * (settings.batches * P**2 + block_steps(N) * N + 8 * N)
    cached = _GROUP_WEIGHTS // (C * N) if settings.device == "cpu" else T
    group = int(max(1, min(cached, _GROUP_BYTES // a_checkpoint)))
    groups = [range(first, min(T, first + group)) for first in range(0, T, group)]

    def sample(members: range, stopped: Event) -> LocalSamples:
        part = slot.part(members[0])
        return _sample_group(trajectory, members, n_beta, gamma, settings, how, progress, stopped, part)

    on_cpu = settings.device == "cpu"
    results = in_threads(sample, groups) if on_cpu else [sample(members, Event()) for members in groups]
    names = CovarianceEstimate.__dataclass_fields__
    joined = CovarianceEstimate(
        **{name: np.concatenate([getattr(result.estimate, name) for result in results]) for name in names}
    )
    traces, acceptance = (_joined([getattr(r, name) for r in results]) for name in ("traces", "acceptance"))
    if traces is not None:
        rhat, ess = diagnostics.rhat_and_ess(traces)
        joined = replace(joined, rhat=rhat, ess=ess)
    if not settings.any_length:
        diagnostics.check_length(joined.ess, settings, how.thin, trajectory)
    return LocalSamples(joined, how, traces, acceptance)


def _joined(parts: list[Array | None]) -> Array | None:
    kept = [part for part in parts if part is not None]
    return np.concatenate(kept) if kept else None


def _sample_group(
    trajectory: Checkpoints,
    members: range,
    n_beta: float,
    gamma: float,
    settings: Sampling,
    how: Plan,
    progress: Progress | None,
    stopped: Event,
    slot: Slot,
) -> LocalSamples:
    task, C = trajectory.task, settings.chains
    index = np.repeat(np.array(members), C)
    target = _target(trajectory, index, n_beta, gamma, Place(settings.device, settings.dtype))
    state, update, extra = _algorithm(settings, how, target)
    noise = Noise(target, [(settings.seed, k, chain) for k in members for chain in range(C)], extra)
    moments = BatchMoments(item_losses(state.residual), settings.draws, settings.batches)
    kept: list[torch.Tensor] = []
    total = how.steps(settings.draws)
    precision = n_beta * how.lambda_max + gamma
    stable = 4 / precision if settings.sampler == "sgld" else 4 / precision**0.5
    begin = resuming.resume(slot, kept, noise, state=state, moments=moments)
    if progress and begin:
        progress(target.chains * begin)
    for step in range(begin, total):
        update(step, *noise.next())
        if step >= how.burn_in and (step - how.burn_in) % how.thin == 0:
            losses = item_losses(state.residual)
            moments.add(losses)
            if settings.traces:
                kept.append(losses)
        if step % noise.steps == noise.steps - 1 or step == total - 1:
            if stopped.is_set():
                raise SamplingError("sampling was stopped")
            diagnostics.check_alive(state.residual, trajectory.times[index], how.step, stable[index])
            if progress:
                progress(target.chains * (step % noise.steps + 1))
            if slot.due():
                resuming.keep(slot, step + 1, kept, noise, state=state, moments=moments)
    resuming.keep(slot, total, kept, noise, state=state, moments=moments)
    traces = acceptance = None
    if settings.traces:
        traces = torch.stack(kept, dim=1).reshape(len(members), C, settings.draws, task.n_items).cpu().numpy()
    if settings.sampler == "hmc":
        acceptance = state.acceptance.cpu().numpy().reshape(len(members), C)
        diagnostics.check_acceptance(acceptance, trajectory.times[np.array(members)], how.step)
    return LocalSamples(estimate(moments, C), how, traces, acceptance)


def _target(
    trajectory: Checkpoints, index: NDArray[np.int64], n_beta: float, gamma: float, place: Place
) -> LocalPosterior | NetworkPosterior:
    """What chains at the checkpoints ``index`` sample."""
    if isinstance(trajectory, NetworkCheckpoints):
        return trajectory.target(index, n_beta, gamma, place)
    task = trajectory.task
    X = None if task.one_hot else place.tensor(task.X)
    star1, star2 = place.tensor(trajectory.W1[index]), place.tensor(trajectory.W2[index])
    return LocalPosterior(place.tensor(task.Y), X, star1, star2, n_beta, gamma)


def _refuse_for_networks(sampling: Sampling) -> None:
    if sampling.sampler == "rmsprop" or sampling.batch_size is not None:
        raise WorkbenchError(
            f"sampler {sampling.sampler} with batch size {sampling.batch_size} on a network of any depth; use sgld "
            "with full batches, or hmc"
        )


def _algorithm(
    settings: Sampling, how: Plan, target: LocalPosterior | NetworkPosterior
) -> tuple[Any, Callable[..., Any], int]:
    """State, ``update(step number, noise1, noise2, extra)``, and how many extra numbers a chain-step needs."""
    state: Any
    if settings.sampler == "hmc":
        state = hmc.init(target, how.step)
        adapted = how.burn_in if settings.step is None else 0
        return state, lambda k, *xi: hmc.update(state, target, how.leapfrogs, k < adapted, *xi), hmc.EXTRA
    if isinstance(target, NetworkPosterior):
        state = network_posterior.init(target)
        return state, lambda k, first, second, _: network_posterior.update(state, target, how.step, first, second), 0
    if settings.sampler == "rmsprop":
        state = rmsprop.init(target)
        return state, lambda k, first, second, _: rmsprop.update(state, target, how.step, first, second), 0
    state, m = sgld.init(target), settings.batch_size
    if m is None:
        return state, lambda k, first, second, _: sgld.update(state, target, how.step, first, second), 0
    return state, lambda k, *xi: minibatch.update(state, target, how.step, m, *xi), target.Y.shape[1]
