"""How the items move apart inside the network: one map of the hidden representations for all times.

A map made anew at every time would turn and flip between times. Here the representations of all items at all
times are one cloud of points, which classical multidimensional scaling (Torgerson 1952; Cox & Cox 2000) maps at once:
their squared distances, double centred, are the Gram matrix of its coordinates. Distances between items depend on the
mode strengths alone, ``|h_i - h_j|^2 = c P sum_k a_k (v_ki - v_kj)^2`` (Saxe et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from workbench.figures.arrangement import Arrangement, arrange
from workbench.figures.learning import stage_marks
from workbench.figures.prediction import start_of
from workbench.figures.reading import span, stages, text
from workbench.figures.style import PAGE, Style
from workbench.theory import mode_strengths

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: A branch point: where the distance of two branches has reached this part of its last value.
PARTED = 0.25
#: Of a clustering only this many splits are marked.
MAX_SPLITS = 7
#: Items named at the end of their paths, at most.
MAX_NAMES = 16


@dataclass(frozen=True, eq=False)
class BranchPoint:
    """Where the paths of ``groups`` part: the time, and the groups' centre on the map then, ``(2,)``."""

    time: float
    groups: tuple[Index, ...]
    centre: Array


@dataclass(frozen=True, eq=False)
class HiddenMap:
    """The joint map.

    Attributes:
        times: ``(T,)``.
        positions: ``(T, P, 2)`` seen from the side that shows all branches.
        first: the item that distances are measured from, the first in the order of the tree.
        distances: ``(T, P)`` distances of the hidden representations from it, in all dimensions.
        share: part of the sum of squared distances (of items at the same time) that the map shows.
        branches: where paths part, in order of time.
    """

    times: Array
    positions: Array
    first: int
    distances: Array
    share: float
    branches: tuple[BranchPoint, ...]


def classical_scaling(points: Array) -> Array:
    """``(N, d)`` classical-scaling coordinates of ``(N, d)`` points, largest extent first.

    The Gram matrix of the double-centred squared distances is that of the centred points; its eigenvectors
    follow from the ``(d, d)`` scatter matrix, which is far smaller here.
    """
    centred = points - points.mean(axis=0)
    extent, directions = scipy.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ directions[:, ::-1][:, : int((extent > 1e-12 * extent[-1]).sum())])


def hidden_map(ds: xr.Dataset, times: Array | None = None) -> HiddenMap:
    """Scale all items at all times at once, and look at the result from where all branches are seen.

    A tree spans more dimensions than a page has. The coordinates of classical scaling are therefore looked at
    like any solid body: along the orthogonal projection that brings the items at the last time closest to a
    circle in the order of the tree (orthogonal Procrustes). Lengths on the page are never longer than true ones.
    """
    start, modes = start_of(ds), start_of(ds).modes
    t = np.linspace(0, float(ds["time"].values[-1]), 200) if times is None else times
    scale = np.sqrt(modes.c * modes.n_items * mode_strengths(start, t))
    hidden = scale[:, None, :] * modes.V[None, :, : modes.rank]
    T, P, K = hidden.shape
    coordinates = classical_scaling(hidden.reshape(T * P, K)).reshape(T, P, -1)
    order = arrange(ds)
    angle = np.empty(P)
    angle[order.order] = 2 * np.pi * (np.arange(P) + 0.5) / P
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    last = coordinates[-1] - coordinates[-1].mean(axis=0)
    left, _, right = np.linalg.svd(circle.T @ last, full_matrices=False)
    positions = coordinates @ (left @ right).T
    positions = positions - positions[0].mean(axis=0)
    first = int(order.order[0])
    distances = np.linalg.norm(hidden - hidden[:, first, None], axis=-1)
    within = positions - positions.mean(axis=1, keepdims=True)
    whole = hidden - hidden.mean(axis=1, keepdims=True)
    branches = _branches(ds, order, t, hidden, positions)
    return HiddenMap(t, positions, first, distances, float((within**2).sum() / (whole**2).sum()), branches)


def _branches(ds: xr.Dataset, order: Arrangement, t: Array, hidden: Array, positions: Array) -> tuple[BranchPoint, ...]:
    found = []
    for groups in splits(ds):
        centres = np.stack([hidden[:, g].mean(axis=1) for g in groups])
        apart = np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max(axis=0)
        if not apart[-1] > 1e-9 * np.abs(hidden).max():
            continue
        k = int(np.argmax(apart >= PARTED * apart[-1]))
        together = np.concatenate(groups)
        found.append(BranchPoint(float(t[k]), groups, positions[k, together].mean(axis=0)))
    return tuple(sorted(found, key=lambda branch: branch.time))


def splits(ds: xr.Dataset) -> list[tuple[Index, ...]]:
    """Which groups of items part from each other: the nodes of the tree, or the last joins of a clustering."""
    if "common_ancestor_level" in ds:
        common = ds["common_ancestor_level"].values
        nodes = []
        for level in range(int(common.max())):
            for first in np.unique((common >= level).argmax(axis=1)):
                members = np.flatnonzero(common[first] >= level)
                child = (common[members] >= level + 1).argmax(axis=1)
                nodes.append(tuple(members[child == c] for c in np.unique(child)))
        return [node for node in nodes if len(node) > 1]
    from scipy.cluster.hierarchy import linkage

    Y = ds["Y"].transpose("property", "item").values
    clusters: list[Index] = [np.array([i]) for i in range(Y.shape[1])]
    joins: list[tuple[Index, ...]] = []
    for one, other, _, _ in linkage(Y.T, "average"):
        joins.append((clusters[int(one)], clusters[int(other)]))
        clusters.append(np.concatenate(joins[-1]))
    return list(reversed(joins))[:MAX_SPLITS]


