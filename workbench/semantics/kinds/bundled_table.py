"""``table:rumelhart``: a table that comes with the package."""

from __future__ import annotations

from workbench.errors import WorkbenchError
from workbench.semantics.kinds.kind import TaskKind
from workbench.semantics.tables import rumelhart_task
from workbench.semantics.task import SemanticTask


def _make(rest: str | None, seed: int) -> SemanticTask:
    if rest != "rumelhart":
        raise WorkbenchError(f"no bundled table {rest or ''!r}; use table:rumelhart or the path of a CSV file")
    return rumelhart_task()


KIND = TaskKind("table", "table:rumelhart", _make)
