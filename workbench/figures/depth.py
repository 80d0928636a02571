"""What depth does to influence, and why measures agree in order and not in time: theory alone, at any depth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from workbench import theory
from workbench.agreement.depths import DEPTHS, events_by_depth, kernel_events_without_bound
from workbench.comparison.prediction import start_of
from workbench.figures.figure import Illustration, Subject
from workbench.figures.style import Style
from workbench.influence import MEASURES
from workbench.networks import Network, network
from workbench.theory.influence.four_operators import PairThroughMeasures, pair_through_measures
from workbench.theory.modes.groups import mode_groups

Array = NDArray[np.float64]

#: Items up to which every measure is shown; beyond, those that take a moment only.
ALL_MEASURES_UP_TO = 16
QUICK = ("gradient_kernel", "trajectory_derivative")
EVENTS = {"most helpful": "helps most", "flip 1": "first changes sign", "most harmful": "harms most"}
OPERATOR_DEPTHS = (2, 4)
#: Where infinite depth stands on the axis.
BEYOND = DEPTHS[-1] + 1
DASHES = ((0, ()), (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)))


def depth_events(subject: Subject) -> pd.DataFrame:
    """`events_by_depth` of the subject's task and start, and the kernel's for infinite depth; one row an event."""
    start = start_of(subject.ds)
    names = [name for name, m in MEASURES.items() if m.analytic is not None and name in (subject.only or MEASURES)]
    if start.task.n_items > ALL_MEASURES_UP_TO:
        names = [name for name in QUICK if name in names] or list(QUICK[:1])
    events = events_by_depth(start.task, DEPTHS[1:], measures=names, a0=start.a0)
    return pd.concat([events, kernel_events_without_bound(start.task, a0=start.a0)], ignore_index=True)


def influence_and_depth(subject: Subject) -> Figure:
    """Three panels: when each measure helps most, first changes sign and harms most, against depth."""
    events, style = depth_events(subject), subject.style
    names, groups = list(dict.fromkeys(events.measure)), list(dict.fromkeys(events.pairs))
    colours = dict(zip(names, style.sequence(len(names)), strict=True))
    dashes = dict(zip(groups, DASHES, strict=False))
    with style.context():
        across = style.wide
        figure = style.figure(3.6 if across else 7.4)
        axes = np.ravel(figure.subplots(*((1, 3) if across else (3, 1)), sharey=True, sharex=True))
        for ax, (event, title) in zip(axes, EVENTS.items(), strict=True):
            _against_depth(ax, events[events.event == event], colours, dashes, style)
            ax.set_title(title)
        for ax in axes if not across else axes[:1]:
            ax.set_ylabel("time / first half-rise")
        for ax in axes if across else axes[-1:]:
            ax.set_xlabel("layers $D$")
        lines = [Line2D([], [], color=colours[n], label=MEASURES[n].short, marker="o") for n in names]
        lines += [Line2D([], [], color=style.muted, linestyle=dashes[g], label=g) for g in dashes]
        labels = [str(line.get_label()) for line in lines]
        figure.legend(handles=lines, loc="outside lower center", ncols=min(4, style.legend_columns(labels)))
    return figure


def _against_depth(
    ax: Axes, events: pd.DataFrame, colours: dict[str, str], dashes: dict[str, object], style: Style
) -> None:
    style.tidy(ax).axhline(1, color=style.faint, linewidth=0.1 * style.font, zorder=0.5)
    for (name, pairs), curve in events.groupby(["measure", "pairs"]):
        depth = np.where(np.isinf(curve.depth), BEYOND, curve.depth)
        if pairs in dashes:
            ax.plot(depth, curve.time, color=colours[str(name)], linestyle=dashes[str(pairs)], marker="o",
                    markersize=0.3 * style.font, linewidth=0.12 * style.font)  # fmt: skip
    ax.set_xticks([*DEPTHS[1:], BEYOND], [*map(str, DEPTHS[1:]), "∞"])
    ax.set_xlim(1.7, BEYOND + 0.3)
    ax.margins(y=0.08)


def two_modes(subject: Subject) -> tuple[int, int]:
    """The strongest mode, and the strongest that is learned later: the first of the next group of equal modes."""
    start = start_of(subject.ds)
    first = mode_groups(start.modes, start.active).first
    return int(first[0]), int(first[min(1, len(first) - 1)])


def followed(subject: Subject, depth: int) -> tuple[Network, PairThroughMeasures]:
    """The pair of `two_modes` in a network of that depth with the subject's start, until both are learned."""
    start, (a, b) = start_of(subject.ds), two_modes(subject)
    net = network(start.task, start.hidden, start.init or "balanced:0.01", depth=depth)
    n_beta = theory.default_n_beta(net.modes)
    rises = theory.half_rise_times(net)
    return net, pair_through_measures(
        net,
        np.linspace(0, rises[b] + 0.6 * rises[a], 301),
        (a, b),
        damping=theory.default_damping(net.modes, depth=depth),
        n_beta=n_beta,
        gamma=theory.required_gamma(net.modes, n_beta, depth=depth),
    )


