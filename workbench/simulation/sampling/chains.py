"""Sample the local posterior around every checkpoint of a trajectory: all checkpoints and chains in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import SamplingError
from workbench.simulation.network.in_modes import ModesModel, worthwhile
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.network.restricted import RestrictedModel
from workbench.simulation.running.threads import in_threads
from workbench.simulation.sampling import diagnostics, resuming
from workbench.simulation.sampling.convergence import rhat_and_ess
from workbench.simulation.sampling.drivers import bytes_per_chain, driver
from workbench.simulation.sampling.moments import BatchMoments, CovarianceEstimate, estimate
from workbench.simulation.sampling.plan import Sampling, plan
from workbench.simulation.sampling.posterior import LocalPosterior
from workbench.simulation.sampling.sampler import Plan
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]
Progress = Callable[[int], None]

#: Chains that run at one time hold no more sums and noise than this many bytes (a GPU: half of its memory),
_GROUP_BYTES = 3e8
#: and no more weights than a processor's cache does: larger batches wait for memory.
_GROUP_WEIGHTS = 1e5
#: Arrays as large as the sums that `estimate` holds at one time.
_COPIES = 6


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


def sample_local_posterior(
    trajectory: Trajectory,
    *,
    n_beta: float,
    gamma: float,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
    planned: Plan | None = None,
    slot: Slot = NOWHERE,
) -> LocalSamples:
    """Covariances of the per-item losses under the local posterior around every checkpoint.

    Chains run in as many batches as the memory asks for. Their random numbers do not depend on the batches; rounding
    may, in the last digits, but not where `fused_sgld` runs.

    Args:
        trajectory: T checkpoints of a network of any depth and activation, trained or predicted.
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
    schedule = planned or plan(trajectory, n_beta, gamma, settings)
    if not settings.any_length:
        diagnostics.check_planned_length(settings.draws, schedule.thin, schedule.autocorrelation)
    T, C = len(trajectory.times), settings.chains
    fitting = _chains_at_once(trajectory, settings)
    spread = in_threads if settings.place.device == "cpu" else _one_by_one

    def run(chains: range, stopped: Event) -> _Piece:
        return _run(trajectory, chains, n_beta, gamma, settings, schedule, progress, stopped, slot.part(chains[0]))

    def and_fetch(chains: range, stopped: Event) -> _Piece:
        piece = run(chains, stopped)
        return piece._replace(moments=piece.moments.to_processor())

    if fitting >= C:
        jobs = _cut(range(T * C), fitting // C * C)
        results = spread(lambda chains, stopped: _summary([run(chains, stopped)], trajectory, settings, schedule), jobs)
    else:
        checkpoints = [_cut(range(k * C, (k + 1) * C), fitting) for k in range(T)]
        results = [_summary(spread(and_fetch, jobs), trajectory, settings, schedule) for jobs in checkpoints]
    names = CovarianceEstimate.__dataclass_fields__
    joined = CovarianceEstimate(
        **{name: np.concatenate([getattr(result.estimate, name) for result in results]) for name in names}
    )
    traces, acceptance = (_joined([getattr(r, name) for r in results]) for name in ("traces", "acceptance"))
    if traces is not None:
        rhat, ess = rhat_and_ess(traces)
        joined = replace(joined, rhat=rhat, ess=ess)
    if not settings.any_length:
        diagnostics.check_length(joined.ess, settings, schedule.thin, trajectory)
    return LocalSamples(joined, schedule, traces, acceptance)


def _joined(parts: list[Array | None]) -> Array | None:
    kept = [part for part in parts if part is not None]
    return np.concatenate(kept) if kept else None


class _Piece(NamedTuple):
    """What some chains leave behind, numbered ``checkpoint x C + chain``."""

    chains: range
    moments: BatchMoments
    traces: Array | None
    acceptance: Array | None


def _chains_at_once(trajectory: Trajectory, settings: Sampling) -> int:
    """How many chains fit the memory (of a GPU: half of it), and on a CPU its cache."""
    P, N = trajectory.task.n_items, trajectory.network.n_weights
    sums, rest = 8.0 * settings.batches * P**2, bytes_per_chain(N)
    if settings.place.device == "cpu":
        return int(max(1, min(_GROUP_BYTES // (sums + rest), max(_GROUP_WEIGHTS // N, 1))))
    # The estimate of all chains at once works on copies of their sums.
    return int(max(1, max(_GROUP_BYTES, torch.cuda.mem_get_info()[1] / 2) // (_COPIES * sums + rest)))


def _cut(chains: range, size: int) -> list[range]:
    """Consecutive pieces of at most ``size``."""
    return [chains[first : first + size] for first in range(0, len(chains), size)]


def _one_by_one(run: Callable[[range, Event], Any], jobs: Sequence[range]) -> list[Any]:
    return [run(job, Event()) for job in jobs]


def _summary(pieces: list[_Piece], trajectory: Trajectory, settings: Sampling, schedule: Plan) -> LocalSamples:
    """Estimates at the checkpoints whose chains are all in the pieces, in order."""
    C, P = settings.chains, trajectory.task.n_items
    traces, acceptance = _joined([p.traces for p in pieces]), _joined([p.acceptance for p in pieces])
    if traces is not None:
        traces = traces.reshape(-1, C, settings.draws, P)
    if acceptance is not None:
        acceptance, first = acceptance.reshape(-1, C), pieces[0].chains[0] // C
        diagnostics.check_acceptance(acceptance, trajectory.times[first : first + len(acceptance)], schedule.step)
    return LocalSamples(estimate([p.moments for p in pieces], C), schedule, traces, acceptance)


def _run(
    trajectory: Trajectory,
    chains: range,
    n_beta: float,
    gamma: float,
    settings: Sampling,
    schedule: Plan,
    progress: Progress | None,
    stopped: Event,
    slot: Slot,
) -> _Piece:
    places = np.stack(np.divmod(np.array(chains), settings.chains), axis=1)
    index = places[:, 0]
    target = _target(trajectory, index, n_beta, gamma, settings)
    run = driver(settings, schedule, target, places)
    state = run.state
    moments = BatchMoments(state.batch.losses(), settings.draws, settings.batches)
    kept: list[torch.Tensor] = []
    total = schedule.steps(settings.draws)
    algorithm = settings.algorithm
    stable = np.array([algorithm.stable(float(p)) for p in n_beta * schedule.lambda_max + gamma])
    begin = resuming.resume(slot, kept, run, state=state, moments=moments)
    if progress and begin:
        progress(target.chains * begin)
    for first in range(begin, total, run.block):
        last = min(first + run.block, total)
        for losses in run.advance(first, last):
            moments.add(losses)
            if settings.traces:
                kept.append(losses)
        if stopped.is_set():
            raise SamplingError("sampling was stopped")
        diagnostics.check_alive(state.batch.losses(), trajectory.times[index], schedule.step, stable[index])
        if progress:
            progress(target.chains * (last - first))
        if slot.due():
            resuming.keep(slot, last, kept, run, state=state, moments=moments)
    resuming.keep(slot, total, kept, run, state=state, moments=moments)
    traces = acceptance = None
    if settings.traces:
        traces = torch.stack(kept, dim=1).cpu().numpy()
    if algorithm.acceptance is not None:
        acceptance = algorithm.acceptance(state).cpu().numpy()
    return _Piece(chains, moments, traces, acceptance)


def _target(
    trajectory: Trajectory, index: NDArray[np.int64], n_beta: float, gamma: float, settings: Sampling
) -> LocalPosterior:
    """What chains at the checkpoints ``index`` sample."""
    flat = np.concatenate([W.reshape(len(W), -1) for W in trajectory.weights], axis=1)
    star = settings.place.chosen_rows(flat, index)
    model = NetworkModel.of(trajectory.network, settings.place)
    if settings.layer is None:
        if _in_modes(model, settings):
            rotating = ModesModel.of(model)
            return LocalPosterior(rotating, rotating.rotated(star), n_beta, gamma)
        return LocalPosterior(model, star, n_beta, gamma)
    sizes = np.cumsum([0, *(rows * columns for rows, columns in model.shapes)])
    free = slice(int(sizes[settings.layer]), int(sizes[settings.layer + 1]))
    return LocalPosterior(RestrictedModel(model, star, free), star[:, free].contiguous(), n_beta, gamma)


def _in_modes(model: NetworkModel, settings: Sampling) -> bool:
    """Whether chains run in the basis of the task's modes: the same law for a fraction of the work."""
    isotropic = settings.algorithm.rotates and settings.batch_size is None
    return isotropic and settings.place.device == "cpu" and worthwhile(model)
