"""The page's side of things: its window, its address, names for screen readers; the one piece of JavaScript.

ipywidgets tells a program nothing of the window, gives sliders and images no accessible names and leaves the address
bar alone; so these few lines of a standard module do, in notebooks as in the app.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.explorer.layout import Window


class Bridge(anywidget.AnyWidget):
    """Invisible; must stand inside an element of class ``workbench``.

    Attributes:
        window: width and height of the picture's place (pixels of the page), ratio, whether the system asks for a dark
            page, whether there is no room for controls beside the picture.
        alt: what the picture shows, in words.
        query, replace: the state for the address bar, and whether it takes the place of the one before.
        app: whether the page is the app, whose address is its own.
        largest: bytes of the largest file that may be uploaded.
        on_asked: called with the query of the address, when the browser goes back or forth.
        on_undo: called on Ctrl-Z. on_too_large: called with name and bytes of a file.
    """

    _esm = Path(__file__).with_name("bridge.js")
    window = traitlets.Dict({"width": 0, "height": 0, "ratio": 1.0, "night": False, "narrow": False}).tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    query = traitlets.Unicode("").tag(sync=True)
    replace = traitlets.Bool(True).tag(sync=True)
    app = traitlets.Bool(False).tag(sync=True)
    largest = traitlets.Int(0).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self.on_asked: Callable[[str], None] = lambda query: None
        self.on_undo: Callable[[], None] = lambda: None
        self.on_too_large: Callable[[str, int], None] = lambda name, size: None
        super().__init__(**traits)
        self.on_msg(self._heard)

    def _heard(self, _: Any, message: Any, __: Any) -> None:
        if "beat" in message:
            self.send({"beat": True})
        elif "asked" in message:
            self.on_asked(str(message["asked"]))
        elif "undo" in message:
            self.on_undo()
        elif "too_large" in message:
            self.on_too_large(str(message["too_large"]), int(message["bytes"]))

    def scroll_to(self, selector: str) -> None:
        """Bring the first element that a CSS selector finds into view."""
        self.send({"show": selector})

    def measured(self, large: bool) -> Window | None:
        """The window, once the page has told; heights and ratios beyond reason are cut."""
        width, height = int(self.window.get("width", 0)), int(self.window.get("height", 0))
        if width < 50:
            return None
        ratio = min(max(float(self.window.get("ratio", 1.0)), 1.0), 3.0)
        return Window(min(width, 4000), min(max(height, 200), 3000), ratio, large)

    @property
    def narrow(self) -> bool:
        """Whether there is no room for controls beside the picture."""
        return bool(self.window.get("narrow", False))

    @property
    def night(self) -> bool:
        """Whether the system asks for a dark page."""
        return bool(self.window.get("night", False))
