"""The chains of a comparison: planned from the theory, and refused before any training where they could not run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import simulation
from workbench.comparison.settings import Settings
from workbench.errors import WorkbenchError
from workbench.influence import local_bif
from workbench.parallel import cores
from workbench.simulation import Plan, Sampling
from workbench.simulation.sampling.diagnostics import check_planned_length
from workbench.theory.posterior.hessian import curvature_range
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

_PAIR, _ITEM = ("time", "source", "target"), ("time", "item")
#: What goes with the sampled `local_bif`: name in the dataset, coordinate of the array, dimensions, attributes.
_BESIDE: tuple[tuple[str, str, tuple[str, ...], dict[str, str]], ...] = (
    ("local_bif_simulated_stderr", "stderr", _PAIR, {"long_name": "by batch means", "units": "loss^2"}),
    (
        "local_bif_simulated_stderr_between_chains",
        "stderr_between_chains",
        _PAIR,
        {"long_name": "between whole chains", "units": "loss^2"},
    ),
    (
        "local_bif_simulated_correlation",
        "correlation",
        _PAIR,
        {"long_name": "-Corr(l_i, l_j), the influence per standard deviation of both losses", "units": "1"},
    ),
    (
        "local_bif_simulated_correlation_stderr",
        "correlation_stderr",
        _PAIR,
        {"long_name": "by batch means", "units": "1"},
    ),
    ("local_bif_rhat", "rhat", _ITEM, {"long_name": "split R-hat of the item's loss"}),
    ("local_bif_ess", "ess", _ITEM, {"long_name": "effective sample size of the item's mean loss"}),
    (
        "learning_coefficient_simulated",
        "learning_coefficient",
        ("time",),
        {"long_name": "lambda_hat = n beta (E[L] - L(w*)); along the way an estimate without a theorem behind it"},
    ),
    (
        "learning_coefficient_simulated_stderr",
        "learning_coefficient_stderr",
        ("time",),
        {"long_name": "by batch means"},
    ),
)
#: Chains that would take longer are a slip of the keyboard.
_HOURS = 6.0
#: Steps smaller than this fraction of the largest stable one are refused outright.
_STUCK = 1e-9


def sampling_of(how: Settings, device: str) -> Sampling:
    """The chains that the settings ask for."""
    return Sampling(
        chains=how.chains,
        draws=how.draws,
        sampler=how.sampler,
        step=how.step_size,
        batch_size=how.batch_size,
        force=how.force_short,
        seed=how.seed,
        device=device,
        dtype=how.torch_dtype(),
    )


def curvatures(trajectory: Trajectory) -> Array:
    """``(T, 2)`` smallest and largest curvature of the loss: by modes if aligned, else from the weights."""
    start, task = trajectory.network, trajectory.task
    if trajectory.side == "predicted" and start.active is not None:
        return np.stack(curvature_range(start.modes, trajectory.mode_strengths, start.hidden, start.active), axis=1)
    weights = zip(trajectory.W1, trajectory.W2, strict=True)
    return np.array([simulation.extreme_curvatures(task.X, task.Y, W1, W2) for W1, W2 in weights])


def plan_ahead(predicted: Trajectory, ends: Array, n_beta: float, gamma: float, sampling: Sampling) -> Plan:
    """The plan on the predicted network, whose curvatures are known before training.

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
    """Stable in a direction of precision p are steps below 4/p for SGLD, 4/sqrt p for RMSProp, 2/sqrt p for HMC."""
    step, k = sampling.step or 0.0, int(precision.argmax())
    p = float(precision[k])
    limit, good = {"sgld": (4 / p, 0.1 / p), "rmsprop": (4 / p**0.5, 0.1 / p**0.5), "hmc": (2 / p**0.5, 0.5 / p**0.5)}[
        sampling.sampler
    ]
    if step >= limit:
        raise WorkbenchError(
            f"step-size {step:g} of {sampling.sampler}: chains diverge from {limit:.3g} on, at checkpoint t = "
            f"{times[k]:.4g}; use --step-size {good:.2g} or auto"
        )
    if step < _STUCK * limit:
        raise WorkbenchError(
            f"step-size {step:g} of {sampling.sampler}: chains would not move, the largest stable step is "
            f"{limit:.3g}; use --step-size {good:.2g} or auto"
        )


def _refuse_endless(predicted: Trajectory, planned: Plan, sampling: Sampling) -> None:
    N, P = predicted.W1[0].size + predicted.W2[0].size, predicted.task.n_items
    steps = float(planned.steps(sampling.draws)) * sampling.chains * len(predicted.times)
    seconds = 1e-6 + N * (5e-10 * P + 6e-9)
    hours = steps * seconds * planned.leapfrogs / cores() / 3600 if sampling.device == "cpu" else 0.0
    if hours > _HOURS:
        given = sampling.step is not None
        what = "a larger --step-size, or auto" if given else "fewer --draws, --chains or --checkpoints"
        raise WorkbenchError(
            f"{steps:.2g} chain-steps of {planned.step:.2g} would take about {hours:.2g} hours (limit {_HOURS:g}); "
            f"use {what}"
        )


def both_local_bifs(
    predicted: Trajectory,
    trained: Trajectory,
    n_beta: float,
    gamma: float,
    sampling: Sampling,
    planned: Plan,
    once: Callable[..., xr.DataArray],
) -> tuple[list[xr.DataArray], dict[str, Any]]:
    """`local_bif` on both sides, and the variables that go with the sampled one.

    Args:
        once: ``once(title, total, compute)`` runs ``compute(advance, slot)`` under a progress bar, or finds its result.
    """
    posterior = partial(local_bif, n_beta=n_beta, gamma=gamma)
    analytic = once(
        "local posterior, theory", len(predicted.times), lambda advance, _: posterior(predicted, progress=advance)
    )
    sampled = once(
        "local posterior, chains",
        planned.steps(sampling.draws) * sampling.chains * len(trained.times),
        lambda advance, slot: posterior(trained, sampling=sampling, planned=planned, progress=advance, slot=slot),
    )
    extras: dict[str, Any] = {
        name: (tuple(dims), sampled[coordinate].values, attrs) for name, coordinate, dims, attrs in _BESIDE
    }
    parts = [str(name) for name in sampled.coords if str(name).startswith("part_")]
    extras["local_bif_simulated_parts"] = (
        ("time", "part", "source", "target"),
        np.stack([sampled[name].values for name in parts], axis=1),
        {"long_name": "nearly independent parts of the chains; their mean is local_bif_simulated", "units": "loss^2"},
    )
    smallest = {"long_name": "smallest curvature of the trained network"}
    extras["lambda_min_simulated"] = ("time", planned.lambda_min, smallest)
    return [analytic, sampled.drop_vars([*(coordinate for _, coordinate, _, _ in _BESIDE), *parts])], extras


def note_on_chains(planned: Plan, sampling: Sampling) -> str:
    """How the chains run, in one line: step, bias, burn-in, thinning."""
    if sampling.sampler == "hmc":
        return (
            f"sampler hmc: {planned.leapfrogs} leapfrog steps of {planned.step:.2g} at first, burn-in "
            f"{planned.burn_in}, a draw every {planned.thin} trajectories; no bias from the step"
        )
    return (
        f"sampler {sampling.sampler}: step {planned.step:.2g}, variances high by up to {planned.expected_bias:.2%}; "
        f"burn-in {planned.burn_in} steps, a draw every {planned.thin}"
    )
