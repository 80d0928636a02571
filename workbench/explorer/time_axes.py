"""What panels over time share: the upright line of the time shown, dashes where modes are half learned, axes."""

from __future__ import annotations

from typing import Any

from matplotlib.artist import Artist

from workbench.explorer.frame import Frame
from workbench.figures.style import Style

#: Curves kept for comparison are drawn so strongly, and at most so many.
FADED, MOST_KEPT = 0.55, 3


class TimeAxes:
    """Upright lines of one panel over time."""

    def __init__(self, ax: Any, style: Style, modes: int) -> None:
        self.ax = ax
        self.now = ax.axvline(0, color=style.muted, lw=1.4)
        self.colours = style.sequence(modes)
        self.stages = [ax.plot([], [], ls=(0, (2, 2)), lw=1.2)[0] for _ in range(modes)]
        ax.set_xlabel("flow time $t$ = step size × step", labelpad=1)

    @property
    def moving(self) -> list[Artist]:
        """All of them."""
        return [*self.stages, self.now]

    def show(self, frame: Frame) -> None:
        """Move the lines."""
        self.now.set_xdata([frame.time] * 2)
        colours = mode_colours(self.colours, frame)
        for k, line in enumerate(self.stages):
            there = k < len(frame.groups.s) and bool(frame.curves.half_rise[k] <= frame.curves.end)
            line.set_visible(there)
            if there:
                rise = frame.curves.half_rise[k]
                line.set_data([rise, rise], [-1e30, 1e30])
                line.set_color(colours[k])

    def limits(self, frame: Frame, low: float, high: float) -> None:
        """Set both axes."""
        end = frame.curves.end
        self.ax.set(xlim=(-0.008 * end, 1.008 * end), ylim=(low, high))


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


def title(ax: Any, line: str, style: Style) -> None:
    """A title at a fixed place, above the axis's power of ten; cut where the next panel begins."""
    letters = int(72 * 1.04 * ax.get_position().width * ax.figure.get_figwidth() / (0.53 * style.font))
    if len(line) > letters and "$" not in line:
        line = line[: letters - 1].rstrip() + "…"
    ax.set_title(line, loc="left", fontsize=style.font, y=1.0, pad=1.2 * style.font)
