"""The panels of the modes: their strengths, and the loss with its stages."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist

from workbench.explorer.model import Curves
from workbench.explorer.scene import Scene
from workbench.explorer.simulate import Simulated
from workbench.figures.style import Style
from workbench.theory.modes.groups import ModeGroups


def points(ax: Any, style: Style, colour: str | None = None) -> Any:
    """An empty line of open circles, for simulated values."""
    line = ax.plot([], [], "o", ms=4.6, mfc=style.background, mew=1.2)[0]
    if colour:
        line.set_color(colour)
    return line


class ModePanels:
    """Strength of every group of modes, and the loss; dashed lines mark on all panels over time when one rises."""

    def __init__(self, strengths: Any, loss: Any, over_time: tuple[Any, ...], scene: Scene, style: Style) -> None:
        self.strengths, self.loss, self.scene, self.style = strengths, loss, scene, style
        K, c = scene.modes.rank, scene.c
        self.stages = [[ax.plot([], [], ls=(0, (2, 2)), lw=1.1)[0] for _ in range(K)] for ax in over_time]
        self.strength_lines = [strengths.plot([], [])[0] for _ in range(K)]
        self.strength_points = [points(strengths, style) for _ in range(K)]
        self.loss_line = loss.plot([], [], color=style.ink)[0]
        self.loss_points = points(loss, style, style.ink)
        strengths.set_ylabel(r"mode strength $a_k$" + "  [weightᴰ]")
        loss.set_ylabel("loss $L$")
        self.names: list[Artist] = []
        self._groups: ModeGroups | None = None
        self.strength_end = 1.12 * float(scene.modes.s[0] / c)
        self.loss_end = 1.05 * (scene.rest_loss + scene.modes.learnable_loss)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""
        stages = [line for panel in self.stages for line in panel]
        return [*stages, *self.strength_lines, *self.strength_points, self.loss_line, self.loss_points]

    def show(self, groups: ModeGroups, curves: Curves) -> None:
        """Theory."""
        if groups is not self._groups:
            self._colour(groups)
            self._groups = groups
        for g in range(len(groups.s)):
            self.strength_lines[g].set_data(curves.times, curves.strengths[:, g])
        for panel in self.stages:
            for line, rise in zip(panel, curves.half_rise, strict=False):
                inside = bool(rise <= curves.end)
                line.set_data([rise, rise] if inside else [], [-1e30, 1e30] if inside else [])
        self.loss_line.set_data(curves.times, curves.loss)

    def show_simulated(self, groups: ModeGroups, found: Simulated | None, alpha: float) -> None:
        """Simulated points; those of other modes than the ones drawn are left out."""
        drawn = found if found is not None and found.strengths.shape[1] == len(groups.s) else None
        for g, line in enumerate(self.strength_points):
            there = drawn is not None and g < len(groups.s)
            line.set_data(*((drawn.times, drawn.strengths[:, g]) if drawn is not None and there else ([], [])))
            line.set_alpha(alpha)
        self.loss_points.set_data(*((found.times, found.loss) if found is not None else ([], [])))
        self.loss_points.set_alpha(alpha)

    def _colour(self, groups: ModeGroups) -> None:
        colours = self.style.sequence(len(groups.s))
        for artists in (self.strength_lines, self.strength_points, *self.stages):
            for k, line in enumerate(artists):
                line.set_visible(k < len(colours))
                if k < len(colours):
                    line.set_color(colours[k])

    def label(self, groups: ModeGroups) -> None:
        """Names of the modes at their final strengths, where there is room."""
        for name in self.names:
            name.remove()
        self.names, last = [], np.inf
        for g, text in enumerate(groups.names):
            place = float(groups.s[g] / self.scene.c) / self.strength_end
            if last - place < 0.06 or not groups.learned[g]:
                continue
            options = {"color": self.strength_lines[g].get_color(), "fontsize": self.style.small, "va": "center"}
            self.names.append(self.strengths.text(1.015, place, text, transform=self.strengths.transAxes, **options))
            last = place
