"""Run both sides of a task and put them into one dataset."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from workbench import simulation
from workbench.comparison.chains import both_local_bifs, curvatures, note_on_chains, plan_ahead, sampling_of
from workbench.comparison.limits import refuse_nan, refuse_oversized
from workbench.comparison.planning import (
    choose_schedules,
    first_stage,
    fraction_of_stable,
    notes_on_task,
)
from workbench.comparison.settings import Settings
from workbench.dataset import labelled
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
from workbench.networks import choose_init, network
from workbench.semantics import SemanticTask
from workbench.store import Slot, Store
from workbench.theory.influence.damped_newton import check_damping
from workbench.theory.posterior.hessian import check_local_posterior
from workbench.trajectory import Trajectory

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
    start = network(task, how.hidden, init, seed=how.seed)
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

    def through_training(measure: Callable[..., xr.DataArray], theory: str, simulated: str) -> list[xr.DataArray]:
        return [
            once(theory, 1000, lambda advance, _: measure(predicted, progress=advance)),
            once(
                simulated,
                again.total,
                lambda advance, slot: measure(trained, schedule=again, device=device, progress=advance, slot=slot),
            ),
        ]

    if "leave_one_out" in how.measures:
        held_out = partial(leave_one_out, convention=how.convention)
        arrays += through_training(held_out, "leave-one-out, theory", "leave-one-out, retrain")
    if "window_removal" in how.measures:
        window = how.window or first_stage(start, float(schedule.times[-1]))
        notes.append(f"window_removal: each item absent from t = {window[0]:.4g} to {window[1]:.4g}")
        absent = partial(window_removal, windows=[window], convention=how.convention)
        arrays += [
            array.squeeze("window", drop=True).assign_attrs(window_begin=window[0], window_end=window[1])
            for array in through_training(absent, "window removal, theory", "window removal, retrain")
        ]
    if "trajectory_derivative" in how.measures:
        arrays += through_training(trajectory_derivative, "derivative, theory", "derivative, training")
    if "damped_newton" in how.measures:
        newton = partial(damped_newton, damping=damping)
        T = len(schedule.times)
        arrays += [
            once("damped newton, theory", T, lambda advance, _: newton(predicted, progress=advance)),
            once("damped newton, trained", T, lambda advance, _: newton(trained, progress=advance)),
        ]
    curves = {str(array.name): (array.dims, array.values, array.attrs) for array in arrays}
    dataset = labelled(
        start,
        predicted.times,
        {**_of_weights(predicted, "analytic"), **_of_weights(trained, "simulated"), **curves, **extras},
        config=how.record(),
        lambda_min=ends[:, 0],
        n_beta=n_beta,
        gamma=gamma,
        attrs={
            "sign_convention": SIGN_CONVENTION,
            "eta": schedule.eta,
            "steps": schedule.total,
            "eta_retraining": again.eta,
        },
    )
    refuse_nan(dataset)
    return Comparison(dataset, notes)


def _once(
    bar: Bar, store: Store | None, title: str, total: int, compute: Callable[[Progress, Slot], xr.DataArray]
) -> xr.DataArray:
    """A measure from the store, or else computed under a progress bar of that title and kept."""
    with bar(title, total) as advance:
        return Slot(store, title).once(lambda slot: compute(advance, slot))


def _of_weights(trajectory: Trajectory, side: str) -> dict[str, Any]:
    strength = {"units": "weight^2", "long_name": "mode strength a"}
    loss = {"units": "loss", "long_name": "loss"}
    return {
        f"mode_strength_{side}": (("time", "mode"), trajectory.mode_strengths, strength),
        f"loss_{side}": ("time", trajectory.loss, loss),
        f"item_loss_{side}": (("time", "item"), trajectory.item_losses, loss),
    }
