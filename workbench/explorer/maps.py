"""The two panels in which an item is a place: the tree, and the influence matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from workbench.explorer.model import Curves
from workbench.explorer.scales import rounded_up
from workbench.explorer.scene import Scene
from workbench.figures.reading import text
from workbench.figures.style import Style

Array = NDArray[np.float64]

#: Items picked out at most.
MAX_TARGETS = 6
#: Up to so many items are named at the matrix.
_NAMED = 16


class TreeMap:
    """The tree of the items (or their clustering); source and targets are marked at its leaves."""

    def __init__(self, ax: Any, scene: Scene, colours: list[str], style: Style) -> None:
        self.ax, order, P = ax, scene.order, scene.task.n_items
        self.row = np.empty(P, dtype=int)
        self.row[order.order] = np.arange(P)
        self.item_at = order.order
        style.bare(ax)
        ax.add_collection(LineCollection(order.edges, colors=style.muted, linewidths=1.2, capstyle="round"))
        ax.set(xlim=(1.04, -0.75), ylim=(P - 0.4, -0.6))
        font = min(style.font, 0.8 * 72 * ax.get_position().height * ax.figure.get_figheight() / P)
        for i, name in enumerate(scene.task.items):
            ax.text(-0.12, self.row[i], text(name, 16), color=colours[i], va="center", fontsize=font)
        kind = "tree of the items" if order.kind == "tree" else "clustering of the items"
        ax.set_title(f"{kind}:  ● source   ○ target", loc="left", y=1.0, pad=1.35 * style.font)
        size = min(8.0, 1.1 * font)  # not larger than a row
        self.source = ax.plot([], [], "o", color=style.ink, ms=size)[0]
        self.targets = ax.plot([], [], "o", color=style.ink, ms=size, mfc=style.background, mew=1.6)[0]

    @property
    def moving(self) -> list[Artist]:
        """The marks."""
        return [self.targets, self.source]

    def show(self, source: int, targets: tuple[int, ...]) -> None:
        """Mark the chosen items."""
        self.source.set_data([-0.03], [self.row[source]])
        others = [j for j in targets if j != source]
        self.targets.set_data([-0.03] * len(others), self.row[others])


class MatrixMap:
    """Influence of every item on every other at the chosen time."""

    def __init__(self, ax: Any, bar: Any, scene: Scene, colours: list[str], style: Style) -> None:
        self.ax, self.scene, order = ax, scene, scene.order.order
        self.order, P = order, scene.task.n_items
        self.largest = 0.0
        style.bare(ax)
        self.image = ax.imshow(np.zeros((P, P)), cmap=style.diverging(), vmin=-1, vmax=1, interpolation="nearest")
        ax.set_aspect("equal", anchor="W")
        self.cells = [
            Rectangle((0, 0), 1, 1, fill=False, ec=style.ink, lw=1.6, visible=False) for _ in range(MAX_TARGETS)
        ]
        for cell in self.cells:
            ax.add_patch(cell)
        if P <= _NAMED:
            names = [text(scene.task.items[i], 9) for i in order]
            font = min(style.small, 150 / P)
            ax.set_xticks(range(P), names, rotation=90, fontsize=font)
            ax.set_yticks(range(P), names, fontsize=font)
            for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
                for label, i in zip(labels, order, strict=True):
                    label.set_color(colours[i])
        self.bar = ax.figure.colorbar(self.image, cax=bar)
        self.bar.outline.set_visible(False)
        self.bar.ax.tick_params(labelsize=style.small)
        self.row = np.empty(P, dtype=int)
        self.row[order] = np.arange(P)

    @property
    def moving(self) -> list[Artist]:
        """Image and frames."""
        return [self.image, *self.cells]

    def show(self, curves: Curves, time: float, source: int, targets: tuple[int, ...]) -> None:
        """The matrix at a time; colours are those of the whole of training, so that times can be compared."""
        P = self.scene.task.n_items
        off = ~np.eye(P, dtype=bool)
        size = float(np.abs(curves.influence[:, off]).max()) or 1.0
        if rounded_up(size) != self.largest:
            self.largest = rounded_up(size)
            self.image.set_clim(-self.largest, self.largest)
        values = np.where(off, curves.matrix(min(time, curves.end)), np.nan)[np.ix_(self.order, self.order)]
        self.image.set_data(np.ma.masked_invalid(values))
        for k, cell in enumerate(self.cells):
            cell.set_visible(k < len(targets))
            if k < len(targets):
                cell.set_xy((self.row[targets[k]] - 0.5, self.row[source] - 0.5))

    def pair_at(self, column: float, row: float) -> tuple[int, int]:
        """Source and target of the cell at a place."""
        P = len(self.order)
        i, j = (int(np.clip(round(x), 0, P - 1)) for x in (row, column))
        return int(self.order[i]), int(self.order[j])
