"""Distances of the hidden representations from one item, drawn over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from workbench.figures.arrangement import Arrangement
from workbench.figures.labels import spread
from workbench.figures.learning import stage_marks
from workbench.figures.reading import span, stages, text
from workbench.figures.representation import HiddenMap
from workbench.figures.style import Style

Array = NDArray[np.float64]

#: Distances closer than this part of the largest share one name.
SAME = 1e-6


def draw_distances(
    ax: Axes, ds: xr.Dataset, paths: HiddenMap, order: Arrangement, colours: list[str], style: Style
) -> None:
    """Curves from the map's source to every other item, with its branch points and the stages."""
    style.tidy(ax)
    others = [int(item) for item in order.order if item != paths.source]
    for item in others:
        ax.plot(paths.times, paths.distances[:, item], color=colours[item])
    for branch in paths.branches:
        if any(paths.source in group for group in branch.groups):
            at = int(np.abs(paths.times - branch.time).argmin())
            ax.plot(
                branch.time,
                max(paths.distances[at, item] for group in branch.groups for item in group),
                marker="o",
                color=style.ink,
                markersize=0.5 * style.font,
                markerfacecolor=style.background,
                zorder=4,
            )
    stage_marks(ax, stages(ds), style, labels=False)
    ax.set(xlabel="flow time $t$", ylabel="distance $|h_i - h_j|$", xlim=span(paths.times), ylim=(0, None))
    ax.set_title(f"from {text(ds['item'].values[paths.source], 14, ds['item'].values)} to each")
    _name_distances(ax, ds, paths, others, colours, style)


def _name_distances(
    ax: Axes, ds: xr.Dataset, paths: HiddenMap, others: list[int], colours: list[str], style: Style
) -> None:
    """Names at the right end of the curves; equal curves share a line."""
    last = paths.distances[-1]
    groups: list[list[int]] = []
    for item in sorted(others, key=lambda k: float(last[k])):
        if groups and np.abs(paths.distances[:, item] - paths.distances[:, groups[-1][0]]).max() <= SAME * last.max():
            groups[-1].append(item)
        else:
            groups.append([item])
    high = float(ax.get_ylim()[1])
    inches = 72 * (0.72 if style.wide else 0.3) * ax.figure.get_figheight()  # type: ignore[union-attr]
    size = min(style.small, inches / len(groups) / 1.1)
    if size < style.least:
        groups = groups[:: int(np.ceil(style.least / size))]
        size = min(style.small, inches / len(groups) / 1.1)
    ends = np.array([last[group[0]] for group in groups])
    for group, end, y in zip(groups, ends, spread(ends, 1.1 * size / inches * high, 0.0, high), strict=True):
        names = [text(ds["item"].values[k], 12, ds["item"].values) for k in group]
        named = f", {names[1]}" if len(names) == 2 else f" + {len(names) - 1}" if len(names) > 2 else ""
        beside: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "color": colours[group[0]], "clip_on": False}
        ax.plot([0.988, 1.05], [end, y], linewidth=0.05 * style.font, **beside)
        ax.text(1.06, y, names[0] + named, va="center", fontsize=size, **beside)
