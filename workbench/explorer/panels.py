"""The linked panels on one figure, the legend and the equation in force.

All artists are made once for a task, a window and a choice of panels. `Panels.show` only gives them new numbers, and
says whether anything changed that belongs to the background (limits, titles, names).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workbench.explorer.canvas import Part
from workbench.explorer.equations import formula, numbers
from workbench.explorer.frame import Frame
from workbench.explorer.influence_panel import InfluencePanel
from workbench.explorer.layout import NARROW, Box, Window, layout
from workbench.explorer.maps import MatrixMap, TreeMap
from workbench.explorer.modes import LossPanel, StrengthPanel
from workbench.explorer.more_panels import FactorsPanel, MeasuresPanel, RepresentationPanel
from workbench.explorer.scene import Scene
from workbench.explorer.state import ExplorerState
from workbench.explorer.theme import look
from workbench.explorer.time_axes import title


class Panel(Protocol):
    """What a panel can do."""

    ax: Any

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""

    def show(self, frame: Frame) -> None:
        """Give the artists the numbers of a frame."""

    def background(self, frame: Frame) -> Hashable:
        """What limits, titles and names depend on."""

    def draw_background(self, frame: Frame) -> None:
        """Set limits, titles and names."""


def panel_choice(state: ExplorerState, system_night: bool) -> tuple[tuple[str, ...], bool, bool]:
    """What panels are made for, all else only moves them: their names, whether dark, whether large."""
    night = state.look == "dark" or (state.look == "" and system_night)
    names = state.panels
    if state.beside and state.kept:
        alone = [name for name in names if name != "tree"]
        names = tuple(name + side for name in alone for side in ("@kept", ""))
    return names, night, state.large


class Panels:
    """The artists of one task on one figure.

    Attributes:
        names: of the panels, in order; ``influence@kept`` is that of the curves kept last.
        by_name: the panels.
        numbers_line: the equation with the present numbers.
    """

    def __init__(self, figure: Figure, scene: Scene, names: tuple[str, ...], window: Window, *, night: bool) -> None:
        figure.clear()
        self.figure, self.scene, self.names, self.night = figure, scene, names, night
        self.numbers_line = ""
        places = layout(names, window, scene.task.n_items)
        self.style = look(places.em, places.width, night=night)
        figure.set_dpi(96 * window.ratio)
        figure.set_size_inches(places.width / 96, places.height / 96)
        self._columns = not places.short
        self.colours = self.style.item_colours(scene.order.branch, scene.order.place)
        self._keys: dict[str, Hashable] = {}
        self._common: Hashable = None
        with self.style.context():
            figure.set_facecolor(self.style.background)
            self.by_name: dict[str, Panel] = {
                name: self._make(name, place) for name, place in zip(names, places.places, strict=True)
            }
            self._make_foot(places.em, places.height)
        self._parts = {name: self._part(cell) for name, cell in zip(names, places.cells, strict=True)}

    def _part(self, cell: Box) -> Part:
        """A cell with all axes in it: of some panels these are several."""
        left, bottom, width, height = cell
        boxes = {ax: ax.get_position() for ax in self.figure.axes}
        inside = [
            ax
            for ax, box in boxes.items()
            if left <= (box.x0 + box.x1) / 2 <= left + width and bottom <= (box.y0 + box.y1) / 2 <= bottom + height
        ]
        return Part(cell, tuple(inside))

    def _make(self, name: str, place: Box) -> Panel:
        ax, scene, style, colours = self.figure.add_axes(place), self.scene, self.style, self.colours
        style.tidy(ax)
        match name.partition("@")[0]:
            case "tree":
                return TreeMap(ax, scene, colours, style)
            case "matrix":
                return MatrixMap(ax, scene, colours, style, self._columns)
            case "strengths":
                return StrengthPanel(ax, scene, style)
            case "loss":
                return LossPanel(ax, scene, style)
            case "representation":
                return RepresentationPanel(ax, scene, style, colours)
            case "factors":
                return FactorsPanel(ax, scene, style)
            case "measures":
                return MeasuresPanel(ax, scene, style)
            case _:
                return InfluencePanel(ax, scene, style, colours)

    def _make_foot(self, em: float, height: float) -> None:
        """Legend and formula; in saved pictures the numbers too, which on the screen stand below: text is slow."""
        style, line = self.style, em / height
        handles = [
            Line2D([], [], color=style.ink, lw=1.8, label="theory"),
            Line2D([], [], color=style.ink, marker="o", ls="", mfc=style.background, mew=1.2, label="simulated"),
            Line2D([], [], color=style.muted, ls=(0, (2, 2)), lw=1.2, label="a mode half learned"),
            Line2D([], [], color=style.muted, lw=1.4, label="time shown"),
            Line2D([], [], color=style.ink, lw=1.6, ls="--", alpha=0.55, label="kept (faded)"),
        ]
        self._narrow = 96 * self.figure.get_figwidth() < NARROW * em
        self.figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.0, (7.6 if self._narrow else 4.2) * line),
            ncols=2 if self._narrow else 5, fontsize=style.small, frameon=False, handlelength=2.2, columnspacing=1.6,
            borderaxespad=0.2,
        )  # fmt: skip
        size = min(1.02 * style.font, (1.75 if self._narrow else 0.92) * self.figure.get_figwidth())
        self.formula = self.figure.text(0.008, 1.3 * line, "", fontsize=size, va="center", color=style.ink)
        self.numbers = self.figure.text(
            0.008, 0.02 * line, "", fontsize=0.9 * style.small, va="bottom", color=style.ink, visible=False
        )
        self._formula_places = (1.3 * line, 1.9 * line)

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""
        return [artist for panel in self.by_name.values() for artist in panel.moving]

    @property
    def time_axes(self) -> dict[Any, str]:
        """The axes over time, with the names of their panels."""
        return {panel.ax: name for name, panel in self.by_name.items() if hasattr(panel, "axis")}

    def show(self, frame: Frame) -> tuple[Part, ...] | None:
        """Give the artists the numbers of a frame; returns of which parts the background changed too, None for all."""
        kept, now = frame.sides()
        frames = {name: kept if name.endswith("@kept") else now for name in self.names}
        keys = {name: panel.background(frames[name]) for name, panel in self.by_name.items()}
        common = formula(frame.state), tuple(each.label for each in frame.kept), frame.state.beside
        everything = common != self._common
        changed = [name for name in self.names if everything or keys[name] != self._keys.get(name)]
        for name in changed:
            self.by_name[name].draw_background(frames[name])
            self._say_which(name, self.by_name[name], frame)
        if everything:
            line = formula(frame.state)
            self.formula.set_text(line.replace(";    ", "\n") if self._narrow else line)
        self._keys, self._common = keys, common
        for name, panel in self.by_name.items():
            panel.show(frames[name])
        line = numbers(frame.state, self.scene, frame.curves, frame.source, frame.targets)
        self.numbers_line = line
        self.numbers.set_text(f"{line}    [{frame.state.summary()}]")
        return None if everything else tuple(self._parts[name] for name in changed)

    def _say_which(self, name: str, panel: Panel, frame: Frame) -> None:
        """Beside each other, panels say whose curves are theirs."""
        if frame.state.beside and frame.kept and name.partition("@")[0] != "tree":
            what = f"kept ({frame.kept[-1].label})" if name.endswith("@kept") else "now"
            whole = panel.ax.get_title(loc="left").partition(",")[0]
            shorter = (whole.partition(mark)[0] for mark in (" [", ":", " on ", " of "))
            title(panel.ax, self.style, *(f"{what}: {line}" for line in (whole, *shorter)))

    @contextmanager
    def captioned(self) -> Iterator[None]:
        """The picture with the numbers of the equation and the settings in it, as it is saved."""
        self.numbers.set_visible(True)
        self.formula.set_y(self._formula_places[1])
        try:
            yield
        finally:
            self.numbers.set_visible(False)
            self.formula.set_y(self._formula_places[0])
