"""Tables as CSV for spreadsheets, which take a cell that begins like a formula for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sheet(table: pd.DataFrame) -> str:
    """The table as CSV, with an apostrophe before text that a spreadsheet would run; numbers stay as they are."""
    safe = table.rename(columns=_quoted)
    for column, values in zip(safe.columns, (table[name] for name in table.columns), strict=True):
        if values.dtype.kind not in "biufc":
            safe[column] = values.map(_quoted)
    return safe.to_csv(index=False)


def _quoted(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
