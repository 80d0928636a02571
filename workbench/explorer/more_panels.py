"""Panels one can switch to: the hidden representation over time, the two factors of the kernel, all measures."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from numpy.typing import NDArray

from workbench.explorer.frame import Frame
from workbench.explorer.labels import CurveLabels, together
from workbench.explorer.scales import rounded_up
from workbench.explorer.scene import Scene
from workbench.explorer.state import MEASURES
from workbench.explorer.time_axes import Curves, TimeAxes, title
from workbench.figures.reading import text
from workbench.figures.style import Style

Array = NDArray[np.float64]


def representation(frame: Frame) -> Array:
    """``(T, P)``: the hidden activity of every item along one direction of the hidden layer.

    Item i has activity ``sum_k w_k(t) v_ki`` along the hidden direction of mode k, w_k the mode's weight in the first
    layer. The one direction is a sum of these, chosen so that at the end the items stand in the order of the tree: it
    is linear in the hidden activity at every time, and shows when each branch parts.
    """
    row = np.empty(frame.scene.task.n_items)
    row[frame.scene.order.order] = np.arange(len(row))
    wanted = row.mean() - row  # the first row stands on top
    groups = frame.groups
    w = np.sqrt(frame.curves.first)
    grown = w / np.where(w[-1] > 0, w[-1], 1.0)
    return np.asarray(grown @ (groups.projectors @ wanted))


class RepresentationPanel:
    """Progressive differentiation: the items part in the hidden layer, branch by branch."""

    def __init__(self, ax: Any, scene: Scene, style: Style, colours: list[str]) -> None:
        self.ax, self.scene, self.style, self.colours = ax, scene, style, colours
        self.axis = TimeAxes(ax, style, scene.modes.rank, valued=False)
        self.lines = Curves(ax, colors=colours)
        self.labels = CurveLabels(ax, 12, style.small, style.background)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders."""
        return [*self.axis.moving, self.lines, *self.labels.texts]

    def show(self, frame: Frame) -> None:
        """The paths, and names at their ends."""
        values = representation(frame)
        size = 1.15 * rounded_up(float(np.abs(values).max()))
        self.axis.show(frame, -size, size)
        self.lines.show(frame.curves.times, values)
        chosen = {frame.source, *frame.targets}
        self.lines.set_linewidth([3.0 if j in chosen else 1.6 for j in range(values.shape[1])])
        groups = together(values, range(values.shape[1]))
        names = [text(self.scene.task.items[g[0]], 18) + (f" + {len(g) - 1}" if len(g) > 1 else "") for g in groups]
        self.labels.show(names, frame.curves.times, [values[:, g[0]] for g in groups],
                         [self.colours[g[0]] for g in groups])  # fmt: skip

    def background(self, frame: Frame) -> Hashable:
        """Nothing."""
        return ()

    def draw_background(self, frame: Frame) -> None:
        """The title."""
        title(self.ax, self.style, "hidden layer, one direction")


class FactorsPanel:
    """The two factors of the kernel of the first pair, each over its own largest size; their signs make influence's."""

    def __init__(self, ax: Any, scene: Scene, style: Style) -> None:
        self.ax, self.scene, self.style = ax, scene, style
        self.axis = TimeAxes(ax, style, scene.modes.rank, zero=True)
        first, last = style.sequence(4)[0], style.sequence(4)[2]
        self.inside = ax.plot([], [], lw=2.2, color=first)[0]
        self.wrong = ax.plot([], [], lw=2.2, ls="--", color=last)[0]
        self.influence = ax.plot([], [], lw=1.4, color=style.ink)[0]
        self.labels = CurveLabels(ax, 3, style.small, style.background)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders."""
        return [*self.axis.moving, self.influence, self.inside, self.wrong, *self.labels.texts]

    def show(self, frame: Frame) -> None:
        """A, E and their product, of depth 2."""
        self.axis.show(frame, -1.3, 1.3)
        there = frame.state.depth == 2 and frame.targets[0] != frame.source
        lines = (self.inside, self.wrong, self.influence)
        for line in lines:
            line.set_visible(there)
        if not there:
            self.labels.show([], frame.curves.times, [], [])
            return
        shared = frame.groups.projectors[:, frame.source, frame.targets[0]]
        A, E = frame.curves.first @ shared, frame.curves.residuals**2 @ shared
        parts = [x / (np.abs(x).max() or 1.0) for x in (A, E, -A * E)]
        for line, values in zip(lines, parts, strict=True):
            line.set_data(frame.curves.times, values)
        names = ["A: alike inside", "E: wrong alike", "influence −A·E"]
        self.labels.show(names, frame.curves.times, parts, [line.get_color() for line in lines])

    def background(self, frame: Frame) -> Hashable:
        """What the title depends on."""
        return frame.source, frame.targets[0], frame.state.depth

    def draw_background(self, frame: Frame) -> None:
        """The title."""
        one, other = (text(self.scene.task.items[k], 14) for k in (frame.source, frame.targets[0]))
        what = "two factors" if frame.state.depth == 2 else "two factors only at depth 2"
        title(self.ax, self.style, f"{one}, {other}: {what}")


class MeasuresPanel:
    """All measures of the first pair, each over its own largest size."""

    def __init__(self, ax: Any, scene: Scene, style: Style) -> None:
        self.ax, self.scene, self.style = ax, scene, style
        self.axis = TimeAxes(ax, style, scene.modes.rank, zero=True)
        colours = style.sequence(len(MEASURES))
        styles = ["-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 3))]
        self.lines = {
            name: ax.plot([], [], lw=2.0, color=colours[k], ls=styles[k % len(styles)])[0]
            for k, name in enumerate(MEASURES)
        }
        self.labels = CurveLabels(ax, len(MEASURES), style.small, style.background)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders."""
        return [*self.axis.moving, *self.lines.values(), *self.labels.texts]

    def show(self, frame: Frame) -> None:
        """Theory of each measure that has one here."""
        self.axis.show(frame, -1.3, 1.3)
        i, j = frame.source, frame.targets[0]
        names, curves, colours = [], [], []
        for name, line in self.lines.items():
            known = frame.measures.get(name)
            line.set_visible(known is not None)
            if known is None:
                continue
            values = known.influence[:, i, j]
            size = float(np.abs(values).max())
            scaled = np.interp(frame.curves.times, known.influence_times, values / (size or 1.0))
            line.set_data(frame.curves.times, scaled)
            names.append(f"{MEASURES[name]} (largest {size:.2g})")
            curves.append(scaled)
            colours.append(line.get_color())
        self.labels.show(names, frame.curves.times, curves, colours)

    def background(self, frame: Frame) -> Hashable:
        """What the title depends on."""
        return frame.source, frame.targets[0]

    def draw_background(self, frame: Frame) -> None:
        """The title."""
        one, other = (text(self.scene.task.items[k], 14) for k in (frame.source, frame.targets[0]))
        title(self.ax, self.style, f"{one} on {other}: all measures")
