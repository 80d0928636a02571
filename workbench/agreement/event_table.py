"""Flips and peaks of the mean curves of groups of pairs, on both sides of a dataset, with their differences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from workbench import dataset
from workbench.agreement.events import Event, curve_events, event_floor
from workbench.agreement.groups import pair_groups
from workbench.influence import gradient_kernel
from workbench.influence.quantities import SIDES
from workbench.semantics import Hierarchy
from workbench.theory import flip_times

Array = NDArray[np.float64]


def event_table(ds: xr.Dataset) -> pd.DataFrame:
    """Flips and peaks of the mean curve of every group of pairs, on both sides, with their differences.

    Columns: measure, pairs, event (``flip 1``, ``most helpful``, ...), analytic, simulated, difference,
    ``closed_form`` where the theory has the time itself (kernel flips on a symmetric tree, aligned start), ``size`` of
    the predicted event (see `Event`; of the simulated one where none is predicted), and ``learning``: what the network
    learns fastest at that time. Of several seeds the times are the first one's, and ``analytic_spread`` and
    ``simulated_spread`` the standard deviations over the ``seeds`` that have the event, each by its number.
    """
    if "seed" in ds.dims:
        return _with_spread(_table(dataset.of_seed(ds, 0)), ds)
    return _table(ds)


def _table(ds: xr.Dataset) -> pd.DataFrame:
    exact, rows = _closed_form_flips(ds), []
    for measure in dataset.measure_names(ds):
        for group, mask in pair_groups(ds).items():
            known = exact.get(group, np.array([])) if measure == gradient_kernel.name else np.array([])
            rows += list(_rows(ds, measure, group, mask, known))
    columns = ("measure", "pairs", "event", "analytic", "simulated", "difference", "closed_form", "size", "learning")
    return pd.DataFrame(rows, columns=list(columns))


def _with_spread(table: pd.DataFrame, ds: xr.Dataset) -> pd.DataFrame:
    keys = ["measure", "pairs", "event"]
    seeds = pd.concat([_table(dataset.of_seed(ds, k)) for k in range(ds.sizes["seed"])])
    groups = seeds.groupby(keys, sort=False)
    spread = groups[["analytic", "simulated"]].std(ddof=1).add_suffix("_spread")
    counted = groups[list(SIDES)].count().max(axis=1).rename("seeds")
    return table.merge(spread.join(counted).reset_index(), on=keys, how="outer", sort=False)


def _rows(ds: xr.Dataset, measure: str, group: str, mask: NDArray[np.bool_], known: Array) -> Iterator[dict[str, Any]]:
    predicted, seen = events_of_group(ds, measure, mask)
    label = _learning(ds)

    def row(event: str, first: Event | None, second: Event | None, exact: float = float("nan")) -> dict[str, Any]:
        one, other = (float("nan") if side is None else side.time for side in (first, second))
        known_event = first or second
        assert known_event is not None
        return {
            "measure": measure,
            "pairs": group,
            "event": event,
            "analytic": one,
            "simulated": other,
            "difference": other - one,
            "closed_form": exact,
            "size": known_event.size,
            "learning": label(known_event.time),
        }

    flips = [[event for event in side if event.kind == "flip"] for side in (predicted, seen)]
    times = [np.array([event.time for event in side]) for side in flips]
    for k, pair in enumerate(side_by_side(*times)):
        first, second = (next((e for e in side if e.time == at), None) for side, at in zip(flips, pair, strict=True))
        yield row(f"flip {k + 1}", first, second, float(known[k]) if k < len(known) else float("nan"))
    for kind in ("most helpful", "most harmful"):
        first, second = (next((event for event in side if event.kind == kind), None) for side in (predicted, seen))
        if first is not None or (second is not None and f"{measure}_analytic" not in ds):
            yield row(kind, first, second)


def events_of_group(ds: xr.Dataset, measure: str, mask: NDArray[np.bool_]) -> tuple[list[Event], list[Event]]:
    """Events of the mean curve of the pairs in a ``(P, P)`` mask: predicted, and simulated; none of an absent side."""
    sides = [dataset.values(ds, measure, side) for side in SIDES]
    largest = 0.0 if sides[0] is None else float(np.abs(sides[0]).max())
    error = dataset.stderr(ds, measure)
    # The pairs share their chains; their errors are taken as fully correlated.
    noises = [None, None if error is None else 2 * error[:, mask].mean(axis=1)]
    events: list[list[Event]] = []
    for values, noise in zip(sides, noises, strict=True):
        curve = None if values is None else values[:, mask].mean(axis=1)
        floor = 0.0 if curve is None else event_floor(curve, largest, measure)
        events.append([] if curve is None else curve_events(ds["time"].values, curve, floor, noise))
    return events[0], events[1]


def _learning(ds: xr.Dataset) -> Any:
    """A function that names the level of the tree, or the mode of a table, whose loss falls fastest at a time."""
    side = next((side for side in SIDES if f"mode_strength_{side}" in ds), None)
    if side is None:
        return lambda time: ""
    s, c, times = ds["singular_value"].values, float(ds.attrs["input_scale"]), ds["time"].values
    fall = -np.gradient((s - c * ds[f"mode_strength_{side}"].values) ** 2, times, axis=0)
    level = ds["mode_level"].values
    on_tree = bool((level >= 0).all())
    groups = np.unique(level) if on_tree else np.arange(len(s))
    members = [level == k for k in groups] if on_tree else [np.arange(len(s)) == k for k in groups]
    rates = np.stack([fall[:, member].sum(axis=1) for member in members])

    def named(time: float) -> str:
        k = int(np.argmax([np.interp(time, times, rate) for rate in rates]))
        return f"level {groups[k]}" if on_tree else f"mode {k + 1}"

    return named


def flip_pairs(ds: xr.Dataset, measure: str, mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Times of the flips of the mean curve of a group, predicted and simulated, as in `side_by_side`."""
    flips = [[event.time for event in side if event.kind == "flip"] for side in events_of_group(ds, measure, mask)]
    return side_by_side(*map(np.array, flips))


