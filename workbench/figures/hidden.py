"""How the items move apart inside the network, drawn: their paths on one map, and their distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from workbench.figures.arrangement import arrange
from workbench.figures.figure import Illustration, Subject
from workbench.figures.hidden_distances import draw_distances
from workbench.figures.keys import stage_key
from workbench.figures.labels import spread
from workbench.figures.reading import texts
from workbench.figures.representation import HiddenMap, hidden_map
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]


def hidden_trajectories(ds: xr.Dataset, source: str | None = None, style: Style = PAGE) -> Figure:
    """The map with every item's path and the branch points, and distances from one item over time."""
    paths = hidden_map(ds, source=Subject(ds, source).i)
    order = arrange(ds)
    colours = style.item_colours(order.branch, order.place)
    with style.context():
        figure = style.figure(4.0 if style.wide else 6.6)
        if style.wide:
            map_ax, distance_ax = figure.subplots(1, 2, width_ratios=(1.5, 1))
        else:
            map_ax, distance_ax = figure.subplots(2, 1, height_ratios=(1.5, 1))
        map_ax.set_title(f"hidden representations: {100 * paths.share:.0f}% of\nsquared distances lie in this plane")
        draw_distances(distance_ax, ds, paths, order, colours, style)
        mark: dict[str, Any] = {"linestyle": "none", "marker": "o"}
        size = 0.5 * style.font
        handles = [
            Line2D([], [], **mark, color=style.ink, markersize=size, mfc=style.background, label="branch point"),
            Line2D([], [], **mark, color=style.muted, markersize=0.55 * size, label="times marked on every path"),
            *stage_key(ds, style),
        ]
        labels = [str(handle.get_label()) for handle in handles]
        figure.legend(handles=handles, loc="outside lower center", ncols=style.legend_columns(labels))
        _map(figure, map_ax, ds, paths, colours, style)
    return figure


def hidden_trajectories_data(ds: xr.Dataset, source: int = 0) -> pd.DataFrame:
    """One row an item and time: its position on the map, and its distance from one item."""
    paths = hidden_map(ds, source=source)
    T, P, _ = paths.positions.shape
    return pd.DataFrame(
        {
            "time": np.repeat(paths.times, P),
            "item": np.tile(ds["item"].values, T),
            "x": paths.positions[..., 0].ravel(),
            "y": paths.positions[..., 1].ravel(),
            f"distance_from_{ds['item'].values[paths.source]}": paths.distances.ravel(),
        }
    )


def draw_paths(
    figure: Figure, ax: Axes, paths: HiddenMap, names: Sequence[str], colours: list[str], style: Style
) -> LineCollection:
    """The items' paths on axes of equal scale, and every item's name beside the end of its path.

    Call when the rest of the figure is there: the names fill the room that the layout leaves.
    """
    engine = figure.get_layout_engine()
    style.bare(ax)
    if engine is not None:
        engine.execute(figure)
    box = ax.get_window_extent()
    width, height = 72 * box.width / figure.dpi, 72 * box.height / figure.dpi
    labels = texts(names, 16)
    column = 0.62 * style.small * max(map(len, labels)) + 1.5 * style.font
    low, high = paths.positions.min(axis=(0, 1)), paths.positions.max(axis=(0, 1))
    unit = max(float(high[0] - low[0]) / (width - 2 * column), float(high[1] - low[1]) / (0.92 * height))
    middle, half = (low + high) / 2, unit * np.array([width, height]) / 2
    ax.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))
    ax.set_aspect("equal")
    lines = LineCollection(
        list(paths.positions.transpose(1, 0, 2)), colors=colours, linewidths=0.15 * style.font, capstyle="round"
    )
    ax.add_collection(lines, autolim=False)
    edges = middle[0] + np.array([-1, 1]) * (half[0] - unit * (column - 1.2 * style.font))
    _name_ends(ax, paths.positions[-1], labels, colours, (float(edges[0]), float(edges[1])), unit, style)
    return lines


def _name_ends(
    ax: Axes, ends: Array, labels: list[str], colours: list[str], edges: tuple[float, float], unit: float, style: Style
) -> None:
    """Names in a column at each side, with leader lines; ``unit`` is the length of a point on the map."""
    low, high = ax.get_ylim()
    room = (high - low) / unit
    left = ends[:, 0] < np.median(ends[:, 0])
    for side, edge, align in ((left, edges[0], "right"), (~left, edges[1], "left")):
        members = np.flatnonzero(side)
        # Items that end at the same place keep the order of the data.
        members = members[np.argsort(ends[members, 1], kind="stable")]
        # Where names would be tiny, every k-th.
        members = members[:: max(1, int(np.ceil(style.least * 1.15 * len(members) / room)))]
        if not members.size:
            continue
        size = min(style.small, room / len(members) / 1.15)
        margin = 0.6 * size * unit
        places = spread(ends[members, 1], 1.15 * size * unit, low + margin, high - margin)
        for item, y in zip(members, places, strict=True):
            leader = [[ends[item, 0], edge], [ends[item, 1], y]]
            ax.plot(*leader, color=colours[item], linewidth=0.05 * style.font, zorder=1)
            ax.text(
                edge + (-0.3 if align == "right" else 0.3) * style.font * unit,
                y,
                labels[item],
                color=colours[item],
                fontsize=size,
                ha=align,
                va="center_baseline",
            ).set_in_layout(False)


