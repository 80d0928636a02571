"""One pair of items by every measure: why their peaks and sign changes do not come at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from workbench.agreement.events import curve_events
from workbench.figures.figure import Illustration, Subject
from workbench.figures.keys import stage_key
from workbench.figures.learning import stage_marks
from workbench.figures.reading import Measure, measures, powers, span, stages, text
from workbench.figures.style import PAGE, Style
from workbench.influence import MEASURES

Array = NDArray[np.float64]


def measures_compared(
    ds: xr.Dataset, source: str | None = None, target: str | None = None, style: Style = PAGE
) -> Figure:
    """Curves of one pair by each measure in its own unit, and below the times of peaks and sign changes.

    Leave-one-out is multiplied by P: removing an item is a change of its weight by ``-1/P``, so that both
    curves of that panel would coincide if the response to a whole item were as linear as the response to a
    small one. The pair is that of `sign_flip_anatomy` unless named.
    """
    pair = Subject(ds, source, target)
    i, j = pair.i, pair.j
    curves = curves_of_pair(ds, i, j)
    known = {measure.name: measure for measure in measures(ds)}
    panels = panels_of([known[name] for name in curves])
    colours = dict(zip(curves, style.sequence(len(curves)), strict=True))
    with style.context():
        figure = style.figure(1.5 + 1.3 * len(panels))
        axes = figure.subplots(len(panels) + 1, 1, sharex=True, height_ratios=[1.0] * len(panels) + [0.9])
        for ax, names in zip(axes, panels, strict=False):
            _panel(ax, ds["time"].values, [(measure, curves[measure.name]) for measure in names], colours, style)
        _events(axes[-1], ds, curves, known, colours, style)
        for ax in axes:
            stage_marks(ax, stages(ds), style, labels=False)
        axes[-1].set(xlabel="flow time $t$", xlim=span(ds["time"].values))
        one, other = (text(ds["source"].values[k], 16, ds["source"].values) for k in (i, j))
        figure.suptitle(f"influence of {one} on {other}", x=0.01, ha="left")
        marks = [
            Line2D([], [], linestyle="none", color=style.muted, marker=marker, label=name, markerfacecolor=fill)
            for marker, name, fill in (
                ("v", "helps most", style.muted),
                ("o", "sign changes", style.background),
                ("^", "harms most", style.muted),
            )
        ]
        lines = [Line2D([], [], color=colours[n], linestyle=_dash(n), label=_title(known[n])) for n in curves]
        handles = [*lines, *marks, *stage_key(ds, style)]
        labels = [str(handle.get_label()) for handle in handles]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, style.legend_columns(labels)))
    return figure


def curves_of_pair(ds: xr.Dataset, i: int, j: int) -> dict[str, Array]:
    """``(T,)`` influence of i on j by each measure that the dataset holds, predicted where it is.

    Measures that take away a whole item are multiplied by P.
    """
    curves = {measure.name: measure.sides[0][1][:, i, j] for measure in measures(ds)}
    return {name: curve * (ds.sizes["item"] if _whole(name) else 1) for name, curve in curves.items()}


def panels_of(shown: Sequence[Measure]) -> list[list[Measure]]:
    """Measures of one unit share a panel if they are of training as a whole, those of the moment have one each."""
    panels: dict[str, list[Measure]] = {}
    for measure in shown:
        panels.setdefault(measure.units if measure.units == "loss" else measure.name, []).append(measure)
    return list(panels.values())


def _whole(name: str) -> bool:
    return name in MEASURES and MEASURES[name].whole_item


def events(ds: xr.Dataset, curves: dict[str, Array]) -> pd.DataFrame:
    """Times of the largest help, the sign changes and the largest harm of every curve; one row an event."""
    time, rows = ds["time"].values, []
    words = {"flip": "sign changes", "most helpful": "helps most", "most harmful": "harms most"}
    for name, curve in curves.items():
        rows += [(name, words[event.kind], event.time) for event in curve_events(time, curve)]
    return pd.DataFrame(rows, columns=["measure", "event", "time"])


def measures_compared_data(ds: xr.Dataset, source: str | None = None, target: str | None = None) -> pd.DataFrame:
    """One row a time with the curves, and one row an event with its time."""
    pair = Subject(ds, source, target)
    curves = curves_of_pair(ds, pair.i, pair.j)
    table = pd.DataFrame({"time": ds["time"].values} | curves)
    table.insert(1, "event", "")
    table.insert(2, "measure", "")
    return pd.concat([table, events(ds, curves)], ignore_index=True)[list(table.columns)]


def _title(measure: Measure) -> str:
    return measure.title + (" × P" if _whole(measure.name) else "")


def _dash(name: str) -> tuple[float, tuple[float, ...]]:
    return (0, (4, 2)) if _whole(name) else (0, ())


def _panel(ax: Axes, time: Array, shown: list[tuple[Measure, Array]], colours: dict[str, str], style: Style) -> None:
    style.tidy(ax).axhline(0, color=style.muted, linewidth=0.1 * style.font)
    for measure, curve in shown:
        ax.plot(time, curve, color=colours[measure.name], linestyle=_dash(measure.name))
    first = shown[0][0]
    ax.set_ylabel(powers(first.units).replace(" / ", "/"), fontsize=style.small)
    reason = MEASURES[first.name].pace if first.name in MEASURES else ""
    if not style.wide:
        reason = reason.replace(": ", ":\n", 1)
    ax.set_title(reason, fontsize=style.small, color=style.muted)
    ax.margins(y=0.1)


def _events(
    ax: Axes, ds: xr.Dataset, curves: dict[str, Array], known: dict[str, Measure], colours: dict[str, str], style: Style
) -> None:
    style.tidy(ax)
    seen = events(ds, curves)
    markers = {"helps most": "v", "sign changes": "o", "harms most": "^"}
    for row, name in enumerate(curves):
        ax.axhline(row, color=style.faint, linewidth=0.08 * style.font, zorder=0.5)
        for _, event in seen[seen.measure == name].iterrows():
            ax.plot(
                event.time,
                row,
                linestyle="none",
                marker=markers[event.event],
                color=colours[name],
                markersize=0.75 * style.font,
                markerfacecolor=style.background if event.event == "sign changes" else colours[name],
            )
    ax.set_yticks(range(len(curves)), [_title(known[name]) for name in curves])
    ax.set_ylim(len(curves) - 0.4, -0.6)
    ax.set_title("when it helps most, changes sign, harms most", fontsize=style.small, color=style.muted)


FIGURES = (
    Illustration(
        name="measures_compared",
        purpose="why measures of influence peak at different times",
        title="When measures disagree",
        caption="{source} on {target} by each measure. The kernel asks what one step does now. The derivative "
        "adds up all steps so far as the later ones carry them along, so that help given early outlasts the "
        "moment the kernel turns, and learning it sooner means less to gain later. Leave-one-out asks the same of "
        "a whole item, which is no small change: without it a stage comes later, and the curve with it. The BIF "
        "weighs directions by 1 / (n beta curvature + gamma), most where the loss still falls away, so it is "
        "ahead of the kernel; late, when gradients are gone, its second-order term decides the sign.",
        alt="Curves of the influence of {source} on {target} by each measure, and the times of their peaks.",
        draw=lambda s: measures_compared(s.ds, s.items[s.i], s.items[s.j], s.style),
        table=lambda s: measures_compared_data(s.ds, s.items[s.i], s.items[s.j]),
    ),
)
