"""Can stages be found from data alone? Definitions that know no theory, against exact half-rise times, over seeds.

loss             where the loss falls fastest (zeros of its curvature)
log loss         where its logarithm does
mode strengths   where a singular value of the network's map passes half of its last value
influence peaks  maxima of the summed size of one-step influence between different items
influence flips  where the influence of a pair changes sign
lambda-hat       zeros of d lambda-hat / d log t of the local learning coefficient, as transformers' stages are defined;
                 here its Gaussian expectation at gamma = 2 n beta s_1, so without the noise of sampling

A definition's events that are closer than a share of their time are one. An event belongs to the stage that is nearest,
and the nearest of these is the stage's time; the others are false alarms.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from workbench import theory
from workbench.figures.style import Style
from workbench.networks import Network, network
from workbench.studies.pairs import EVENTS, enough, events_of, groups_far_first
from workbench.studies.stage_definitions import DEFINITIONS, first_half, stage_events
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.theory.modes.groups import mode_groups
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

_START, _RATE, _MOST_ITEMS = "gaussian:0.02", 0.02, 16


def answer(inquiry: Inquiry) -> StudyResult:
    """Events of every definition in every seed, and the exact times."""
    task = inquiry.task_or("tree")
    inquiry.allow(2, _MOST_ITEMS, "it takes the curvatures of every checkpoint of every seed")
    seeds, points = (4, 36) if inquiry.quick else (20, 60)
    starts = [network(task, enough(task), _START, seed=inquiry.seed + k) for k in range(seeds)]
    last = 1.1 * max(theory.settling_time(one) for one in starts)
    levels = _levels(starts[0])
    exact = np.stack([exact_stages(one, np.linspace(0, last, 301), levels) for one in starts])
    detected: list[list[Array]] = []
    with inquiry.bar("stages", seeds) as advance:
        for run in _runs(starts, last, points):
            detected.append(stage_events(run))
            advance(1)
    most = max(len(events) for one in detected for events in one)
    table = np.full((seeds, len(DEFINITIONS), most), np.nan)
    for s, d in np.ndindex(seeds, len(DEFINITIONS)):
        table[s, d, : len(detected[s][d])] = detected[s][d]
    ds = xr.Dataset(
        {"exact": (("seed", "stage"), exact), "detected": (("seed", "definition", "event"), table)},
        coords={"definition": list(DEFINITIONS), "seed": inquiry.seed + np.arange(seeds)},
    )
    ds["offset"], ds["false_alarms"] = _assigned(ds)
    ds = ds.merge(_learned_at_events(inquiry, levels))
    caption = (
        "Events by each definition (rows) in every seed (dots), against the exact half-rise times (lines, mean over "
        "seeds). Right: share of seeds in which a stage is found, and how early (left of 0) or late."
    )
    alt = "Rows of dots that cluster near vertical lines for some definitions and not for others."
    return StudyResult(_finding(ds), ds, draw, caption, alt, _claims(ds))


def _levels(start: Network) -> list[NDArray[np.intp]]:
    """Modes of equal singular value together, as they are learned together, in order of learning."""
    groups = mode_groups(start.modes)
    order = np.argsort(-groups.s)
    close = np.split(order, np.flatnonzero(np.diff(groups.s[order]) < -1e-9 * groups.s.max()) + 1)
    s = start.modes.s
    return [np.flatnonzero(np.isclose(s, groups.s[part[0]], rtol=1e-6)) for part in close]


def exact_stages(start: Network, times: Array, levels: list[NDArray[np.intp]]) -> Array:
    """``(stage,)`` when the mean strength of a level passes half of its final value, by the exact flow."""
    a = theory.predict(start, times).mode_strengths / (start.modes.s / start.modes.c)
    return np.array(
        [first_half(times, np.asarray(a[:, members].mean(axis=1), dtype=np.float64), 1.0) for members in levels]
    )


def _runs(starts: list[Network], last: float, points: int) -> list[Trajectory]:
    from workbench import simulation

    eta = simulation.learning_rate(starts[0], _RATE)
    schedule = simulation.schedule_near(np.linspace(0, last, points), eta)
    return simulation.train_networks(starts, schedule)


def _assigned(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """How much later than a stage its event is, nan where it has none, and how many events belong to no stage."""
    S, D = ds.sizes["seed"], ds.sizes["definition"]
    offset, alarms = np.full((S, D, ds.sizes["stage"]), np.nan), np.zeros((S, D))
    for s, d in np.ndindex(S, D):
        exact, events = ds["exact"].values[s], ds["detected"].values[s, d]
        events = events[np.isfinite(events)]
        gap = np.abs(events[:, None] - exact)
        owner = np.nanargmin(gap, axis=1) if len(events) else np.zeros(0, dtype=int)
        for m in np.unique(owner):
            mine = events[owner == m]
            offset[s, d, m] = mine[np.abs(mine - exact[m]).argmin()] - exact[m]
        alarms[s, d] = len(events) - len(np.unique(owner))
    return xr.DataArray(offset, dims=("seed", "definition", "stage")), xr.DataArray(alarms, dims=("seed", "definition"))


def _learned_at_events(inquiry: Inquiry, levels: list[NDArray[np.intp]]) -> xr.Dataset:
    """Flips and peaks of the kernel's mean curves from a balanced start, each with the stage being learned then."""
    start = network(inquiry.task_or("tree"), enough(inquiry.task_or("tree")), "auto", seed=inquiry.seed)
    times = np.linspace(0, theory.settling_time(start), 201)[1:]
    names, masks = groups_far_first(start.task)
    assert start.a0 is not None
    influence = theory.gradient_kernel(start.modes, theory.mode_strengths(start, times))
    events = events_of(times, influence, masks)
    share = theory.mode_strengths(start, times) / (start.modes.s / start.modes.c)
    progress = np.stack([CubicSpline(times, share[:, members].mean(axis=1))(times, 1) for members in levels])
    stage = np.full(events.shape, np.nan)
    for g, e in zip(*np.nonzero(np.isfinite(events)), strict=True):
        stage[g, e] = progress[:, np.abs(times - events[g, e]).argmin()].argmax()
    dims = ("group", "kind")
    return xr.Dataset(
        {"event_time": (dims, events), "stage_at_event": (dims, stage)}, coords={"group": names, "kind": list(EVENTS)}
    )


