"""What a comparison found, in sentences made from its numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from workbench.agreement import Ruling, Verdict, pair_groups
from workbench.agreement.events import curve_events
from workbench.agreement.resolution import unresolved
from workbench.figures.reading import Measure, ModeGroup, cut, measures, mode_groups, stages
from workbench.report.markup import Markup, element, together
from workbench.report.tables import table
from workbench.report.wording import averaged, pair_words

Array = NDArray[np.float64]

#: Stages told one by one.
MAX_STAGES = 5


def conclusion(ds: xr.Dataset, verdicts: Sequence[Verdict]) -> Markup:
    """What is learned when, who helps whom until when, which claims hold and how strong each is."""
    return together(
        element("p", element("strong", "Learned. "), learned(ds)),
        element("p", element("strong", "Who helps whom. "), *(f"{sentence} " for sentence in helps(ds))),
        table("Until when items help each other", turning_times(ds), _TURNING),
        element("p", element("strong", "Theory and simulation. "), *(f"{sentence} " for sentence in agreed(verdicts))),
        element("p", element("strong", "Noise. "), *(f"{s} " for s in noise(ds))) if noise(ds) else "",
    )


_TURNING = (
    "Flow time of the first change from help to harm of the mean curve of all such pairs, predicted where there is a "
    "prediction; a dash: none."
)


def learned(ds: xr.Dataset) -> str:
    """One sentence on the stages in order, and what each lets the network tell."""
    order = stages(ds)
    if not order:
        return "No mode is half learned by the last checkpoint."
    told = [f"{_tells(ds, group)} ({group.label}, half learned at t = {group.half_rise:.3g})" for group in order]
    shown = told[:MAX_STAGES]
    more = f"; {len(told) - len(shown)} further stages follow" if len(told) > len(shown) else ""
    left = sum(len(group.members) for group in mode_groups(ds)) - sum(len(group.members) for group in order)
    unlearned = f" {left} of {ds.sizes['mode']} modes are not half learned at the end." if left else ""
    return f"The network learns {', then '.join(shown)}{more}.{unlearned}"


def _tells(ds: xr.Dataset, group: ModeGroup) -> str:
    """What the items' vector of a group's first mode sets apart."""
    vector = ds["item_mode"].transpose("item", "mode").values[:, group.members[0]]
    strong = np.abs(vector) >= 0.5 * np.abs(vector).max()
    names = ds["item"].values
    ends = [[cut(name, 16, names) for name in names[strong & (sign * vector > 0)]] for sign in (1, -1)]
    if not all(ends):
        return "what all items share" if strong.all() else f"what sets {_listed(ends[0] or ends[1])} apart"
    like = " and other such pairs of branches" if len(group.members) > 1 else ""
    return f"to tell {_listed(ends[0])} from {_listed(ends[1])}{like}"


def _listed(names: list[str]) -> str:
    return " and ".join(names) if len(names) <= 2 else f"{names[0]}, {names[1]}, …"


def helps(ds: xr.Dataset) -> list[str]:
    """A sentence a group of pairs, by the first measure: help, harm, and when one turns into the other."""
    measure, names = measures(ds)[0], pair_words(ds)
    groups = pair_groups(ds)
    means = any(averaged(ds, mask) for mask in groups.values())
    sentences = [f"By the {measure.title}{', on average over the pairs of a group' if means else ''}:"]
    for group, mask in groups.items():
        who = names[group][0].upper() + names[group][1:] if averaged(ds, mask) else names[group]
        sentences.append(f"{who} {_course(ds['time'].values, _mean(measure, mask), _errors(measure, mask))}.")
    return sentences


def _mean(measure: Measure, mask: NDArray[np.bool_]) -> Array:
    return np.asarray(measure.sides[0][1][:, mask].mean(axis=1))


def _errors(measure: Measure, mask: NDArray[np.bool_]) -> Array | None:
    """Two standard errors of the mean curve where only a sampled side is there."""
    if measure.analytic is not None or measure.stderr is None:
        return None
    return np.asarray(2 * measure.stderr[:, mask].mean(axis=1))


def _course(times: Array, curve: Array, noise: Array | None) -> str:
    events = curve_events(times, curve, noise=noise)
    flips = [event.time for event in events if event.kind == "flip"]
    if not events:
        return "have no influence on each other that stands out"
    edges = np.array([times[0], *flips, times[-1]])
    lobes = [curve[(times >= a) & (times <= b)] for a, b in itertools.pairwise(edges)]
    words = ["help" if lobe.size and lobe[np.abs(lobe).argmax()] < 0 else "harm" for lobe in lobes]
    peaks = {event.kind: event.time for event in events}
    most = {"help": peaks.get("most helpful"), "harm": peaks.get("most harmful")}
    told = []
    for k, word in enumerate(words):
        at = most[word]
        peak = f" (most at t = {at:.3g})" if at is not None and edges[k] <= at <= edges[k + 1] else ""
        until = f" until t = {edges[k + 1]:.3g}" if k < len(flips) else " to the end" if flips else " throughout"
        told.append(f"{word}{' each other' if k == 0 else ''}{until}{peak}")
    return ", then ".join(told)


def turning_times(ds: xr.Dataset) -> pd.DataFrame:
    """One row a group of pairs, one column a measure: the first change from help to harm."""
    names, times = pair_words(ds), ds["time"].values
    columns: dict[str, list[float]] = {}
    for measure in measures(ds):
        column = columns.setdefault(measure.title, [])
        for mask in pair_groups(ds).values():
            curve = _mean(measure, mask)
            flips = [e.time for e in curve_events(times, curve, noise=_errors(measure, mask)) if e.kind == "flip"]
            turns = [flip for flip in flips if np.interp(flip, times, np.gradient(curve, times)) > 0]
            column.append(turns[0] if turns else math.nan)
    return pd.DataFrame(columns, index=pd.Index([names[group] for group in pair_groups(ds)], name="items"))


def agreed(verdicts: Sequence[Verdict]) -> list[str]:
    """Which claims hold, the strongest and the weakest of them, and every one that does not."""
    if not verdicts:
        return ["No claim was judged: one of the sides is missing."]
    held = [v for v in verdicts if v.ruling is Ruling.HOLDS]
    failed = [v for v in verdicts if v.ruling is Ruling.FAILS]
    untested = [v for v in verdicts if v.ruling is Ruling.NOT_CLAIMED]
    tested = len(held) + len(failed)
    if tested == 1:
        everything = f"The one claim that could be tested {'fails' if failed else 'holds'}."
    else:
        everything = f"{f'{len(held)} of' if failed else 'All'} {tested} claims that could be tested hold."
    sentences = [everything if tested else "No claim could be tested."]
    powers = sorted((v for v in held if math.isfinite(v.power)), key=lambda v: v.power)
    if powers:
        sentences.append(f"Sharpest: {powers[0].claim}; it would have caught {powers[0].catches}.")
        if len(powers) > 1:
            sentences.append(f"Weakest: {powers[-1].claim}; it would have caught only {powers[-1].catches}.")
    sentences += [f"Fails: {v.claim} (found {v.found}, allowed {v.allowed})." for v in failed]
    if untested:
        sentences.append(f"Not claimed, for the reasons below: {'; '.join(v.claim for v in untested)}.")
    return sentences


def noise(ds: xr.Dataset) -> list[str]:
    """Where single sampled entries cannot be read, so that a large relative error there says nothing of the theory."""
    names, sentences = pair_words(ds), []
    for measure in measures(ds):
        told = []
        for group, (size, draws) in unresolved(ds, measure.name).items():
            needed = f"; {draws:,.0f} draws a chain would show them" if math.isfinite(draws) else ""
            told.append(f"between {names[group]} (Monte Carlo error {size:.2g} times the influence{needed})")
        if told:
            sentences.append(
                f"Single entries of the sampled {measure.title} are noise {', and '.join(told)}. A relative difference "
                "of that size is chance, and no verdict rests on it."
            )
    return sentences
