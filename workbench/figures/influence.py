"""Influence of one item on all others, over the course of learning."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from workbench.figures.curves import Curve, curves_of, sparse_marks
from workbench.figures.figure import Illustration, Subject
from workbench.figures.keys import keys, stage_key
from workbench.figures.labels import label_curves
from workbench.figures.learning import stage_marks
from workbench.figures.reading import HELPS_HARMS, Measure, measures, span, stages, text, thin, unit
from workbench.figures.style import PAGE, Style
from workbench.figures.tables import influence_table

Array = NDArray[np.float64]
Index = NDArray[np.int64]

POINTS = 22


def influence_of_item(
    ds: xr.Dataset, source: str | None = None, style: Style = PAGE, shown: tuple[Measure, ...] | None = None
) -> Figure:
    """Influence of ``source`` (the first item unless named) on all other items, one panel a measure.

    ``shown`` are the measures, every one in the dataset unless given.
    Lines are predicted, points simulated; error bars are +-2 standard errors where the measure has them.
    Curves that coincide by the symmetry of the tree are drawn once; their points are means over the group,
    with the mean of the members' standard errors (an upper bound, as the members share their chains). Of many
    items only those helped and harmed most are named (the first measure decides), the others thin and grey.
    """
    chosen = measures(ds) if shown is None else shown
    i = Subject(ds, source).i
    with style.context():
        # Up to three panels fit side by side.
        rows = int(np.ceil(len(chosen) / 3)) if style.wide else len(chosen)
        columns = int(np.ceil(len(chosen) / rows))
        figure = style.figure(2.1 * rows + 0.8 if style.wide else 1.9 * rows + 0.8)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for ax in panels[len(chosen) :]:
            ax.remove()
        axes = panels[: len(chosen)]
        curves = curves_of(ds, i, chosen, style)
        for ax, measure in zip(axes, chosen, strict=True):
            _panel(ax, ds, measure, i, curves, style)
        for ax in axes if style.wide else axes[-1:]:
            ax.set_xlabel("flow time $t$")
        name = text(ds["source"].values[i], among=ds["source"].values)
        figure.suptitle(f"influence of {name} on the other items", x=0.01, ha="left")
        _label(figure, list(axes), ds, chosen, i, curves, style)
    return figure


def _panel(ax: Axes, ds: xr.Dataset, measure: Measure, i: int, curves: tuple[Curve, ...], style: Style) -> None:
    time = ds["time"].values
    named = np.concatenate([curve.members for curve in curves])
    rest = np.setdiff1d(np.arange(ds.sizes["target"]), np.append(named, i))
    style.tidy(ax)
    ax.axhline(0, color=style.muted, linewidth=0.1 * style.font, zorder=1)
    _, shown = measure.sides[0]
    if rest.size:
        ax.add_collection(
            LineCollection(
                [np.column_stack([time, shown[:, i, j]]) for j in rest],
                colors=style.faint,
                linewidths=0.06 * style.font,
                zorder=0.8,
            )
        )
    if measure.analytic is not None:
        for curve in curves:
            marks = sparse_marks(curves, curve, style) if measure.simulated is None else {}
            ax.plot(time, measure.analytic[:, i, curve.members[0]], color=curve.colour, label=curve.name, **marks)
    if measure.simulated is not None:
        for shift, curve in enumerate(curves):
            _points(ax, time, measure, i, curve, shift, style)
    ax.set_xlim(*span(time))
    ax.margins(y=0.12)
    # A fixed place above the axes' power of ten keeps the titles of the panels on one line.
    ax.set_title(measure.title + unit(measure), y=1.0, pad=1.5 * style.font)
    ax.set_ylabel(HELPS_HARMS)
    stage_marks(ax, stages(ds), style, labels=False)


def _points(ax: Axes, time: Array, measure: Measure, i: int, curve: Curve, shift: int, style: Style) -> None:
    assert measure.simulated is not None
    # Curves take turns at the checkpoints, so that error bars of neighbours do not cover each other.
    some = thin(len(time), POINTS)
    step = int(some[1] - some[0]) if len(some) > 1 else 1
    some = np.minimum(some + shift % step, len(time) - 1)
    values = measure.simulated[some, i][:, curve.members].mean(axis=1)
    error = None if measure.stderr is None else 2 * measure.stderr[some, i][:, curve.members].mean(axis=1)
    ax.errorbar(
        time[some],
        values,
        yerr=error,
        linestyle="none",
        marker=curve.marker,
        color=curve.colour,
        markersize=0.32 * style.font,
        markerfacecolor=style.background,
        markeredgewidth=0.08 * style.font,
        elinewidth=0.09 * style.font,
        zorder=3,
    )


def _label(
    figure: Figure,
    axes: list[Axes],
    ds: xr.Dataset,
    chosen: tuple[Measure, ...],
    i: int,
    curves: tuple[Curve, ...],
    style: Style,
) -> None:
    """Groups are named in a legend, single items directly, or in a legend where there is no room."""
    by_symmetry = any(curve.members.size > 1 for curve in curves)
    handles = keys(
        style,
        theory=any(measure.analytic is not None for measure in chosen),
        simulation=any(measure.simulated is not None for measure in chosen),
        bars=any(measure.stderr is not None for measure in chosen),
    )
    if ds.sizes["target"] - 1 > sum(curve.members.size for curve in curves):
        handles.append(Line2D([], [], color=style.faint, label="all other items (theory)"))
    handles += stage_key(ds, style)
    entries = [
        Line2D([], [], color=curve.colour, marker=curve.marker, markersize=0.32 * style.font, label=curve.name)
        for curve in curves
    ]
    if by_symmetry:
        _legend(figure, handles + entries, style, title="one curve a group: equal by the symmetry of the tree")
        return
    _legend(figure, handles, style)
    labelled = _label_directly(figure, axes, ds, chosen, i, curves, style)
    if not labelled >= {curve.name for curve in curves}:
        for ax in axes:
            for label in list(ax.texts):
                label.remove()
        _legend(figure, handles + entries, style)
        _label_directly(figure, axes, ds, chosen, i, curves, style)


def _legend(figure: Figure, handles: list[Line2D], style: Style, title: str | None = None) -> None:
    for old in list(figure.legends):
        old.remove()
    columns = style.legend_columns([str(handle.get_label()) for handle in handles])
    columns = min(columns, 3) if title else columns
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, title=title, title_fontsize=style.small)


def _label_directly(
    figure: Figure,
    axes: list[Axes],
    ds: xr.Dataset,
    chosen: tuple[Measure, ...],
    i: int,
    curves: tuple[Curve, ...],
    style: Style,
) -> set[str]:
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    done: set[str] = set()
    for ax, measure in zip(axes, chosen, strict=True):
        values = [measure.sides[0][1][:, i, curve.members[0]] for curve in curves]
        names, colours = [curve.name for curve in curves], [curve.colour for curve in curves]
        placed = label_curves(
            ax, ds["time"].values, values, names, colours, font=style.small, obstacles=_drawn_points(ax)
        )
        done |= {name for name, ok in zip(names, placed, strict=True) if ok}
    return done


def _drawn_points(ax: Axes) -> Array:
    """``(n, 2)`` simulated points and points along their error bars."""
    drawn = [np.empty((0, 2))]
    for container in ax.containers:
        points, _, bars = container.lines  # type: ignore[attr-defined]
        drawn.append(np.column_stack(points.get_data()))
        for bar in bars:
            ends = np.array(bar.get_segments())
            drawn += [ends[:, 0] + u * (ends[:, 1] - ends[:, 0]) for u in np.linspace(0, 1, 7)]
    return np.concatenate(drawn)


FIGURES = (
    Illustration(
        name="influence_of_item",
        purpose="whom one item helps and harms, when",
        title="Influence of {source}",
        caption="What more weight on {source} does to the loss of the other items, over time, by each measure in "
        "its own unit. Below zero it helps, above zero it harms. Lines are predicted, points simulated; bars are "
        "two standard errors where the simulation draws samples. Grey vertical lines: stages half learned.",
        alt="Influence of {source} on the other items over flow time; measures: {measures}.",
        draw=lambda s: influence_of_item(s.ds, s.items[s.i], s.style, s.measures),
        table=lambda s: influence_table(s.ds, s.i, s.measures),
        sets=("report", "lecture"),
    ),
)
