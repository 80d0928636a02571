"""What to clear up when the process must end before its main thread comes to it.

A signal is noticed between two steps of Python; a call into a library that takes minutes is one step. A thread that
waits for it (see `workbench.interruption`) then clears up in its stead, by what is registered here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_pending: list[Callable[[], str | None]] = []


@contextmanager
def cleared_up(action: Callable[[], str | None]) -> Iterator[None]:
    """While this is open, an abrupt end calls ``action``; it may return what the user should know."""
    _pending.append(action)
    try:
        yield
    finally:
        _pending.remove(action)


def clear_up() -> list[str]:
    """Call what is registered, the last first; nothing that fails stops the rest."""
    notes = []
    for action in reversed(_pending.copy()):
        try:
            note = action()
        except Exception:
            continue
        if note:
            notes.append(note)
    return notes
