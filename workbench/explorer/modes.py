"""The panels of the modes: their strengths, and the loss with its stages."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from matplotlib.artist import Artist

from workbench.explorer.frame import Frame
from workbench.explorer.scene import Scene
from workbench.explorer.stamp import Stamp, paper
from workbench.explorer.time_axes import FADED, MOST_KEPT, Curves, TimeAxes, mode_colours, points, title
from workbench.figures.style import Style


class StrengthPanel:
    """Strength of every group of modes; those without hidden units stay at 0, dotted."""

    def __init__(self, ax: Any, scene: Scene, style: Style) -> None:
        self.ax, self.scene, self.style = ax, scene, style
        K = scene.modes.rank
        self.axis = TimeAxes(ax, style, K)
        self.kept = [[ax.plot([], [], lw=1.4, alpha=FADED)[0] for _ in range(K)] for _ in range(MOST_KEPT)]
        self.lines = Curves(ax)
        self.points = [points(ax, style) for _ in range(K)]
        options: dict[str, Any] = {
            "fontsize": style.small,
            "ha": "right",
            "va": "bottom",
            "bbox": paper(style.background),
        }
        self.names = [ax.add_artist(Stamp(0.99, 0, "", transform=ax.transAxes, **options)) for _ in range(K + 1)]
        letters = 72 * ax.get_position().height * ax.figure.get_figheight() / (0.55 * style.font)
        ax.set_ylabel(r"mode strength $a_k$  [weightᴰ]" if letters > 26 else r"$a_k$  [weightᴰ]")
        self.top = 1.18 * float(scene.modes.s[0] / scene.c)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""
        return [
            *self.axis.moving,
            *(line for each in self.kept for line in each),
            self.lines,
            *self.points,
            *self.names,
        ]

    def show(self, frame: Frame) -> None:
        """Theory, simulated points (unless of other modes), kept curves."""
        self.axis.show(frame, 0.0, self.top)
        groups, curves, simulated = frame.groups, frame.curves, frame.simulated
        drawn = simulated if simulated is not None and simulated.strengths.shape[1] == len(groups.s) else None
        colours = mode_colours(self.axis.colours, frame)
        self.lines.show(curves.times, curves.strengths)
        self.lines.set(color=colours, linestyle=["-" if learned else ":" for learned in groups.learned])
        for g, dots in enumerate(self.points):
            dots.set_visible(drawn is not None and g < len(groups.s))
            if drawn is not None and g < len(groups.s):
                dots.set_data(drawn.times, drawn.strengths[:, g])
                dots.set(color=colours[g], alpha=frame.alpha)
        for n, lines in enumerate(self.kept):
            kept = frame.kept[n] if n < len(frame.kept) else None
            for g, line in enumerate(lines):
                there = kept is not None and g < kept.curves.strengths.shape[1]
                line.set_visible(there)
                if kept is not None and there:
                    line.set_data(kept.curves.times, kept.curves.strengths[:, g])
                    line.set_color(self.axis.colours[min(g, len(self.axis.colours) - 1)])

    def background(self, frame: Frame) -> Hashable:
        """What names depend on."""
        return frame.groups.names, tuple(frame.groups.learned)

    def draw_background(self, frame: Frame) -> None:
        """Title, and the names of the modes at their final strengths, where there is room."""
        title(self.ax, self.style, "modes, learned in turn")
        groups, style, last = frame.groups, self.style, np.inf
        room = 1.1 * style.small / (72 * self.ax.get_position().height * self.ax.figure.get_figheight())
        colours = mode_colours(self.axis.colours, frame)
        lines: list[tuple[float, str, str]] = []
        for g, name in enumerate(frame.scene.mode_names(groups)):
            place = float(groups.s[g] / self.scene.c) / self.top
            if groups.learned[g] and last - place >= room:
                lines.append((place + 0.008, name, colours[g]))
                last = place
        never = [
            name for name, learned in zip(frame.scene.mode_names(groups), groups.learned, strict=True) if not learned
        ]
        if never:
            line = f"never learned: {', '.join(never[:3])}{' …' if len(never) > 3 else ''}"
            lines.append((0.012, line, style.ink))
        for stamp in self.names[len(lines) :]:
            stamp.set_text("")
        for stamp, (place, line, colour) in zip(self.names, lines, strict=False):
            stamp.set(y=place, text=line, color=colour)


class LossPanel:
    """The loss, with the kept ones and their labels."""

    def __init__(self, ax: Any, scene: Scene, style: Style) -> None:
        self.ax, self.style = ax, style
        self.axis = TimeAxes(ax, style, scene.modes.rank)
        self.kept = [ax.plot([], [], lw=1.6, color=style.ink, ls=ls, alpha=FADED)[0] for ls in ("--", "-.", ":")]
        self.line = ax.plot([], [], color=style.ink)[0]
        self.points = points(ax, style, style.ink)
        ax.set_ylabel("loss $L$")
        self.end = 1.05 * (scene.rest_loss + scene.modes.learnable_loss)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""
        legend = self.ax.get_legend()
        return [*self.axis.moving, *self.kept, self.line, self.points, *([legend] if legend else [])]

    def show(self, frame: Frame) -> None:
        """Theory, simulation, kept curves."""
        self.axis.show(frame, 0.0, self.end)
        self.line.set_data(frame.curves.times, frame.curves.loss)
        simulated = frame.simulated
        self.points.set_data(*((simulated.times, simulated.loss) if simulated is not None else ([], [])))
        self.points.set_alpha(frame.alpha)
        for n, line in enumerate(self.kept):
            line.set_visible(n < len(frame.kept))
            if n < len(frame.kept):
                line.set_data(frame.kept[n].curves.times, frame.kept[n].curves.loss)

    def background(self, frame: Frame) -> Hashable:
        """What the legend depends on."""
        return tuple(kept.label for kept in frame.kept)

    def draw_background(self, frame: Frame) -> None:
        """Title, what differed in the kept curves."""
        title(self.ax, self.style, "loss, falling in stages")
        if legend := self.ax.get_legend():
            legend.remove()
        if frame.kept:
            labels = [f"kept: {kept.label}" for kept in frame.kept]
            look = {"facecolor": self.style.background, "edgecolor": self.style.muted, "labelcolor": self.style.ink}
            lines = self.kept[: len(labels)]
            self.ax.legend(lines, labels, loc="upper right", fontsize=self.style.small, **look)
