"""Does the tree show in the influence? The influence matrix read as a similarity, clustered, held against the tree.

The cophenetic correlation (Sokal & Rohlf 1962) compares, pair by pair, the height at which a hierarchical clustering of
the influence matrix joins two items with the level at which their branches of the true tree meet. It is below 1 for the
right tree with uneven heights; Kendall's tau-b of the same heights is 1 exactly where the order of joins is the tree's.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform
from scipy.stats import kendalltau

from workbench.errors import WorkbenchError
from workbench.figures.style import Style
from workbench.influence import MEASURES
from workbench.studies.branch_openings import ancestor_levels
from workbench.studies.pairs import usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.theory import half_rise_times, predict, settling_time

Array = NDArray[np.float64]

#: Measures whose analytic side takes seconds on a small tree.
_MEASURES = ("gradient_kernel", "local_bif", "trajectory_derivative", "leave_one_out", "damped_newton")
#: Influences closer than this fraction of the largest are equal; a matrix without any difference shows no tree.
_EQUAL = 1e-9


def answer(inquiry: Inquiry) -> StudyResult:
    """Recovery of the tree, whole and level by level, by every measure over time, in every network."""
    tree = inquiry.tree_or("tree")
    levels_of_tree = np.asarray(tree.common_ancestor_level)
    if len(np.unique(levels_of_tree)) < 3:
        raise WorkbenchError(f"task {tree.name!r} has no branch below its root to find; use a tree such as tree:3,2")
    networks = usual_networks(inquiry)
    points = 24 if inquiry.quick else 60
    names = [name for name in _MEASURES if all(one.task.n_items <= 64 for one in networks.values())] or _MEASURES[:1]
    levels = {name: ancestor_levels(one.task) for name, one in networks.items()}
    deepest = max(int(level.max()) for level in levels.values())
    recovery = np.full((len(networks), len(names), points, 2), np.nan)
    branches = np.full((len(networks), len(names), points, deepest - 1), np.nan)
    times = np.stack([np.linspace(0, settling_time(one), points + 1)[1:] for one in networks.values()])
    with inquiry.bar("tree in influence", len(networks) * len(names)) as advance:
        for n, (label, start) in enumerate(networks.items()):
            predicted = predict(start, times[n])
            for k, name in enumerate(names):
                joined = [clustered(-one) for one in MEASURES[name](predicted).values]
                recovery[n, k] = [_likeness(one, levels[label]) for one in joined]
                shares = [clades_found(one, levels[label]) for one in joined]
                branches[n, k, :, : len(shares[0])] = shares
                advance(1)
    dims = ("network", "measure", "moment")
    ds = xr.Dataset(
        {
            "cophenetic_correlation": (dims, recovery[..., 0]),
            "order_agreement": (dims, recovery[..., 1], {"long_name": "Kendall tau-b of the heights"}),
            "branches_found": (
                (*dims, "level"),
                branches,
                {"long_name": "share of a level's branches that are clades"},
            ),
            "time": (("network", "moment"), times),
            "first_half_rise": ("network", [float(half_rise_times(one).min()) for one in networks.values()]),
        },
        coords={"network": list(networks), "measure": list(names), "level": np.arange(1, deepest)},
    )
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Above: cophenetic correlation of the clustered influence matrix with the true tree (near 1: the tree; below "
        "0: items of different branches are joined first). Below: share of the branches that are clusters, by the "
        "level of the branch (from 0 to all of them) and measure. A column a network.",
        "Cophenetic correlation over time, one curve a measure; each starts near 1 and falls where influence flips.",
        _claims(ds),
    )


def clustered(similarity: Array) -> Array | None:
    """Average-linkage heights at which two items are joined, ``(P, P)``; None for a matrix without any difference."""
    symmetric = (similarity + similarity.T) / 2
    off = ~np.eye(len(symmetric), dtype=bool)
    if np.ptp(symmetric[off]) <= _EQUAL * float(np.abs(symmetric).max()):
        return None
    distance = symmetric[off].max() - symmetric
    np.fill_diagonal(distance, 0)
    return np.asarray(squareform(cophenet(linkage(squareform(distance, checks=False), method="average"))))


def clades_found(heights: Array | None, level: NDArray[np.int64]) -> list[float]:
    """By level below the root, the share of its branches of two or more items that are clusters of their own.

    A branch is one if its items are joined to each other lower than any is to an item outside.
    """
    shares = []
    for m in range(1, int(level.max())):
        found = []
        for first in np.unique((level >= m).argmax(axis=1)):
            inside = level[first] >= m
            if heights is not None and 1 < inside.sum() < len(inside):
                apart, together = heights[np.ix_(inside, ~inside)].min(), heights[np.ix_(inside, inside)].max()
                found.append(together < apart - _EQUAL * heights.max())
        shares.append(float(np.mean(found)) if found else float("nan"))
    return shares


def _likeness(heights: Array | None, level: NDArray[np.int64]) -> tuple[float, float]:
    """Correlation and Kendall's tau-b of the heights of the clustering with the tree's own."""
    if heights is None:
        return float("nan"), float("nan")
    true, seen = (squareform(one, checks=False) for one in ((level.max() - level).astype(float), heights))
    ranked = np.round(seen / seen.max() / _EQUAL)
    return float(np.corrcoef(seen, true)[0, 1]), float(kendalltau(ranked, true).statistic)


def _recovered(one: xr.Dataset) -> tuple[float, float]:
    """Until when the tree is recovered without a break, and the share of the times at which it is."""
    right = (one["branches_found"].dropna("level", how="all") > 1 - 1e-9).all("level").values
    first_loss = len(right) - 1 if right.all() else int(np.argmin(right))
    return float(one["time"].values[first_loss]), float(right.mean())


def _finding(ds: xr.Dataset) -> str:
    told = []
    for label in ds["network"].values:
        parts = []
        for name in ds["measure"].values:
            one = ds.sel(network=label, measure=name)
            until, share = _recovered(one)
            least = float(one["cophenetic_correlation"].min())
            by_level = "/".join(f"{x:.0%}" for x in one["branches_found"].mean("moment").values if np.isfinite(x))
            parts.append(
                f"{name} until t = {until:.3g} ({share:.0%} of the times, lowest correlation {least:.2f}; branches "
                f"found, by level: {by_level})"
            )
        told.append(f"{label}: {'; '.join(parts)}")
    return f"The influence matrix, clustered, is the tree at first and a wrong one later. {'. '.join(told)}."


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    kept = ds["branches_found"].mean("moment").transpose("level", ...).values
    low = kept[-1]
    for row in kept[::-1]:
        low = np.where(np.isfinite(low), low, row)  # the lowest that a network has
    claims = [
        StudyClaim(
            "Until a mode is half learned every measure's influence matrix, clustered, gives the tree",
            float(ds["branches_found"].where(ds["time"] < ds["first_half_rise"]).min()),
            ">=",
            1.0,
            "share of a level's branches that are clusters of their own, in any network; one wrong join lowers it",
        ),
        StudyClaim(
            "No measure gives the tree at all times: while siblings harm each other a clustering joins the wrong items",
            float(ds["order_agreement"].min(dim="moment").max()),
            "<=",
            0.0,
            "at its worst time the order of joins of the best measure has nothing of the tree left, in any network",
        ),
    ]
    if len(kept) > 1:
        claims.append(
            StudyClaim(
                "Branches low in the tree are found for longer than those high in it: distant pairs turn first",
                float((low - kept[0]).min()),
                ">=",
                0.0,
                "least difference of the shares of all times, over measures and networks; the opposite was claimed "
                "before it was computed, and refuted",
            )
        )
    return tuple(claims)


def draw(ds: xr.Dataset) -> Figure:
    """A column a network; a curve a measure."""
    style = Style()
    N, colours = ds.sizes["network"], style.sequence(ds.sizes["measure"])
    with style.context():
        figure = style.figure(4.2)
        axes = figure.subplots(2, N, squeeze=False, sharey="row", sharex="col")
        for n, label in enumerate(ds["network"].values):
            one = ds.isel(network=n)
            top, low = (style.tidy(ax) for ax in axes[:, n])
            top.axhline(0, color=style.faint)
            for k, name in enumerate(ds["measure"].values):
                top.plot(one["time"], one["cophenetic_correlation"][k], color=colours[k], label=_words(name))
            top.set(ylim=(-1.05, 1.05), title=str(label))
            L = ds.sizes["level"]
            for k in range(ds.sizes["measure"]):
                for m in range(L):
                    # Of every level one line above the other, full where all its branches are found.
                    share = one["branches_found"].isel(measure=k, level=m).values
                    low.plot(one["time"], 0.8 * share + m + 0.03 * k, color=colours[k], linewidth=0.8)
            low.set(xlabel="flow time t", ylim=(-0.1, L))
            low.set_yticks(np.arange(L) + 0.4, [f"level {m}" for m in ds["level"].values])
        axes[0, 0].set_ylabel("cophenetic correlation")
        axes[1, 0].set_ylabel("share of branches found")
        axes[0, -1].legend(fontsize=style.least)
    return figure


def _words(name: object) -> str:
    return str(name).replace("_", " ")


STUDY = Study("tree_in_influence", "Does the tree show in the influence, and when does a wrong one?", answer)
