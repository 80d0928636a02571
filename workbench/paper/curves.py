"""Influence of groups of pairs over training, with errors: the curves that all sentences of the toy model speak of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import dataset
from workbench.agreement.groups import pair_groups
from workbench.figures.learning import stage_marks
from workbench.figures.reading import HELPS_HARMS, stages
from workbench.figures.style import PAGE
from workbench.influence import MEASURES
from workbench.influence.quantities import SIDES

Array = NDArray[np.float64]

#: What tables say of curves that noise hides.
UNRESOLVED = (
    "Sampled curves whose predicted help or harm is below three standard errors are not resolved: nothing is asked of "
    "them."
)


@dataclass(frozen=True, eq=False)
class GroupCurve:
    """The mean curve of a group of pairs by one measure on one side.

    Attributes:
        times, values: ``(T,)``.
        error: ``(T,)`` one standard error; 0 where nothing was sampled.
    """

    measure: str
    side: str
    group: str
    times: Array
    values: Array
    error: Array

    @property
    def label(self) -> str:
        """The short name of the measure."""
        return MEASURES[self.measure].short


def measures_of(ds: xr.Dataset) -> list[str]:
    """Measures in the dataset."""
    return dataset.measure_names(ds)


def short_name(measure: str) -> str:
    """What people call a measure; names that are theirs already stay."""
    return MEASURES[measure].short if measure in MEASURES else measure.replace("_", " ")


def groups_of(ds: xr.Dataset) -> dict[str, NDArray[np.bool_]]:
    """Groups of pairs, the farthest first."""
    groups = pair_groups(ds)
    return groups if "common_ancestor_level" in ds else dict(reversed(groups.items()))


def group_curves(ds: xr.Dataset) -> Iterator[GroupCurve]:
    """All of them: measure by measure, side by side, the farthest pairs first."""
    times = ds["time"].values
    for measure in measures_of(ds):
        stderr = dataset.stderr(ds, measure)
        for side in SIDES:
            values = dataset.values(ds, measure, side)
            if values is None:
                continue
            for group, mask in groups_of(ds).items():
                # The pairs share their chains; their errors are taken as fully correlated.
                sampled = side == "simulated" and stderr is not None
                error = stderr[:, mask].mean(axis=1) if sampled and stderr is not None else np.zeros(len(times))
                yield GroupCurve(measure, side, group, times, values[:, mask].mean(axis=1), error)


def resolved(ds: xr.Dataset, measure: str, side: str) -> list[str]:
    """Groups whose help and harm, as predicted, both exceed three standard errors of that side: where noise decides,
    nothing is asked. All groups where nothing is sampled."""
    curves = {(c.side, c.group): c for c in group_curves(ds) if c.measure == measure}
    kept = []
    for group in groups_of(ds):
        seen, expected = curves.get((side, group)), curves.get(("analytic", group))
        if seen is None:
            continue
        error, at = seen.error, (expected or seen).values
        ends = [int(at.argmin()), int(at.argmax())]
        if not error.any() or all(abs(at[k]) > 3 * error[k] for k in ends):
            kept.append(group)
    return kept


def curves_figure(ds: xr.Dataset, marks: dict[tuple[str, str], list[float]] | None = None) -> Figure:
    """One panel a measure, one colour a group: lines predicted, points simulated, bars two standard errors.

    ``marks`` are times by (measure, group) at which the predicted curve gets a diamond.
    """
    curves, names, groups = list(group_curves(ds)), measures_of(ds), list(groups_of(ds))
    with PAGE.context():
        columns = min(2, len(names))
        rows = -(-len(names) // columns)
        figure = PAGE.figure(1.9 * rows + 0.6)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        colours = dict(zip(groups, PAGE.sequence(len(groups)), strict=True))
        for ax in axes[len(names) :]:
            ax.remove()
        for ax, name in zip(axes, names, strict=False):
            PAGE.tidy(ax).axhline(0, color=PAGE.muted, linewidth=0.8)
            for curve in (c for c in curves if c.measure == name):
                colour = colours[curve.group]
                if curve.side == "analytic":
                    ax.plot(curve.times, curve.values, color=colour, label=curve.group)
                    at = (marks or {}).get((name, curve.group), [])
                    ax.plot(at, np.interp(at, curve.times, curve.values), "D", color=colour, markersize=4)
                else:
                    some = slice(None, None, max(1, len(curve.times) // 24))
                    ax.errorbar(
                        curve.times[some], curve.values[some], 2 * curve.error[some], fmt="o", color=colour,
                        markersize=2.4, elinewidth=0.6, markerfacecolor=PAGE.background, markeredgewidth=0.6,
                    )  # fmt: skip
            ax.set_title(MEASURES[name].short, y=1.0, pad=12)
            stage_marks(ax, stages(ds), PAGE, labels=False)
            ax.set_ylabel(HELPS_HARMS)
        for ax in axes[max(0, len(names) - columns) : len(names)]:
            ax.set_xlabel("flow time t")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=max(1, len(groups)))
    return figure
