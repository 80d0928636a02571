"""Measures at a checkpoint. Each takes a trajectory, predicted or trained, and answers on that side.

Every function returns an `xarray.DataArray` with dims (time, source, target), negative where the source helps the
target.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import xarray as xr

from workbench import simulation, theory
from workbench.influence.history import leave_one_out, trajectory_derivative, window_removal
from workbench.influence.result import influence_array
from workbench.simulation import Plan, Sampling
from workbench.store import NOWHERE, Slot
from workbench.theory.posterior.hessian import required_gamma
from workbench.trajectory import Trajectory

Progress = Callable[[int], None]


def gradient_kernel(trajectory: Trajectory) -> xr.DataArray:
    """``-g_i . g_j``: what one gradient step on the source does to the target, per learning rate.

    Analytic: sums over modes for aligned networks, Gram matrices of the predicted weights otherwise.
    Simulated: per-item gradients of the trained weights.
    """
    task = trajectory.task
    if trajectory.side == "trained":
        values = -simulation.gradient_kernel(task.X, task.Y, trajectory.W1, trajectory.W2)
    elif trajectory.network.active is not None:
        values = theory.gradient_kernel(
            trajectory.network.modes, theory.mode_strengths(trajectory.network, trajectory.times)
        )
    else:
        values = theory.gradient_kernel_from_weights(task.X, task.Y, trajectory.W1, trajectory.W2)
    return influence_array("gradient_kernel", values, trajectory)


def default_n_beta(trajectory: Trajectory) -> float:
    """Inverse temperature that suits the size of the task's losses: 100 where they are of order 1."""
    return theory.default_n_beta(trajectory.network.modes)


def default_gamma(trajectory: Trajectory, n_beta: float) -> float:
    """Localization for which the local posterior is Gaussian at every checkpoint, from the largest singular value."""
    return required_gamma(trajectory.network.modes, n_beta)


def local_bif(
    trajectory: Trajectory,
    *,
    n_beta: float | None = None,
    gamma: float | None = None,
    sampling: Sampling | None = None,
    planned: Plan | None = None,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> xr.DataArray:
    """``-Cov(l_i, l_j)`` under the local posterior around every checkpoint (Kreer et al. 2025).

    Analytic: Gaussian prediction, second order at the localised maximum. Simulated: SGLD; the array then carries the
    coordinates ``stderr``, ``stderr_between_chains``, ``correlation`` (-Corr instead of -Cov), ``correlation_stderr``
    and ``part_0``, ... of nearly independent parts (time, source, target), ``rhat`` and ``ess`` (time, target),
    and the local learning coefficient ``learning_coefficient`` with ``learning_coefficient_stderr`` (time).

    Args:
        trajectory: the network at its checkpoints.
        n_beta: inverse temperature times number of items; None chooses `default_n_beta`.
        gamma: localization; None chooses `default_gamma`.
        sampling, planned: chains, draws and sampler of the simulated side.
        progress: called with the checkpoints (analytic) or chain-steps (simulated) done since the last call.
        slot: where the simulated side keeps its chains, and goes on with what was kept.
    """
    n_beta = default_n_beta(trajectory) if n_beta is None else n_beta
    gamma = default_gamma(trajectory, n_beta) if gamma is None else gamma
    task, start = trajectory.task, trajectory.network
    attrs: dict[str, Any] = {"n_beta": n_beta, "gamma": gamma}
    if trajectory.side == "trained":
        samples = simulation.sample_local_posterior(
            trajectory, n_beta=n_beta, gamma=gamma, sampling=sampling, planned=planned, progress=progress, slot=slot
        )
        how, used = samples.plan, sampling or Sampling()
        attrs |= {
            "sampler": used.sampler,
            "chains": used.chains,
            "draws": used.draws,
            "step_size": how.step,
            "burn_in": how.burn_in,
            "thin": how.thin,
            "expected_step_size_bias": how.expected_bias,
            "sampling_seed": used.seed,
        }
        result = influence_array("local_bif", -samples.estimate.covariance, trajectory, **attrs)
        volume = simulation.local_learning_coefficient(samples.estimate, n_beta)
        pair, item = ("time", "source", "target"), ("time", "target")
        by_part: dict[Hashable, Any] = {
            f"part_{g}": (pair, -one) for g, one in enumerate(samples.estimate.parts.swapaxes(0, 1))
        }
        return result.assign_coords(
            stderr=(pair, samples.estimate.stderr),
            stderr_between_chains=(pair, samples.estimate.stderr_between),
            correlation=(pair, -samples.estimate.correlation),
            correlation_stderr=(pair, samples.estimate.correlation_stderr),
            learning_coefficient=("time", volume.value),
            learning_coefficient_stderr=("time", volume.stderr),
            rhat=(item, samples.estimate.rhat),
            ess=(item, samples.estimate.ess),
        ).assign_coords(by_part)
    if start.active is not None:
        values = theory.local_bif(
            start.modes,
            theory.mode_strengths(start, trajectory.times),
            trajectory.times,
            n_beta=n_beta,
            gamma=gamma,
            hidden=start.hidden,
            n_outputs=task.n_outputs,
            active=start.active,
            progress=progress,
        )
    else:
        values = theory.dense_local_bif(
            task.X,
            task.Y,
            trajectory.W1,
            trajectory.W2,
            trajectory.times,
            n_beta=n_beta,
            gamma=gamma,
            progress=progress,
        )
    return influence_array("local_bif", values, trajectory, **attrs)


def default_damping(trajectory: Trajectory) -> float:
    """Twice the largest singular value of the task: at least twice what any checkpoint needs."""
    return theory.default_damping(trajectory.network.modes)


def damped_newton(
    trajectory: Trajectory, *, damping: float | None = None, progress: Progress | None = None
) -> xr.DataArray:
    """``-g_i . (H + damping)^{-1} g_j``: the classical influence function, at the checkpoint itself.

    Analytic: the Hessian's blocks in modes for aligned networks, the explicit Hessian of the predicted weights
    otherwise. Simulated: the exact Hessian of the trained weights.

    Args:
        trajectory: the network at its checkpoints.
        damping: added to the Hessian, which has negative eigenvalues during training; it must exceed ``-lambda_min`` at
            every checkpoint. None chooses `default_damping`.
        progress: called with the number of checkpoints done since the last call.
    """
    damping = default_damping(trajectory) if damping is None else damping
    task, start, times = trajectory.task, trajectory.network, trajectory.times
    if trajectory.side == "predicted" and start.active is not None:
        values = theory.damped_newton(
            start.modes,
            theory.mode_strengths(start, times),
            times,
            damping=damping,
            hidden=start.hidden,
            active=start.active,
            progress=progress,
        )
    else:
        dense = simulation.damped_newton if trajectory.side == "trained" else theory.dense_damped_newton
        values = dense(task.X, task.Y, trajectory.W1, trajectory.W2, times, damping=damping, progress=progress)
    return influence_array("damped_newton", values, trajectory, damping=damping)


#: The measures by name: those that answer on both sides.
MEASURES: dict[str, Callable[..., xr.DataArray]] = {
    "gradient_kernel": gradient_kernel,
    "local_bif": local_bif,
    "leave_one_out": leave_one_out,
    "window_removal": window_removal,
    "trajectory_derivative": trajectory_derivative,
    "damped_newton": damped_newton,
}

#: What `workbench.agreement.compare` does unless told otherwise.
DEFAULT_MEASURES = ("gradient_kernel", "local_bif", "leave_one_out")
