"""The mouse in the picture: clicks pick pairs, dragging moves time, hovering reads values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.explorer.frame import Frame
from workbench.explorer.influence_panel import InfluencePanel
from workbench.explorer.maps import MatrixMap, TreeMap
from workbench.explorer.panels import Panels
from workbench.explorer.state import ExplorerState
from workbench.figures.reading import text

#: Milliseconds between two reports of a moving mouse, and pixels it may move within a click.
_EVERY, _STILL = 45, 4


def picked(panels: Panels, frame: Frame, ax: object, x: float, y: float, shift: bool) -> ExplorerState:
    """The state after a click at a place in one of the axes.

    A cell of the matrix is a pair; a curve is a target at a time; an item of the tree is a target, or with shift the
    source; a place in another panel over time is a time.
    """
    state, names = frame.state, panels.scene.task.items
    panel = next((panel for panel in panels.by_name.values() if panel.ax is ax), None)
    if isinstance(panel, MatrixMap):
        i, j = panel.pair_at(x, y)
        return replace(state, source=names[i], targets=(names[j],))
    if isinstance(panel, TreeMap):
        item = names[panel.item_at[min(max(round(y), 0), len(names) - 1)]]
        return replace(state, source=item) if shift else replace(state, targets=(item,))
    if ax not in panels.time_axes:
        return state
    time = min(max(x, 0.0), frame.curves.end)
    if isinstance(panel, InfluencePanel):
        return replace(state, targets=(names[panel.nearest(frame, time, y)],), time=time)
    return replace(state, time=time)


def read(panels: Panels, frame: Frame, ax: Any, x: float, y: float) -> str:
    """The values at a place in one of the axes, in words; empty where there are none."""
    names = panels.scene.task.items
    panel = next((panel for panel in panels.by_name.values() if panel.ax is ax), None)
    if isinstance(panel, MatrixMap):
        i, j = panel.pair_at(x, y)
        value = frame.curves.matrix(frame.time)[i, j]
        return f"{text(names[i])} on {text(names[j])} at t = {frame.time:.4g}: {value:.3g}"
    if isinstance(panel, TreeMap):
        return text(names[panel.item_at[min(max(round(y), 0), len(names) - 1)]], 60)
    if ax not in panels.time_axes or not 0 <= x <= frame.curves.end:
        return ""
    kind, curves = panels.time_axes[ax].partition("@")[0], frame.curves
    if kind == "influence" and isinstance(panel, InfluencePanel):
        j = panel.nearest(frame, x, y)
        value = curves.matrix(x)[frame.source, j]
        return f"{text(names[frame.source])} on {text(names[j])} at t = {x:.4g}: {value:.3g}"
    if kind == "strengths":
        a = curves.at(curves.strengths, x)
        k = int(np.argmin(np.abs(a - y)))
        return f"{frame.scene.mode_names(frame.groups)[k]} at t = {x:.4g}: a = {a[k]:.3g}"
    if kind == "loss":
        return f"loss at t = {x:.4g}: {np.interp(x, curves.times, curves.loss):.3g}"
    return f"t = {x:.4g}"


class Pointer:
    """Tells of the mouse in an image, where the package that reports it is installed; menus and sliders do the same.

    Args:
        clicked: called with pixels of the picture and whether shift was held.
        dragged: called with pixels, while the button is held; returns whether that meant something.
        hovered: called with pixels, or None when the mouse has left.
    """

    def __init__(
        self,
        image: Any,
        clicked: Callable[[float, float, bool], None],
        dragged: Callable[[float, float], bool],
        hovered: Callable[[tuple[float, float] | None], None],
    ) -> None:
        self._events: list[Any] = []
        self._clicked, self._dragged, self._hovered = clicked, dragged, hovered
        self._down: tuple[float, float] | None = None
        self._moved = False
        try:
            from ipyevents import Event
        except ImportError:
            return
        still = Event(source=image, watched_events=["mousedown", "click", "mouseleave"])
        moving = Event(source=image, watched_events=["mousemove"], wait=_EVERY, throttle_or_debounce="throttle")
        self._events = [still, moving]
        for events in self._events:
            events.on_dom_event(self.heard)

    def heard(self, event: dict[str, Any]) -> None:
        """What the mouse did."""
        kind = event.get("type", event.get("event"))
        if kind == "mouseleave":
            self._down = None
            self._hovered(None)
            return
        if "dataX" not in event:
            return
        at = float(event["dataX"]), float(event["dataY"])
        if kind == "mousedown":
            self._down, self._moved = at, False
        elif kind == "click":
            if not self._moved:
                self._clicked(*at, bool(event.get("shiftKey")))
            self._down, self._moved = None, False
        elif not int(event.get("buttons", 0)) & 1:
            self._hovered(at)
        elif self._down is not None and (self._moved or max(abs(a - b) for a, b in zip(at, self._down)) > _STILL):  # noqa: B905
            self._moved = self._dragged(*at) or self._moved

    def close(self) -> None:
        """Stop listening."""
        for events in self._events:
            events.close()
