"""Several starts: bands of what training gave over the predictions of every start, and when each changes sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from workbench import dataset
from workbench.agreement import event_table, pair_groups
from workbench.figures.figure import Illustration
from workbench.figures.reading import HELPS_HARMS, Measure, span, text, unit
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]

#: The band holds this share of the starts.
_BAND = 0.8


def seeds_figure(ds: xr.Dataset, style: Style = PAGE, shown: tuple[Measure, ...] = ()) -> Figure:
    """Mean influence of every group of pairs over time, one panel a measure, and below it the changes of sign.

    Bands hold the middle 80% of the trained networks; thin lines are the exact predictions, one a start. Below: every
    start's changes of sign, predicted (tick) and trained (circle).
    """
    groups = list(pair_groups(ds).items())
    colours = style.sequence(len(groups))
    with style.context():
        figure = style.figure(4.2)
        axes = figure.subplots(2, len(shown), squeeze=False, sharex=True, height_ratios=(3, 1.3))
        for column, measure in enumerate(shown):
            upper, lower = axes[:, column]
            upper.axhline(0, color=style.muted, linewidth=0.1 * style.font, zorder=1)
            for (_, mask), colour in zip(groups, colours, strict=True):
                _curves(upper, ds, measure.name, mask, colour, style)
            style.tidy(upper)
            upper.set_title(measure.title + unit(measure), y=1.0, pad=1.5 * style.font)
            upper.set_ylabel(HELPS_HARMS)
            upper.set_xlim(*span(ds["time"].values))
            _flips(lower, ds, measure.name, [name for name, _ in groups], colours, style)
            lower.set_xlabel("flow time $t$")
        axes[1, 0].set_ylabel("flips")
        entries: list[Any] = [
            Line2D([], [], color=c, label=text(name, 34)) for (name, _), c in zip(groups, colours, strict=True)
        ]
        entries += [
            Line2D([], [], color=style.muted, linewidth=0.07 * style.font, label="exact prediction of each start"),
            Patch(color=style.muted, alpha=0.3, label=f"{_BAND:.0%} of {ds.sizes['seed']} trained networks"),
        ]
        columns = style.legend_columns([str(entry.get_label()) for entry in entries])
        figure.legend(handles=entries, loc="outside lower center", ncols=columns)
        figure.suptitle(f"{ds.sizes['seed']} starts ({text(ds.attrs['init'])})", x=0.01, ha="left")
    return figure


def _group_curves(ds: xr.Dataset, measure: str, side: str, mask: NDArray[np.bool_]) -> Array | None:
    """``(seeds, T)`` means over the pairs of a group; None where there is no such side."""
    name = f"{measure}_{side}_seeds"
    return None if name not in ds else np.asarray(ds[name].values[:, :, mask].mean(axis=2))


def _curves(ax: Axes, ds: xr.Dataset, measure: str, mask: NDArray[np.bool_], colour: str, style: Style) -> None:
    time = ds["time"].values
    trained = _group_curves(ds, measure, "simulated", mask)
    if trained is not None:
        low, high = np.quantile(trained, [(1 - _BAND) / 2, (1 + _BAND) / 2], axis=0)
        ax.fill_between(time, low, high, color=colour, alpha=0.25, linewidth=0, zorder=1.5)
    predicted = _group_curves(ds, measure, "analytic", mask)
    if predicted is not None:
        ax.plot(time, predicted.T, color=colour, linewidth=0.05 * style.font, alpha=0.8, zorder=2)


def _flips(ax: Axes, ds: xr.Dataset, measure: str, groups: list[str], colours: list[str], style: Style) -> None:
    """One row a group: ticks where theory says that a start changes sign, circles where its network does."""
    style.tidy(ax)
    ax.set_yticks([])
    ax.set_ylim(-0.6, len(groups) - 0.4)
    table = flips_of_seeds(ds)
    table = table[table["measure"] == measure]
    for row, (group, colour) in enumerate(zip(groups, colours, strict=True)):
        mine = table[table["pairs"] == group]
        ax.plot(mine["analytic"], np.full(len(mine), row), "|", color=colour, markersize=0.9 * style.font)
        ax.plot(
            mine["simulated"], np.full(len(mine), row), "o", color=colour, markersize=0.3 * style.font, fillstyle="none"
        )


def flips_of_seeds(ds: xr.Dataset) -> pd.DataFrame:
    """Changes of sign of every group of pairs and seed, on both sides."""
    tables = []
    for k, seed in enumerate(ds["seed"].values):
        table = event_table(dataset.of_seed(ds, k))
        tables.append(table[table["event"].str.startswith("flip")].assign(seed=int(seed)))
    return pd.concat(tables)[["seed", "measure", "pairs", "event", "analytic", "simulated"]].reset_index(drop=True)


#: Of datasets with a dimension `seed` alone; other figures can be drawn of any comparison.
SEEDS = Illustration(
    name="seeds",
    purpose="how much of a curve is chance: many starts, each with its exact prediction",
    title="Every start",
    caption="Mean influence within groups of pairs over time, for many starts of {task}. Thin lines: the exact "
    "prediction of each start. Bands: the middle 80% of the trained networks. Below: when each start changes "
    "sign, predicted (tick) and trained (circle).",
    alt="Bundles of predicted curves in bands of trained ones, one colour a group of pairs; measures: {measures}.",
    draw=lambda s: seeds_figure(s.ds, s.style, s.measures),
    table=lambda s: flips_of_seeds(s.ds),
    sets=("seeds",),
)
