"""One comparison for each of several seeds: networks trained side by side, each start with its own exact prediction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from workbench import dataset
from workbench.agreement import error_table
from workbench.comparison.comparison import Comparison
from workbench.comparison.planning import Schedules, planned_schedules
from workbench.comparison.settings import Settings
from workbench.comparison.training import init_of, initial_network, recipe_of
from workbench.influence import Bar, no_bar
from workbench.influence.quantities import SIDES, Side
from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.store import Slot, Store

if TYPE_CHECKING:
    from workbench.trajectory import Trajectory


def shared_schedules(starts: Sequence[Network], settings: Settings) -> Schedules:
    """The schedules of several starts, so that they can be trained side by side and compared checkpoint by checkpoint.

    A random start decides how long learning takes, and how fine the steps must be: the latest end that one of them
    would choose, with the steps of the one that needs the smallest.
    """
    chosen = [planned_schedules(start, settings) for start in starts]
    finest = min(range(len(starts)), key=lambda k: chosen[k].training.eta)
    end = max(float(one.training.times[-1]) for one in chosen)
    return planned_schedules(starts[finest], replace(settings, t_max=settings.t_max or end))


def compare_seeds(
    task: SemanticTask, settings: Settings, bar: Bar = no_bar, store: Store | None = None, sides: Sequence[Side] = SIDES
) -> Comparison:
    """The comparison of the first seed, with the curves of all of them beside it.

    Args:
        task: what is to be learned, its columns centred or standardised already if the settings say so.
        settings: ``seeds`` starts, of which the first has ``seed``.
        bar: opens progress bars.
        store: keeps the work as it is done.
        sides: as of `compare`.

    Returns:
        The dataset of the first seed, and for every curve of influence and loss one of the same name that ends in
        ``_seeds``, with the dimension ``seed`` in front.
    """
    from workbench.comparison.compare import compare

    alike = replace(settings, seeds=1, centre=False, standardise=False)
    own = [replace(alike, seed=settings.seed + k) for k in range(settings.seeds)]
    starts = [initial_network(task, one, init_of(task, one)) for one in own]
    schedules = shared_schedules(starts, own[0])
    runs = _trained(starts, own[0], schedules, bar, store) if "simulated" in sides else {}
    results = []
    with bar("seeds", len(own)) as advance:
        for k, one in enumerate(own):
            part = None if store is None else cast("Store", _Part(store, f"seed {one.seed} "))
            run = runs.get(k)
            # Beside the first seed only curves are kept.
            results.append(compare(task, one, bar, part, sides=sides, schedules=schedules, trained=run, curved=k == 0))
            advance(1)
    first = results[0]
    ds = first.dataset.assign(_beside([result.dataset for result in results])).assign_coords(
        seed=[one.seed for one in own]
    )
    notes = [*first.notes, *_notes(results, settings)]
    return Comparison(ds.assign_attrs(config=json.dumps(settings.record()), notes=json.dumps(notes)), notes)


class _Part:
    """A store in which every name begins alike."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.get = lambda name: store.get(prefix + name)
        self.put = lambda name, piece: store.put(prefix + name, piece)


def _trained(
    starts: list[Network], settings: Settings, schedules: Schedules, bar: Bar, store: Store | None
) -> dict[int, Trajectory]:
    """All starts trained side by side, unless each has mini-batches of its own."""
    from workbench import simulation

    if settings.train_batch is not None:
        return {}
    recipe, place = recipe_of(settings, schedules.training), simulation.Place(settings.resolve_device())
    with bar("train all seeds", recipe.schedule.total) as advance:
        run = partial(simulation.train_networks, starts, recipe, place=place, progress=advance)
        return dict(enumerate(run(slot=Slot(store, "train seeds"))))


def _beside(all_seeds: list[xr.Dataset]) -> dict[str, xr.DataArray]:
    """Curves of all seeds, under the names that `dataset.of_seeds` reads."""
    first = all_seeds[0]
    names = [f"loss_{side}" for side in SIDES if f"loss_{side}" in first]
    names += [
        dataset.variable(measure, side)
        for measure in dataset.measure_names(first)
        for side in dataset.sides_of(first, measure)
    ]
    return {f"{name}_seeds": xr.concat([ds[name] for ds in all_seeds], "seed") for name in names}


def _notes(results: Sequence[Comparison], settings: Settings) -> list[str]:
    """How far the sides of every seed are from each other."""
    tables = [error_table(result.dataset) for result in results]
    lines = []
    for measure in dataset.measure_names(results[0].dataset):
        mine = [table[(table["measure"] == measure) & (table["pairs"] == "all pairs")] for table in tables]
        values = np.array([float(rows["relative_l2"].iloc[0]) for rows in mine])
        if np.isfinite(values).all():
            lines.append(
                f"{measure} of {settings.seeds} seeds: relative difference between the sides {values.min():.2g} to "
                f"{values.max():.2g}, median {np.median(values):.2g}; tables and verdicts are of seed {settings.seed}"
            )
    return lines
