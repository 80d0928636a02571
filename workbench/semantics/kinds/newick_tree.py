"""``newick:((a,b),c);`` or a .nwk file: a tree of any shape whose nodes are the properties."""

from __future__ import annotations

from pathlib import Path

from workbench.semantics.kinds.kind import TaskKind
from workbench.semantics.names import showable
from workbench.semantics.tables.encoding import read_text
from workbench.semantics.task import SemanticTask
from workbench.semantics.tree import Tree


def _make(rest: str | None, seed: int) -> SemanticTask:
    return Tree.from_newick(rest or "", where="Newick text").indicator_task(name="Newick tree")


def _read(path: Path) -> SemanticTask:
    where = showable(str(path).encode("utf-8", "replace").decode())
    tree = Tree.from_newick(read_text(path, where), where=where)
    return tree.indicator_task(name=Path(where).stem)


KIND = TaskKind(
    "newick",
    "newick:((a,b),c); (a tree of any shape)",
    _make,
    _read,
    (".nwk", ".newick", ".tree", ".tre"),
)
