"""What the figures read from a dataset: measures, stages, groups of modes, names as text."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import dataset
from workbench.errors import WorkbenchError
from workbench.influence import MEASURES

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: What the two directions of an axis of influence mean.
HELPS_HARMS = "← helps      harms →"

#: Curves closer than this (relative to the largest value of the measure) coincide.
COINCIDENCE = 1e-6


@dataclass(frozen=True, eq=False)
class Measure:
    """One measure of influence, ``(T, P, P)`` as (time, source, target); a side that is absent is None."""

    name: str
    title: str
    units: str
    analytic: Array | None
    simulated: Array | None
    stderr: Array | None

    @property
    def sides(self) -> tuple[tuple[str, Array], ...]:
        """The sides there are, theory first."""
        both = (("theory", self.analytic), ("simulation", self.simulated))
        return tuple((label, values) for label, values in both if values is not None)


def measures(ds: xr.Dataset) -> tuple[Measure, ...]:
    """Every measure in the dataset, the plainest first."""
    names = dataset.measure_names(ds)
    if not names:
        raise WorkbenchError(
            f"the dataset holds no measure of influence; expected variables such as {next(iter(MEASURES))}_analytic "
            "with dimensions (time, source, target)"
        )
    known = [name for name in MEASURES if name in names]
    return tuple(_measure(ds, name) for name in known + sorted(set(names) - set(known)))


def _measure(ds: xr.Dataset, name: str) -> Measure:
    facts = dataset.facts(ds, name)
    return Measure(
        name=name,
        title=str(facts.get("short_name", MEASURES[name].short if name in MEASURES else name.replace("_", " "))),
        units=str(facts.get("units", "")),
        analytic=dataset.values(ds, name, "analytic"),
        simulated=dataset.values(ds, name, "simulated"),
        stderr=dataset.stderr(ds, name),
    )


@dataclass(frozen=True)
class ModeGroup:
    """Modes that share one curve: those of a tree level, or a single mode."""

    label: str
    members: tuple[int, ...]
    half_rise: float


def mode_groups(ds: xr.Dataset) -> tuple[ModeGroup, ...]:
    """Modes by tree level where the task is tree-symmetric, one by one otherwise; strongest first."""
    level = ds["mode_level"].values if "mode_level" in ds else np.full(ds.sizes["mode"], -1)
    half_rise, names = half_rise_times(ds), ds["mode"].values
    groups: dict[tuple[str, int], list[int]] = {}
    for a, k in enumerate(level):
        groups.setdefault(("level", int(k)) if k >= 0 else ("mode", int(names[a])), []).append(a)
    return tuple(
        # People count modes from 1; the root of a tree is its level 0.
        ModeGroup(f"{kind} {number + (kind == 'mode')}", tuple(members), float(half_rise[members[0]]))
        for (kind, number), members in groups.items()
    )


def half_rise_times(ds: xr.Dataset) -> Array:
    """``(K,)`` when each mode is half learned: predicted, or read off the trained strengths without a prediction."""
    known = np.asarray(ds["half_rise_time"].values, dtype=np.float64)
    if np.isfinite(known).any() or "mode_strength_simulated" not in ds:
        return known
    time, strength = ds["time"].values, ds["mode_strength_simulated"].transpose("time", "mode").values
    above = strength >= 0.5 * ds["singular_value"].values / float(ds.attrs["input_scale"])
    times = np.full(len(known), np.inf)
    for k in np.flatnonzero(above.any(axis=0)):
        last = int(above[:, k].argmax())
        half = 0.5 * float(ds["singular_value"].values[k]) / float(ds.attrs["input_scale"])
        around = slice(max(last - 1, 0), last + 1)
        times[k] = np.interp(half, strength[around, k], time[around])
    return times


def stages(ds: xr.Dataset) -> tuple[ModeGroup, ...]:
    """The groups that are learned before the last checkpoint, in order of time."""
    end = float(ds["time"].values[-1])
    return tuple(sorted((g for g in mode_groups(ds) if g.half_rise <= end), key=lambda g: g.half_rise))


def stage_columns(ds: xr.Dataset, at_most: int) -> tuple[tuple[int, str], ...]:
    """Up to ``at_most`` checkpoints nearest to half-rise times, spread over the stages, with what rises."""
    time = ds["time"].values
    learned = stages(ds)
    if not learned:
        picked = np.unique(np.linspace(0, len(time) - 1, at_most).round().astype(int))
        return tuple((int(i), "") for i in picked)
    chosen = np.unique(np.linspace(0, len(learned) - 1, min(at_most, len(learned))).round().astype(int))
    columns = {int(np.abs(time - learned[k].half_rise).argmin()): f"{learned[k].label} half learned" for k in chosen}
    return tuple(columns.items())


def ancestor_groups(ds: xr.Dataset, source: int, chosen: Sequence[Measure]) -> tuple[tuple[str, Index], ...] | None:
    """Targets whose curves coincide by the symmetry of the tree, with a name; None where they do not.

    Two items influence each other through the level of their common ancestor alone if the task is symmetric
    under its tree. Believed only where the predicted curves do coincide.
    """
    if "common_ancestor_level" not in ds:
        return None
    level = ds["common_ancestor_level"].values[source]
    groups = [(int(m), np.flatnonzero((level == m) & (np.arange(len(level)) != source))) for m in np.unique(level)]
    groups = [(m, members) for m, members in groups if members.size]
    for measure in chosen:
        if measure.analytic is None:
            return None
        curves = measure.analytic[:, source]
        scale = COINCIDENCE * max(float(np.nanmax(np.abs(curves), initial=0.0)), np.finfo(float).tiny)
        if any(np.nanmax(np.ptp(curves[:, members], axis=1), initial=0.0) > scale for _, members in groups):
            return None
    names = ds["target"].values
    return tuple((_group_name(m, names[members], names), members) for m, members in groups)


def _group_name(level: int, names: Array, among: Array) -> str:
    if len(names) == 1:
        return text(names[0], among=among)
    shown = ", ".join(text(name, 12, among) for name in names[:2]) + ("" if len(names) == 2 else ", …")
    where = "root" if level == 0 else f"level {level}"
    return f"{len(names)} items via {where} ({shown})"


def span(time: Array) -> tuple[float, float]:
    """Limits of a time axis: the points at both ends stay whole."""
    room = 0.012 * float(time[-1] - time[0])
    return float(time[0]) - room, float(time[-1]) + room


def unit(measure: Measure) -> str:
    """The measure's unit in brackets, powers raised."""
    if not measure.units:
        return ""
    return f" [{text(powers(measure.units).replace(' / ', '/'), 30)}]"


