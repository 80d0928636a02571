"""Tasks named in a few characters, as on the command line: ``tree:3,2``, ``table:rumelhart``, ``my.csv``."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.tables import rumelhart_task, task_from_csv
from workbench.semantics.task import SemanticTask

SPEC_HELP = (
    "tree (branching 2,2,2), tree:3,2, diffusion:2,2,2:0.1 (branching, flip probability), "
    "diffusion:2,2,2:0.1:200 (200 sampled properties), table:rumelhart, or a path to a CSV"
)


def task_from_spec(spec: str, *, seed: int = 0) -> SemanticTask:
    """The task that ``spec`` names; see `SPEC_HELP`.

    >>> task_from_spec("tree:3,2").n_items
    6
    """
    kind, colon, rest = spec.partition(":")
    if kind == "tree":
        return Hierarchy(_branching(rest if colon else "2,2,2", spec)).indicator_task()
    if kind == "diffusion":
        parts = (rest if colon else "2,2,2:0.1").split(":")
        if len(parts) > 3:
            raise WorkbenchError(f"task {spec!r} has too many parts; expected such as diffusion:2,2,2:0.1:200")
        flip = _number(parts[1], spec) if len(parts) > 1 else 0.1
        count = None if len(parts) < 3 else _count(parts[2], spec)
        return Hierarchy(_branching(parts[0], spec)).diffusion_task(flip, count, seed=seed)
    if kind == "table":
        if rest != "rumelhart":
            raise WorkbenchError(f"no bundled table {rest!r}; use table:rumelhart or the path of a CSV file")
        return rumelhart_task()
    path = Path(spec)
    try:
        there, readable = path.exists(), path.is_file()
    except OSError as error:
        raise WorkbenchError(f"task {_short(spec)}: {error.strerror}; use {SPEC_HELP}") from None
    if readable:
        return task_from_csv(path)
    if there and spec:
        raise WorkbenchError(f"cannot read {spec}: it is no file; give the path of a CSV file")
    if path.suffix.lower() in {".csv", ".tsv", ".txt"}:
        raise WorkbenchError(f"cannot read {spec}: no such file; check the path")
    raise WorkbenchError(f"unknown task {_short(spec)}; use {SPEC_HELP}")


def _short(spec: str) -> str:
    return repr(spec if len(spec) <= 60 else spec[:57] + "...")


def _branching(text: str, spec: str) -> tuple[int, ...]:
    try:
        return tuple(int(b) for b in text.split(","))
    except ValueError:
        raise WorkbenchError(
            f"task {spec!r}: branching {text!r} is not a list of whole numbers; expected such as 2,2,2"
        ) from None


def _count(text: str, spec: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise WorkbenchError(
            f"task {spec!r}: {text!r} is not a whole number of properties; expected such as diffusion:2,2,2:0.1:200"
        ) from None


def _number(text: str, spec: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WorkbenchError(f"task {spec!r}: {text!r} is not a number; expected such as diffusion:2,2,2:0.1") from None
