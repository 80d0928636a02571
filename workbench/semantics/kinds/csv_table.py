"""A path, or ``csv:PATH``: a table of items x properties in a file."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.semantics.kinds.kind import TaskKind
from workbench.semantics.tables import task_from_csv
from workbench.semantics.task import SemanticTask


def _make(rest: str | None, seed: int) -> SemanticTask:
    if not rest:
        raise WorkbenchError("the path is missing; expected such as csv:my_table.csv, or the path alone")
    return task_from_csv(Path(rest))


KIND = TaskKind("csv", "or a path to a CSV or Newick (.nwk) file", _make, task_from_csv, (".csv", ".tsv", ".txt"))
