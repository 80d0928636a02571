"""What the hand does in the picture and with time: clicks, drags, hovering, play."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.explorer.player import Player
from workbench.explorer.pointer import Pointer, picked, read
from workbench.explorer.session import SETTLED
from workbench.explorer.toolbar import button

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer


class Hand:
    """Mouse and play button of one view.

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
        view.show(replace(view.state, time=min(max(place[1], 0.0), view.curves.end)))
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
        view.show(replace(view.state, time=share * view.curves.end), remember=False)

    def _stood(self) -> None:
        view = self.view
        self.play.description = "▶ play"
        view.later("settled", SETTLED, view.session.settled)
        view.follower.start()

    def close(self) -> None:
        """Stop playing and listening."""
        self.player.stop()
        self._pointer.close()
