"""Item x property tables: the bundled 8-item table, CSV files and DataFrames in."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.task import SemanticTask

if TYPE_CHECKING:
    import pandas as pd

#: The separator is looked for in the first line of this many characters.
_HEADER_PART = 100_000

#: Which items have which property, over the relations ISA, is, can and has (93 facts).
#: Facts from Rogers & McClelland (2003) after Rumelhart (1990).
_ITEMS = ("Pine", "Oak", "Rose", "Daisy", "Robin", "Canary", "Sunfish", "Salmon")
_GROUPS = {
    "everything": _ITEMS,
    "plants": _ITEMS[:4],
    "animals": _ITEMS[4:],
    "trees": _ITEMS[:2],
    "flowers": _ITEMS[2:4],
    "birds": _ITEMS[4:6],
    "fish": _ITEMS[6:],
}
_HAVE_IN_COMMON = {
    "everything": ("Living thing", "Living", "Grow"),
    "plants": ("Plant", "Roots"),
    "animals": ("Animal", "Move", "Skin"),
    "trees": ("Tree", "Big", "Bark", "Branch"),
    "flowers": ("Flower", "Pretty", "Petals"),
    "birds": ("Bird", "Fly", "Wings", "Feathers"),
    "fish": ("Fish", "Swim", "Gills", "Scales"),
}
_EXCEPTIONS = {
    "Green": ("Pine",),
    "Red": ("Rose", "Robin", "Salmon"),
    "Yellow": ("Daisy", "Canary", "Sunfish"),
    "Sing": ("Canary",),
    "Leaves": ("Oak", "Rose", "Daisy"),
}


def rumelhart_task() -> SemanticTask:
    """The 8 items x 36 properties of Rogers & McClelland (2003), after Rumelhart (1990).

    The items hang on a (2, 2, 2) tree (plants: trees, flowers; animals: birds, fish), but the table is no
    perfect tree: colours and leaves cut across it.

    >>> int(rumelhart_task().Y.sum())
    93
    """
    have: dict[str, tuple[str, ...]] = {}
    for group, properties in _HAVE_IN_COMMON.items():
        have |= dict.fromkeys(properties, _GROUPS[group])
    have |= {f"ISA {item}": (item,) for item in _ITEMS} | _EXCEPTIONS
    Y = np.array([[item in owners for item in _ITEMS] for owners in have.values()], dtype=float)
    return SemanticTask(
        name="Rumelhart 8 items",
        items=_ITEMS,
        properties=tuple(have),
        Y=Y,
        tree=Hierarchy((2, 2, 2)),
        source="Rogers & McClelland (2003) after Rumelhart (1990)",
    )


def task_from_csv(path: str | Path, *, name: str | None = None) -> SemanticTask:
    """Read a table: the header names the properties, the first column names the items, the rest are numbers.

    The separator (comma, semicolon or tab) is told from the header. Anything that is not a finite number is
    refused with its line and column.
    """
    path = Path(path)
    # A path may hold bytes that are no text; names and messages must.
    where, stem = (text.encode("utf-8", "replace").decode() for text in (str(path), path.stem))
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WorkbenchError(f"cannot read {where}: {error.strerror or error}; check the path") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkbenchError(f"{where}: byte {error.start} is not UTF-8 text; save the table as CSV in UTF-8") from None
    return task_from_csv_text(text, name=name or stem, where=where)


def task_from_csv_text(text: str, *, name: str, where: str = "table") -> SemanticTask:
    """As `task_from_csv`, from text already read; ``where`` names it in errors."""
    rows = _rows(text, where)
    if not rows:
        raise WorkbenchError(f"{where}: the file is empty; expected a header and at least 2 items")
    (header_line, header), body = rows[0], rows[1:]
    properties = [_tidy(cell) for cell in header[1:]]
    if not properties:
        raise WorkbenchError(f"{where}: the header names no property; expected 'item,property 1,property 2'")
    _check_header(properties, f"{where}, line {header_line}")
    if len(body) < 2:
        raise WorkbenchError(f"{where}: {len(body)} item below the header; influence needs at least 2")
    first_seen: dict[str, int] = {}
    values = np.empty((len(body), len(properties)))
    for row_index, (line, row) in enumerate(body):
        if len(row) != len(header):
            raise WorkbenchError(
                f"{where}, line {line}, column {min(len(row), len(header)) + 1}: {len(row)} cells where the "
                f"header has {len(header)}; make every row as long as the header"
            )
        item = _tidy(row[0])
        if not item:
            raise WorkbenchError(f"{where}, line {line}, column 1: the item has no name; give it one")
        if item in first_seen:
            raise WorkbenchError(
                f"{where}, line {line}, column 1: item {item!r} is already on line {first_seen[item]}; rename one"
            )
        first_seen[item] = line
        for column, cell in enumerate(row[1:]):
            place = f"{where}, line {line}, column {column + 2} ({properties[column]!r})"
            values[row_index, column] = _number(cell, place)
    if not values.any():
        raise WorkbenchError(f"{where}: every value is 0; there is nothing to learn")
    return SemanticTask(name, tuple(first_seen), tuple(properties), values.T, source=where)


def _rows(text: str, where: str) -> list[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line it starts on, counted from 1."""
    unquoted = re.sub(r'"[^"]*"', "", text[:_HEADER_PART]).lstrip("\r\n")
    header = re.split(r"[\r\n]", unquoted, maxsplit=1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), skipinitialspace=True)
    rows, start = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((start, row))
            start = reader.line_num + 1
    except csv.Error as error:
        raise WorkbenchError(f"{where}, line {start}: not a CSV file ({error}); save the table as plain CSV") from None
    return rows


