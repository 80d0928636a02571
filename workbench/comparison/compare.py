"""Run both sides of a task and put them into one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from workbench import dataset, influence
from workbench.agreement.resolution import resolution_notes
from workbench.comparison.comparison import Comparison
from workbench.comparison.limits import refuse_nan, refuse_oversized
from workbench.comparison.planning import Schedules, notes_on_task, planned_schedules
from workbench.comparison.settings import Settings
from workbench.influence import Bar, Measure, Work, no_bar
from workbench.influence.curvatures import curvatures
from workbench.networks import Network, choose_init, network
from workbench.semantics import SemanticTask
from workbench.store import Slot, Store
from workbench.trajectory import Trajectory


def compare(
    task: SemanticTask,
    settings: Settings | None = None,
    bar: Bar = no_bar,
    store: Store | None = None,
    *,
    measures: Sequence[str | Measure] | None = None,
) -> Comparison:
    """Predict and simulate a task, and measure influence on both sides.

    Everything that can be refused is refused before long work starts.

    Args:
        task: what is to be learned.
        settings: see `Settings`.
        bar: opens progress bars.
        store: keeps the work as it is done; what it holds already is not computed again, and changes no number.
        measures: names, and `Measure` objects of your own, in place of those in the settings.

    Returns:
        A `Comparison`; its dataset has ``<measure>_analytic`` and ``<measure>_simulated`` with dims (time, source,
        target), mode strengths with dims (time, mode), losses, and the task itself.
    """
    settings = settings or Settings()
    if measures is not None:
        settings = replace(settings, measures=tuple(measures))
    init = choose_init(task, settings.init)
    refuse_oversized(task, init, settings)
    start = network(task, settings.hidden, init, seed=settings.seed)
    schedules = planned_schedules(start, settings)
    predicted = influence.predict(start, schedules.training.times)
    work = Work(
        bar=bar,
        device=settings.resolve_device(),
        precision=settings.dtype,
        schedule=schedules.retraining,
        seed=settings.seed,
    )
    chosen = {measure.name: measure.resolve(predicted, settings.of(measure)) for measure in settings.asked}
    for measure in settings.asked:
        if measure.refuse is not None:
            measure.refuse(predicted, chosen[measure.name], work)
    trained = _train(start, schedules, work, store)
    arrays = [
        _once(measure, trajectory, chosen[measure.name], work, store)
        for measure in settings.asked
        for trajectory in (predicted, trained)
        if influence.side_of(trajectory) in measure.sides
    ]
    result = _dataset(predicted, trained, arrays, settings, schedules, chosen)
    refuse_nan(result, settings)
    notes = [*_notes_on_start(start, settings), *schedules.notes, *notes_on_task(start)]
    notes += _notes_of_measures(settings.asked, chosen, arrays)
    return Comparison(result, [*notes, *resolution_notes(result)])


def _train(start: Network, schedules: Schedules, work: Work, store: Store | None) -> Trajectory:
    from workbench import simulation

    with work.bar("train", schedules.training.total) as advance:
        return simulation.train(
            start, schedules.training, device=work.device, progress=advance, slot=Slot(store, "train")
        )


def _once(
    measure: Measure, trajectory: Trajectory, options: dict[str, Any], work: Work, store: Store | None
) -> xr.DataArray:
    """A measure on one side, from the store or else computed and kept."""
    slot = Slot(store, f"{measure.name} {influence.side_of(trajectory)}")
    return slot.once(lambda place: measure.measure(trajectory, options, replace(work, slot=place)))


def _dataset(
    predicted: Trajectory,
    trained: Trajectory,
    arrays: Sequence[xr.DataArray],
    settings: Settings,
    schedules: Schedules,
    chosen: dict[str, dict[str, Any]],
) -> xr.Dataset:
    variables: dict[str, Any] = {**dataset.of_weights(predicted), **dataset.of_weights(trained)}
    for array in arrays:
        variables |= dataset.of_influence(array, settings.measure(str(array.attrs["measure"])))
    local = influence.local_bif
    posterior = chosen.get(local.name) or local.resolve(predicted, settings.of(local))
    return dataset.labelled(
        predicted.network,
        predicted.times,
        variables,
        config=settings.record(),
        lambda_min=curvatures(predicted)[:, 0],
        n_beta=posterior["n_beta"],
        gamma=posterior["gamma"],
        attrs={
            "eta": schedules.training.eta,
            "steps": schedules.training.total,
            "eta_retraining": schedules.retraining.eta,
        },
    )


def _notes_on_start(start: Network, settings: Settings) -> list[str]:
    if settings.init != "auto" or start.init is None or start.init.scale == 0.01:
        return []
    modes = start.modes
    return [f"init {start.init}: the strongest mode ends at {modes.s[0] / modes.c:.2g}"]


def _notes_of_measures(
    asked: Sequence[Measure], chosen: dict[str, dict[str, Any]], arrays: Sequence[xr.DataArray]
) -> list[str]:
    simulated = {str(array.attrs["measure"]): array for array in arrays if array.attrs["side"] == "simulated"}
    return [
        note
        for measure in asked
        if measure.notes is not None
        for note in measure.notes(chosen[measure.name], simulated.get(measure.name))
    ]
