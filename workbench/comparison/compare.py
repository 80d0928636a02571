"""Run both sides of a task and put them into one dataset."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import xarray as xr

from workbench import dataset, influence
from workbench.agreement.expected import STEP_ERRORS
from workbench.agreement.resolution import resolution_notes
from workbench.comparison.comparison import Comparison
from workbench.comparison.draws import missing_draws
from workbench.comparison.ensemble import compare_seeds
from workbench.comparison.limits import refuse_nan, refuse_oversized
from workbench.comparison.measuring import chosen_options, drawn_again, measured, refuse
from workbench.comparison.notes import notes_on_task
from workbench.comparison.planning import Schedules, planned_schedules
from workbench.comparison.settings import Settings
from workbench.comparison.step_error import step_errors, without_closed_effect
from workbench.comparison.training import (
    init_of,
    initial_network,
    plain,
    recipe_of,
    train,
    why_unpredicted,
    why_without_error_bar,
)
from workbench.errors import WorkbenchError
from workbench.influence import Bar, Measure, Work, no_bar
from workbench.influence.curvatures import curvatures
from workbench.influence.quantities import SIDES, Side
from workbench.networks import Network
from workbench.semantics import SemanticTask, prepared
from workbench.store import Store
from workbench.theory.flow.predict import ROUTES, route
from workbench.trajectory import Trajectory

_LOG = logging.getLogger("workbench")
#: Seconds of training that are announced.
_LONG = 20.0


def compare(
    task: SemanticTask,
    settings: Settings | None = None,
    bar: Bar = no_bar,
    store: Store | None = None,
    *,
    measures: Sequence[str | Measure] | None = None,
    sides: Sequence[Side] = SIDES,
    schedules: Schedules | None = None,
    trained: Trajectory | None = None,
    curved: bool = True,
) -> Comparison:
    """Predict and simulate a task, and measure influence on both sides.

    Everything that can be refused is refused before long work starts.

    Args:
        task: what is to be learned; its columns are first centred or standardised if the settings say so.
        settings: see `Settings`.
        bar: opens progress bars.
        store: keeps the work as it is done; what it holds already is not computed again, and changes no number.
        measures: names, and `Measure` objects of your own, in place of those in the settings.
        sides: of them only these: ``("analytic",)`` neither trains nor samples.
        schedules: in place of those that the settings choose for this start.
        curved: whether the smallest curvature at every checkpoint, which a local posterior needs, is kept in any case.
        trained: the network of the settings at the checkpoints of the schedules, if it was trained already.

    Returns:
        A `Comparison`; its dataset has ``<measure>_analytic`` and ``<measure>_simulated`` with dims (time, source,
        target), mode strengths with dims (time, mode), losses, and the task itself.
    """
    settings = settings or Settings()
    if measures is not None:
        settings = replace(settings, measures=cast("Any", measures))  # it makes a tuple, and refuses a text
    ready = prepared(task, centre=settings.centre, standardise=settings.standardise)
    refuse_oversized(ready, settings)
    if settings.seeds > 1:
        return compare_seeds(ready, settings, bar, store, sides)
    start = initial_network(ready, settings, init_of(ready, settings))
    schedules = schedules or planned_schedules(start, settings)
    simulated, work = "simulated" in sides, _work(settings, schedules, bar)
    if simulated:
        _announce(schedules.seconds(start, retrains=any(measure.retrains for measure in settings.asked)))
    gaps = _gaps(start, settings)
    predicted = _predicted(start, schedules, settings, sides)
    chosen = {} if predicted is None else chosen_options(predicted, settings)
    if predicted is not None and simulated:
        refuse(predicted, settings.asked, chosen, work)
    if simulated:
        trained = trained or train(start, recipe_of(settings, schedules.training), settings, work, store)
    chosen = chosen or chosen_options(cast("Trajectory", trained), settings)
    arrays = measured(settings.asked, (predicted, trained), chosen, gaps, work, store)
    result = _dataset(predicted, trained, arrays, settings, schedules, chosen, gaps, curved)
    draws = None if trained is None else missing_draws(result, settings)
    if trained is not None and draws is not None:
        arrays = drawn_again(arrays, draws, trained, chosen, work, store)
        result = _dataset(predicted, trained, arrays, settings, schedules, chosen, gaps, curved)
    refuse_nan(result, settings)
    notes = [*_notes(start, settings, schedules, chosen, arrays, gaps), *resolution_notes(result)]
    return Comparison(result.assign_attrs(notes=json.dumps(notes)), notes)


def _work(settings: Settings, schedules: Schedules, bar: Bar) -> Work:
    """What the measures work with: the recipe of retraining, and that of its second, coarser pass if there is one."""
    return Work(
        bar=bar,
        device=settings.resolve_device(),
        precision=settings.dtype,
        recipe=recipe_of(settings, schedules.retraining),
        twice=None if schedules.twice is None else recipe_of(settings, schedules.twice),
        seed=settings.seed,
    )


def _predicted(start: Network, schedules: Schedules, settings: Settings, sides: Sequence[Side]) -> Trajectory | None:
    """The predicted trajectory, where it is asked for and theory has one."""
    reason = why_unpredicted(settings)
    if reason and "simulated" not in sides:
        raise WorkbenchError(f"the analytic side alone was asked for, and {reason}; ask for the simulated side too")
    return None if reason or "analytic" not in sides else influence.predict(start, schedules.training.times)


def _announce(seconds: float) -> None:
    """Log how long training will take, where it takes long."""
    if seconds > _LONG:
        _LOG.info("training will take about %.2g minutes; a larger `eta` makes it shorter", seconds / 60)


def _gaps(start: Network, settings: Settings) -> dict[str, str]:
    """Why measures are not predicted, by name."""
    reasons = {measure.name: why_unpredicted(settings) or measure.why_unpredicted(start) for measure in settings.asked}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _dataset(
    predicted: Trajectory | None,
    trained: Trajectory | None,
    arrays: Sequence[xr.DataArray],
    settings: Settings,
    schedules: Schedules,
    chosen: dict[str, dict[str, Any]],
    gaps: dict[str, str],
    curved: bool,
) -> xr.Dataset:
    guide, local = cast("Trajectory", predicted or trained), influence.local_bif
    start, variables = guide.network, cast("dict[str, Any]", {})
    for trajectory in (predicted, trained):
        variables |= {} if trajectory is None else dataset.of_weights(trajectory)
    for array in arrays:
        variables |= dataset.of_influence(array, settings.measure(str(array.attrs["measure"])))
    posterior = chosen.get(local.name) or local.resolve(guide, settings.of(local))
    attrs: dict[str, Any] = {
        "eta": schedules.training.eta,
        "steps": schedules.training.total,
        "eta_retraining": schedules.retraining.eta,
        "optimizer": settings.optimizer,
        "plain_training": int(plain(settings)),
    }
    if predicted is not None:
        attrs["predicted_by"] = ROUTES[route(start)]
    if gaps:
        attrs["not_predicted"] = json.dumps(gaps)
    unbounded = why_without_error_bar(start, settings)
    if unbounded is not None:
        attrs["no_error_bar"] = unbounded
    elif predicted is not None and trained is not None and (integrated := without_closed_effect(start, settings.asked)):
        known = {str(a.attrs["measure"]): a.values for a in arrays if a.attrs["side"] == "analytic"}
        etas = schedules.training.eta, schedules.retraining.eta
        attrs[STEP_ERRORS] = json.dumps(step_errors(predicted, integrated, chosen, known, etas))
    return dataset.labelled(
        start,
        guide.times,
        variables,
        config=settings.record(),
        lambda_min=curvatures(guide)[:, 0] if curved or local in settings.asked else None,
        n_beta=posterior["n_beta"],
        gamma=posterior["gamma"],
        attrs=attrs,
    )


def _notes(
    start: Network,
    settings: Settings,
    schedules: Schedules,
    chosen: dict[str, dict[str, Any]],
    arrays: Sequence[xr.DataArray],
    gaps: dict[str, str],
) -> list[str]:
    """What the user should know, from the start to the measures."""
    notes, modes = [], start.modes
    if settings.init == "auto" and start.init is not None and str(start.init) != "balanced:0.01":
        notes.append(f"init {start.init}: the strongest mode ends at {modes.s[0] / modes.c:.2g}")
    notes += [*schedules.notes, *notes_on_task(start, float(schedules.training.times[-1]))]
    simulated = {str(array.attrs["measure"]): array for array in arrays if array.attrs["side"] == "simulated"}
    for measure in settings.asked:
        if measure.notes is not None:
            notes += measure.notes(chosen[measure.name], simulated.get(measure.name))
    return [*notes, *(f"{name} is not predicted: {reason}" for name, reason in gaps.items())]
