"""Influence of every item on every other, at the stages of learning."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray

from workbench.figures.arrangement import Arrangement, arrange
from workbench.figures.reading import Measure, measures, stage_columns, text, unit
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]

#: Stages shown side by side.
MAX_STAGES = 5


def influence_matrices(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Matrices (row: source, column: target) at up to five stages, theory above simulation.

    One colour scale a measure, centred at 0 and set by the entries off the diagonal; the diagonal (influence
    of an item on itself, far larger) is left grey. Items stand in the order of the tree, their colours at the
    left edge.
    """
    found = measures(ds)
    stages = stage_columns(ds, MAX_STAGES if style.wide else 3)
    rows = [(measure, label, values) for measure in found for label, values in measure.sides]
    order = arrange(ds)
    cell = style.width / (len(stages) + 1.2)
    with style.context():
        figure = style.figure((cell * len(rows) + 0.75) * 8.0 / style.font)
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
            )
            fits = 0.55 * style.small * len(measure.title) < 0.85 * 72 * cell
            title = measure.title if fits else measure.title.replace(" ", "\n")
            row[0].set_ylabel(f"{title}\n{label}", labelpad=0.8 * style.font, fontsize=style.small)
        for ax, (k, name) in zip(axes[0], stages, strict=True):
            fits = 0.6 * style.small * len(name) < 0.95 * 72 * cell
            stage = name if fits else name.removesuffix(" half learned")
            ax.set_title(f"$t$ = {ds['time'].values[k]:.4g}\n{stage}", fontsize=style.small)
        _colourbars(figure, grid, axes, rows, style)
        named = len(order.order) <= 12
        if named:
            names = [text(ds["target"].values[i], 10) for i in order.order]
            for ax in axes[-1]:
                ax.set_xticks(range(len(names)), names, rotation=90)
        note = (
            "rows: source, columns: target, in the same order;",
            "diagonal left grey, colours scaled to the rest",
            *(() if len(rows) > len(found) else ("(blue helps, orange harms)",)),
        )
        figure.supxlabel((" " if style.wide else "\n").join(note), fontsize=style.small, color=style.muted)
    return figure


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
) -> None:
    arranged = without_diagonal(values)[:, order.order][:, :, order.order]
    for ax, matrix in zip(row, arranged, strict=True):
        style.bare(ax).imshow(matrix, cmap=style.diverging(), vmin=-largest, vmax=largest, interpolation="nearest")
    colour_strip(row[0], order, style)


def colour_strip(ax: Axes, order: Arrangement, style: Style) -> None:
    colours = np.array([to_rgb(colour) for colour in style.item_colours(order.branch, order.place)])[order.order]
    P = len(colours)
    width = 0.045 * P
    strip = (-0.5 - 1.5 * width, -0.5 - 0.5 * width, P - 0.5, -0.5)
    ax.imshow(colours[:, None], extent=strip, aspect="equal", interpolation="nearest", clip_on=False)
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
        bar.outline.set_visible(False)
        # A bar of one row has no room for words; its colours are then named once, below.
        words = "← helps      harms →\n" if len(members) > 1 else ""
        bar.set_label(words + unit(rows[members[0]][0]).strip(), fontsize=style.small)
