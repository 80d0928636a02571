"""Measures through training: what an item's presence in the whole history did to the loss of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from workbench import simulation, theory
from workbench.errors import WorkbenchError
from workbench.influence.result import influence_array
from workbench.simulation.influence.trajectory_derivative import trajectory_derivative as derivative_through_steps
from workbench.simulation.influence.two_layer_retraining import Convention
from workbench.simulation.influence.window_removal import window_removal as removal_by_retraining
from workbench.simulation.training.descent import Place
from workbench.simulation.training.recipes import Recipe
from workbench.store import NOWHERE, Slot
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.trajectory_derivative import trajectory_derivative as aligned_derivative
from workbench.theory.influence.window_removal import window_removal as removal_from_flow
from workbench.trajectory import Trajectory

Progress = Callable[[int], None]


def leave_one_out(
    trajectory: Trajectory,
    *,
    convention: Convention = "unnormalised",
    schedule: simulation.Schedule | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> xr.DataArray:
    """``l_j`` with item i in training minus ``l_j`` without it, at every checkpoint.

    Analytic: the gradient flow of all held-out problems, integrated to rounding. Simulated: retraining by gradient
    descent with the trajectory's own learning rate.

    Args:
        trajectory: the network trained on all items.
        schedule: of the simulated side, if not the trajectory's own; the flow times must be the same.
        convention: ``"unnormalised"`` (the others keep their weight) or ``"renormalised"`` (weights sum to 1 again).
        device, dtype: of the simulated side.
        progress: called with the steps (simulated) or the flow time in per mille (analytic) done since the last call.
        slot: where the simulated side keeps its work so far, and goes on with what was kept.
    """
    attrs: dict[str, Any] = {"convention": convention}
    if trajectory.side == "trained":
        how = _schedule(trajectory, schedule)
        attrs["eta"] = how.eta
        P = trajectory.task.n_items
        runs = np.vstack([np.ones(P), simulation.leave_one_out_weights(P, convention)])
        losses = simulation.retrain_weighted(
            trajectory.network, how, runs, device=device, dtype=dtype, progress=progress, slot=slot
        )
        change = losses[:, :1] - losses[:, 1:]
    else:
        change = theory.leave_one_out(
            trajectory.network, trajectory.times, convention=convention, progress=_per_mille(progress)
        )
    return influence_array("leave_one_out", change, trajectory, **attrs)


def trajectory_derivative(
    trajectory: Trajectory,
    *,
    schedule: simulation.Schedule | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> xr.DataArray:
    """``dl_j(t) / d eps_i`` of training on ``L + sum_i eps_i l_i``: the infinitesimal form of leave-one-out.

    Analytic: sums over pairs of modes for aligned starts, the linearised flow for all others. Simulated: forward-mode
    derivatives through every step of gradient descent.

    Args:
        trajectory: the network trained on all items, or its prediction.
        schedule: of the simulated side, if not the trajectory's own; the flow times must be the same.
        device, dtype: of the simulated side.
        progress: called with the steps (simulated) or the flow time in per mille (analytic) done since the last call.
        slot: where the simulated side keeps its work so far, and goes on with what was kept.
    """
    start = trajectory.network
    if trajectory.side == "trained":
        how = _schedule(trajectory, schedule)
        values = derivative_through_steps(start, Recipe(how), place=Place(device, dtype), progress=progress, slot=slot)
        return influence_array("trajectory_derivative", values, trajectory, eta=how.eta)
    if start.active is not None and start.a0 is not None:
        values = aligned_derivative(start.modes, trajectory.times, a0=start.a0, active=start.active)
    else:
        values = trajectory_derivative_from_start(start, trajectory.times, progress=_per_mille(progress))
    return influence_array("trajectory_derivative", values, trajectory)


def window_removal(
    trajectory: Trajectory,
    windows: Sequence[tuple[float, float]],
    *,
    convention: Convention = "unnormalised",
    schedule: simulation.Schedule | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> xr.DataArray:
    """``l_j`` with item i always in training minus ``l_j`` with it absent from t0 to t1, for each of some windows.

    Analytic: the gradient flow, restarted at t0 and t1. Simulated: retraining, all windows and items in one batch.

    Args:
        trajectory: the network trained on all items, or its prediction.
        windows: pairs (t0, t1) of flow times; the simulated side rounds them to whole steps.
        convention: weights of the items kept, inside the window; see `leave_one_out`.
        schedule, device, dtype, progress, slot: see `leave_one_out`.

    Returns:
        dims (window, time, source, target), with the times of each window as coordinates ``begin`` and ``end``.
    """
    attrs: dict[str, Any] = {"convention": convention}
    if trajectory.side == "trained":
        how = _schedule(trajectory, schedule)
        attrs["eta"] = how.eta
        removed = removal_by_retraining(
            trajectory.network,
            Recipe(how),
            windows,
            convention=convention,
            place=Place(device, dtype),
            progress=progress,
            slot=slot,
        )
    else:
        removed = removal_from_flow(
            trajectory.network, trajectory.times, windows, convention=convention, progress=_per_mille(progress)
        )
    arrays = [influence_array("window_removal", values, trajectory, **attrs) for values in removed]
    begin, end = np.reshape(np.asarray(windows, dtype=np.float64), (-1, 2)).T
    return xr.concat(arrays, dim="window").assign_coords(begin=("window", begin), end=("window", end))


def schedule_of(trajectory: Trajectory) -> simulation.Schedule:
    """The schedule that a trained trajectory followed."""
    if trajectory.side != "trained":
        raise WorkbenchError("a predicted trajectory has no learning rate; train one with workbench.simulation.train")
    return simulation.Schedule.at(trajectory.times, trajectory.eta)


def _schedule(trajectory: Trajectory, given: simulation.Schedule | None) -> simulation.Schedule:
    """The schedule of a retraining that must meet the trajectory's checkpoints."""
    how = given or schedule_of(trajectory)
    here, there = how.times, trajectory.times
    if here.shape != there.shape or not np.allclose(here, there, rtol=1e-9, atol=0):
        raise WorkbenchError("the schedule's flow times differ from the trajectory's checkpoints; use Schedule.finer")
    return how


def _per_mille(progress: Progress | None) -> Callable[[float], None] | None:
    """Turn a fraction done into increments of 1/1000, as progress bars count."""
    if progress is None:
        return None
    done = 0

    def report(fraction: float) -> None:
        nonlocal done
        now = int(np.clip(1000 * fraction, done, 1000))
        progress(now - done)
        done = now

    return report