def side_by_side(predicted: Array, seen: Array) -> list[tuple[float, float]]:
    """Pairs of flips that are each other's nearest, in order of time; nan beside a flip without partner.

    A sampled curve misses flips that drown in its noise, so that the first seen need not be the first predicted.
    """
    if not len(predicted) or not len(seen):
        return [(a, np.nan) for a in predicted.tolist()] + [(np.nan, b) for b in seen.tolist()]
    gap = np.abs(predicted[:, None] - seen)
    forth, back = gap.argmin(axis=1), gap.argmin(axis=0)
    pairs = [(a, float(seen[forth[i]]) if back[forth[i]] == i else np.nan) for i, a in enumerate(predicted.tolist())]
    pairs += [(np.nan, b) for j, b in enumerate(seen.tolist()) if forth[back[j]] != j]
    return sorted(pairs, key=lambda pair: np.nanmin(pair))


def _closed_form_flips(ds: xr.Dataset) -> dict[str, Array]:
    """Roots of the flip equation, by group name, where its conditions hold."""
    config = json.loads(ds.attrs.get("config", "{}"))
    branching, a0 = ds.attrs.get("branching"), ds.attrs.get("a0")
    predicted = dataset.variable(gradient_kernel.name, "analytic") in ds
    if branching is None or a0 is None or not predicted or not np.all(ds["mode_level"].values >= 0) or not config:
        return {}
    hierarchy = Hierarchy(tuple(int(b) for b in np.atleast_1d(branching)))
    levels, singular = ds["mode_level"].values, ds["singular_value"].values
    if not np.isfinite(ds["half_rise_time"].values).all() or np.any(np.bincount(levels) == 0):
        return {}
    s_levels = np.array([singular[levels == k].mean() for k in range(hierarchy.depth + 1) if (levels == k).any()])
    if len(s_levels) != hierarchy.depth + 1:
        return {}
    flips = flip_times(hierarchy, s_levels, a0=float(a0), c=float(ds.attrs["input_scale"]))
    last = float(ds["time"].values[-1])
    return {name: times[times <= last] for name, times in zip(pair_groups(ds), flips, strict=False)}