def _tidy(name: str) -> str:
    """Spreadsheets allow line breaks inside a cell; a name is one line."""
    return " ".join(name.split())


def _check_header(properties: list[str], place: str) -> None:
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


def _number(cell: Any, place: str) -> float:
    """A cell as a finite number; text must look like one, ``True`` and ``False`` are 1 and 0."""
    text = cell.strip() if isinstance(cell, str) else cell
    if isinstance(text, str) and not text:
        raise WorkbenchError(f"{place}: the cell is empty; fill in a number, such as 0 or 1")
    try:
        # Python reads 1_000 as a number; in a table it is a typing error.
        value = float("no number" if isinstance(text, str) and "_" in text else text)
    except (TypeError, ValueError):
        raise WorkbenchError(f"{place}: {text!r} is not a number; use numbers, such as 0 and 1") from None
    if not np.isfinite(value):
        raise WorkbenchError(f"{place}: {text!r} is not finite; use finite numbers only")
    return value


def task_from_dataframe(frame: pd.DataFrame, *, name: str = "DataFrame") -> SemanticTask:
    """A task from a DataFrame whose index names the items and whose columns name the properties.

    A frame with a plain 0..n index and text in its first column takes the item names from there, as in the
    CSV files. Numbers, booleans and numeric text are values; a missing one is refused with its item and
    property.
    """
    import pandas as pd

    cells = frame.astype(object).to_numpy()
    missing, labels, properties = pd.isna(cells), list(frame.index), list(frame.columns)
    if isinstance(frame.index, pd.RangeIndex) and any(isinstance(cell, str) for cell in cells[:, :1].flat):
        labels, cells, missing, properties = list(cells[:, 0]), cells[:, 1:], missing[:, 1:], properties[1:]
    names = ["" if pd.isna(label) is True else _tidy(str(label)) for label in labels]
    properties = [_tidy(str(label)) for label in properties]
    values = np.empty(cells.shape)
    for i, k in np.ndindex(*cells.shape):
        place = f"{name}, item {names[i]!r}, property {properties[k]!r}"
        values[i, k] = _number("" if missing[i, k] else cells[i, k], place)
    return SemanticTask(name, tuple(names), tuple(properties), values.T, source=name)