def hidden_trajectories(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """The map with every item's path and the branch points, and distances from the first item over time."""
    found = hidden_map(ds)
    order = arrange(ds)
    colours = style.item_colours(order.branch, order.place)
    with style.context():
        figure = style.figure(3.7 if style.wide else 6.2)
        if style.wide:
            map_ax, distance_ax = figure.subplots(1, 2, width_ratios=(1.25, 1))
        else:
            map_ax, distance_ax = figure.subplots(2, 1, height_ratios=(1.5, 1))
        _map(map_ax, ds, found, order, colours, style)
        _distances(distance_ax, ds, found, order, colours, style)
        mark: dict[str, Any] = {"linestyle": "none", "marker": "o"}
        size = 0.5 * style.font
        handles = [
            Line2D([], [], **mark, color=style.ink, markersize=size, mfc=style.background, label="branch point"),
            Line2D([], [], **mark, color=style.muted, markersize=size, label="items at the end"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def hidden_trajectories_data(ds: xr.Dataset) -> pd.DataFrame:
    """One row an item and time: its position on the map, and its distance from the first item."""
    found = hidden_map(ds)
    T, P, _ = found.positions.shape
    return pd.DataFrame(
        {
            "time": np.repeat(found.times, P),
            "item": np.tile(ds["item"].values, T),
            "x": found.positions[..., 0].ravel(),
            "y": found.positions[..., 1].ravel(),
            f"distance_from_{ds['item'].values[found.first]}": found.distances.ravel(),
        }
    )


def skeleton(found: HiddenMap) -> list[Array]:
    """Paths of the centres of groups: from the branch point where a group leaves to the one where it parts itself."""
    parted = {frozenset(np.concatenate(branch.groups).tolist()): branch for branch in found.branches}
    pieces = []
    for branch in found.branches:
        for group in branch.groups:
            after = parted.get(frozenset(group.tolist()))
            if after is not None and after.time > branch.time:
                inside = (found.times > branch.time) & (found.times <= after.time)
                pieces.append(np.vstack([branch.centre, found.positions[inside][:, group].mean(axis=1)]))
    return pieces


def draw_paths(ax: Axes, found: HiddenMap, colours: list[str], style: Style, upto: int | None = None) -> LineCollection:
    """The items' paths up to a time, on axes of equal scale."""
    style.tidy(ax).set_aspect("equal")
    paths = found.positions[:upto].transpose(1, 0, 2)
    lines = LineCollection(list(paths), colors=colours, linewidths=0.15 * style.font)
    ax.add_collection(lines, autolim=False)
    low, high = found.positions.min(axis=(0, 1)), found.positions.max(axis=(0, 1))
    room = 0.14 * float((high - low).max())
    ax.set(xlim=(low[0] - 1.6 * room, high[0] + 1.6 * room), ylim=(low[1] - room, high[1] + room))
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set(xticks=[], yticks=[])
    return lines


def _map(ax: Axes, ds: xr.Dataset, found: HiddenMap, order: Arrangement, colours: list[str], style: Style) -> None:
    draw_paths(ax, found, colours, style)
    centres = LineCollection(skeleton(found), colors=style.muted, linewidths=0.09 * style.font, zorder=1.5)
    ax.add_collection(centres, autolim=False)
    end = found.positions[-1]
    ax.scatter(end[:, 0], end[:, 1], s=(0.55 * style.font) ** 2, c=colours, zorder=3, linewidths=0)
    for branch in found.branches:
        ax.plot(
            *branch.centre,
            marker="o",
            color=style.ink,
            markersize=0.5 * style.font,
            markerfacecolor=style.background,
            markeredgewidth=0.12 * style.font,
            zorder=4,
        )
    ax.set_title(f"hidden representations ({100 * found.share:.0f}%)")
    middle = end.mean(axis=0)
    taken: list[Array] = []
    reach = np.ptp(ax.get_ylim())
    for item in order.order if len(end) <= MAX_NAMES else []:
        outward = (end[item] - middle) / (np.linalg.norm(end[item] - middle) or 1.0)
        if any(np.abs(end[item] - other).max() < 0.05 * reach for other in taken):
            continue
        taken.append(end[item])
        ax.annotate(
            text(ds["item"].values[item], 12),
            end[item],
            (0.7 * style.font * outward[0], 0.7 * style.font * outward[1]),
            textcoords="offset points",
            color=colours[item],
            fontsize=style.small,
            ha="left" if outward[0] > 0.3 else "right" if outward[0] < -0.3 else "center",
            va="bottom" if outward[1] > 0.5 else "top" if outward[1] < -0.5 else "center",
        )


def _distances(
    ax: Axes, ds: xr.Dataset, found: HiddenMap, order: Arrangement, colours: list[str], style: Style
) -> None:
    style.tidy(ax)
    first = found.first
    for item in order.order[1:]:
        ax.plot(found.times, found.distances[:, item], color=colours[item])
    for branch in found.branches:
        if any(first in group for group in branch.groups):
            ax.axvline(branch.time, color=style.muted, linewidth=0.1 * style.font, linestyle=(0, (1, 2)))
    stage_marks(ax, stages(ds), style, labels=False)
    ax.set(xlabel="flow time $t$", ylabel="distance $|h_i - h_j|$", xlim=span(found.times), ylim=(0, None))
    ax.set_title(f"from {text(ds['item'].values[first], 14)} to each")
