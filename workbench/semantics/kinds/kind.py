"""`TaskKind`: what a kind of task is called, how it is made from text, and what files it is read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.semantics.task import SemanticTask


@dataclass(frozen=True)
class TaskKind:
    """A kind of task.

    Attributes:
        name: what stands before the colon.
        help: what may be written, for the user.
        make: the task, from what stands behind the colon (None without a colon) and a seed.
        read: the task in a file, if files hold tasks of this kind.
        endings: of the names of those files.
    """

    name: str
    help: str
    make: Callable[[str | None, int], SemanticTask]
    read: Callable[[Path], SemanticTask] | None = None
    endings: tuple[str, ...] = ()


def branching(text: str) -> tuple[int, ...]:
    """``2,2,2`` as numbers of children, level by level."""
    try:
        return tuple(int(b) for b in text.split(","))
    except ValueError:
        raise WorkbenchError(
            f"branching {text!r} is not a list of whole numbers; expected such as tree:2,2,2"
        ) from None
