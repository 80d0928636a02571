"""When do branches of the hidden representation open, and does influence peak then?

Distances of hidden representations depend on mode strengths alone, ``|h_i - h_j|^2 = c P sum_k a_k (v_ki - v_kj)^2``.
The children of a node on level m part along the modes of level m + 1 only, so the distance of their centres passes a
share q of its last value when ``a_{m+1} = q^2 s/c``::

    t_m(q) = ln[q^2 (s - c a0) / (c a0 (1 - q^2))] / (2 s)         (s of level m + 1)

The map is classical multidimensional scaling of all items at all times at once. Trained networks start from small
random weights; a branch's opening is read off their representations, peaks and flips off their influence.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import theory
from workbench.figures.labels import spread
from workbench.figures.reading import text
from workbench.figures.representation import layout, splits
from workbench.figures.style import Style
from workbench.influence import MEASURES
from workbench.networks import network
from workbench.semantics import SemanticTask
from workbench.studies.branch_openings import ancestor_levels, hidden_representations, measured_opening, opening_times
from workbench.studies.item_colours import hues, item_colours
from workbench.studies.pairs import EVENTS, enough, events_of, groups_far_first
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Standard deviation of initial weights, from small to large.
SCALES = (1e-4, 1e-3, 1e-2, 1e-1)
_RATE, _MOST_ITEMS, _POINTS = 0.02, 32, 120
#: Seeds begin here: some bounds were set when those from 0 had been seen.
_FRESH = 1000


def answer(inquiry: Inquiry) -> StudyResult:
    """Opening times, by formula and in trained networks of several scales and seeds, beside events of influence."""
    task = inquiry.tree_or("tree")
    inquiry.allow(2, _MOST_ITEMS, "it maps the representations of all items at all times at once")
    names, masks = groups_far_first(task)
    seeds = 4 if inquiry.quick else 20
    opened = np.full((len(SCALES), seeds, len(names)), np.nan)
    events = np.full((len(SCALES), seeds, len(names), len(EVENTS)), np.nan)
    formula = np.full((len(SCALES), len(names)), np.nan)
    with inquiry.bar("branching", len(SCALES)) as advance:
        for k, scale in enumerate(SCALES):
            runs = _runs(task, scale, seeds, _FRESH + inquiry.seed)
            a0 = float(np.mean([theory.initial_strengths(run.network).mean() for run in runs]))
            formula[k] = opening_times(task, a0, len(names))
            for s, run in enumerate(runs):
                opened[k, s] = [measured_opening(run, level) for level in range(len(names))]
                events[k, s] = events_of(run.times, np.asarray(MEASURES["gradient_kernel"](run).values), masks)
            if k == 0:
                shown = runs[0]
            advance(1)
    ds = xr.Dataset(
        {
            "formula": (("scale", "group"), formula),
            "opened": (("scale", "seed", "group"), opened),
            "event_time": (("scale", "seed", "group", "event"), events),
            "position": (("time", "item", "axis"), joint_map(shown)),
            **hues(task),
        },
        coords={
            "scale": list(SCALES),
            "group": names,
            "event": list(EVENTS),
            "time": shown.times,
            "item": list(task.items),
        },
    )
    caption = (
        "Left: paths of the hidden representations of one trained network, jointly fitted by multidimensional scaling. "
        "Right, a panel an initial scale: for pairs that part at each level, when the branch opens (circles; bars: the "
        "formula), when influence helps most (down), harms most (up) and first changes sign (crosses), over seeds."
    )
    alt = "Paths that fork, and panels in which the marks of each level climb together."
    return StudyResult(_finding(ds), ds, draw, caption, alt, _claims(ds))


def _runs(task: SemanticTask, scale: float, seeds: int, first: int) -> list[Trajectory]:
    from workbench import simulation

    starts = [network(task, enough(task), f"gaussian:{scale:g}", seed=first + k) for k in range(seeds)]
    last = 1.2 * max(theory.settling_time(one) for one in starts)
    schedule = simulation.schedule_near(np.linspace(0, last, _POINTS), simulation.learning_rate(starts[0], _RATE))
    return simulation.train_networks(starts, schedule)


def joint_map(run: Trajectory) -> Array:
    """``(T, P, 2)`` classical multidimensional scaling of all times at once, turned so that the splits are seen.

    The plane is that of `figures.representation`: the orthogonal fit of all times to a layout of the tree.
    """
    hidden = hidden_representations(run)
    target = layout(
        splits(xr.Dataset({"common_ancestor_level": (("i", "j"), ancestor_levels(run.task))})), run.task.n_items
    )
    left, _, right = np.linalg.svd(target.T @ hidden.sum(axis=0), full_matrices=False)
    positions = hidden @ (left @ right).T
    return np.asarray(positions - positions.mean(axis=(0, 1)))


def _lag(ds: xr.Dataset, event: str) -> xr.DataArray:
    """``(scale, group)`` mean over seeds of how much later an event is than the opening, over the opening."""
    return ((ds["event_time"].sel(event=event) - ds["opened"]) / ds["opened"]).mean("seed")


def _finding(ds: xr.Dataset) -> str:
    error = (ds["opened"].mean("seed") / ds["formula"] - 1).values
    small, kinds = ds.isel(scale=0), ("most helpful", "flip 1", "most harmful")
    told = []
    for g, name in enumerate(ds["group"].values):
        helps, flips, harms = (float(small["event_time"].sel(event=e)[:, g].mean()) for e in kinds)
        opens = float(small["opened"][:, g].mean())
        told.append(f"{name}: helps most at {helps:.1f}, flips {flips:.1f}, harms most {harms:.1f}, opens {opens:.1f}")
    swapped = float((ds["opened"].isel(scale=-1).diff("group").min("group") < 0).mean())
    late = float(_lag(ds, "most harmful").isel(scale=-1).mean())
    return (
        f"Branches open when the formula says, to {np.nanmean(np.abs(error[0])):.1%} at initial scale {SCALES[0]:g} "
        f"and {np.nanmean(np.abs(error[-1])):.0%} at {SCALES[-1]:g}; influence among the items that a branch separates "
        f"does not peak when it opens: both peaks and the change of sign come before ({'; '.join(told)}; "
        f"{ds.sizes['seed']} seeds); only from weights of {SCALES[-1]:g} is harm largest after it, by {late:.0%}, "
        f"and the order of branches lost in {swapped:.0%} of seeds."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    error = abs(ds["opened"].mean("seed") / ds["formula"] - 1).mean("group").values
    helps, flips = _lag(ds, "most helpful"), _lag(ds, "flip 1")
    fresh = "bound set on other seeds than these"
    return (
        StudyClaim(
            "Branches open when the formula says, from the smallest weights",
            float(error[0]),
            "<=",
            0.05,
            "mean over levels; the logarithm of a random initial strength scatters, relative to that of 1e-8",
        ),
        StudyClaim(
            "The larger the initial weights, the farther is the formula off",
            float(error[-1] - error[0]),
            ">=",
            0.0,
            "from large weights modes are not learned one by one",
        ),
        StudyClaim(
            "Influence among items that a branch separates is most helpful before the branch opens",
            float(helps.max()),
            "<=",
            0.0,
            "relative to the opening, every level and scale, mean over seeds",
        ),
        StudyClaim(
            "and has changed sign by then, from the smallest weights",
            float(flips.isel(scale=0).max()),
            "<=",
            0.05,
            f"relative to the opening; checkpoints are 1% of training apart, and seeds scatter; {fresh}",
        ),
        StudyClaim(
            "and is most harmful before it opens, too, from the smallest weights",
            float(_lag(ds, "most harmful").isel(scale=0).max()),
            "<=",
            0.0,
            f"relative to the opening, every level, mean over seeds; {fresh}",
        ),
        StudyClaim(
            "Branches open in the order of the levels, in every seed, from weights of .01 or less",
            float(ds["opened"].sel(scale=slice(0, 0.011)).diff("group").min()),
            ">=",
            0.0,
            "wide splits have the larger singular values; larger weights are no small perturbation of nothing; "
            f"{fresh}",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """The map, and a panel a scale."""
    style = Style()
    with style.context():
        figure = style.figure(2.9)
        axes = figure.subplots(1, len(SCALES) + 1, width_ratios=(1.6, *[1] * len(SCALES)))
        _map(style.tidy(axes[0]), ds, style)
        marks = {"most helpful": "v", "flip 1": "x", "most harmful": "^"}
        rows = np.arange(ds.sizes["group"])
        for k, scale in enumerate(ds["scale"].values):
            ax, one = style.tidy(axes[k + 1]), ds.isel(scale=k)
            ax.plot(one["formula"], rows, "|", color=style.ink, markersize=14)
            for n, (event, mark) in enumerate({"opened": "o", **marks}.items()):
                values = one["opened"] if event == "opened" else one["event_time"].sel(event=event)
                colour = style.ink if event == "opened" else style.sequence(3)[n - 1]
                for g in rows:
                    ax.plot(values[:, g], np.full(values.sizes["seed"], g + 0.12 * (n - 1.5)), mark, color=colour,
                            markersize=2.5, markerfacecolor="none", label=event if g == 0 else None)  # fmt: skip
            ax.set(title=f"weights of {scale:g}", xlabel="flow time t", ylim=(-0.6, len(rows) - 0.4))
            ax.set_yticks(rows, [f"level {g}" for g in rows] if k == 0 else [])
        handles, labels = axes[-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _map(ax: Axes, ds: xr.Dataset, style: Style) -> None:
    """Paths of the items, and names inside of their ends: one above the other where items end at one place."""
    colours, positions = item_colours(style, ds), ds["position"].values
    for item, colour in enumerate(colours):
        ax.plot(*positions[:, item].T, color=colour)
    ax.set(xlabel="first split", ylabel="splits within", title="all times at once")
    x, y = positions[-1].T
    low, high = ax.get_ylim()
    for side, align, step in ((x < 0, "left", 1), (x >= 0, "right", -1)):
        members = np.flatnonzero(side)
        inside = step * np.max(step * x[members], initial=-np.inf)
        for i, place in zip(members, spread(y[members], 0.055 * (high - low), low, high), strict=True):
            shift = (0.4 * step * style.font, 0)
            ax.annotate(
                text(ds["item"].values[i], 12, ds["item"].values), (inside, place), shift, textcoords="offset points",
                fontsize=style.least, color=colours[i], ha=align, va="center",
            )  # fmt: skip


STUDY = Study(
    "branching", "When do the branches of the hidden representation open, and does influence peak then?", answer
)
