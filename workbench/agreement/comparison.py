"""Run both sides of a task and put them into one dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from workbench import __version__, simulation
from workbench.agreement.limits import refuse_nan, refuse_oversized
from workbench.agreement.planning import Schedules, choose_schedules, notes_on_task
from workbench.agreement.settings import Settings
from workbench.influence import (
    SIGN_CONVENTION,
    damped_newton,
    default_damping,
    default_gamma,
    gradient_kernel,
    leave_one_out,
    local_bif,
    predict,
    trajectory_derivative,
)
from workbench.semantics import SemanticTask
from workbench.simulation.sampling import Sampling
from workbench.theory import half_rise_times
from workbench.theory.damped_newton import check_damping
from workbench.theory.hessian import check_local_posterior
from workbench.trajectory import Init, Start, Trajectory, initial_weights

#: ``bar(title, total)`` opens a progress bar and yields a function that advances it.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]


def no_bar(title: str, total: int) -> AbstractContextManager[Callable[[int], Any]]:
    """The silent progress bar."""
    return nullcontext(lambda done: None)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both sides of a task in one labelled dataset, and what the user should know about how it was made."""

    dataset: xr.Dataset
    notes: list[str] = field(default_factory=list)


def compare(task: SemanticTask, settings: Settings | None = None, bar: Bar = no_bar) -> Comparison:
    """Predict and simulate a task, and measure influence on both sides.

    Everything that can be refused is refused before long work starts.

    Args:
        task: what is to be learned.
        settings: see `Settings`.
        bar: opens progress bars.

    Returns:
        A `Comparison`; its dataset has ``<measure>_analytic`` and ``<measure>_simulated`` with dims (time, source,
        target), mode strengths with dims (time, mode), losses, and the task itself.
    """
    how = settings or Settings()
    device = how.resolve_device()
    init = Init.parse(how.init)
    refuse_oversized(task, init, how)
    start = initial_weights(task, init, how.hidden, how.seed)
    schedules = choose_schedules(start, how.checkpoints, how.t_max, how.eta, how.measures)
    schedule, notes = schedules.training, [*schedules.notes, *notes_on_task(start)]
    predicted = predict(start, schedule.times)
    gamma = how.gamma if how.gamma is not None else default_gamma(predicted, how.n_beta)
    if "local_bif" in how.measures:
        notes.append(f"local posterior: n beta = {how.n_beta:g}, gamma = {gamma:g}")
        check_local_posterior(schedule.times, _lambda_min(predicted), how.n_beta, gamma)
    damping = how.damping
    if "damped_newton" in how.measures:
        damping = default_damping(predicted) if damping is None else damping
        notes.append(f"damped_newton: damping = {damping:.4g}")
        check_damping(schedule.times, np.maximum(-_lambda_min(predicted), 0), damping)
    with bar("train", schedule.total) as advance:
        trained = simulation.train(start, schedule, device=device, progress=advance)
    arrays: list[xr.DataArray] = []
    extras: dict[str, Any] = {}
    if "gradient_kernel" in how.measures:
        arrays += [gradient_kernel(predicted), gradient_kernel(trained)]
    if "local_bif" in how.measures:
        pair, extras = _local_bif(predicted, trained, how, gamma, device, bar)
        arrays += pair
    again = schedules.retraining
    if "leave_one_out" in how.measures:
        with bar("leave-one-out, theory", 1000) as advance:
            arrays.append(leave_one_out(predicted, convention=how.convention, progress=advance))
        with bar("leave-one-out, retrain", again.total) as advance:
            arrays.append(
                leave_one_out(trained, convention=how.convention, schedule=again, device=device, progress=advance)
            )
    if "trajectory_derivative" in how.measures:
        with bar("derivative, theory", 1000) as advance:
            arrays.append(trajectory_derivative(predicted, progress=advance))
        with bar("derivative, training", again.total) as advance:
            arrays.append(trajectory_derivative(trained, schedule=again, device=device, progress=advance))
    if "damped_newton" in how.measures:
        for side in (predicted, trained):
            with bar(f"damped newton, {side.origin}", len(side.times)) as advance:
                arrays.append(damped_newton(side, damping=damping, progress=advance))
    dataset = _dataset(task, start, predicted, trained, arrays, extras, how, gamma, schedules)
    refuse_nan(dataset)
    return Comparison(dataset, notes)


