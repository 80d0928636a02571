"""The measures of a comparison: their options chosen, refused before long work, computed on both sides or taken from
the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from workbench import influence
from workbench.comparison.draws import more_draws
from workbench.comparison.settings import Settings
from workbench.influence import Measure, Work
from workbench.store import Slot, Store
from workbench.trajectory import Trajectory


def measured(
    asked: Sequence[Measure],
    sides: Sequence[Trajectory | None],
    chosen: dict[str, dict[str, Any]],
    gaps: dict[str, str],
    work: Work,
    store: Store | None,
) -> list[xr.DataArray]:
    """Every measure asked for on every side that can answer, ``(time, source, target)`` each."""
    return [
        _once(measure, trajectory, chosen[measure.name], work, store)
        for measure in asked
        for trajectory in sides
        if trajectory is not None and _answers(measure, trajectory, gaps)
    ]


def drawn_again(
    arrays: list[xr.DataArray],
    draws: int,
    trained: Trajectory,
    chosen: dict[str, dict[str, Any]],
    work: Work,
    store: Store | None,
) -> list[xr.DataArray]:
    """The arrays with the sampled one from as many draws as its noise asks for; ``chosen`` then says so."""
    bif = influence.local_bif
    chosen[bif.name] = more_draws(chosen[bif.name], draws)
    longer = _once(bif, trained, chosen[bif.name], work, store, f" {draws} draws")
    return [longer if array.name == longer.name else array for array in arrays]


def refuse(predicted: Trajectory, asked: Sequence[Measure], chosen: dict[str, dict[str, Any]], work: Work) -> None:
    """Refuse what a measure could not do with its options, before anything is trained."""
    for measure in asked:
        if measure.refuse is not None:
            measure.refuse(predicted, chosen[measure.name], work)


def _answers(measure: Measure, trajectory: Trajectory, gaps: dict[str, str]) -> bool:
    side = influence.side_of(trajectory)
    return side in measure.sides and not (side == "analytic" and measure.name in gaps)


def _once(
    measure: Measure,
    trajectory: Trajectory,
    options: dict[str, Any],
    work: Work,
    store: Store | None,
    which: str = "",
) -> xr.DataArray:
    """A measure on one side, from the store or else computed and kept."""
    slot = Slot(store, f"{measure.name} {influence.side_of(trajectory)}{which}")
    return slot.once(lambda place: measure.measure(trajectory, options, replace(work, slot=place)))


def chosen_options(trajectory: Trajectory, settings: Settings) -> dict[str, dict[str, Any]]:
    """The options of the measures, all chosen."""
    return {measure.name: measure.resolve(trajectory, settings.of(measure)) for measure in settings.asked}
