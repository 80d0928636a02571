"""What the hand does: controls, clicks, drags, hovering, play."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.errors import WorkbenchError
from workbench.explorer.model import curves_key, slow
from workbench.explorer.player import Player
from workbench.explorer.pointer import Pointer, picked, read
from workbench.explorer.runner import REST, loop_running
from workbench.explorer.session import SETTLED
from workbench.explorer.toolbar import button

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer


class Hand:
    """Controls, mouse and play button of one view.

    Attributes:
        play: the button. pointed: the line with the values under the pointer.
    """

    def __init__(self, view: Explorer) -> None:
        self.view = view
        self.pointed = widgets.HTML("&nbsp;")
        self.play = button("▶ play", "let time run through all panels", self.toggle_play)
        self.play.add_class("workbench-first")
        self.player = Player(self._play_to, self._stood)
        self._pointer = Pointer(view.canvas.widget, self.clicked, self.dragged, self.hovered)

    def changed(self) -> None:
        """A control has moved: theory follows at once, simulation when the hand rests."""
        view = self.view
        if view.controls.pending_upload():
            view.status.invitation("Choose a CSV file: one row an item, one column a property, numbers in the cells.")
            return
        try:
            state = view.controls.state(view.state)
            if view.completed(state) == view.state:  # the browser has put a handle on its step
                view.status.message("")
                return
            self.player.stop()
            if slow(state, view.scene) and curves_key(state) != curves_key(view.state) and loop_running():
                view.status.stale()
                view.later("follow", REST, self._follow)
                return
        except WorkbenchError as error:
            view.status.message(str(error))
            return
        self._follow()

    def _follow(self) -> None:
        """Go where the controls are."""
        try:
            self.view.show(self.view.controls.state(self.view.state), echo=False)
        except WorkbenchError as error:
            self.view.status.message(str(error))

    def clicked(self, x: float, y: float, shift: bool) -> None:
        """A click at a pixel of the picture."""
        view, place = self.view, self.view.canvas.locate(x, y)
        if place is not None:
            state = picked(view.panels, view.frame(), *place, shift)
            if state != view.state:
                self.player.stop()
                view.show(state)

    def dragged(self, x: float, y: float) -> bool:
        """The mouse is at a pixel, its button held: over time, that is the time; returns whether it was."""
        view, place = self.view, self.view.canvas.locate(x, y)
        if place is None or place[0] not in view.panels.time_axes:
            return False
        self.player.stop()
        view.move_time(min(max(place[1], 0.0), view.curves.end), remember=True)
        return True

    def hovered(self, at: tuple[float, float] | None) -> None:
        """The mouse is at a pixel, or has left."""
        view = self.view
        place = view.canvas.locate(*at) if at is not None else None
        line = read(view.panels, view.frame(), *place) if place is not None else ""
        value = f'<span class="workbench-pointed">{html.escape(line) or "&nbsp;"}</span>'
        if self.pointed.value != value:
            self.pointed.value = value

    def toggle_play(self) -> None:
        """Let time run, or stand still."""
        view = self.view
        if self.player.playing:
            self.player.stop()
            return
        view.follower.runner.cancel()
        self.play.description = "❚❚ pause"
        self.player.start(view.state.time / view.curves.end)

    def _play_to(self, share: float) -> None:
        view = self.view
        view.move_time(share * view.curves.end, remember=False)

    def _stood(self) -> None:
        view = self.view
        self.play.description = "▶ play"
        view.later("settled", SETTLED, view.session.settled)
        view.follower.start()

    def close(self) -> None:
        """Stop playing and listening."""
        self.player.stop()
        self._pointer.close()