def _found(ds: xr.Dataset) -> xr.DataArray:
    """``(definition,)`` share of seeds and stages that are found within a quarter of the stage's time."""
    return (abs(ds["offset"]) <= 0.25 * ds["exact"]).mean(("seed", "stage"))


def _finding(ds: xr.Dataset) -> str:
    spread, late, shares = ds["offset"].std("seed").mean("stage"), ds["offset"].mean(("seed", "stage")), _found(ds)
    told = [
        f"{name} {float(shares[d]):.0%} of stages, {float(late[d]):+.2f} late (sd {float(spread[d]):.2f}), "
        f"{float(ds['false_alarms'][:, d].mean()):.1f} false alarms"
        for d, name in enumerate(DEFINITIONS)
    ]
    early = ds["stage_at_event"].sel(kind="flip 1").values
    order = ", ".join(
        f"{name}: stage {int(m) + 1}" for name, m in zip(ds["group"].values, early, strict=True) if m == m
    )
    when = ", ".join(f"{t:.1f}" for t in ds["exact"].mean("seed").values)
    return (
        f"Over {ds.sizes['seed']} seeds and stages at t = {when}: "
        f"{'; '.join(told)}. The first flip of influence comes while this stage is learned: {order}."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    shares = {name: float(value) for name, value in zip(DEFINITIONS, _found(ds).values, strict=True)}
    strengths = ds["offset"].sel(definition="mode strengths")
    flips = ds["stage_at_event"].sel(kind="flip 1").values
    flips = flips[np.isfinite(flips)]
    return (
        StudyClaim(
            "Singular values of the network's map find every stage, in every seed",
            shares["mode strengths"],
            ">=",
            0.95,
            "one in twenty may cross its neighbour",
        ),
        StudyClaim(
            "and nearly when it is half learned",
            float(abs(strengths / ds["exact"]).mean()),
            "<=",
            0.1,
            "mean error over the time of the stage; modes of one level repel each other in a start that is not aligned",
        ),
        StudyClaim(
            "The plain loss does not: its curvature shows fewer than all stages",
            shares["loss"],
            "<=",
            0.75,
            "stages that overlap leave one bend; three of four is the most that is not all on the default tree",
        ),
        StudyClaim(
            "Zeros of d lambda-hat / d log t find fewer stages than singular values do",
            shares["mode strengths"] - shares["lambda-hat"],
            ">=",
            0.05,
            "share of stages; one in twenty",
        ),
        StudyClaim(
            "First flips of influence come in order of the stages: the farther the pairs, the earlier the stage",
            float(np.diff(flips).min(initial=0.0)),
            ">=",
            0.0,
            "each group's stage is the one before's or later",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """Dots a definition, and offsets."""
    style = Style()
    colours = style.sequence(ds.sizes["stage"])
    with style.context():
        figure = style.figure(3.0)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1))
        for ax in (left, right):
            style.tidy(ax)
        S = ds.sizes["seed"]
        for m, colour in enumerate(colours):
            left.axvline(float(ds["exact"][:, m].mean()), color=colour, linewidth=0.8)
        for d in range(len(DEFINITIONS)):
            events = ds["detected"].values[:, d]
            rows = np.broadcast_to(d + 0.6 * (np.arange(S)[:, None] / max(1, S - 1) - 0.5), events.shape)
            left.plot(events.ravel(), rows.ravel(), ".", color=style.ink, markersize=2.5)
            for m, colour in enumerate(colours):
                offset = ds["offset"].values[:, d, m]
                if np.isfinite(offset).any():
                    y, share = d + 0.15 * (m - 1.5), np.isfinite(offset).mean()
                    right.errorbar(
                        np.nanmean(offset), y, xerr=np.nanstd(offset), fmt="o", color=colour, markersize=1 + 3 * share
                    )
        right.axvline(0, color=style.faint)
        left.set_yticks(range(len(DEFINITIONS)), DEFINITIONS)
        left.invert_yaxis()
        left.set(xlabel="flow time t", title="events found without theory; lines: exact half-rise times")
        right.set(xlabel="later than the stage", title="mean and sd; size: share of seeds")
    return figure


STUDY = Study(
    "stages_from_data", "Can the stages of learning be found from data alone, and by which definition?", answer
)
