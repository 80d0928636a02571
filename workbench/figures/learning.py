"""How the modes and the loss develop: predicted lines, simulated points."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.figures.figure import Illustration
from workbench.figures.keys import keys
from workbench.figures.reading import ModeGroup, mode_groups, span, stages, thin
from workbench.figures.style import PAGE, Style
from workbench.figures.tables import loss_table, strength_table

Array = NDArray[np.float64]

#: Simulated points on a curve; more would hide the line.
POINTS = 30


def mode_strengths(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Strength of every mode over time, and how far the simulation is from the prediction, relative to it.

    Modes of one tree level share a curve and are drawn as one. With one side alone there is nothing to compare,
    and no second panel.
    """
    time = ds["time"].values
    groups = mode_groups(ds)
    predicted = _modes(ds, "mode_strength_analytic")
    simulated = _modes(ds, "mode_strength_simulated")
    colours = style.sequence(len(groups))
    some = thin(len(time), POINTS if len(groups) <= 10 else POINTS // 2)
    with style.context():
        both = predicted is not None and simulated is not None
        figure = style.figure(3.6 if both else 2.7)
        axes = figure.subplots(2 if both else 1, 1, squeeze=False, sharex=True, height_ratios=(2.4, 1)[: 1 + both])
        upper, lower = axes[0, 0], axes[-1, 0]
        for ax in axes.ravel():
            style.tidy(ax)
        if predicted is not None:
            first = [predicted[:, g.members[0]] for g in groups]
            upper.add_collection(LineCollection([np.column_stack([time, a]) for a in first], colors=colours))
        if simulated is not None:
            for g, colour in zip(groups, colours, strict=True):
                _points(upper, time[some], simulated[some][:, list(g.members)], colour, style)
        upper.autoscale_view()
        upper.set(ylabel="mode strength $a_k(t)$", xlim=span(time))
        shown = predicted if predicted is not None else simulated
        assert shown is not None
        _end_labels(upper, groups, [float(shown[-1, g.members[0]]) for g in groups], colours, style)
        lower.set_xlabel("flow time $t$")
        handles = keys(style, theory=predicted is not None, simulation=simulated is not None)
        if handles:
            figure.legend(handles=handles, loc="outside upper left", ncols=2)
        if predicted is not None and simulated is not None:
            _residuals(lower, time, groups, predicted, simulated, colours, style)
    return figure


def _modes(ds: xr.Dataset, name: str) -> Array | None:
    return np.asarray(ds[name].transpose("time", "mode").values) if name in ds else None


def _points(ax: Axes, time: Array, values: Array, colour: str, style: Style) -> None:
    ax.plot(
        np.repeat(time, values.shape[1]),
        values.ravel(),
        linestyle="none",
        marker="o",
        color=colour,
        markersize=0.35 * style.font,
        markeredgewidth=0.06 * style.font,
        markerfacecolor=style.background,
    )


def _residuals(
    ax: Axes,
    time: Array,
    groups: tuple[ModeGroup, ...],
    predicted: Array,
    simulated: Array,
    colours: list[str],
    style: Style,
) -> None:
    ax.axhline(0, color=style.faint, linewidth=0.1 * style.font)
    ax.set_ylabel("(sim. − theory)\n/ theory")
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(predicted != 0, (simulated - predicted) / predicted, np.nan)
    lines = [
        (np.column_stack([time, relative[:, k]]), colour)
        for g, colour in zip(groups, colours, strict=True)
        for k in g.members
    ]
    ax.add_collection(
        LineCollection(
            [line for line, _ in lines], colors=[colour for _, colour in lines], linewidths=0.12 * style.font
        )
    )
    ax.autoscale_view()


def _end_labels(ax: Axes, groups: tuple[ModeGroup, ...], ends: list[float], colours: list[str], style: Style) -> None:
    """Name curves at their right end; those that end too close together share a line."""
    low, high = ax.get_ylim()
    # The axes are about 2 inches tall; labels need a line's height.
    needed = 1.35 * style.small / (72 * 2.0 * style.font / 8) * (high - low)
    together: list[list[int]] = []
    for k in np.argsort(-np.array(ends), kind="stable").tolist():
        alike = together and groups[k].label.split()[0] == groups[together[-1][0]].label.split()[0]
        if alike and ends[together[-1][0]] - ends[k] < needed:
            together[-1].append(k)
        else:
            together.append([k])
    for members in together:
        ax.annotate(
            _shared_name([groups[k] for k in sorted(members)]),
            (1, ends[members[0]]),
            (0.6 * style.font, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            color=colours[members[0]],
            fontsize=style.small,
            annotation_clip=False,
        )


def _shared_name(groups: list[ModeGroup]) -> str:
    """``level 2 (×2)``, ``modes 3, 4`` or ``modes 5–8``."""
    if len(groups) == 1:
        size = len(groups[0].members)
        return groups[0].label + (f" (×{size})" if size > 1 else "")
    kind = groups[0].label.split()[0]
    numbers = [int(group.label.split()[1]) for group in groups]
    in_turn = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    listed = f"{numbers[0]}–{numbers[-1]}" if in_turn else ", ".join(map(str, numbers))
    return f"{kind}s {listed}"


def stage_marks(ax: Axes, learned: tuple[ModeGroup, ...], style: Style, *, labels: bool) -> None:
    """A line at every half-rise time (a tick at the top if there are many), labelled where there is room."""
    if not learned:
        return
    times = [g.half_rise for g in learned]
    transform = ax.get_xaxis_transform()
    marks = [[(x, 0.0 if len(times) <= 8 else 0.95), (x, 1.0)] for x in times]
    ax.add_collection(
        LineCollection(marks, colors=style.faint, linewidths=0.08 * style.font, transform=transform, zorder=0.5),
        autolim=False,
    )
    if not labels:
        return
    low, high = ax.get_xlim()
    per_character = 0.56 * style.small / (72 * 0.85 * style.width) * (high - low)
    free = -np.inf
    for group in learned:
        half = 0.5 * len(group.label) * per_character
        if group.half_rise - half >= free and low + half <= group.half_rise <= high - half:
            ax.text(
                group.half_rise,
                1.01,
                group.label,
                transform=transform,
                ha="center",
                va="bottom",
                color=style.muted,
                fontsize=style.small,
            )
            free = group.half_rise + half + per_character


def loss(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """The staircase of the mean loss, with a mark where each stage is half learned."""
    time = ds["time"].values
    some = thin(len(time), 2 * POINTS)
    colour = style.sequence(4)[0]
    with style.context():
        figure = style.figure(2.5)
        ax = style.tidy(figure.subplots())
        if "loss_analytic" in ds:
            ax.plot(time, ds["loss_analytic"].values, color=colour)
        if "loss_simulated" in ds:
            _points(ax, time[some], ds["loss_simulated"].values[some, None], colour, style)
        ax.set(xlabel="flow time $t$", ylabel="mean loss $L(t)$", xlim=span(time))
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
        stage_marks(ax, stages(ds), style, labels=True)
        handles = keys(style, theory="loss_analytic" in ds, simulation="loss_simulated" in ds)
        if handles:
            # Below the ticks of the stages; where stages are lines, the legend hides what passes behind it.
            ax.legend(
                handles=handles,
                loc="upper right",
                bbox_to_anchor=(1, 0.95),
                frameon=True,
                edgecolor="none",
                framealpha=1,
            )
    return figure


FIGURES = (
    Illustration(
        name="mode_strengths",
        purpose="progressive differentiation: broad distinctions first, fine ones last",
        title="Progressive differentiation",
        caption="Strength of each mode over time: predicted (lines) and simulated (points). The broad distinctions are "
        "learned first, the fine ones last; each in a sigmoid of its own. {sharing}"
        "Below, simulation against prediction where there are both.",
        alt="Sigmoid curves of the mode strengths over flow time; half learned: {stages}.",
        facts={
            "sharing": lambda s: (
                "Modes of one level of the tree share a line. "
                if any(len(group.members) > 1 for group in mode_groups(s.ds))
                else ""
            )
        },
        draw=lambda s: mode_strengths(s.ds, s.style),
        table=lambda s: strength_table(s.ds),
        sets=("report", "lecture"),
    ),
    Illustration(
        name="loss",
        purpose="the staircase of the loss",
        title="The staircase of the loss",
        caption="Mean loss over the items: predicted (line) and simulated (points). Every step down is a mode being "
        "learned; grey marks: half learned.",
        alt="Falling staircase of the mean loss; stages half learned: {stages}.",
        draw=lambda s: loss(s.ds, s.style),
        table=lambda s: loss_table(s.ds),
        sets=("report", "lecture"),
    ),
)
