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
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from workbench import theory
from workbench.errors import WorkbenchError
from workbench.figures.representation import layout, splits
from workbench.figures.style import Style
from workbench.influence import MEASURES
from workbench.networks import network
from workbench.semantics import Modes, SemanticTask, singular_modes
from workbench.studies.pairs import EVENTS, enough, events_of, groups_far_first
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.theory.modes.rise_time import rise_time
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: A branch is open where the distance of its centres has reached this share of its last value.
OPEN = 0.5
#: Standard deviation of initial weights, from small to large.
SCALES = (1e-4, 1e-3, 1e-2, 1e-1)
_RATE, _MOST_ITEMS, _POINTS = 0.02, 32, 120


def answer(inquiry: Inquiry) -> StudyResult:
    """Opening times, by formula and in trained networks of several scales and seeds, beside events of influence."""
    task = inquiry.tree_or("tree")
    if task.n_items > _MOST_ITEMS:
        raise WorkbenchError(f"representations of all items at all times take a task of at most {_MOST_ITEMS} items")
    names, masks = groups_far_first(task)
    seeds = 4 if inquiry.quick else 20
    opened = np.full((len(SCALES), seeds, len(names)), np.nan)
    events = np.full((len(SCALES), seeds, len(names), len(EVENTS)), np.nan)
    formula = np.full((len(SCALES), len(names)), np.nan)
    with inquiry.bar("branching", len(SCALES)) as advance:
        for k, scale in enumerate(SCALES):
            runs = _runs(task, scale, seeds, inquiry.seed)
            a0 = float(np.mean([theory.initial_strengths(run.network).mean() for run in runs]))
            formula[k] = opening_times(task, a0, len(names))
            for s, run in enumerate(runs):
                opened[k, s] = [_opening(run, level) for level in range(len(names))]
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
        },
        coords={
            "scale": list(SCALES),
            "group": names,
            "event": list(EVENTS),
            "time": shown.times,
            "item": list(task.items),
            "branch": ("item", np.asarray((_levels(task) >= 1).argmax(axis=1))),
        },
    )
    caption = (
        "Left: paths of the hidden representations of one trained network, jointly fitted by multidimensional scaling. "
        "Right, a panel an initial scale: for pairs that part at each level, when the branch opens (circles; bars: the "
        "formula), when influence helps most (down), harms most (up) and first changes sign (crosses), over seeds."
    )
    alt = "Paths that fork, and panels in which the marks of each level climb together."
    return StudyResult(_finding(ds), ds, draw, caption, alt, _claims(ds))


def _levels(task: SemanticTask) -> NDArray[np.int64]:
    levels = task.common_ancestor_level
    assert levels is not None
    return levels


def opening_times(task: SemanticTask, a0: ArrayLike, n_levels: int, share: float = OPEN) -> Array:
    """``(level,)`` when branches under nodes of each level open, for balanced modes that start at a0; see the module.

    Modes of level m + 1 are those that tell children of a level-m node apart and are the same within a child; on a tree
    that is not symmetric their mean singular value stands for them.
    """
    modes, levels = _modes_and_levels(task)
    times = []
    for m in range(n_levels):
        s = modes.s[levels == m + 1]
        times.append(float(rise_time(share**2, s.mean(), c=modes.c, a0=a0)) if len(s) else float("nan"))
    return np.array(times)


def _modes_and_levels(task: SemanticTask) -> tuple[Modes, NDArray[np.int64]]:
    """The modes, and ``(K,)`` the level each belongs to: the deepest at which it still differs between siblings."""
    modes = singular_modes(task)
    if modes.level is not None:
        return modes, modes.level[: modes.rank]
    common, V = _levels(task), modes.V[:, : modes.rank]
    # Share of a mode's variation between items that part at each level.
    gaps = (V[:, None, :] - V[None, :, :]) ** 2
    depth = int(common.max())
    by_level = np.stack([gaps[common == m].mean(axis=0) for m in range(depth)])
    level = np.where(np.ptp(V, axis=0) < 1e-6, 0, 1 + (by_level >= 0.5 * by_level.max(axis=0)).argmax(axis=0))
    if level.size:
        level[0] = 0
    return modes, level


