"""The two panels in which an item is a place: the tree, and the influence matrix."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from workbench.explorer.frame import Frame
from workbench.explorer.scales import rounded_up
from workbench.explorer.scene import Scene
from workbench.explorer.ticks import Ticks
from workbench.explorer.time_axes import title
from workbench.figures.reading import text
from workbench.figures.style import Style

Array = NDArray[np.float64]

#: Smallest letters, in points, at which a name at the matrix can be read.
_LEGIBLE = 6.0
#: Cells paler than this part of the colours' end get no sign.
_PALE = 0.04


class TreeMap:
    """The tree of the items (or their clustering); source and targets are marked at its leaves."""

    def __init__(self, ax: Any, scene: Scene, colours: list[str], style: Style) -> None:
        self.ax, order, P = ax, scene.order, scene.task.n_items
        self.row = np.empty(P, dtype=int)
        self.row[order.order] = np.arange(P)
        self.item_at = order.order
        style.bare(ax)
        ax.add_collection(LineCollection(order.edges, colors=style.muted, linewidths=1.2, capstyle="round"))
        ax.set(xlim=(1.04, -0.86), ylim=(P - 0.4, -0.6))
        font = min(style.font, 0.86 * 72 * ax.get_position().height * ax.figure.get_figheight() / P)
        # Names take 45 % of the panel, which is 1.9 wide.
        letters = int(0.45 * 72 * ax.get_position().width * ax.figure.get_figwidth() / (0.52 * font))
        for i, name in enumerate(scene.task.items):
            ax.text(-0.1, self.row[i], text(name, max(letters, 6)), color=colours[i], va="center", fontsize=font)
        kind = "tree" if order.kind == "tree" else "clustering"
        title(ax, style, f"{kind}: ● source  ○ target")
        size = min(8.0, 0.8 * font)  # not larger than a row
        self.source = ax.plot([], [], "o", color=style.ink, ms=size)[0]
        self.targets = ax.plot([], [], "o", color=style.ink, ms=size, mfc=style.background, mew=1.6)[0]

    @property
    def moving(self) -> list[Artist]:
        """The marks."""
        return [self.targets, self.source]

    def show(self, frame: Frame) -> None:
        """Mark the chosen items."""
        self.mark(frame.source, frame.targets)

    def background(self, frame: Frame) -> Hashable:
        """The tree itself never changes."""
        return ()

    def draw_background(self, frame: Frame) -> None:
        """Drawn already."""

    def mark(self, source: int, targets: tuple[int, ...]) -> None:
        """Mark these items."""
        self.source.set_data([-0.03], [self.row[source]])
        others = [j for j in targets if j != source]
        self.targets.set_data([-0.03] * len(others), self.row[others])


class Cells(AxesImage):
    """An image of a few cells that fills its axes: enlarged by repeating them, a tenth of the time of resampling."""

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        """Colours of every pixel, and where they begin."""
        box, cells = self.axes.bbox, self.to_rgba(np.ma.asarray(self.get_array()), bytes=True)
        left, bottom = round(box.x0), round(box.y0)
        wide, high = (round(magnification * (round(b) - a)) for a, b in ((left, box.x1), (bottom, box.y1)))
        row, column = (
            ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip((high, wide), cells.shape, strict=False)
        )
        return np.ascontiguousarray(cells[row[::-1][:, None], column]), left, bottom, None


class MatrixMap:
    """Influence of every item on every other at the chosen time; an item's on itself is far larger and left out.

    Where there is no room for names under the ``columns``, those at the rows, in the same order, are for both.
    """

    def __init__(self, ax: Any, scene: Scene, colours: list[str], style: Style, columns: bool) -> None:
        self.ax, self.scene, self.style, order = ax, scene, style, scene.order.order
        self.order, P = order, scene.task.n_items
        self.largest = 0.0
        style.bare(ax)
        self.image = Cells(
            ax, cmap=style.diverging(), interpolation="nearest", origin="upper", extent=(-0.5, P - 0.5, P - 0.5, -0.5)
        )
        self.image.set_data(np.zeros((P, P)))
        self.image.set_clim(-1, 1)
        ax.add_image(self.image)
        ax.set(xlim=(-0.5, P - 0.5), ylim=(P - 0.5, -0.5))
        #: A minus sign in the cells that help, so that a print in grey keeps the sign.
        self.signs = LineCollection([], colors=style.ink, linewidths=1.0)
        ax.add_collection(self.signs)
        self.cells = [Rectangle((0, 0), 1, 1, fill=False, ec=style.ink, lw=1.8, visible=False) for _ in range(P)]
        for cell in self.cells:
            ax.add_patch(cell)
        place, figure = ax.get_position(), ax.figure
        high, wide = place.height * figure.get_figheight() * 72 / P, place.width * figure.get_figwidth() * 72 / P
        self.signed = min(high, wide) >= _LEGIBLE
        font = min(style.small, 1.05 * high, 1.05 * wide)
        if font >= _LEGIBLE:
            names = [text(scene.task.items[i], int(5.6 * style.font / (0.52 * font))) for i in order]
            ax.set_xticks(range(P), names, rotation=90, fontsize=font)
            ax.set_yticks(range(P), names, fontsize=font)
        else:  # every so many, so that those shown can be read
            step = int(np.ceil(_LEGIBLE / font))
            some = range(0, P, step)
            names = [text(scene.task.items[order[k]], int(5.6 * style.font / (0.52 * _LEGIBLE))) for k in some]
            ax.set_xticks(some, names, rotation=90, fontsize=_LEGIBLE)
            ax.set_yticks(some, names, fontsize=_LEGIBLE)
        if not columns:
            ax.set_xticks([])
        for axis in (ax.xaxis, ax.yaxis):
            for label, row in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True):
                label.set_color(colours[order[int(row)]])
        letter = style.font / 72 / figure.get_figwidth()
        self.bar = style.bare(figure.add_axes((place.x1 + 0.35 * letter, place.y0, 0.7 * letter, place.height)))
        shades = np.linspace(-1, 1, 255)[:, None]
        self.shades = self.bar.imshow(
            shades, cmap=self.image.get_cmap(), aspect="auto", origin="lower", extent=(0, 1, -1, 1)
        )
        self.ticks = Ticks(self.bar, "right", style)
        self.row = np.empty(P, dtype=int)
        self.row[order] = np.arange(P)

    @property
    def moving(self) -> list[Artist]:
        """Image and frames."""
        return [self.image, self.signs, *self.cells, self.ticks]

    def show(self, frame: Frame) -> None:
        """The matrix at a time."""
        P = self.scene.task.n_items
        size = self._size(frame)
        if size != self.largest:
            self.largest = size
            self.image.set_clim(-size, size)
            self.shades.set_extent((0, 1, -size, size))  # the same pixels: only the numbers change
            self.bar.set_ylim(-size, size)
        off = ~np.eye(P, dtype=bool)
        values = np.where(off, frame.curves.matrix(frame.time), np.nan)[np.ix_(self.order, self.order)]
        self.image.set_data(np.ma.masked_invalid(values))
        helps = np.argwhere(np.nan_to_num(values) < -_PALE * size) if self.signed else ()
        self.signs.set_segments([((column - 0.18, row), (column + 0.18, row)) for row, column in helps])
        for k, cell in enumerate(self.cells):
            cell.set_visible(k < len(frame.targets))
            if k < len(frame.targets):
                cell.set_xy((self.row[frame.targets[k]] - 0.5, self.row[frame.source] - 0.5))

    def _size(self, frame: Frame) -> float:
        """The end of the colours: of this time, in steps of about two so that it rarely moves, or of all times."""
        off = ~np.eye(self.scene.task.n_items, dtype=bool)
        ever = max(float(np.abs(curves.influence[:, off]).max()) for curves in frame.in_range)
        if frame.state.scale == "whole":
            return rounded_up(ever)
        now = max(float(np.abs(curves.matrix(frame.time)[off]).max()) for curves in frame.in_range)
        return _coarsely_up(max(now, 1e-6 * ever))

    def background(self, frame: Frame) -> Hashable:
        """What the title depends on."""
        return frame.state.scale

    def draw_background(self, frame: Frame) -> None:
        """The title."""
        when = "all times" if frame.state.scale == "whole" else "now"
        title(self.ax, self.style, f"influence of row on column, {when}", f"row on column, {when}", "row on column")

    def pair_at(self, column: float, row: float) -> tuple[int, int]:
        """Source and target of the cell at a place."""
        P = len(self.order)
        i, j = (int(np.clip(round(x), 0, P - 1)) for x in (row, column))
        return int(self.order[i]), int(self.order[j])


def _coarsely_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if not value > 0:
        return 1.0
    size = 10.0 ** np.floor(np.log10(value))
    return float(size * next(step for step in (1.0, 2.0, 5.0, 10.0) if value <= size * step * (1 + 1e-9)))
