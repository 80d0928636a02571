"""Item x property tables from CSV files and DataFrames: two doors to one reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError, counted
from workbench.semantics.names import showable, tidy
from workbench.semantics.tables.encoding import read_text, text_of
from workbench.semantics.tables.rows import CORNERS, MOST_CELLS, Row, is_counting, rows_of
from workbench.semantics.tables.values import is_numeral, numbers
from workbench.semantics.task import SemanticTask

if TYPE_CHECKING:
    import pandas as pd


def task_from_csv(path: str | Path, *, name: str | None = None) -> SemanticTask:
    """Read a table: the header names the properties, the first column names the items, the rest are numbers.

    UTF-8 or UTF-16, plain or gzipped; separated by commas, semicolons or tabs. Truth values (true, false; a column of
    yes and no), per cent, decimal commas, and groups of digits are read where they can mean one number only. Anything
    else is refused with its line and column.
    """
    path = Path(path)
    # A path may hold bytes that are no text; names and messages must.
    where, stem = (showable(text.encode("utf-8", "replace").decode()) for text in (str(path), path.stem))
    return task_from_csv_text(read_text(path, where), name=name or stem.removesuffix(".csv"), where=where)


def task_from_csv_bytes(raw: bytes, *, name: str, where: str = "table") -> SemanticTask:
    """As `task_from_csv`, from the content of a file; ``where`` names it in errors."""
    return task_from_csv_text(text_of(raw, where), name=name, where=where)


def task_from_csv_text(text: str, *, name: str, where: str = "table") -> SemanticTask:
    """As `task_from_csv`, from text already read; ``where`` names it in errors."""
    _refuse_trees(text, where)
    rows = rows_of(text, where)
    if not rows:
        raise WorkbenchError(f"{where}: the file is empty; expected a header and at least 2 items")
    header, body = rows[0], rows[1:]
    properties = [tidy(cell) for cell in header.cells[1:]]
    if not properties:
        raise WorkbenchError(
            f"{where}: the header names no property; expected 'item,property 1,property 2', cells separated by commas, "
            "semicolons or tabs"
        )
    if len(body) < 2:
        raise WorkbenchError(f"{where}: {counted(len(body), 'item')} below the header; influence needs at least 2")
    _refuse_uneven(header, body, where)
    _refuse_without_names(header, body, where)
    _check_properties(properties, f"{where}, line {header.line}")
    items = _items(body, where)
    columns = list(zip(*(row.cells[1:] for row in body), strict=True))
    Y = numbers(
        columns, len(body), lambda row, k: f"{where}, line {body[row].line}, column {k + 2} ({properties[k]!r})"
    )
    if not Y.any():
        raise WorkbenchError(f"{where}: every value is 0; there is nothing to learn")
    return SemanticTask(name, items, tuple(properties), Y, source=where)


def task_from_dataframe(frame: pd.DataFrame, *, name: str = "DataFrame") -> SemanticTask:
    """A task from a DataFrame whose index names the items and whose columns name the properties.

    The same as `task_from_csv` makes of what ``frame.to_csv`` writes. A frame with a plain 0..n index and text in its
    first column takes the item names from there. A missing value is refused with its item and property.
    """
    import pandas as pd

    if frame.size > MOST_CELLS:
        raise WorkbenchError(f"{name}: {frame.size} cells; a table may have {MOST_CELLS:,}; keep fewer items")
    cells = frame.astype(object).where(~frame.isna().to_numpy(dtype=bool), None)
    labels = [None if pd.isna(label) is True else label for label in frame.index]
    columns = [list(cells.iloc[:, k]) for k in range(cells.shape[1])]
    properties = [tidy(label) for label in frame.columns]
    unnamed = frame.index.name is None and columns
    if unnamed and is_counting([str(label) for label in labels], columns[0]):
        labels, columns, properties = columns[0], columns[1:], properties[1:]
    names = ["" if label is None else tidy(label) for label in labels]
    given = [["" if cell is None else cell for cell in column] for column in columns]
    Y = numbers(given, len(names), lambda row, k: f"{name}, item {names[row]!r}, property {properties[k]!r}")
    return SemanticTask(name, tuple(names), tuple(properties), Y, source=name)


def _refuse_trees(text: str, where: str) -> None:
    """Trees in a file that its ending does not tell to be one."""
    start = text.lstrip("\ufeff \t\r\n")
    if start[:6].upper() == "#NEXUS":
        raise WorkbenchError(f"{where}: this is a NEXUS file; export its tree as Newick, into a file that ends in .nwk")
    if start.startswith("(") and start.rstrip().endswith(";"):
        raise WorkbenchError(f"{where}: this is a tree in Newick text, no table; let the file's name end in .nwk")


def _refuse_without_names(header: Row, body: Sequence[Row], where: str) -> None:
    """A first row or column of numbers that can hardly be names: it would be lost as data."""
    corner, *names = (cell.strip() for cell in header.cells)
    if all(map(is_numeral, names)) and (is_numeral(corner) or len(set(names)) < len(names)):
        raise WorkbenchError(
            f"{where}, line {header.line}: {', '.join(names[:3])} stand where the properties are named; put a line of "
            "names above the numbers"
        )
    labels = [row.cells[0].strip() for row in body]
    measured = len(set(labels)) < len(labels) or not all(label.isdecimal() for label in labels)
    if all(map(is_numeral, labels)) and measured and corner.lower() not in CORNERS:
        raise WorkbenchError(
            f"{where}, line {body[0].line}, column 1: {', '.join(labels[:3])} stand where the items are named; put a "
            f"column of names in front, or call the column 'item' in place of {corner!r} if these are the names"
        )


def _refuse_uneven(header: Row, body: Sequence[Row], where: str) -> None:
    width = len(header.cells)
    for row in body:
        if len(row.cells) != width:
            raise WorkbenchError(
                f"{where}, line {row.line}, column {min(len(row.cells), width) + 1}: "
                f"{counted(len(row.cells), 'cell')} where the header has {width}; make every row as long as the header"
            )


def _check_properties(properties: Sequence[str], place: str) -> None:
    first_seen: dict[str, int] = {}
    for column, name in enumerate(properties, start=2):
        if not name:
            raise WorkbenchError(f"{place}, column {column}: the property has no name; name it or delete the column")
        if name in first_seen:
            raise WorkbenchError(
                f"{place}, column {column}: property {name!r} is already in column {first_seen[name]}; "
                "rename or drop one"
            )
        first_seen[name] = column


def _items(body: Sequence[Row], where: str) -> tuple[str, ...]:
    first_seen: dict[str, int] = {}
    for row in body:
        item = tidy(row.cells[0])
        if not item:
            raise WorkbenchError(f"{where}, line {row.line}, column 1: the item has no name; give it one")
        if item in first_seen:
            raise WorkbenchError(
                f"{where}, line {row.line}, column 1: item {item!r} is already on line {first_seen[item]}; rename one"
            )
        first_seen[item] = row.line
    return tuple(first_seen)
