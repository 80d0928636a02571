"""One pair of items by every measure: why their peaks and sign changes do not come at the same time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from workbench.agreement.events import curve_events
from workbench.figures.anatomy import pair_of
from workbench.figures.learning import stage_marks
from workbench.figures.reading import Measure, measures, powers, span, stages, text
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]

#: Measures in the order drawn; those of one panel share it because they share their unit.
PANELS = (("gradient_kernel",), ("trajectory_derivative", "leave_one_out"), ("local_bif",))

#: What each measure asks, which is why its peak is where it is.
REASONS = {
    "gradient_kernel": "what one step does at $t$: largest while both items are wrong, and alike inside",
    "trajectory_derivative": "all steps until $t$, carried along: past help delays the change of sign",
    "local_bif": "how losses vary together near $t$: ways down count more, so it is ahead",
}


def measures_compared(
    ds: xr.Dataset, source: str | None = None, target: str | None = None, style: Style = PAGE
) -> Figure:
    """Curves of one pair by each measure in its own unit, and below the times of peaks and sign changes.

    Leave-one-out is multiplied by P: removing an item is a change of its weight by ``-1/P``, so that both
    curves of that panel would coincide if the response to a whole item were as linear as the response to a
    small one. The pair is that of `sign_flip_anatomy` unless named.
    """
    i, j = pair_of(ds, source, target)
    curves = curves_of_pair(ds, i, j)
    panels = [[name for name in names if name in curves] for names in PANELS]
    panels = [names for names in panels if names]
    colours = dict(zip([name for names in PANELS for name in names], style.sequence(5), strict=False))
    with style.context():
        figure = style.figure(5.4 if len(panels) == 3 else 4.2)
        axes = figure.subplots(len(panels) + 1, 1, sharex=True, height_ratios=[1.0] * len(panels) + [0.9])
        known = {measure.name: measure for measure in measures(ds)}
        for ax, names in zip(axes, panels, strict=False):
            _panel(ax, ds["time"].values, [(known[name], curves[name]) for name in names], colours, style)
        _events(axes[-1], ds, curves, known, colours, style)
        for ax in axes:
            stage_marks(ax, stages(ds), style, labels=False)
        axes[-1].set(xlabel="flow time $t$", xlim=span(ds["time"].values))
        one, other = (text(ds["source"].values[k], 16) for k in (i, j))
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
        labels = [str(handle.get_label()) for handle in lines + marks]
        figure.legend(handles=lines + marks, loc="outside lower center", ncols=min(4, style.legend_columns(labels)))
    return figure


def curves_of_pair(ds: xr.Dataset, i: int, j: int) -> dict[str, Array]:
    """``(T,)`` predicted influence of i on j by each measure that the dataset holds; leave-one-out times P."""
    known = {measure.name: measure for measure in measures(ds) if measure.analytic is not None}
    found = {}
    for name in (name for names in PANELS for name in names if name in known):
        values = known[name].analytic
        assert values is not None
        found[name] = values[:, i, j] * (ds.sizes["item"] if name == "leave_one_out" else 1)
    return found


def events(ds: xr.Dataset, curves: dict[str, Array]) -> pd.DataFrame:
    """Times of the largest help, the sign changes and the largest harm of every curve; one row an event."""
    time, rows = ds["time"].values, []
    words = {"flip": "sign changes", "most helpful": "helps most", "most harmful": "harms most"}
    for name, curve in curves.items():
        rows += [(name, words[event.kind], event.time) for event in curve_events(time, curve)]
    return pd.DataFrame(rows, columns=["measure", "event", "time"])


def measures_compared_data(ds: xr.Dataset, source: str | None = None, target: str | None = None) -> pd.DataFrame:
    """One row a time with the curves, and one row an event with its time."""
    curves = curves_of_pair(ds, *pair_of(ds, source, target))
    table = pd.DataFrame({"time": ds["time"].values} | curves)
    table.insert(1, "event", "")
    table.insert(2, "measure", "")
    return pd.concat([table, events(ds, curves)], ignore_index=True)[list(table.columns)]


def _title(measure: Measure) -> str:
    return measure.title + (" × P" if measure.name == "leave_one_out" else "")


def _dash(name: str) -> tuple[float, tuple[float, ...]]:
    return (0, (4, 2)) if name == "leave_one_out" else (0, ())


def _panel(ax: Axes, time: Array, shown: list[tuple[Measure, Array]], colours: dict[str, str], style: Style) -> None:
    style.tidy(ax).axhline(0, color=style.muted, linewidth=0.1 * style.font)
    for measure, curve in shown:
        ax.plot(time, curve, color=colours[measure.name], linestyle=_dash(measure.name))
    first = shown[0][0]
    ax.set_ylabel(powers(first.units).replace(" / ", "/"), fontsize=style.small)
    reason = REASONS.get(first.name, "")
    if not style.wide:
        reason = reason.replace(": ", ":\n", 1)
    ax.set_title(reason, fontsize=style.small, color=style.muted)
    ax.margins(y=0.1)


def _events(
    ax: Axes, ds: xr.Dataset, curves: dict[str, Array], known: dict[str, Measure], colours: dict[str, str], style: Style
) -> None:
    style.tidy(ax)
    found = events(ds, curves)
    markers = {"helps most": "v", "sign changes": "o", "harms most": "^"}
    for row, name in enumerate(curves):
        ax.axhline(row, color=style.faint, linewidth=0.08 * style.font, zorder=0.5)
        for _, event in found[found.measure == name].iterrows():
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