def _runs(task: SemanticTask, scale: float, seeds: int, first: int) -> list[Trajectory]:
    from workbench import simulation

    starts = [network(task, enough(task), f"gaussian:{scale:g}", seed=first + k) for k in range(seeds)]
    last = 1.2 * max(theory.settling_time(one) for one in starts)
    schedule = simulation.schedule_near(np.linspace(0, last, _POINTS), simulation.learning_rate(starts[0], _RATE))
    return simulation.train_networks(starts, schedule)


def _hidden(run: Trajectory) -> Array:
    """``(T, P, H)``."""
    return np.asarray(np.einsum("thn,np->tph", run.weights[0], run.task.X))


def _opening(run: Trajectory, level: int) -> float:
    """Mean over the nodes of a level of when the centres of their children are ``OPEN`` of the last distance apart."""
    common, hidden, times = _levels(run.task), _hidden(run), []
    for first in np.unique((common >= level).argmax(axis=1)):
        members = np.flatnonzero(common[first] >= level)
        child = (common[members] >= level + 1).argmax(axis=1)
        centres = np.stack([hidden[:, members[child == c]].mean(axis=1) for c in np.unique(child)])
        apart = np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max(axis=0)
        below = np.flatnonzero(apart >= OPEN * apart[-1])
        if len(centres) > 1 and below[0] > 0:
            roots = CubicSpline(run.times, apart).solve(OPEN * apart[-1], extrapolate=False)
            times += [float(roots[0])] if len(roots) else []
    return float(np.mean(times)) if times else float("nan")


def joint_map(run: Trajectory) -> Array:
    """``(T, P, 2)`` classical multidimensional scaling of all times at once, turned so that the splits are seen.

    The plane is that of `figures.representation`: the orthogonal fit of all times to a layout of the tree.
    """
    hidden = _hidden(run)
    target = layout(splits(xr.Dataset({"common_ancestor_level": (("i", "j"), _levels(run.task))})), run.task.n_items)
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
            "relative to the opening; checkpoints are 1% of training apart, and seeds scatter",
        ),
        StudyClaim(
            "and is most harmful before it opens, too, from the smallest weights",
            float(_lag(ds, "most harmful").isel(scale=0).max()),
            "<=",
            0.0,
            "relative to the opening, every level, mean over seeds",
        ),
        StudyClaim(
            "Branches open in the order of the levels, in every seed, from weights of .01 or less",
            float(ds["opened"].sel(scale=slice(0, 0.011)).diff("group").min()),
            ">=",
            0.0,
            "wide splits have the larger singular values; larger weights are no small perturbation of nothing",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """The map, and a panel a scale."""
    style = Style()
    with style.context():
        figure = style.figure(2.9)
        axes = figure.subplots(1, len(SCALES) + 1, width_ratios=(1.6, *[1] * len(SCALES)))
        branch, place = ds["branch"].values, np.linspace(0, 1, ds.sizes["item"])
        _, order = np.unique(branch, return_inverse=True)
        colours = style.item_colours(order, place)
        ax = style.tidy(axes[0])
        for i, colour in enumerate(colours):
            path = ds["position"].values[:, i]
            ax.plot(*path.T, color=colour)
            ax.annotate(str(ds["item"].values[i]), path[-1], fontsize=style.least, color=colour)
        ax.set(xlabel="first split", ylabel="splits within", title="all times at once")
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
        axes[-1].legend(fontsize=style.least, loc="lower right")
    return figure


STUDY = Study(
    "branching", "When do the branches of the hidden representation open, and does influence peak then?", answer
)
