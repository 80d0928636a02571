"""The linked panels: tree, mode strengths, loss, influence over time, influence matrix; and the equation in force.

All artists are made once for a task. `Panels.show` only gives them new numbers, and says whether anything changed
that belongs to the background (limits, titles, names).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import influence
from workbench.explorer.equations import formula, numbers
from workbench.explorer.maps import MAX_TARGETS, MatrixMap, TreeMap
from workbench.explorer.model import Curves, width
from workbench.explorer.modes import ModePanels, points
from workbench.explorer.scales import limits
from workbench.explorer.scene import Scene
from workbench.explorer.simulate import Simulated
from workbench.explorer.state import MEASURES, ExplorerState
from workbench.figures.reading import powers, text
from workbench.figures.style import Style
from workbench.theory.modes.groups import ModeGroups

Array = NDArray[np.float64]

LOOK = Style(width=10.6, font=9.6)
#: Of the whole figure, in inches.
HEIGHT = 6.55
#: How strongly simulated points are drawn: of the picture's own state, and of an earlier one.
FRESH, STALE = 1.0, 0.22
#: Height of the formula on the screen, and above the line of numbers in saved pictures.
_FORMULA = (0.035, 0.066)


class Panels:
    """The artists of one task on one figure."""

    def __init__(self, figure: Figure, scene: Scene) -> None:
        figure.clear()
        self.figure, self.scene = figure, scene
        self.colours = LOOK.item_colours(scene.order.branch, scene.order.place)
        self._background: Any = None
        with LOOK.context():
            self._make()

    def _make(self) -> None:
        figure, scene, P = self.figure, self.scene, self.scene.task.n_items
        figure.set_facecolor(LOOK.background)

        def axes(left: float, bottom: float, wide: float, high: float) -> Any:
            return LOOK.tidy(figure.add_axes((left, bottom, wide, high)))

        self.tree = TreeMap(axes(0.012, 0.575, 0.235, 0.365), scene, self.colours, LOOK)
        bar = axes(0.915, 0.165, 0.012, 0.3)
        self.matrix = MatrixMap(axes(0.715, 0.165, 0.186, 0.3), bar, scene, self.colours, LOOK)
        strengths, loss = axes(0.325, 0.575, 0.27, 0.365), axes(0.715, 0.575, 0.27, 0.365)
        self.influence = axes(0.065, 0.165, 0.53, 0.3)
        self.time_axes = (strengths, loss, self.influence)
        self.now = [ax.axvline(0, color=LOOK.muted, lw=1.2, alpha=0.8) for ax in self.time_axes]
        self.modes = ModePanels(strengths, loss, self.time_axes, scene, LOOK)
        self.influence.axhline(0, color=LOOK.muted, lw=0.8)
        self.item_lines = [self.influence.plot([], [], lw=1.1, alpha=0.55, color=self.colours[j])[0] for j in range(P)]
        self.target_lines = [self.influence.plot([], [], lw=2.6)[0] for _ in range(MAX_TARGETS)]
        self.target_points = [points(self.influence, LOOK) for _ in range(MAX_TARGETS)]
        self.bars = LineCollection([], linewidths=1.0)
        self.influence.add_collection(self.bars, autolim=False)
        self.here = self.influence.plot([], [], "o", color=LOOK.ink, ms=5, mfc=LOOK.background, mew=1.6)[0]
        self.influence.set_ylabel("← helps      harms →")
        for ax in self.time_axes:
            ax.set_xlabel("flow time $t$ = step size × step", labelpad=1)
        self._title(strengths, "progressive learning of the modes")
        self._title(loss, "stages: each dash is a mode half learned")
        self.formula = figure.text(0.02, _FORMULA[0], "", fontsize=1.1 * LOOK.font, va="center")
        # Text is slow to draw: on the screen a line below the picture shows the numbers, in saved pictures this does.
        self.numbers = figure.text(0.02, 0.016, "", fontsize=LOOK.font, va="center", color=LOOK.ink, visible=False)

    @staticmethod
    def _title(ax: Any, line: str) -> None:
        # A fixed place, above the axis's power of ten.
        ax.set_title(line, loc="left", fontsize=LOOK.font, y=1.0, pad=1.35 * LOOK.font)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""
        return [
            *self.now,
            *self.modes.moving,
            *self.item_lines,
            *self.target_lines,
            self.bars,
            *self.target_points,
            self.here,
            *self.tree.moving,
            *self.matrix.moving,
        ]

    def show(self, state: ExplorerState, curves: Curves, simulated: Simulated | None, fresh: bool) -> bool:
        """Give the artists the numbers of a state; returns whether the background changed too."""
        scene = self.scene
        source, targets = scene.source_index(state), scene.target_indices(state)[:MAX_TARGETS]
        groups, alpha = scene.groups(width(state, scene)), FRESH if fresh else STALE
        self.modes.show(groups, curves)
        self.modes.show_simulated(groups, simulated, alpha)
        self._show_influence(source, targets, curves, state.time)
        self._show_simulated(source, targets, simulated, alpha)
        self.tree.show(source, targets)
        self.matrix.show(curves, state.time, source, targets)
        self.numbers.set_text(numbers(state, scene, curves, source, targets[0]))
        for line in self.now:
            line.set_xdata([min(state.time, curves.end)] * 2)
        return self._show_background(state, groups, curves, source, targets)

    def _show_influence(self, source: int, targets: tuple[int, ...], curves: Curves, time: float) -> None:
        t, values = curves.influence_times, curves.influence[:, source]
        for j, line in enumerate(self.item_lines):
            line.set_data(t, values[:, j])
            line.set_visible(j != source and j not in targets)
        for k, line in enumerate(self.target_lines):
            line.set_visible(k < len(targets))
            if k < len(targets):
                line.set_data(t, values[:, targets[k]])
                line.set_color(self.colours[targets[k]])
        now = min(time, curves.end)
        self.here.set_data([now] * len(targets), [np.interp(now, t, values[:, j]) for j in targets])

    def _show_simulated(self, source: int, targets: tuple[int, ...], found: Simulated | None, alpha: float) -> None:
        segments: list[Array] = []
        colours: list[str] = []
        for k, line in enumerate(self.target_points):
            line.set_visible(found is not None and k < len(targets))
            if found is None or k >= len(targets):
                continue
            t, y = found.influence_times, found.influence[:, source, targets[k]]
            line.set_data(t, y)
            line.set_color(self.colours[targets[k]])
            line.set_alpha(alpha)
            if found.stderr is not None:
                reach = 2 * found.stderr[:, source, targets[k]]
                segments += list(np.stack([np.column_stack([t, y - reach]), np.column_stack([t, y + reach])], axis=1))
                colours += [self.colours[targets[k]]] * len(y)
        self.bars.set_segments(segments)
        self.bars.set_color(colours)
        self.bars.set_alpha(alpha)

    @contextmanager
    def captioned(self) -> Iterator[None]:
        """The picture with the numbers of the equation in it, as it is saved."""
        self.numbers.set_visible(True)
        self.formula.set_y(_FORMULA[1])
        try:
            yield
        finally:
            self.numbers.set_visible(False)
            self.formula.set_y(_FORMULA[0])

    def nearest_curve(self, curves: Curves, source: int, time: float, value: float) -> int:
        """The item other than the source whose curve passes nearest to a place."""
        at = curves.matrix(time)[source].copy()
        at[source] = np.inf
        return int(np.argmin(np.abs(at - value)))

    def _show_background(
        self, state: ExplorerState, groups: ModeGroups, curves: Curves, source: int, targets: tuple[int, ...]
    ) -> bool:
        # An item's influence on itself is far larger: it sets the scale only where it is asked for.
        others = [j for j in range(self.scene.task.n_items) if j != source or j in targets]
        shown = curves.influence[:, source][:, others]
        ends = (
            (0.0, self.modes.strength_end),
            (0.0, self.modes.loss_end),
            limits(float(shown.min()), float(shown.max())),
        )
        what = (state.measure, state.depth, state.lam != 0)
        picture = (curves.end, ends, source, what, groups.names, self.matrix.largest)
        if picture == self._background:
            return False
        for ax, (low, high) in zip(self.time_axes, ends, strict=True):
            ax.set(xlim=(-0.008 * curves.end, 1.008 * curves.end), ylim=(low, high))
        unit = powers(influence.MEASURES[state.measure].units)
        bars = ", bars ±2 standard errors" if state.measure == "local_bif" else ""
        name = text(self.scene.task.items[source])
        self._title(self.influence, f"influence of {name} on every item: {MEASURES[state.measure]} [{unit}]{bars}")
        self._title(self.matrix.ax, "influence of row on column")
        self.formula.set_text(formula(state))
        self.modes.label(groups)
        self._background = picture
        return True