def powers(units: str) -> str:
    """Units with raised exponents: ``loss² / weight⁴`` for ``loss^2 / weight^4``."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(r"\^(-?[0-9]+)", lambda match: match[1].translate(raised), units.replace(" x ", " × "))


def thin(count: int, at_most: int) -> Index:
    """Indices of at most ``at_most`` evenly spread entries of ``count``."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64))


def names_in(ds: xr.Dataset) -> list[str]:
    """Names of items and properties, as the data have them."""
    return [str(name) for axis in ("item", "property") for name in ds[axis].values]


def text(name: object, longest: int = 24, among: Iterable[object] = ()) -> str:
    """A name from the data as label of a figure: not too long, dollar signs not taken for formulas."""
    line = cut(name, longest, among)
    # A legend leaves out labels that begin with an underscore.
    return (f" {line}" if line.startswith("_") else line).replace("$", r"\$")


def texts(names: Iterable[object], longest: int = 24) -> list[str]:
    """`text` of every one of ``names``, told apart from the others."""
    every = list(names)
    return [text(name, longest, every) for name in every]


def cut(name: object, longest: int = 24, among: Iterable[object] = ()) -> str:
    """A name from the data on one line, not too long.

    Where another of the names ``among`` which it stands begins in the same way, the middle is left out, so that what
    tells them apart is seen.

    >>> cut("item 1.2.1.2", 10), cut("item 1.2.1.2", 10, ["item 1.2.1.1", "item 1.2.1.2"])
    ('item 1.2…', 'ite….2.1.2')
    """
    line = _one_line(name)
    if len(line) <= longest:
        return line
    return _shortened(tuple(map(_one_line, among)), longest).get(line, f"{line[: longest - 1].rstrip(' .')}…")


@lru_cache(maxsize=32)
def _shortened(lines: tuple[str, ...], longest: int) -> dict[str, str]:
    """Names of one table that are too long and begin alike, each by what tells it from its nearest neighbour."""
    too_long = sorted({line for line in lines if len(line) > longest})
    starts = Counter(line[: longest - 1] for line in lines)
    shown: dict[str, str] = {}
    for head in (longest // 3, 0):
        apart = [0, *(_apart(one, other) for one, other in itertools.pairwise(too_long)), 0]
        shown = {
            line: _around(line, longest, head, max(apart[k], apart[k + 1]))
            for k, line in enumerate(too_long)
            if starts[line[: longest - 1]] > 1
        }
        if len(set(shown.values())) == len(shown):
            break
    return shown


def _apart(one: str, other: str) -> int:
    """Where two different names part, the first before the second in the alphabet."""
    return next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def _around(line: str, longest: int, head: int, apart: int) -> str:
    """The first ``head`` letters, and those that end with the one at ``apart``."""
    tail = longest - 1 - head
    start = max(head, min(apart - tail + 2, len(line) - tail))
    shown = line[start : start + tail] if start + tail >= len(line) else f"{line[start : start + tail - 1].rstrip()}…"
    if line[start - 1 : start].strip():
        shown = re.sub(r"^\S{1,2} ", "", shown)  # the end of a word
    return f"{line[:head].rstrip()}…{shown.lstrip()}"


def _one_line(name: object) -> str:
    return " ".join(str(name).split())
