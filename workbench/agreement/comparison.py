"""Run both sides of a task and put them into one dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__, simulation
from workbench.agreement.chains import both_local_bifs, curvatures, note_on_chains, plan_ahead, sampling_of
from workbench.agreement.limits import refuse_nan, refuse_oversized
from workbench.agreement.planning import (
    Schedules,
    choose_schedules,
    first_stage,
    fraction_of_stable,
    notes_on_task,
)
from workbench.agreement.settings import Settings
from workbench.influence import (
    SIGN_CONVENTION,
    damped_newton,
    default_damping,
    default_gamma,
    default_n_beta,
    gradient_kernel,
    leave_one_out,
    predict,
    trajectory_derivative,
    window_removal,
)
from workbench.semantics import SemanticTask
from workbench.store import Slot, Store
from workbench.theory import half_rise_times
from workbench.theory.damped_newton import check_damping
from workbench.theory.hessian import check_local_posterior
from workbench.trajectory import Start, Trajectory, choose_init, initial_weights

#: ``bar(title, total)`` opens a progress bar and yields a function that advances it.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]
Progress = Callable[[int], Any]


def no_bar(title: str, total: int) -> AbstractContextManager[Callable[[int], Any]]:
    """The silent progress bar."""
    return nullcontext(lambda done: None)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both sides of a task in one labelled dataset, and what the user should know about how it was made."""

    dataset: xr.Dataset
    notes: list[str] = field(default_factory=list)


def compare(
    task: SemanticTask, settings: Settings | None = None, bar: Bar = no_bar, store: Store | None = None
) -> Comparison:
    """Predict and simulate a task, and measure influence on both sides.

    Everything that can be refused is refused before long work starts.

    Args:
        task: what is to be learned.
        settings: see `Settings`.
        bar: opens progress bars.
        store: keeps the work as it is done; what it holds already is not computed again, and changes no number.

    Returns:
        A `Comparison`; its dataset has ``<measure>_analytic`` and ``<measure>_simulated`` with dims (time, source,
        target), mode strengths with dims (time, mode), losses, and the task itself.
    """
    how = settings or Settings()
    device = how.resolve_device()
    init = choose_init(task, how.init)
    refuse_oversized(task, init, how)
    start = initial_weights(task, init, how.hidden, how.seed)
    eta = how.eta if how.eta_fraction is None else fraction_of_stable(start, how.eta_fraction)
    schedules = choose_schedules(start, how.checkpoints, how.t_max, eta, how.measures, spacing=how.spacing)
    schedule, notes = schedules.training, [*schedules.notes, *notes_on_task(start)]
    if how.init == "auto" and init.scale != 0.01:
        notes.insert(0, f"init {init}: the strongest mode ends at {start.modes.s[0] / start.modes.c:.2g}")
    predicted = predict(start, schedule.times)
    n_beta = how.n_beta if how.n_beta is not None else default_n_beta(predicted)
    gamma = how.gamma if how.gamma is not None else default_gamma(predicted, n_beta)
    ends = curvatures(predicted)
    if "local_bif" in how.measures:
        notes.append(f"local posterior: n beta = {n_beta:g}, gamma = {gamma:g}")
        check_local_posterior(schedule.times, ends[:, 0], n_beta, gamma)
        sampling = sampling_of(how, device)
        plan_ahead(predicted, ends, n_beta, gamma, sampling)
    damping = how.damping
    if "damped_newton" in how.measures:
        damping = default_damping(predicted) if damping is None else damping
        notes.append(f"damped_newton: damping = {damping:.4g}")
        check_damping(schedule.times, np.maximum(-ends[:, 0], 0), damping)
    once = partial(_once, bar, store)
    with bar("train", schedule.total) as advance:
        trained = simulation.train(start, schedule, device=device, progress=advance, slot=Slot(store, "train"))
    arrays: list[xr.DataArray] = []
    extras: dict[str, Any] = {}
    if "gradient_kernel" in how.measures:
        arrays += [gradient_kernel(predicted), gradient_kernel(trained)]
    if "local_bif" in how.measures:
        planned = simulation.plan(trained, n_beta, gamma, sampling)
        notes.append(note_on_chains(planned, sampling))
        pair, extras = both_local_bifs(predicted, trained, n_beta, gamma, sampling, planned, once)
        arrays += pair
    again = schedules.retraining
    if "leave_one_out" in how.measures:
        held_out = partial(leave_one_out, convention=how.convention)
        arrays += [
            once("leave-one-out, theory", 1000, lambda advance, _: held_out(predicted, progress=advance)),
            once(
                "leave-one-out, retrain",
                again.total,
                lambda advance, slot: held_out(trained, schedule=again, device=device, progress=advance, slot=slot),
            ),
        ]
    if "window_removal" in how.measures:
        window = how.window or first_stage(start, float(schedule.times[-1]))
        notes.append(f"window_removal: each item absent from t = {window[0]:.4g} to {window[1]:.4g}")
        absent = partial(window_removal, windows=[window], convention=how.convention)
        arrays += [
            array.squeeze("window", drop=True).assign_attrs(window_begin=window[0], window_end=window[1])
            for array in (
                once("window removal, theory", 1000, lambda advance, _: absent(predicted, progress=advance)),
                once(
                    "window removal, retrain",
                    again.total,
                    lambda advance, slot: absent(trained, schedule=again, device=device, progress=advance, slot=slot),
                ),
            )
        ]
    if "trajectory_derivative" in how.measures:
        reweighted = trajectory_derivative
        arrays += [
            once("derivative, theory", 1000, lambda advance, _: reweighted(predicted, progress=advance)),
            once(
                "derivative, training",
                again.total,
                lambda advance, slot: reweighted(trained, schedule=again, device=device, progress=advance, slot=slot),
            ),
        ]
    if "damped_newton" in how.measures:
        newton = partial(damped_newton, damping=damping)
        T = len(schedule.times)
        arrays += [
            once("damped newton, theory", T, lambda advance, _: newton(predicted, progress=advance)),
            once("damped newton, trained", T, lambda advance, _: newton(trained, progress=advance)),
        ]
    dataset = _dataset(task, start, predicted, trained, arrays, extras, how, n_beta, gamma, ends[:, 0], schedules)
    refuse_nan(dataset)
    return Comparison(dataset, notes)


def _once(
    bar: Bar, store: Store | None, title: str, total: int, compute: Callable[[Progress, Slot], xr.DataArray]
) -> xr.DataArray:
    """A measure from the store, or else computed under a progress bar of that title and kept."""
    with bar(title, total) as advance:
        return Slot(store, title).once(lambda slot: compute(advance, slot))


def _dataset(
    task: SemanticTask,
    start: Start,
    predicted: Trajectory,
    trained: Trajectory,
    arrays: list[xr.DataArray],
    extras: dict[str, Any],
    how: Settings,
    n_beta: float,
    gamma: float,
    lambda_min: NDArray[np.float64],
    schedules: Schedules,
) -> xr.Dataset:
    modes, K = start.modes, start.modes.rank
    strength = {"units": "weight^2", "long_name": "mode strength a"}
    loss = {"units": "loss", "long_name": "loss"}
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
        "gamma_needed": ("time", np.maximum(-n_beta * lambda_min, 0), {"long_name": "gamma must exceed this"}),
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
        "n_beta": n_beta,
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
