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

from workbench.explorer.equations import formula, numbers
from workbench.explorer.maps import MatrixMap, TreeMap
from workbench.explorer.model import Curves, width
from workbench.explorer.scales import Scale
from workbench.explorer.scene import Groups, Scene
from workbench.explorer.simulate import Simulated
from workbench.explorer.state import MEASURES, ExplorerState
from workbench.figures.reading import powers, text
from workbench.figures.style import Style
from workbench.influence.result import ESTIMANDS

Array = NDArray[np.float64]

LOOK = Style(width=10.6, font=9.6)
#: Of the whole figure, in inches.
HEIGHT = 6.55
#: Items picked out at most.
MAX_TARGETS = 6
#: How strongly simulated points are drawn: of the picture's own state, and of an earlier one.
FRESH, STALE = 1.0, 0.22


class Panels:
    """The artists of one task on one figure."""

    def __init__(self, figure: Figure, scene: Scene) -> None:
        figure.clear()
        self.figure, self.scene = figure, scene
        self.colours = LOOK.item_colours(scene.order.branch, scene.order.place)
        self._background: Any = None
        self._groups: Groups | None = None
        with LOOK.context():
            self._make()

    def _make(self) -> None:
        figure, scene = self.figure, self.scene
        figure.set_facecolor(LOOK.background)

        def axes(*box: float) -> Any:
            return LOOK.tidy(figure.add_axes(box))

        self.tree = TreeMap(axes(0.012, 0.575, 0.235, 0.365), scene, self.colours, LOOK)
        self.strengths = axes(0.325, 0.575, 0.27, 0.365)
        self.loss = axes(0.715, 0.575, 0.27, 0.365)
        self.influence = axes(0.065, 0.165, 0.53, 0.3)
        self.matrix = MatrixMap(axes(0.715, 0.165, 0.186, 0.3), axes(0.915, 0.165, 0.012, 0.3), scene, self.colours, LOOK)
        K, P = scene.modes.rank, scene.task.n_items
        self.strength_lines = [self.strengths.plot([], [])[0] for _ in range(K)]
        self.strength_points = [self._points(self.strengths) for _ in range(K)]
        self.loss_line = self.loss.plot([], [], color=LOOK.ink)[0]
        self.loss_points = self._points(self.loss, LOOK.ink)
        self.stages = [[ax.plot([], [], ls=(0, (2, 2)), lw=1.1)[0] for _ in range(K)] for ax in self.time_axes]
        self.now = [ax.axvline(0, color=LOOK.muted, lw=1.2, alpha=0.8) for ax in self.time_axes]
        self.zero = self.influence.axhline(0, color=LOOK.muted, lw=0.8)
        self.item_lines = [self.influence.plot([], [], lw=1.1, alpha=0.55, color=self.colours[j])[0] for j in range(P)]
        self.target_lines = [self.influence.plot([], [], lw=2.6)[0] for _ in range(MAX_TARGETS)]
        self.target_points = [self._points(self.influence) for _ in range(MAX_TARGETS)]
        self.bars = LineCollection([], linewidths=1.0)
        self.influence.add_collection(self.bars, autolim=False)
        self.here = self.influence.plot([], [], "o", color=LOOK.ink, ms=5, mfc=LOOK.background, mew=1.6)[0]
        self.formula = figure.text(0.02, 0.058, "", fontsize=1.1 * LOOK.font, va="center")
        # Text is slow to draw: on the screen a line below the picture shows the numbers, in saved pictures this does.
        self.numbers = figure.text(0.02, 0.02, "", fontsize=LOOK.font, va="center", color=LOOK.ink, visible=False)
        self.strengths.set_ylabel(r"mode strength $a_k$" + "  [weightᴰ]")
        self.loss.set_ylabel("loss $L$")
        self.influence.set_ylabel("← helps      harms →")
        for ax in self.time_axes:
            ax.set_xlabel("flow time $t$ = step size × step", labelpad=1)
        self.strengths.set_title("progressive learning of the modes")
        self.loss.set_title("stages: each dash is a mode half learned")
        self.names: list[Artist] = []
        self.scales = {
            "strengths": Scale(0.0, 1.12 * float(scene.modes.s[0] / scene.c)),
            "loss": Scale(0.0, 1.05 * (scene.rest_loss + float((scene.modes.s**2).sum()) / (2 * scene.c))),
            "influence": Scale(),
        }

    def _points(self, ax: Any, colour: str | None = None) -> Any:
        line = ax.plot([], [], "o", ms=4.6, mfc=LOOK.background, mew=1.2)[0]
        if colour:
            line.set_color(colour)
        return line

    @property
    def time_axes(self) -> tuple[Any, Any, Any]:
        """The panels over time."""
        return self.strengths, self.loss, self.influence

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""
        stages = [line for panel in self.stages for line in panel]
        return [
            *stages,
            *self.now,
            *self.strength_lines,
            *self.strength_points,
            self.loss_line,
            self.loss_points,
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
        groups = scene.groups(width(state, scene))
        self._show_modes(groups, curves)
        self._show_influence(source, targets, curves, state.time)
        self._show_simulated(source, targets, groups, simulated, FRESH if fresh else STALE)
        self.tree.show(source, targets)
        self.matrix.show(curves, state.time, source, targets)
        self.numbers.set_text(numbers(state, scene, curves, source, targets[0]))
        for line in self.now:
            line.set_xdata([min(state.time, curves.end)] * 2)
        return self._show_background(state, groups, curves, source, targets)

    def _show_modes(self, groups: Groups, curves: Curves) -> None:
        if groups is not self._groups:
            self._colour_groups(groups)
        for g in range(len(groups.s)):
            self.strength_lines[g].set_data(curves.times, curves.strengths[:, g])
        for panel in self.stages:
            for line, rise in zip(panel, curves.half_rise, strict=False):
                inside = bool(rise <= curves.end)
                line.set_data([rise, rise] if inside else [], [-1e30, 1e30] if inside else [])
        self.loss_line.set_data(curves.times, curves.loss)

    def _colour_groups(self, groups: Groups) -> None:
        colours = LOOK.sequence(len(groups.s))
        for artists in (self.strength_lines, self.strength_points, *self.stages):
            for k, line in enumerate(artists):
                line.set_visible(k < len(colours))
                if k < len(colours):
                    line.set_color(colours[k])

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

    def _show_simulated(
        self, source: int, targets: tuple[int, ...], groups: Groups, found: Simulated | None, alpha: float
    ) -> None:
        same_modes = found is not None and found.strengths.shape[1] == len(groups.s)
        for g, line in enumerate(self.strength_points):
            shown = found is not None and same_modes and g < len(groups.s)
            line.set_data(*((found.times, found.strengths[:, g]) if shown and found else ([], [])))
            line.set_alpha(alpha)
        self.loss_points.set_data(*((found.times, found.loss) if found else ([], [])))
        self.loss_points.set_alpha(alpha)
        segments, colours = [], []
        for k, line in enumerate(self.target_points):
            shown = found is not None and k < len(targets)
            line.set_visible(shown)
            if found is None or k >= len(targets):
                continue
            j = targets[k]
            line.set_data(found.influence_times, found.influence[:, source, j])
            line.set_color(self.colours[j])
            line.set_alpha(alpha)
            if found.stderr is not None:
                y, err = found.influence[:, source, j], 2 * found.stderr[:, source, j]
                segments += [[(t, v - d), (t, v + d)] for t, v, d in zip(found.influence_times, y, err, strict=True)]
                colours += [self.colours[j]] * len(y)
        self.bars.set_segments(segments)
        self.bars.set_color(colours)
        self.bars.set_alpha(alpha)

    @contextmanager
    def captioned(self) -> Iterator[None]:
        """The picture with the numbers of the equation in it, as it is saved."""
        self.numbers.set_visible(True)
        try:
            yield
        finally:
            self.numbers.set_visible(False)

    def nearest_curve(self, curves: Curves, source: int, time: float, value: float) -> int:
        """The item other than the source whose curve passes nearest to a place."""
        at = curves.matrix(time)[source].copy()
        at[source] = np.inf
        return int(np.argmin(np.abs(at - value)))

    def _show_background(
        self, state: ExplorerState, groups: Groups, curves: Curves, source: int, targets: tuple[int, ...]
    ) -> bool:
        shown = curves.influence[:, source][:, [j for j in range(self.scene.task.n_items) if j != source or j in targets]]
        scales = self.scales
        scales["strengths"].fit(0.0, float(curves.strengths.max()))
        scales["loss"].fit(0.0, float(curves.loss.max()))
        scales["influence"].fit(float(shown.min()), float(shown.max()))
        limits = tuple(scale.limits for scale in scales.values())
        what = (state.measure, state.depth, state.lam != 0, state.n_beta, state.gamma)
        picture = (curves.end, limits, source, targets, what, groups.names, self.matrix.largest)
        if picture == self._background:
            return False
        for ax, (low, high) in zip(self.time_axes, limits, strict=True):
            ax.set(xlim=(-0.008 * curves.end, 1.008 * curves.end), ylim=(low, high))
        estimand = ESTIMANDS[state.measure]
        names = self.scene.task.items
        self.influence.set_title(
            f"influence of {text(names[source])} on every item: {MEASURES[state.measure]} [{powers(estimand.units)}]",
            loc="left",
            fontsize=LOOK.font,
        )
        self.matrix.retitle(self.scene.task)
        self.formula.set_text(formula(state))
        self._name_groups(groups)
        self._groups, self._background = groups, picture
        return True

    def _name_groups(self, groups: Groups) -> None:
        """Names of the modes at their final strengths, where there is room."""
        for name in self.names:
            name.remove()
        self.names = []
        low, high = self.scales["strengths"].limits
        last = np.inf
        with LOOK.context():
            for g, label in enumerate(groups.names):
                place = float(groups.s[g] / self.scene.c) / high
                if last - place < 0.06 or not groups.learned[g]:
                    continue
                self.names.append(
                    self.strengths.text(
                        1.015,
                        place,
                        label,
                        transform=self.strengths.transAxes,
                        color=self.strength_lines[g].get_color(),
                        fontsize=LOOK.small,
                        va="center",
                    )
                )
                last = place

