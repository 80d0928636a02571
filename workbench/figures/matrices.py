"""Influence of every item on every other, at the stages of learning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from workbench.figures.arrangement import Arrangement, arrange
from workbench.figures.figure import Illustration
from workbench.figures.reading import HELPS_HARMS, Measure, measures, powers, stage_columns, texts, unit
from workbench.figures.style import PAGE, Style
from workbench.figures.tables import matrix_table

Array = NDArray[np.float64]

#: Part of the colour scale, from 0, on which colours are in proportion to influence.
LINEAR = 0.05
#: Points of a cell's width from which a sign in it can be read.
SIGNED_CELL = 5.0
#: Stages shown side by side.
MAX_STAGES = 5


def influence_matrices(ds: xr.Dataset, style: Style = PAGE, shown: tuple[Measure, ...] | None = None) -> Figure:
    """Matrices (row: source, column: target) at up to five stages, theory above simulation.

    One colour scale a measure, centred at 0 and set by the entries off the diagonal; the diagonal (influence
    of an item on itself, far larger) is left grey. The scale is compressed beyond `LINEAR` of its end, so that stages
    of weak influence are not blank. Items stand in the order of the tree, drawn at the left edge.
    """
    chosen = measures(ds) if shown is None else shown
    stages = stage_columns(ds, MAX_STAGES if style.wide else 3)
    rows = [(measure, label, values) for measure in chosen for label, values in measure.sides]
    order = arrange(ds)
    cell = min(style.width / (len(stages) + 1.2), (style.tallest - style.tall(0.9)) / len(rows))
    with style.context():
        figure = style.figure(cell * len(rows) * 8.0 / style.font + 1.1)
        figure.set_layout_engine("compressed")
        bar = 0.07
        grid = figure.add_gridspec(len(rows), len(stages) + 1, width_ratios=[1.0] * len(stages) + [bar])
        axes = np.array([[figure.add_subplot(grid[r, k]) for k in range(len(stages))] for r in range(len(rows))])
        for row, (measure, label, values) in zip(axes, rows, strict=True):
            _row(
                row,
                measure,
                values[[k for k, _ in stages]],
                _largest(measure, [k for k, _ in stages]),
                order,
                style,
                72 * cell / len(order.order),
            )
            fits = 0.55 * style.small * len(measure.title) < 0.85 * 72 * cell
            title = measure.title if fits else measure.title.replace(" ", "\n")
            longest = max(map(len, [*title.split("\n"), label]))
            size = min(style.small, max(style.least, 0.85 * 72 * cell / (0.58 * longest)))
            row[0].set_ylabel(f"{title}\n{label}", labelpad=2.2 * style.font, fontsize=size)
        heads = [(f"$t$ = {ds['time'].values[k]:.3g}", name) for k, name in stages]
        for ax, head in zip(axes[0], heads, strict=True):
            ax.set_title("\n".join(head), fontsize=style.small)
        _colourbars(figure, grid, axes, rows, style)
        size = min(style.small, 72 * (0.8 if style.wide else 0.6) * cell / len(order.order) / 1.1)
        if size >= style.least:
            names = texts(ds["target"].values[order.order], 10)
            for ax in axes[-1]:
                ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
        note = "rows: source, columns: target, in the same order;"
        note += (" " if style.wide else "\n") + "diagonal left grey, colours scaled to the rest (compressed)"
        note += "" if len(rows) > len(chosen) else "\n(blue and − help, orange harms)"
        figure.supxlabel(note, fontsize=style.small, color=style.muted)
        _fit_headings(figure, axes[0], style)
    return figure


def _fit_headings(figure: Figure, axes: NDArray[np.object_], style: Style) -> None:
    """Break headings that would touch in the finished layout; what is still too wide is set smaller."""
    engine = figure.get_layout_engine()
    assert engine is not None
    for broken in (False, True):
        engine.execute(figure)
        room = 0.96 * min(ax.get_window_extent().width for ax in axes)
        widest = max(ax._left_title.get_window_extent().width for ax in axes)
        if widest <= room:
            return
        for ax in axes:
            title = ax.get_title(loc="left")
            if broken:
                ax._left_title.set_fontsize(max(style.least, style.small * room / widest))
            else:
                ax.set_title(title.replace(" half", "\nhalf"), fontsize=style.small)


def _largest(measure: Measure, columns: list[int]) -> float:
    """Largest magnitude off the diagonal, over the stages shown and both sides."""
    size = max(float(np.nanmax(np.abs(without_diagonal(values[columns])), initial=0.0)) for _, values in measure.sides)
    return size or 1.0


def without_diagonal(values: Array) -> Array:
    off = values.copy()
    diagonal = np.arange(values.shape[-1])
    off[..., diagonal, diagonal] = np.nan
    return off


def _row(
    row: NDArray[np.object_],
    measure: Measure,
    values: Array,
    largest: float,
    order: Arrangement,
    style: Style,
    points: float,
) -> None:
    arranged = without_diagonal(values)[:, order.order][:, :, order.order]
    for ax, matrix in zip(row, arranged, strict=True):
        style.bare(ax).imshow(matrix, cmap=style.diverging(), norm=_scale(largest), interpolation="nearest")
        mark_help(ax, matrix / largest, style, points)
    tree_at_the_edge(row[0], order, style)


def mark_help(ax: Axes, shares: Array, style: Style, points: float) -> None:
    """A minus sign in the cells that help, so that a print in grey keeps the sign; none in cells too small for one.

    ``shares`` of the largest influence, ``(P, P)``; ``points``: width of a cell. Pale cells get none.
    """
    if points < SIGNED_CELL:
        return
    rows, columns = np.nonzero(np.nan_to_num(shares) <= -LINEAR / 2)
    strong = shares[rows, columns] < -4 * LINEAR
    colours = np.where(strong, style.background, style.ink)
    ax.scatter(columns, rows, s=(0.45 * points) ** 2, c=list(colours), marker="_", linewidths=0.09 * points)


def _scale(largest: float) -> Normalize:
    return AsinhNorm(linear_width=LINEAR * largest, vmin=-largest, vmax=largest)


def draw_matrix(ax: Axes, values: Array, order: Arrangement, style: Style) -> tuple[AxesImage, Callable[[int], None]]:
    """The first of ``(F, P, P)`` matrices; returns the image, and what puts the k-th in its place."""
    off = without_diagonal(values)[:, order.order][:, :, order.order]
    scale = _scale(float(np.nanmax(np.abs(off), initial=0.0)) or 1.0)
    image = style.bare(ax).imshow(off[0], cmap=style.diverging(), norm=scale, interpolation="nearest")
    return image, lambda k: image.set_data(off[k])


def tidy_bar(bar: Colorbar, style: Style) -> str:
    """Ticks at the ends, a tenth of them, and 0, far enough apart on the compressed scale; returns their common power.

    The power, such as ×10⁻⁴, is to be written beside the unit; empty for numbers that need none.
    """
    largest = float(bar.norm.vmax or 1.0)
    ticks = [-largest, -largest / 10, 0.0, largest / 10, largest]
    # Two digits of a thousandth of the end take too much room in full.
    power = 0 if 1e-2 <= largest < 1e4 else int(np.floor(np.log10(largest)))
    bar.set_ticks(ticks, labels=[f"{tick / 10.0**power:.2g}".replace("-", "−") for tick in ticks])
    bar.minorticks_off()
    bar.outline.set_visible(False)
    style.tidy(bar.ax)
    return f"×{powers(f'10^{power}')}" if power else ""


def tree_at_the_edge(ax: Axes, order: Arrangement, style: Style) -> None:
    """The tree of the items, left of the rows, in grey: colours of branches would be taken for help and harm."""
    P = len(order.order)
    width = 0.16 * P
    lines = [np.column_stack([-0.5 - 0.025 * P - width * edge[:, 0], edge[:, 1]]) for edge in order.edges]
    ax.add_collection(
        LineCollection(lines, colors=style.muted, linewidths=0.06 * style.font, clip_on=False), autolim=False
    )
    ax.set(xlim=(-0.5, P - 0.5), ylim=(P - 0.5, -0.5))


def _colourbars(
    figure: Figure,
    grid: GridSpec,
    axes: NDArray[np.object_],
    rows: list[tuple[Measure, str, Array]],
    style: Style,
) -> None:
    names = [measure.name for measure, _, _ in rows]
    for name in dict.fromkeys(names):
        members = [k for k, other in enumerate(names) if other == name]
        place = style.tidy(figure.add_subplot(grid[members[0] : members[-1] + 1, -1]))
        bar = figure.colorbar(axes[members[0], -1].images[0], cax=place)
        power = tidy_bar(bar, style)
        # A bar of one row has no room for words; its colours are then named once, below.
        words = HELPS_HARMS + "\n" if len(members) > 1 else ""
        bar.set_label(f"{words}{power}{unit(rows[members[0]][0])}".strip(), fontsize=style.small)


FIGURES = (
    Illustration(
        name="influence_matrices",
        purpose="who helps and harms whom, at each stage",
        title="Influence at each stage",
        caption="Influence of every item (row) on every other (column) when each stage is half learned, "
        "prediction above simulation where there are both. Blue (with a minus sign, where there is room) helps, "
        "orange harms. One colour scale a measure, "
        "set by the entries off the diagonal and compressed, so that weak stages show; the diagonal, an item's "
        "far larger influence on itself, is left grey. The tree of the items stands at the left.",
        alt="Matrices of influence between the items of {task} at the stages of learning; measures: {measures}.",
        draw=lambda s: influence_matrices(s.ds, s.style, s.measures),
        table=lambda s: matrix_table(s.ds, MAX_STAGES, s.measures),
        sets=("report", "lecture"),
    ),
)
