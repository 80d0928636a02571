"""Where the explorer has been: undo, and the address bar, which keeps the state over a reload."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.explorer.history import History
from workbench.explorer.state import ExplorerState
from workbench.explorer.words import picture_in_words

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer

#: Seconds of rest after which a state is one to come back to.
SETTLED = 0.5


class Session:
    """The states of one view, in order."""

    def __init__(self, view: Explorer) -> None:
        self.view, self.history = view, History(view.state)
        view.bridge.on_asked, view.bridge.on_undo = self._asked, self.undo

    def settled(self) -> None:
        """The state has come to rest: undo and the address bar know it."""
        view = self.view
        view.controls.rested(view.state.time)
        self._tell_address(replaces=not self.history.add(view.state))
        view.toolbar.show()
        view.bridge.alt = picture_in_words(view.frame())

    def undo(self) -> None:
        """Back to the state before."""
        if self.history.can_undo:
            self.view.show(self.history.undo(), remember=False)
            self._tell_address(replaces=False)
            self.view.toolbar.show()

    def _asked(self, query: str) -> None:
        """The browser has gone back or forth."""
        view = self.view
        try:
            view.show(ExplorerState.from_query(query) if query else view.initial, remember=False)
        except WorkbenchError as error:
            view.status.notice(f"the address was not understood: {error}")
        else:
            self.history.add(view.state)
            self._tell_address(replaces=True)
            view.toolbar.show()

    def _tell_address(self, *, replaces: bool) -> None:
        view = self.view
        if not view.bridge.app:
            return
        try:
            query = view.state.query()
        except WorkbenchError:  # too large a table: all but that
            query = replace(view.state, task="tree:2,2,2", table="", source="", targets=(), kept=()).query()
            view.status.notice("the table is too large for the address: a reload begins without it")
        with view.bridge.hold_sync():
            view.bridge.replace, view.bridge.query = replaces, query
