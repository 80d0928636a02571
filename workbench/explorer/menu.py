"""The app: the explorer, and a click away the two small widgets for lectures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as widgets

from workbench.explorer import one_mode, one_pair
from workbench.explorer.canvas import mimebundle
from workbench.explorer.theme import css
from workbench.explorer.toolbar import button
from workbench.explorer.view import Explorer

_LECTURES: dict[str, tuple[str, Callable[[], Any]]] = {
    "one mode": ("One mode of the network: its rise against depth, initial scale and imbalance", one_mode),
    "one pair": ("One pair of items: why the influence of one on the other changes sign", one_pair),
}


class App(widgets.VBox):  # type: ignore[misc]
    """One view at a time; the others are made when first asked for.

    Attributes:
        explorer: the explorer.
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self._made: dict[str, Any] = {}
        buttons = [button(name, text, partial(self.visit, name)) for name, (text, _) in _LECTURES.items()]
        explorer.toolbar.row.children += tuple(buttons)
        super().__init__([explorer])

    def visit(self, name: str) -> None:
        """Show a lecture's widget in place of the explorer, or the explorer again."""
        if name not in _LECTURES:
            self.children = [self.explorer]
            return
        if name not in self._made:
            text, make = _LECTURES[name]
            back = button("back to the explorer", "as it was left", partial(self.visit, "explorer"))
            box = widgets.VBox([widgets.HTML(f"{css()}<h1>{text}</h1>"), back, make()])
            box.add_class("workbench")
            self._made[name] = box
        self.children = [self._made[name]]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Any:
        return mimebundle(self, "workbench explorer", self.explorer.canvas.png())

    _ipython_display_ = None  # see `mimebundle`
