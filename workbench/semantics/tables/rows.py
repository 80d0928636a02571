"""Text as rows of cells: the separator, and what programs put around a table."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from workbench.errors import WorkbenchError
from workbench.semantics.tables.values import is_value

SEPARATORS = ",;\t"
#: More cells than this are refused.
MOST_CELLS = 4_000_000
#: Stands behind the text while it is read: if it is no row of its own, a quote was never closed.
_END = "\x03end of table\x03"
#: First cells that name the column of names: a header that begins so is not short by that column.
CORNERS = {"", "item", "items", "name", "names", "id", "index", "row", "label"}


class Row(NamedTuple):
    """Cells, and the line of the file that they start on, counted from 1."""

    line: int
    cells: list[str]


def rows_of(text: str, where: str) -> list[Row]:
    """Header and items, equally long unless a row is wrong; comments, blank rows and empty last columns left out.

    A first line ``sep=;`` as Excel writes it says the separator. Otherwise it is the one of comma, semicolon and tab
    that makes all rows equally long.
    """
    text = text.removeprefix("\ufeff")
    said = re.match(r"[\r\n]*\"?sep=(.)\"?[ ]*(\r\n|\r|\n)", text)
    skipped = text[: said.end()] if said else ""
    body = text[len(skipped) :]
    first_line = 1 + len(re.findall(r"\r\n|\r|\n", skipped))
    separator = said[1] if said else _separator(body, where)
    rows = _without_comments(list(_read(body, separator, first_line, where)))
    rows = _without_empty_columns(rows)
    if len(rows) * max((len(row.cells) for row in rows), default=0) > MOST_CELLS:
        raise WorkbenchError(
            f"{where}: {len(rows)} rows of {len(rows[0].cells)} cells, more than the {MOST_CELLS:,} cells that a "
            "table may have; keep fewer items or properties"
        )
    return _with_corner(rows)


def _read(text: str, separator: str, first_line: int, where: str) -> Iterator[Row]:
    """Rows that are not blank."""
    source = io.StringIO(text + ("" if text.endswith(("\n", "\r")) else "\n") + _END, newline="")
    reader = csv.reader(source, delimiter=separator, skipinitialspace=separator != "\t")
    start = 1
    try:
        for cells in reader:
            if cells == [_END]:
                return
            if cells and cells[-1].endswith(_END):
                raise WorkbenchError(
                    f'{where}, line {first_line + start - 1}: a quote (") is opened and never closed; close it, or '
                    "write a quote inside a quoted cell twice"
                )
            if any(cell.strip() for cell in cells):
                yield Row(first_line + start - 1, cells)
            start = reader.line_num + 1
    except csv.Error as error:
        raise WorkbenchError(
            f"{where}, line {first_line + start - 1}: not a CSV file ({error}); save the table as plain CSV"
        ) from None


def _separator(text: str, where: str) -> str:
    """The separator that makes all rows equally long, or nearly so; refused where two would read another table."""
    candidates = [separator for separator in SEPARATORS if separator in text]
    if len(candidates) < 2:
        return candidates[0] if candidates else ","
    tables = {separator: _shape(text, separator, where) for separator in candidates}
    regular = {separator: rows for separator, rows in tables.items() if _is_regular(rows)}
    numeric = {
        separator: rows
        for separator, rows in regular.items()
        if all(is_value(c) for r in rows[1:] for c in r.cells[1:])
    }
    fitting = numeric or regular
    widest = max((len(rows[0].cells) for rows in fitting.values()), default=0)
    best = [separator for separator, rows in fitting.items() if len(rows[0].cells) == widest]
    if len(best) > 1:
        raise WorkbenchError(
            f"{where}: both {best[0]!r} and {best[1]!r} cut every row into {widest} cells; "
            "put quotes around names that hold a separator, or begin the file with a line such as sep=;"
        )
    return best[0] if best else max(candidates, key=lambda separator: _agreement(tables[separator]))


def _shape(text: str, separator: str, where: str) -> list[Row]:
    try:
        return _without_empty_columns(_without_comments(list(_read(text, separator, 1, where))))
    except WorkbenchError:
        return []


def _is_regular(rows: list[Row]) -> bool:
    widths = {len(row.cells) for row in rows[1:]}
    return len(widths) == 1 and max(widths) > 1 and len(rows[0].cells) - max(widths) in (0, -1)


def _agreement(rows: list[Row]) -> tuple[float, int]:
    """How many rows are as long as the commonest above 1, and how long the header is."""
    if not rows:
        return 0.0, 0
    widths = Counter(len(row.cells) for row in rows if len(row.cells) > 1)
    return (widths.most_common(1)[0][1] if widths else 0) / len(rows), len(rows[0].cells)


def _without_comments(rows: list[Row]) -> list[Row]:
    """Without rows that begin with ``#``, unless they fit the table: a header or an item may be named so."""
    others = [row for row in rows if not row.cells[0].lstrip().startswith("#")]
    if len(others) == len(rows) or not others:
        return rows
    width, first = len(others[-1].cells), rows.index(others[0])
    # The last comment above a table without any other header is its header.
    header = rows[first - 1] if first and all(is_value(cell) for cell in others[0].cells[1:]) else None
    return [
        row
        for position, row in enumerate(rows)
        if row in others
        or (row is header and len(row.cells) in (width, width - 1))
        or (position > first and len(row.cells) == width)
    ]


def _without_empty_columns(rows: list[Row]) -> list[Row]:
    """Without the last columns that are empty in every row, as spreadsheets leave them."""
    if not rows:
        return rows
    width = max(max((k + 1 for k, cell in enumerate(row.cells) if cell.strip()), default=1) for row in rows)
    return [Row(row.line, row.cells[:width]) for row in rows]


def _with_corner(rows: list[Row]) -> list[Row]:
    """With the empty cell over the names of the items that R leaves out; without the index that pandas adds."""
    if len(rows) < 2:
        return rows
    header, body = rows[0], rows[1:]
    widths = {len(row.cells) for row in body}
    if widths == {len(header.cells) + 1} and header.cells[0].strip().lower() not in CORNERS:
        header = Row(header.line, ["", *header.cells])
    elif (
        not header.cells[0].strip()
        and widths == {len(header.cells)}
        and len(header.cells) > 1
        and is_counting([row.cells[0].strip() for row in body], [row.cells[1] for row in body])
    ):
        return [Row(row.line, row.cells[1:]) for row in rows]
    return [header, *body]


def is_counting(labels: list[str], first_column: list[object]) -> bool:
    """Whether labels only count the rows and the names are in the first column, as in a frame without an index."""
    return labels == [str(k) for k in range(len(labels))] and any(not is_value(cell) for cell in first_column)