def four_operators(subject: Subject) -> Figure:
    """Four panels, a sign a row and a depth a column: every measure's term of one pair, each over its own peak."""
    style, names = subject.style, list(MEASURES)
    with style.context():
        figure = style.figure(4.6)
        axes = figure.subplots(2, len(OPERATOR_DEPTHS), sharey=True, sharex="col", squeeze=False)
        for column, depth in enumerate(OPERATOR_DEPTHS):
            net, parts = followed(subject, depth)
            shown = [name for name in names if name in parts.terms]
            colours = dict(zip(shown, style.sequence(len(shown)), strict=True))
            for row, sign in enumerate("+-"):
                ax = style.tidy(axes[row, column])
                amplitude = parts.amplitude[:, row]
                ax.fill_between(parts.times, amplitude / np.abs(amplitude).max(), color=style.blank, linewidth=0)
                for name in shown:
                    curve = _over_peak(parts.terms[name][:, row])
                    peak = int(curve.argmax())
                    ax.plot(parts.times, curve, color=colours[name])
                    ax.plot(parts.times[peak], curve[peak], "o", color=colours[name], markersize=0.45 * style.font)
                for rise in theory.half_rise_times(net)[list(two_modes(subject))]:
                    ax.axvline(rise, color=style.muted, linewidth=0.1 * style.font, linestyle=(0, (4, 2)))
                ax.set_title(f"$\\epsilon_{sign}$, {depth} layers")
            axes[-1, column].set_xlabel("flow time $t$")
        for ax in axes[:, 0]:
            ax.set_ylabel("over its peak")
        lines = [Line2D([], [], color=colours[n], label=MEASURES[n].short) for n in shown]
        lines.append(Line2D([], [], color=style.blank, linewidth=0.6 * style.font, label="amplitude $\\epsilon$"))
        labels = [str(line.get_label()) for line in lines]
        figure.legend(handles=lines, loc="outside lower center", ncols=min(3, style.legend_columns(labels)))
    return figure


def _over_peak(curve: Array) -> Array:
    top = float(np.abs(curve).max())
    return curve / top if top > 0 else curve


def four_operators_data(subject: Subject) -> pd.DataFrame:
    """One row a time and depth: both amplitudes, and both terms of every measure."""
    tables = []
    for depth in OPERATOR_DEPTHS:
        _, parts = followed(subject, depth)
        columns = {"depth": np.full(len(parts.times), depth), "time": parts.times}
        for sign, k in (("+", 0), ("-", 1)):
            columns[f"amplitude {sign}"] = parts.amplitude[:, k]
            columns |= {f"{name} {sign}": term[:, k] for name, term in parts.terms.items()}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


FIGURES = (
    Illustration(
        name="influence_and_depth",
        purpose="what depth does to the times of flips and peaks",
        title="Influence and depth",
        caption="When the mean influence of each group of pairs of {task} helps most, first changes sign and harms "
        "most, by every measure, in aligned networks of 2 to 6 layers that start at the same strength; the unit of "
        "time is the half-rise time of the first mode. Where lines of one dash meet, measures agree on the time. A "
        "single layer has no influence between different items; ∞ is the kernel at learning rate 1/D.",
        alt="Times of peaks and sign changes of several measures against the number of layers, one line a measure and "
        "group of pairs.",
        draw=influence_and_depth,
        table=depth_events,
        sets=("depth",),
    ),
    Illustration(
        name="four_operators",
        purpose="why measures agree in order and not in time",
        title="One formula for four measures",
        caption="What one pair of modes contributes to four measures, each over its own peak (dots). All have the "
        "same amplitudes, the sum and the difference of the modes' residuals (grey): what is still to be learned. They "
        "differ in what stands between: nothing (kernel), the curvature now, once damped (Newton) and once localised "
        "(BIF), or all that was met on the way (derivative). Dashed: half-rise times of both modes.",
        alt="Four panels, a sign a row and a depth a column: a curve a measure over time, with its peak.",
        draw=four_operators,
        table=four_operators_data,
        sets=("depth",),
    ),
)
