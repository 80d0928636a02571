"""The chains of a local posterior, planned from the theory and refused before any training where they could not run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench import simulation
from workbench.errors import WorkbenchError
from workbench.parallel import cores
from workbench.simulation import Plan, Sampling
from workbench.simulation.sampling.diagnostics import check_planned_length
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Chains that would take longer are a slip of the keyboard.
_HOURS = 6.0
#: Steps smaller than this fraction of the largest stable one are refused outright.
_STUCK = 1e-9


def plan_ahead(predicted: Trajectory, ends: Array, n_beta: float, gamma: float, sampling: Sampling) -> Plan:
    """The plan on the predicted network, whose curvatures ``(T, 2)`` are known before training.

    Raises:
        WorkbenchError: where the step is too large to be stable or the chains would take more than six hours.
        SamplingError: where they are too short for their autocorrelation time.
    """
    if sampling.step is not None:
        _refuse_step(predicted.times, n_beta * ends[:, 1] + gamma, sampling)
    planned = simulation.plan(predicted, n_beta, gamma, sampling, curvatures=ends)
    _refuse_endless(predicted, planned, sampling)
    if not sampling.any_length:
        check_planned_length(sampling.draws, planned.thin, planned.autocorrelation)
    return planned


def _refuse_step(times: Array, precision: Array, sampling: Sampling) -> None:
    step, k = sampling.step or 0.0, int(precision.argmax())
    p = float(precision[k])
    limit, good = sampling.algorithm.stable(p), sampling.algorithm.usual(p)
    if step >= limit:
        raise WorkbenchError(
            f"`step_size` {step:g} of {sampling.sampler}: chains diverge from {limit:.3g} on, at checkpoint t = "
            f"{times[k]:.4g}; use `step_size` {good:.2g}, or leave it out"
        )
    if step < _STUCK * limit:
        raise WorkbenchError(
            f"`step_size` {step:g} of {sampling.sampler}: chains would not move, the largest stable step is "
            f"{limit:.3g}; use `step_size` {good:.2g}, or leave it out"
        )


def _refuse_endless(predicted: Trajectory, planned: Plan, sampling: Sampling) -> None:
    N, P = predicted.network.n_weights, predicted.task.n_items
    steps = float(planned.steps(sampling.draws)) * sampling.chains * len(predicted.times)
    seconds = 1e-6 + N * (5e-10 * P + 6e-9)
    hours = steps * seconds * planned.leapfrogs / cores() / 3600 if sampling.place.device == "cpu" else 0.0
    if hours > _HOURS:
        given = sampling.step is not None
        what = "a larger `step_size`, or leave it out" if given else "fewer `draws`, `chains` or `checkpoints`"
        raise WorkbenchError(
            f"{steps:.2g} chain-steps of {planned.step:.2g} would take about {hours:.2g} hours (limit {_HOURS:g}); "
            f"use {what}"
        )