def skeleton(paths: HiddenMap) -> list[Array]:
    """Paths of the centres of groups: from the branch point where a group leaves to the one where it parts itself."""
    parted = {frozenset(np.concatenate(branch.groups).tolist()): branch for branch in paths.branches}
    pieces = []
    for branch in paths.branches:
        for group in branch.groups:
            after = parted.get(frozenset(group.tolist()))
            if after is not None and after.time > branch.time:
                inside = (paths.times > branch.time) & (paths.times <= after.time)
                pieces.append(np.vstack([branch.centre, paths.positions[inside][:, group].mean(axis=1)]))
    return pieces


def _map(figure: Figure, ax: Axes, ds: xr.Dataset, paths: HiddenMap, colours: list[str], style: Style) -> None:
    draw_paths(figure, ax, paths, list(map(str, ds["item"].values)), colours, style)
    centres = LineCollection(skeleton(paths), colors=style.muted, linewidths=0.09 * style.font, zorder=1.5)
    ax.add_collection(centres, autolim=False)
    for branch in paths.branches:
        ax.plot(
            *branch.centre,
            marker="o",
            color=style.ink,
            markersize=0.5 * style.font,
            markerfacecolor=style.background,
            markeredgewidth=0.12 * style.font,
            zorder=4,
        )
    _time_marks(ax, paths, colours, style)


def _time_marks(ax: Axes, paths: HiddenMap, colours: list[str], style: Style) -> None:
    """Dots on every path at a few times, and the times beside the path of one item, away from the others."""
    marked = marked_times(paths)
    at = [int(np.abs(paths.times - t).argmin()) for t in marked]
    for item, colour in enumerate(colours):
        x, y = paths.positions[at, item].T
        ax.scatter(x, y, s=(0.32 * style.font) ** 2, color=colour, linewidths=0, zorder=3)
    halo = [withStroke(linewidth=0.25 * style.font, foreground=style.background)]
    for k, t in zip(at, marked, strict=True):
        place = paths.positions[k, paths.source]
        along = paths.positions[min(k + 1, len(paths.times) - 1), paths.source] - paths.positions[k - 1, paths.source]
        beside = np.array([-along[1], along[0]]) / (np.linalg.norm(along) or 1.0)
        if beside @ (paths.positions[k].mean(axis=0) - place) > 0:
            beside = -beside
        ax.annotate(
            f"{t:g}",
            place,
            (0.9 * style.font * beside).tolist(),
            textcoords="offset points",
            color=style.ink,
            fontsize=0.9 * style.small,
            ha="center",
            va="center",
            path_effects=halo,
            zorder=5,
        ).set_in_layout(False)


def marked_times(paths: HiddenMap) -> list[float]:
    """Round times at which the path of the map's source has gone about a tenth of the map's size further."""
    step = 0.1 * float(np.ptp(paths.positions, axis=(0, 1)).max())
    path = paths.positions[:, paths.source]
    marked: list[float] = []
    last = path[0]
    for t in MaxNLocator(24, steps=[1, 2, 5, 10]).tick_values(paths.times[0], paths.times[-1]):
        place = path[int(np.abs(paths.times - t).argmin())]
        if 0 < t < paths.times[-1] and np.linalg.norm(place - last) >= step:
            marked.append(float(t))
            last = place
    return marked


FIGURES = (
    Illustration(
        name="hidden_trajectories",
        purpose="how the items part inside the network",
        title="Paths of the hidden representations",
        caption="Left: representations of all items at all times, on one plane for all times: what all items share "
        "points up, the first split lies along x, the next along y, and so on (fitted to all times at once, without "
        "stretching any distance). Small dots: the times written beside the path of {source}. Circles: branch points, "
        "where the distance between the branches has reached a quarter of its last value; grey lines join their "
        "centres. Right: true distances from {source} to each item, with its branch points; grey: stages half learned.",
        alt="Map on which the paths of the items start together and part branch by branch, and their distances.",
        draw=lambda s: hidden_trajectories(s.ds, s.items[s.i], s.style),
        table=lambda s: hidden_trajectories_data(s.ds, s.i),
    ),
)
