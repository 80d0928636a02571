"""Two animations: the hierarchy being learned, and influence over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from workbench.comparison.prediction import start_of
from workbench.figures.arrangement import arrange, property_order
from workbench.figures.curves import curves_of, sparse_marks
from workbench.figures.figure import Illustration, Subject
from workbench.figures.hidden import draw_paths, hidden_trajectories_data
from workbench.figures.keys import stage_key
from workbench.figures.learning import stage_marks
from workbench.figures.matrices import draw_matrix, tidy_bar
from workbench.figures.reading import HELPS_HARMS, span, stages, text, texts, unit
from workbench.figures.representation import hidden_map
from workbench.figures.style import PAGE, Style
from workbench.figures.tables import influence_table
from workbench.theory import aligned_trajectory

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: Eight seconds at `film_files.FRAMES_PER_SECOND`.
FRAMES = 240
#: Items named one by one, at most.
MAX_NAMES = 40
#: Pixels across; the height follows from the figure.
WIDTH = 1280


@dataclass(frozen=True)
class Film:
    """A figure, and what to change in it for frame k."""

    figure: Figure
    times: Array
    show: Callable[[int], None]

    def frames(self) -> Iterator[Pixels]:
        """Every frame as ``(height, width, 3)`` pixels, of even height and width as players expect."""
        canvas: Any = self.figure.canvas
        self.figure.set_dpi(WIDTH / self.figure.get_figwidth())
        engine = self.figure.get_layout_engine()
        if engine is not None:
            engine.execute(self.figure)
            self.figure.set_layout_engine("none")
        for k in range(len(self.times)):
            self.show(k)
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., :3]
            height, width, _ = pixels.shape
            yield pixels[: height // 2 * 2, : width // 2 * 2].copy()

    def still(self, k: int = -1) -> Figure:
        """The figure as it stands in frame k, the last unless given."""
        self.show(range(len(self.times))[k])
        return self.figure


def learning_the_hierarchy(ds: xr.Dataset, style: Style = PAGE, frames: int = FRAMES) -> Film:
    """Paths of the hidden representations, the answers of the network, and the loss, as time goes by."""
    style = _at_page_width(style)
    t = np.linspace(0, float(ds["time"].values[-1]), frames)
    paths, order = hidden_map(ds, t), arrange(ds)
    colours = style.item_colours(order.branch, order.place)
    trajectory = aligned_trajectory(start_of(ds), t)
    answers = trajectory.outputs[:, property_order(ds)][:, :, order.order].transpose(0, 2, 1)
    with style.context():
        figure = style.figure(_height(style))
        grid = figure.add_gridspec(2, 2, height_ratios=(2.4, 1), width_ratios=(1.2, 1))
        paths_ax, answer_ax = (figure.add_subplot(grid[0, k]) for k in range(2))
        paths_ax.set_title("hidden representations")
        largest, signed = float(np.abs(answers).max()), bool((ds["Y"].values < 0).any())
        image = style.bare(answer_ax).imshow(
            answers[0],
            aspect="auto",
            cmap=style.signed() if signed else style.amount(),
            vmin=-largest if signed else 0.0,
            vmax=largest,
            interpolation="nearest",
        )
        answer_ax.set_title("what the network answers (properties →)")
        _item_names(answer_ax, ds, style, coloured=not signed)
        move = _loss_clock(figure.add_subplot(grid[1, :]), ds, t, trajectory.loss, style)
        now = _clock(figure, style)
        lines = draw_paths(figure, paths_ax, paths, list(map(str, ds["item"].values)), colours, style)
        x, y = paths.positions[0].T
        dots = paths_ax.scatter(x, y, s=(0.6 * style.font) ** 2, c=colours, zorder=3, linewidths=0, clip_on=False)

    def show(k: int) -> None:
        lines.set_segments(list(paths.positions[: k + 1].transpose(1, 0, 2)))
        dots.set_offsets(paths.positions[k])
        image.set_data(answers[k])
        move(k)
        now.set_text(f"$t$ = {t[k]:.1f}")

    return Film(figure, t, show)


def influence_over_time(subject: Subject, frames: int = FRAMES) -> Film:
    """The matrix of the first measure, and the curves of one item with a mark that moves along."""
    ds, i, style = subject.ds, subject.i, _at_page_width(subject.style)
    measure = subject.measures[0]
    values = measure.sides[0][1]
    time = ds["time"].values
    t = np.linspace(float(time[0]), float(time[-1]), frames)
    between = _resampled(time, values, t)
    curves = curves_of(ds, i, (measure,), style)
    rows = [between[:, i, curve.members].mean(axis=1) for curve in curves]
    with style.context():
        figure = style.figure(_height(style))
        matrix_ax, curve_ax = figure.subplots(1, 2, width_ratios=(1, 1.25))
        image, draw = draw_matrix(matrix_ax, between, arrange(ds), style)
        matrix_ax.set_title(f"{measure.title}{unit(measure)}")
        matrix_ax.set(xlabel="target, in the order of the sources")
        _item_names(matrix_ax, ds, style, coloured=False)
        bar = figure.colorbar(image, ax=matrix_ax, orientation="horizontal", aspect=30, pad=0.04)
        power = tidy_bar(bar, style)
        bar.set_label(f"{HELPS_HARMS}      {power}".strip(), fontsize=style.small)
        style.tidy(curve_ax).axhline(0, color=style.muted, linewidth=0.1 * style.font)
        # Blue and orange of the matrix are spoken for: here the marks tell the curves apart, not the branches' colours.
        shades = [style.ink] * len(curves)
        dots = []
        for curve, row, shade in zip(curves, rows, shades, strict=True):
            curve_ax.plot(t, row, color=shade, label=curve.name, **sparse_marks(curves, curve, style))
            dots += curve_ax.plot(
                t[:1], row[:1], marker=curve.marker, color=shade, markersize=0.7 * style.font, clip_on=False
            )
        clock = curve_ax.axvline(t[0], color=style.ink, linewidth=0.1 * style.font)
        stage_marks(curve_ax, stages(ds), style, labels=False)
        curve_ax.set(xlabel="flow time $t$", ylabel=HELPS_HARMS, xlim=span(time))
        curve_ax.set_title(f"from {text(subject.items[i], 18, subject.items)} to")
        handles = [*curve_ax.get_legend_handles_labels()[0], *stage_key(ds, style)]
        labels = [str(handle.get_label()) for handle in handles]
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, style.legend_columns(labels)))
        now = _clock(figure, style)

    def show(k: int) -> None:
        draw(k)
        clock.set_xdata([t[k]] * 2)
        for dot, row in zip(dots, rows, strict=True):
            dot.set_data([t[k]], [row[k]])
        now.set_text(f"$t$ = {t[k]:.1f}")

    return Film(figure, t, show)


def _resampled(time: Array, values: Array, t: Array) -> Array:
    """``(F, P, P)`` influence at the times of the frames, between checkpoints along straight lines."""
    right = np.clip(np.searchsorted(time, t), 1, len(time) - 1)
    part = ((t - time[right - 1]) / (time[right] - time[right - 1]))[:, None, None]
    return np.asarray((1 - part) * values[right - 1] + part * values[right])


def _loss_clock(ax: Axes, ds: xr.Dataset, t: Array, loss: Array, style: Style) -> Callable[[int], None]:
    """The curve of the loss with a dot and a vertical line; returns what moves them to frame k."""
    style.tidy(ax).plot(t, loss, color=style.muted)
    ax.set(xlabel="flow time $t$", ylabel="mean loss $L(t)$", xlim=span(t))
    ax.set_ylim(bottom=0)
    stage_marks(ax, stages(ds), style, labels=True)
    (dot,) = ax.plot([t[0]], [loss[0]], marker="o", color=style.ink, markersize=0.6 * style.font, clip_on=False)
    line = ax.axvline(t[0], color=style.ink, linewidth=0.1 * style.font)

    def move(k: int) -> None:
        dot.set_data([t[k]], [loss[k]])
        line.set_xdata([t[k], t[k]])

    return move


def _item_names(ax: Axes, ds: xr.Dataset, style: Style, *, coloured: bool) -> None:
    order = arrange(ds)
    if len(order.order) > MAX_NAMES:
        ax.set_ylabel(f"{len(order.order)} items", labelpad=1.6 * style.font)
        return
    # A row of the picture is as tall as this, in points.
    row = 72 * 0.5 * ax.figure.get_figheight() / len(order.order)  # type: ignore[union-attr]
    ax.set_yticks(range(len(order.order)), texts(ds["item"].values[order.order], 12))
    ax.tick_params(axis="y", labelsize=min(style.small, row / 1.1))
    if coloured:
        colours = style.item_colours(order.branch, order.place)
        for label, item in zip(ax.get_yticklabels(), order.order, strict=True):
            label.set_color(colours[item])


def _height(style: Style) -> float:
    """Of a film: 16 : 9, as screens are."""
    return style.width * 9 / 16 * 8.0 / style.font


def _clock(figure: Figure, style: Style) -> Text:
    """The time, at the upper right, to be read from the last row."""
    return figure.suptitle("$t$ = 0.0", x=0.99, ha="right", fontsize=1.5 * style.font)


def _at_page_width(style: Style) -> Style:
    return style if style.wide else replace(style, width=PAGE.width, font=PAGE.font)


FIGURES = (
    Illustration(
        name="learning_the_hierarchy",
        purpose="animation: representations part, answers differentiate, the loss falls in steps",
        title="Learning the hierarchy",
        caption="The network learns the hierarchy: its representations of the items part branch by branch, its answers "
        "go from what all items share to what tells them apart, and the loss falls in steps.",
        alt="Animation: dots part along the paths of the items, a matrix of answers fills in, a mark runs down "
        "the loss.",
        draw=lambda s: learning_the_hierarchy(s.ds, s.style).still(),
        table=lambda s: hidden_trajectories_data(s.ds, s.i),
        film=lambda s, frames: learning_the_hierarchy(s.ds, s.style, frames),
    ),
    Illustration(
        name="influence_over_time",
        purpose="animation: help spreads over ever smaller branches, and turns into harm behind it",
        title="Influence over time",
        caption="Influence of every item on every other ({first}) while the network learns: help spreads over ever "
        "smaller branches, and turns into harm behind it. Right: the row of {source}.",
        alt="Animation: a matrix of influence changes, and marks run along the curves of {source}.",
        draw=lambda s: influence_over_time(s).still(FRAMES // 3),
        table=lambda s: influence_table(s.ds, s.i, s.measures[:1]),
        film=influence_over_time,
        facts={"first": lambda s: s.measures[0].title},
    ),
)
