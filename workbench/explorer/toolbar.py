"""Buttons and menus above the picture: presets, tour, keeping curves, undo, looks."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.errors import WorkbenchError
from workbench.explorer.guide import INTRODUCTION, PRESETS, TITLE, TOUR, symbols_table
from workbench.explorer.state import LOOKS

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer


def button(text: str, tip: str, action: Callable[[], None], failed: Callable[[str], None] | None = None) -> Any:
    """A button; a `WorkbenchError` of its action is said in one line."""
    made = widgets.Button(description=text, tooltip=tip, layout=widgets.Layout(width="auto", flex="0 0 auto"))

    def pressed(_: Any) -> None:
        try:
            action()
        except WorkbenchError as error:
            if failed is None:
                raise
            failed(str(error))

    made.on_click(pressed)
    return made


def toggle(text: str, tip: str, value: bool = False) -> Any:
    """A button that stays pressed."""
    layout = widgets.Layout(width="auto", flex="0 0 auto")
    return widgets.ToggleButton(value=value, description=text, tooltip=tip, layout=layout)


class Toolbar:
    """What stands above everything: title, introduction, presets, tour and the rest."""

    def __init__(self, view: Explorer) -> None:
        self.view, self._stop, self._quiet = view, 0, False
        say = view.status.message
        self.tour = button("tour", "five stops, a minute each", self.begin_tour, say)
        self.tour.add_class("workbench-first")
        names = [("choose one …", -1), *((preset.name, k) for k, preset in enumerate(PRESETS))]
        self.presets = widgets.Dropdown(options=names, description="preset", layout=widgets.Layout(width="auto"))
        self.keep = button("keep this curve", "leave it in the picture, faded", view.keep, say)
        self.drop = button("drop kept", "take the kept curves away", view.drop, say)
        self.beside = toggle("side by side", "the curves kept last in panels of their own, beside the present ones")
        self.undo = button("undo", "the state before (Ctrl-Z)", view.undo, say)
        self.reset = button("reset", "back to the beginning", view.reset, say)
        self.fold = toggle("controls", "show or hide the controls", True)
        self.explain = toggle("help", "a line of help below every control, and what the symbols mean")
        self.large = toggle("presentation", "large letters, controls folded")
        options = [(title, name) for name, title in LOOKS.items()]
        self.look = widgets.Dropdown(options=options, description="look", layout=widgets.Layout(width="auto"))
        self.look.add_class("workbench-look")
        self.symbols = widgets.HTML(symbols_table(), layout=widgets.Layout(display="none"))
        self.header = widgets.HTML(f"<h1>{TITLE}</h1><p class='workbench-introduction'>{INTRODUCTION}</p>")
        self._make_tour()
        self.row = widgets.HBox(
            [
                self.tour, self.presets, self.keep, self.drop, self.beside, self.undo, self.reset, self.fold,
                self.explain, self.large, self.look,
            ]
        )  # fmt: skip
        self.row.add_class("workbench-row")
        self.text = widgets.HTML()
        self.text.add_class("workbench-live")
        self.box = widgets.VBox([self.header, self.row, self.text, self.stop_box, self.symbols])
        self.presets.observe(self._preset, names="value")
        self.fold.observe(lambda change: view.fold(not change["new"]), names="value")
        self.explain.observe(self._explain, names="value")
        for name in ("beside", "large", "look"):
            getattr(self, name).observe(self._set, names="value")

    def show(self) -> None:
        """Say what the state says."""
        self._quiet = True
        state = self.view.state
        self.beside.value, self.large.value, self.look.value = state.beside, state.large, state.look
        self.drop.disabled = not state.kept
        self.beside.disabled = not state.kept
        self.undo.disabled = not self.view.session.history.can_undo
        self.header.layout.display = "none" if state.large else None
        self._quiet = False

    def _set(self, _: Any) -> None:
        if self._quiet:
            return
        values = {"beside": self.beside.value, "large": self.large.value, "look": self.look.value}
        folded = self.large.value != self.view.state.large
        self.view.try_to(replace(self.view.state, **values))
        if folded:
            self.fold.value = not self.large.value

    def _explain(self, change: Any) -> None:
        self.view.controls.explain(change["new"])
        self.symbols.layout.display = None if change["new"] else "none"

    # Presets and tour

    def _preset(self, change: Any) -> None:
        if change["new"] < 0:
            return
        preset = PRESETS[change["new"]]
        self.end_tour()
        self._go(preset.state)
        self.text.value = f"<p class='workbench-preset'><b>{preset.name}.</b> {html.escape(preset.text)}</p>"
        self.presets.value = -1

    def _go(self, state: Any) -> None:
        now = self.view.state
        self.view.show(replace(state, look=now.look, large=now.large))

    def _make_tour(self) -> None:
        self.stop_text = widgets.HTML()
        self.stop_text.add_class("workbench-live")
        self.back = button("back", "the stop before", lambda: self._tour(self._stop - 1))
        self.next = button("next", "the next stop", lambda: self._tour(self._stop + 1))
        self.next.add_class("workbench-first")
        leave = button("leave the tour", "and stay here", self.end_tour)
        buttons = widgets.HBox([self.back, self.next, leave])
        buttons.add_class("workbench-row")
        self.stop_box = widgets.VBox([self.stop_text, buttons], layout=widgets.Layout(display="none"))
        self.stop_box.add_class("workbench-tour")

    def begin_tour(self) -> None:
        """To the first stop."""
        self.text.value = ""
        self._tour(0)

    def end_tour(self) -> None:
        """The explorer stays where it is."""
        self.stop_box.layout.display = "none"
        self.text.value = ""

    def _tour(self, k: int) -> None:
        if k == len(TOUR):
            self.end_tour()
            return
        self._stop, stop = k, TOUR[k]
        self._go(stop.state)
        self.stop_text.value = f"<h2>{k + 1} of {len(TOUR)}: {stop.title}</h2><p>{html.escape(stop.text)}</p>"
        self.back.disabled = k == 0
        self.next.description = "next" if k + 1 < len(TOUR) else "finish"
        self.stop_box.layout.display = None