def _local_bif(
    predicted: Trajectory, trained: Trajectory, how: Settings, gamma: float, device: str, bar: Bar
) -> tuple[list[xr.DataArray], dict[str, Any]]:
    sampling = Sampling(
        chains=how.chains,
        draws=how.draws,
        sampler=how.sampler,
        step=how.step_size,
        seed=how.seed,
        device=device,
        dtype=how.torch_dtype(),
    )
    planned = simulation.plan(trained, how.n_beta, gamma, sampling)
    with bar("local posterior, theory", len(predicted.times)) as advance:
        analytic = local_bif(predicted, n_beta=how.n_beta, gamma=gamma, progress=advance)
    chain_steps = planned.steps(how.draws) * how.chains * len(trained.times)
    with bar("local posterior, chains", chain_steps) as advance:
        sampled = local_bif(
            trained, n_beta=how.n_beta, gamma=gamma, sampling=sampling, planned=planned, progress=advance
        )
    pair, item = ("time", "source", "target"), ("time", "item")
    extras = {
        "local_bif_simulated_stderr": (
            pair,
            sampled["stderr"].values,
            {"long_name": "by batch means", "units": "loss^2"},
        ),
        "local_bif_simulated_stderr_between_chains": (
            pair,
            sampled["stderr_between_chains"].values,
            {"long_name": "between whole chains", "units": "loss^2"},
        ),
        "local_bif_rhat": (item, sampled["rhat"].values, {"long_name": "split R-hat of the item's loss"}),
        "local_bif_ess": (item, sampled["ess"].values, {"long_name": "effective sample size of the item's mean loss"}),
        "lambda_min_simulated": (
            "time",
            planned.lambda_min,
            {"long_name": "smallest curvature of the trained network"},
        ),
    }
    return [analytic, sampled.drop_vars(["stderr", "stderr_between_chains", "rhat", "ess"])], extras


def _lambda_min(predicted: Trajectory) -> Any:
    start, task = predicted.start, predicted.task
    if start.active is not None:
        from workbench.theory.hessian import curvature_range

        return curvature_range(start.modes, predicted.mode_strengths, start.hidden, start.active)[0]
    return np.array(
        [
            simulation.extreme_curvatures(task.X, task.Y, W1, W2)[0]
            for W1, W2 in zip(predicted.W1, predicted.W2, strict=True)
        ]
    )


def _dataset(
    task: SemanticTask,
    start: Start,
    predicted: Trajectory,
    trained: Trajectory,
    arrays: list[xr.DataArray],
    extras: dict[str, Any],
    how: Settings,
    gamma: float,
    schedules: Schedules,
) -> xr.Dataset:
    modes, K = start.modes, start.modes.rank
    strength = {"units": "weight^2", "long_name": "mode strength a"}
    loss = {"units": "loss", "long_name": "loss"}
    lambda_min = _lambda_min(predicted)
    variables: dict[str, Any] = {
        "mode_strength_analytic": (("time", "mode"), predicted.mode_strengths, strength),
        "mode_strength_simulated": (("time", "mode"), trained.mode_strengths, strength),
        "singular_value": ("mode", modes.s, {"units": "loss / weight^2", "long_name": "singular value of Syx"}),
        "half_rise_time": ("mode", half_rise_times(start), {"units": "time", "long_name": "half-rise time, the stage"}),
        "mode_level": ("mode", -np.ones(K, dtype=np.int64) if modes.level is None else modes.level[:K]),
        "loss_analytic": ("time", predicted.loss, loss),
        "loss_simulated": ("time", trained.loss, loss),
        "item_loss_analytic": (("time", "item"), predicted.item_losses, loss),
        "item_loss_simulated": (("time", "item"), trained.item_losses, loss),
        "Y": (("property", "item"), task.Y),
        "left_mode": (("property", "mode"), modes.U),
        "item_mode": (("item", "mode"), modes.V[:, :K]),
        "lambda_min": ("time", lambda_min, {"units": "loss / weight^2", "long_name": "smallest curvature of the loss"}),
        "gamma_needed": ("time", np.maximum(-how.n_beta * lambda_min, 0), {"long_name": "gamma must exceed this"}),
        **{str(array.name): (array.dims, array.values, array.attrs) for array in arrays},
        **extras,
    }
    if task.common_ancestor_level is not None:
        variables["common_ancestor_level"] = (("source", "target"), task.common_ancestor_level)
    items = list(task.items)
    attrs: dict[str, Any] = {
        "task": task.name,
        "task_source": task.source,
        "task_digest": task.digest,
        "config": json.dumps(how.record()),
        "code_version": __version__,
        "sign_convention": SIGN_CONVENTION,
        "time_units": "flow time t = learning rate x step",
        "input_scale": modes.c,
        "n_beta": how.n_beta,
        "gamma": gamma,
        "eta": schedules.training.eta,
        "steps": schedules.training.total,
        "eta_retraining": schedules.retraining.eta,
        "hidden": start.hidden,
        "init": str(start.init),
        "seed": how.seed,
    }
    if start.a0 is not None:
        attrs["a0"] = start.a0
    if task.tree is not None:
        attrs["branching"] = list(task.tree.branching)
    return xr.Dataset(
        variables,
        coords={
            "time": ("time", predicted.times, {"units": "flow time t"}),
            "source": items,
            "target": items,
            "item": items,
            "mode": np.arange(K),
            "property": list(task.properties),
        },
        attrs=attrs,
    )
