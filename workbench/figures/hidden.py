"""How the items move apart inside the network, drawn: their paths on one map, and their distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from workbench.figures.arrangement import Arrangement, arrange
from workbench.figures.learning import stage_marks
from workbench.figures.reading import span, stages, text
from workbench.figures.representation import HiddenMap, hidden_map
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Items named at the end of their paths, at most.
MAX_NAMES = 16


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
