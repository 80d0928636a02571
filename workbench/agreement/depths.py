"""Flips and peaks of every measure in networks of one layer to many, with the first stage at the same time in all.

Two ways of matching: at one initial strength, with time counted in half-rise times of the first mode (``"clock"``), or
at the initial strength that gives the first mode the half-rise time that it has in two layers (``"start"``). With the
first way depth has a limit, at learning rate 1/D, in which the kernel is known (`infinite_depth_kernel`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench import theory
from workbench.agreement.events import curve_events, event_floor
from workbench.agreement.groups import Mask, pair_groups
from workbench.influence import MEASURES
from workbench.networks import Init, Network, choose_init, network
from workbench.semantics import SemanticTask
from workbench.theory.modes.groups import mode_groups
from workbench.theory.modes.infinite_depth import infinite_depth_form
from workbench.theory.modes.rise_time import half_rise_time

Array = NDArray[np.float64]
Match = Literal["clock", "start"]

DEPTHS = (1, 2, 3, 4, 5, 6)
#: Checkpoints of each network; flips are roots of cubic splines through them.
POINTS = 120
COLUMNS = ["depth", "first", "measure", "pairs", "event", "time", "size"]


def networks_by_depth(
    task: SemanticTask, depths: Sequence[int] = DEPTHS, *, match: Match = "clock", a0: float | None = None
) -> list[Network]:
    """Aligned networks of each depth; those that no initial strength gives the matched half-rise time are left out."""
    init, width = choose_init(task) if a0 is None else Init("balanced", a0), max(16, min(task.n_items, task.n_outputs))
    two = network(task, width, init)
    starts = {depth: init.scale if match == "clock" else strength_of_half_rise(two, depth) for depth in depths}
    return [network(task, width, Init("balanced", a), depth=depth) for depth, a in starts.items() if a is not None]


def strength_of_half_rise(reference: Network, depth: int) -> float | None:
    """The initial strength at which the first mode of ``depth`` layers has the half-rise time of ``reference``.

    None where there is none: a single layer takes at most ``ln 2 / c``, from nothing.
    """
    from scipy.optimize import brentq

    s, c = float(reference.modes.s[0]), reference.modes.c
    goal = float(theory.half_rise_times(reference)[0])

    def late(log_a0: float) -> float:
        return float(half_rise_time(s, c=c, a0=np.exp(log_a0), depth=depth)) - goal

    lowest, highest = np.log(1e-8 * s / c), np.log(0.499 * s / c)
    return float(np.exp(brentq(late, lowest, highest))) if late(lowest) > 0 > late(highest) else None


def even_progress(times: Array, learned: Array, points: int) -> Array:
    """``(points,)`` of the ``times``, evenly apart in time and learning together: dense where modes rise.

    Of the way between two half is time, as a fraction of all, and half the mean over the columns of ``learned``,
    fractions that rise from 0 to 1.
    """
    progress = times / times[-1] + learned.mean(axis=1)
    return np.interp(np.linspace(progress[0], progress[-1], points + 1)[1:], progress, times)


def _checkpoints(net: Network, points: int) -> Array:
    t, modes, groups = np.linspace(0, theory.settling_time(net), 2000), net.modes, mode_groups(net.modes, net.active)
    rising = groups.first[groups.learned]
    return even_progress(t, theory.mode_strengths(net, t)[:, rising] * modes.c / modes.s[rising], points)


def events_by_depth(
    task: SemanticTask,
    depths: Sequence[int] = DEPTHS,
    *,
    match: Match = "clock",
    measures: Sequence[str] | None = None,
    a0: float | None = None,
    points: int = POINTS,
    advance: Callable[[int], Any] = lambda done: None,
) -> pd.DataFrame:
    """One row an event of the mean curve of a group of pairs, by theory.

    Columns: ``depth``, ``first`` (half-rise time of the first mode, flow time), ``measure``, ``pairs``, ``event``
    ("flip 1", "flip 2", ..., "most helpful", "most harmful"), ``time`` in units of ``first``, and ``size``, a fraction
    of the curve's largest value. Different items of a single layer have no influence on each other, and so no event.

    Args:
        task: with one-hot or white inputs.
        depths: numbers of layers; a hidden unit for every mode, and at least 16, in each.
        measures: names; all that have an analytic side unless given, with the options that they choose.
        a0: initial strength of the modes; that of `choose_init` unless given.
        points: checkpoints of each network.
        advance: called after every measure of every network.
    """
    names = [m.name for m in MEASURES.values() if m.analytic is not None] if measures is None else list(measures)
    rows: list[dict[str, Any]] = []
    for net in networks_by_depth(task, depths, match=match, a0=a0):
        first, path = float(theory.half_rise_times(net)[0]), theory.predict(net, _checkpoints(net, points))
        for name in names:
            about = {"depth": float(net.depth), "first": first, "measure": name}
            rows += [about | row for row in _events(path.times / first, MEASURES[name](path).values, task, name)]
            advance(1)
    return pd.DataFrame(rows, columns=COLUMNS)


def kernel_events_without_bound(task: SemanticTask, *, a0: float | None = None, points: int = POINTS) -> pd.DataFrame:
    """The same of the kernel for infinite depth, at the same initial strength; ``first`` is in D x flow time."""
    net = networks_by_depth(task, (2,), a0=a0)[0]
    modes, start, half = net.modes, float(net.a0 or 0.0), infinite_depth_form()
    s, c = modes.s, modes.c
    first = float(half(a=s[0] / (2 * c), s=s[0], c=c, a0=start))
    # Beyond the time at which all but half a percent of the weakest mode is learned there is nothing to see.
    t = np.linspace(0, 1.25 * float(half(a=0.995 * s[-1] / c, s=s[-1], c=c, a0=start)), 4000)
    a = theory.infinite_depth_strength(t[:, None], s, c=c, a0=start)
    times = even_progress(t, a[:, mode_groups(modes).first] * c / s[mode_groups(modes).first], points)
    influence = theory.infinite_depth_kernel(modes, theory.infinite_depth_strength(times[:, None], s, c=c, a0=start))
    about = {"depth": np.inf, "first": first, "measure": "gradient_kernel"}
    events = _events(times / first, influence, task, "gradient_kernel")
    return pd.DataFrame([about | row for row in events], columns=COLUMNS)


def _events(times: Array, influence: Array, task: SemanticTask, measure: str) -> list[dict[str, Any]]:
    rows, largest = [], float(np.abs(influence).max())
    groups: dict[str, Mask] = pair_groups(task)
    for pairs, mask in groups.items():
        curve, flips = influence[:, mask].mean(axis=1), 0
        for event in curve_events(times, curve, event_floor(curve, largest, measure)):
            flips += event.kind == "flip"
            label = f"flip {flips}" if event.kind == "flip" else event.kind
            rows.append({"pairs": pairs, "event": label, "time": event.time, "size": event.size})
    return rows


def spread(events: pd.DataFrame, event: str = "flip 1") -> pd.DataFrame:
    """``(pairs, depth)``: how far apart the measures are in time, latest minus earliest, in units of the first stage.

    Only measures that have the event for all pairs at a depth take part, and depths with two of them or more.
    """
    times = events[events.event == event].pivot_table(index=["depth", "measure"], columns="pairs", values="time")
    complete = times.dropna().groupby("depth").filter(lambda rows: len(rows) > 1).groupby("depth")
    return (complete.max() - complete.min()).T
