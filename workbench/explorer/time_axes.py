"""What panels over time share: the upright line of the time shown, dashes where modes are half learned, axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from workbench.explorer.frame import Frame
from workbench.explorer.ticks import Ticks
from workbench.figures.style import Style

Array = NDArray[np.float64]

#: Curves kept for comparison are drawn so strongly, and at most so many.
FADED, MOST_KEPT = 0.55, 3
#: Stages whose dashes do not hide the curves.
_FEW = 8


class TimeAxes:
    """Ticks and upright lines of one panel over time; where values have both signs, the line of 0 too."""

    def __init__(self, ax: Any, style: Style, modes: int, *, zero: bool = False, valued: bool = True) -> None:
        self.ax = ax
        self.ticks = [Ticks(ax, "bottom", style), *([Ticks(ax, "left", style)] if valued else [])]
        if not valued:
            ax.set(yticks=[])
        self.zero = [ax.axhline(0, color=style.muted, lw=0.9)] if zero else []
        self.now = ax.axvline(0, color=style.muted, lw=1.4)
        self.colours = style.sequence(modes)
        self.stages = LineCollection([], linestyles=[(0, (2, 2))], linewidths=1.2, transform=ax.get_xaxis_transform())
        ax.add_collection(self.stages, autolim=False)
        long = letters_in(ax, style) >= len("flow time t = step size × step")
        ax.set_xlabel("flow time $t$ = step size × step" if long else "flow time $t$", va="top")

    @property
    def moving(self) -> list[Artist]:
        """All of them."""
        return [*self.ticks, *self.zero, self.stages, self.now]

    def show(self, frame: Frame, low: float, high: float) -> None:
        """Set both axes, move the lines."""
        end = frame.end
        ends = (-0.008 * end, 1.008 * end), (low, high)
        if ends != (self.ax.get_xlim(), self.ax.get_ylim()):
            self.ax.set(xlim=ends[0], ylim=ends[1])
        self.now.set_xdata([frame.time] * 2)
        colours = mode_colours(self.colours, frame)
        there = np.flatnonzero(frame.curves.half_rise <= end)
        self.stages.set_segments([((rise, 0.0), (rise, 1.0)) for rise in frame.curves.half_rise[there]])
        self.stages.set_color([colours[k] for k in there])
        self.stages.set_linewidth(1.2 if len(there) <= _FEW else 0.7)


class Curves(LineCollection):
    """Many curves over the same times, drawn in one go."""

    def __init__(self, ax: Any, **options: Any) -> None:
        super().__init__([], joinstyle="round", capstyle="projecting", **options)
        ax.add_collection(self, autolim=False)

    def show(self, times: Array, values: Array) -> None:
        """Values ``(T, curves)`` at times ``(T,)``."""
        self.set_segments([np.column_stack([times, column]) for column in values.T])


def mode_colours(colours: list[str], frame: Frame) -> list[str]:
    """One of an ordered set of colours for each group of modes, spread over the whole set."""
    G, most = len(frame.groups.s), len(colours)
    return [colours[round(g * (most - 1) / max(G - 1, 1))] for g in range(G)]


def points(ax: Any, style: Style, colour: str | None = None) -> Any:
    """An empty line of open circles, for simulated values."""
    line = ax.plot([], [], "o", ms=0.5 * style.font, mfc=style.background, mew=1.2)[0]
    if colour:
        line.set_color(colour)
    return line


def letters_in(ax: Any, style: Style) -> int:
    """How many letters are as wide as the axes."""
    return int(72 * 1.04 * ax.get_position().width * ax.figure.get_figwidth() / (0.53 * style.font))


def title(ax: Any, style: Style, *lines: str) -> None:
    """A title at a fixed place, above the axis's power of ten: the first line with room, or the last one, cut."""
    letters = letters_in(ax, style)
    line = next((line for line in lines if len(line) <= letters), lines[-1])
    if len(line) > letters and "$" not in line:
        line = line[: letters - 1].rstrip() + "…"
    ax.set_title(line, loc="left", fontsize=style.font, y=1.0, pad=1.2 * style.font)
