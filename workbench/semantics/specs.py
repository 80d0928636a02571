"""Tasks named in a few characters, as on the command line: ``tree:3,2``, ``table:rumelhart``, ``my.csv``."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.semantics.kinds import balanced_tree, bundled_table, csv_table, diffusion, newick_tree
from workbench.semantics.kinds.kind import TaskKind
from workbench.semantics.task import SemanticTask

#: Every kind of task; a new one is one file and its line here.
KINDS: tuple[TaskKind, ...] = (
    balanced_tree.KIND,
    diffusion.KIND,
    bundled_table.KIND,
    newick_tree.KIND,
    csv_table.KIND,
)

SPEC_HELP = ", ".join(kind.help for kind in KINDS)


def task_from_spec(spec: str, *, seed: int = 0) -> SemanticTask:
    """The task that ``spec`` names; see `SPEC_HELP`.

    >>> task_from_spec("tree:3,2").n_items
    6
    """
    name, colon, rest = spec.partition(":")
    for kind in KINDS:
        if name == kind.name:
            try:
                return kind.make(rest if colon else None, seed)
            except WorkbenchError as error:
                raise WorkbenchError(f"task {_short(spec)}: {error}") from None
    return _from_file(spec)


def _from_file(spec: str) -> SemanticTask:
    path = Path(spec)
    by_ending = [kind for kind in KINDS if path.name.lower().removesuffix(".gz").endswith(kind.endings or ("\0",))]
    try:
        there, readable = path.exists(), path.is_file()
    except OSError as error:
        raise WorkbenchError(f"task {_short(spec)}: {error.strerror}; use {SPEC_HELP}") from None
    if readable:
        read = (by_ending or [csv_table.KIND])[0].read
        assert read is not None
        return read(path)
    if there and spec:
        raise WorkbenchError(f"cannot read {spec}: it is no file; give the path of a CSV file")
    if by_ending:
        raise WorkbenchError(f"cannot read {spec}: no such file; check the path")
    raise WorkbenchError(f"unknown task {_short(spec)}; use {SPEC_HELP}")


def _short(spec: str) -> str:
    return repr(spec if len(spec) <= 60 else spec[:57] + "...")
