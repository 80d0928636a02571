"""Two animations: the hierarchy being learned, and influence over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.comparison.prediction import start_of
from workbench.errors import WorkbenchError
from workbench.figures.arrangement import arrange, property_order
from workbench.figures.hidden import draw_paths
from workbench.figures.influence import curves_of, sparse_marks
from workbench.figures.learning import stage_marks
from workbench.figures.matrices import colour_strip, without_diagonal
from workbench.figures.reading import measures, span, stages, text, unit
from workbench.figures.representation import hidden_map
from workbench.figures.style import PAGE, Style
from workbench.theory import aligned_trajectory

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]

FRAMES = 72
#: Items named one by one, at most.
MAX_NAMES = 20
#: Pixels across; the height follows from the figure.
WIDTH = 960


@dataclass(frozen=True)
class Film:
    """A figure, and what to change in it for frame k."""

    title: str
    caption: str
    figure: Figure
    times: Array
    show: Callable[[int], None]

    def frames(self) -> Iterator[Pixels]:
        """Every frame as ``(height, width, 3)`` pixels."""
        canvas: Any = self.figure.canvas
        self.figure.set_dpi(WIDTH / self.figure.get_figwidth())
        engine = self.figure.get_layout_engine()
        if engine is not None:
            engine.execute(self.figure)
            self.figure.set_layout_engine("none")
        for k in range(len(self.times)):
            self.show(k)
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def films(ds: xr.Dataset, *, source: str | None = None, style: Style = PAGE, frames: int = FRAMES) -> dict[str, Film]:
    """Both animations by file name; narrow styles are shown at page width."""
    wide = style if style.wide else _at_page_width(style)
    return {
        "learning_the_hierarchy": learning_the_hierarchy(ds, wide, frames),
        "influence_over_time": influence_over_time(ds, source, wide, frames),
    }


def learning_the_hierarchy(ds: xr.Dataset, style: Style = PAGE, frames: int = FRAMES) -> Film:
    """Paths of the hidden representations, the answers of the network, and the loss, as time goes by."""
    t = np.linspace(0, float(ds["time"].values[-1]), frames)
    found, order = hidden_map(ds, t), arrange(ds)
    colours = style.item_colours(order.branch, order.place)
    trajectory = aligned_trajectory(start_of(ds), t)
    answers = (trajectory.W2 @ trajectory.W1)[:, property_order(ds)][:, :, order.order].transpose(0, 2, 1)
    largest, signed = float(np.abs(answers).max()), bool((ds["Y"].values < 0).any())
    fine, loss = ds["time"].values, trajectory.loss
    whole = aligned_trajectory(start_of(ds), fine).loss
    with style.context():
        figure = style.figure(4.4)
        grid = figure.add_gridspec(2, 2, height_ratios=(2.4, 1), width_ratios=(1, 1))
        paths_ax, answer_ax = (figure.add_subplot(grid[0, k]) for k in range(2))
        lines = draw_paths(paths_ax, found, colours, style)
        dots = paths_ax.scatter(
            found.positions[0, :, 0],
            found.positions[0, :, 1],
            s=(0.6 * style.font) ** 2,
            c=colours,
            zorder=3,
            linewidths=0,
        )
        paths_ax.set_title("hidden representations")
        image = style.bare(answer_ax).imshow(
            answers[0],
            aspect="auto",
            cmap=style.diverging() if signed else style.amount(),
            vmin=-largest if signed else 0.0,
            vmax=largest,
            interpolation="nearest",
        )
        answer_ax.set_title("what the network answers (properties →)")
        _item_names(answer_ax, ds, style)
        loss_ax, dot, clock = _clock(figure.add_subplot(grid[1, :]), ds, fine, whole, "mean loss $L(t)$", style)
        loss_ax.set_ylim(bottom=0)

    def show(k: int) -> None:
        lines.set_segments(list(found.positions[: k + 1].transpose(1, 0, 2)))
        dots.set_offsets(found.positions[k])
        image.set_data(answers[k])
        dot.set_data([t[k]], [loss[k]])
        clock.set_xdata([t[k], t[k]])

    caption = (
        "The network learns the hierarchy: its representations of the items part branch by branch, its answers go from "
        "what all items share to what tells them apart, and the loss falls in steps."
    )
    return Film("Learning the hierarchy", caption, figure, t, show)


def influence_over_time(ds: xr.Dataset, source: str | None = None, style: Style = PAGE, frames: int = FRAMES) -> Film:
    """The matrix of the first measure, and the curves of one item with a mark that moves along."""
    measure = next((m for m in measures(ds) if m.analytic is not None), None)
    if measure is None or measure.analytic is None:
        raise WorkbenchError("the dataset holds no predicted influence; make it with workbench.comparison.prediction")
    names = list(map(str, ds["source"].values))
    i = names.index(source) if source is not None else 0
    time, order = ds["time"].values, arrange(ds)
    t = np.linspace(float(time[0]), float(time[-1]), frames)
    at = np.array([int(np.abs(time - now).argmin()) for now in t])
    off = without_diagonal(measure.analytic)[:, order.order][:, :, order.order]
    largest = float(np.nanmax(np.abs(off), initial=0.0)) or 1.0
    curves = curves_of(ds, i, (measure,), style)
    with style.context():
        figure = style.figure(3.8)
        matrix_ax, curve_ax = figure.subplots(1, 2, width_ratios=(1, 1.25))
        image = style.bare(matrix_ax).imshow(
            off[0], cmap=style.diverging(), vmin=-largest, vmax=largest, interpolation="nearest"
        )
        if len(names) > MAX_NAMES:
            colour_strip(matrix_ax, order, style)
        matrix_ax.set_title(f"{measure.title}{unit(measure)}")
        matrix_ax.set(xlabel="target")
        _item_names(matrix_ax, ds, style)
        bar = figure.colorbar(image, ax=matrix_ax, orientation="horizontal", aspect=30, pad=0.04)
        bar.outline.set_visible(False)
        style.tidy(bar.ax)
        bar.set_label("← helps      harms →", fontsize=style.small)
        style.tidy(curve_ax).axhline(0, color=style.muted, linewidth=0.1 * style.font)
        for curve in curves:
            values = measure.analytic[:, i, curve.members[0]]
            curve_ax.plot(time, values, color=curve.colour, label=curve.name, **sparse_marks(curves, curve, style))
        dots = [curve_ax.plot([], [], marker="o", color=c.colour, markersize=0.5 * style.font)[0] for c in curves]
        clock = curve_ax.axvline(t[0], color=style.ink, linewidth=0.1 * style.font)
        stage_marks(curve_ax, stages(ds), style, labels=False)
        curve_ax.set(xlabel="flow time $t$", ylabel="← helps      harms →", xlim=span(time))
        curve_ax.set_title(f"from {text(names[i], 18)} to")
        handles, labels = curve_ax.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, style.legend_columns(labels)))

    def show(k: int) -> None:
        image.set_data(off[at[k]])
        clock.set_xdata([time[at[k]]] * 2)
        for dot, curve in zip(dots, curves, strict=True):
            assert measure.analytic is not None
            dot.set_data([time[at[k]]], [measure.analytic[at[k], i, curve.members[0]]])

    caption = (
        f"Influence of every item on every other ({measure.title}) while the network learns: help spreads over "
        "ever smaller branches, and turns into harm behind it. Right: the row of one item."
    )
    return Film("Influence over time", caption, figure, t, show)


def _clock(ax: Axes, ds: xr.Dataset, t: Array, values: Array, label: str, style: Style) -> tuple[Axes, Any, Any]:
    """A curve with a dot and a vertical line that move along it."""
    style.tidy(ax).plot(t, values, color=style.sequence(4)[0])
    ax.set(xlabel="flow time $t$", ylabel=label, xlim=span(t))
    stage_marks(ax, stages(ds), style, labels=True)
    (dot,) = ax.plot([t[0]], [values[0]], marker="o", color=style.ink, markersize=0.6 * style.font)
    return ax, dot, ax.axvline(t[0], color=style.ink, linewidth=0.1 * style.font)


def _item_names(ax: Axes, ds: xr.Dataset, style: Style) -> None:
    order = arrange(ds)
    if len(order.order) > MAX_NAMES:
        ax.set_ylabel(f"{len(order.order)} items" if ax.get_xlabel() == "" else "source", labelpad=1.6 * style.font)
        return
    colours = style.item_colours(order.branch, order.place)
    ax.set_yticks(range(len(order.order)), [text(ds["item"].values[k], 12) for k in order.order])
    for label, item in zip(ax.get_yticklabels(), order.order, strict=True):
        label.set_color(colours[item])


def _at_page_width(style: Style) -> Style:
    from dataclasses import replace

    return replace(style, width=PAGE.width, font=PAGE.font)
