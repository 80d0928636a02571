"""``tree:2,2,2``: a balanced tree whose nodes are the properties."""

from __future__ import annotations

from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.kinds.kind import TaskKind, branching
from workbench.semantics.task import SemanticTask


def _make(rest: str | None, seed: int) -> SemanticTask:
    return Hierarchy(branching("2,2,2" if rest is None else rest)).indicator_task()


KIND = TaskKind("tree", "tree (branching 2,2,2), tree:3,2", _make)
