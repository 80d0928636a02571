"""``diffusion:2,2,2:0.1:200``: properties that drift down a balanced tree."""

from __future__ import annotations

from workbench.errors import WorkbenchError
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.kinds.kind import TaskKind, branching
from workbench.semantics.task import SemanticTask


def _make(rest: str | None, seed: int) -> SemanticTask:
    parts = ("2,2,2:0.1" if rest is None else rest).split(":")
    if len(parts) > 3:
        raise WorkbenchError(f"{rest!r} has too many parts; expected such as diffusion:2,2,2:0.1:200")
    flip = _number(parts[1]) if len(parts) > 1 else 0.1
    count = None if len(parts) < 3 else _count(parts[2])
    return Hierarchy(branching(parts[0])).diffusion_task(flip, count, seed=seed)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WorkbenchError(
            f"flip probability {text!r} is not a number; expected such as diffusion:2,2,2:0.1"
        ) from None


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise WorkbenchError(
            f"{text!r} is not a whole number of properties; expected such as diffusion:2,2,2:0.1:200"
        ) from None


KIND = TaskKind(
    "diffusion",
    "diffusion:2,2,2:0.1 (branching, flip probability), diffusion:2,2,2:0.1:200 (200 sampled properties)",
    _make,
)
