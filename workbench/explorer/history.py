"""The states the explorer has rested in: what undo goes back to and the address bar shows."""

from __future__ import annotations

from dataclasses import replace

from workbench.explorer.state import ExplorerState

#: States remembered.
_MOST = 200


class History:
    """Past states, the latest last; states that differ in time alone count as one."""

    def __init__(self, first: ExplorerState) -> None:
        self._states = [first]

    @property
    def can_undo(self) -> bool:
        """Whether there is a state before."""
        return len(self._states) > 1

    def add(self, state: ExplorerState) -> bool:
        """Remember a state; returns whether it is more than another time of the last."""
        last = self._states[-1]
        if replace(state, time=last.time) == last:
            self._states[-1] = state
            return False
        self._states = [*self._states, state][-_MOST:]
        return True

    def undo(self) -> ExplorerState:
        """The state before the present one, which is forgotten."""
        if self.can_undo:
            self._states.pop()
        return self._states[-1]
