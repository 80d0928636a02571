"""Methods that add influence along a trained path, held against the exact derivative and against interventions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from workbench import simulation, theory
from workbench.bench.methods.curvature import mean_loss_gauss_newton, mean_loss_hessian
from workbench.bench.methods.segmentwise_unrolling import unrolled
from workbench.bench.methods.tracin import tracin
from workbench.bench.run import ChainNetwork, Examples, Run, example_gradients
from workbench.influence import MEASURES
from workbench.networks import Network, network
from workbench.simulation.training.output_basis import on_outputs
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Checkpoints from one time of evaluation to the next.
_STRIDE = 10


def small(one: Network) -> Network:
    """The same problem with no idle hidden unit and in the space of its outputs, so that Hessians are small."""
    task = on_outputs(one, one.modes.U).task
    return network(task, hidden=max(one.modes.rank, 2), init=one.init or "auto", depth=one.depth, seed=one.seed)


def trained(one: Network, evaluations: int) -> Trajectory:
    """A trained path with `_STRIDE` checkpoints between two evaluations."""
    schedule = simulation.Schedule.even(
        theory.settling_time(one), _STRIDE * evaluations + 1, simulation.learning_rate(one, 0.02)
    )
    return simulation.train(one, schedule)


def run_of(path: Trajectory) -> Run:
    """A trained trajectory as the methods of the bench see it."""
    task = path.task
    items = Examples(task.items, torch.tensor(task.X.T), torch.tensor(task.Y.T))
    checkpoints = tuple(ChainNetwork(path.at(k).weights) for k in range(len(path.times)))
    steps = np.rint(path.times / path.eta).astype(np.int64)
    return Run(checkpoints, steps, path.times, items, items[:0], path.eta)


def scores_of_methods(
    path: Trajectory, curvatures: Sequence[str], segments: Sequence[int]
) -> tuple[tuple[Array, Array, Array, Array], tuple[Array, Array]]:
    """Scores ``(methods, E)`` of every method at the E times of evaluation; those times and the shares that cancel."""
    run, P = run_of(path), path.task.n_items
    gradients = torch.stack([example_gradients(net, run.examples).detach() for net in run.checkpoints])
    curvature = {
        "Hessian": torch.stack([mean_loss_hessian(net, run.items) for net in run.checkpoints]),
        "Gauss-Newton": torch.stack([mean_loss_gauss_newton(net, run.items) for net in run.checkpoints]),
    }
    at = np.arange(_STRIDE, len(path.times), _STRIDE)
    influence = [tracin(run)[at]]
    for name in curvatures:
        for count in segments:
            ends = [np.unique(np.rint(np.linspace(0, k, count + 1)).astype(int)).tolist() for k in at]
            influence.append(np.stack([unrolled(gradients, curvature[name], path.times, e, P)[-1] for e in ends]))
    exact = MEASURES["trajectory_derivative"](path).values[at]
    without = MEASURES["leave_one_out"](path).values[at]
    off = ~np.eye(P, dtype=bool)
    estimates, truth, removed = np.stack(influence)[..., off], exact[:, off], without[:, off]
    scores = (
        _correlation(estimates, truth),
        (estimates * truth > 0).mean(axis=-1),
        np.linalg.norm(estimates - truth, axis=-1) / np.linalg.norm(truth, axis=-1),
        _correlation(estimates, removed),
    )
    return scores, (path.times[at], np.stack([_cancelled(parts, off) for parts in _parts(path, run, at)]))


def _parts(path: Trajectory, run: Run, at: NDArray[np.intp]) -> list[list[Array]]:
    """For every time of evaluation the ``(k, P, P)`` parts of the sums that end there: TracIn, and the derivative."""
    added = np.diff(tracin(run), axis=0)
    one = path.network
    assert one.a0 is not None
    carried = []
    for k in at:
        bounds = path.times[np.arange(0, k + 1, max(1, k // 20))]
        windows = list(pairwise(bounds.tolist()))
        end = float(bounds[-1])
        parts = [
            theory.trajectory_derivative(one.modes, [end], a0=one.a0, active=one.active, depth=one.depth, window=w)[0]
            for w in windows
        ]
        carried.append(np.stack(parts))
    return [[added[:k] for k in at], carried]


def _cancelled(parts: list[Array], off: NDArray[np.bool_]) -> Array:
    """``(E,)`` share of all absolute influence between different items that cancels."""
    sums = [(np.abs(p[:, off].sum(axis=0)).sum(), np.abs(p[:, off]).sum()) for p in parts]
    return np.array([1 - kept / total for kept, total in sums])


def _correlation(x: Array, y: Array) -> Array:
    """Along the last axis; nan where one of them does not vary."""
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    size = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.asarray(np.divide((x * y).sum(axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0))


def stages_of(path: Trajectory) -> list[tuple[int, int]]:
    """Checkpoints between which a stage lies: those nearest to neighbouring half-rise times, from 0 on."""
    times = path.times
    rises = theory.half_rise_times(path.network)
    inside = rises[np.isfinite(rises) & (rises < 0.9 * times[-1])]
    return list(pairwise(np.unique([0, *(int(np.abs(times - t).argmin()) for t in inside)]).tolist()))


def scores_of_interventions(path: Trajectory) -> tuple[Array, Array, float]:
    """Correlation and share of right signs ``(stages, predictors)``; by how much retrained effects are off."""
    one, times = path.network, path.times
    assert one.a0 is not None
    off = ~np.eye(path.task.n_items, dtype=bool)
    kernel = np.asarray(MEASURES["gradient_kernel"](path).values)
    added = tracin(run_of(path))
    through = theory.trajectory_derivative(one.modes, times, a0=one.a0, active=one.active, depth=one.depth)
    correlations, signs, gaps = [], [], []
    for begin, end in stages_of(path):
        window, middle = (float(times[begin]), float(times[end])), (begin + end) // 2
        exact = theory.window_removal(one, [times[end]], [window])[0, 0][off]
        seen = MEASURES["window_removal"](path, window=window).values[end][off]
        part = theory.window_removal(one, [times[end]], [window], method="first_order")[0, 0]
        scores = np.stack([added[-1], through[-1], kernel[-1], added[end] - added[begin], part, kernel[middle]])
        correlations.append(_correlation(scores[:, off], np.broadcast_to(exact, (len(scores), exact.size))))
        signs.append((scores[:, off] * exact > 0).mean(axis=-1))
        gaps.append(np.linalg.norm(seen - exact) / np.linalg.norm(exact))
    return np.stack(correlations), np.stack(signs), float(max(gaps))
