"""A table that the browser hands over."""

from __future__ import annotations

from typing import Any

from workbench.errors import WorkbenchError
from workbench.semantics.tables.encoding import text_of

#: Bytes of the largest table that may be uploaded.
MAX_UPLOAD = 10_000_000


def uploaded_text(value: Any) -> tuple[str, str]:
    """Name and text of an uploaded file; ipywidgets 7 hands over a dictionary by name, ipywidgets 8 a tuple."""
    if not value:
        return "", ""
    if isinstance(value, dict):
        name, entry = next(reversed(value.items()))
    else:
        entry = value[-1]
        name = entry["name"]
    return str(name), table_text(bytes(entry["content"]), str(name))


def table_text(raw: bytes, name: str) -> str:
    """The text of a table in any of the usual encodings."""
    if len(raw) > MAX_UPLOAD:
        raise too_large(name, len(raw))
    text = text_of(raw, name)
    if not text.strip():
        raise WorkbenchError(f"{name}: the file is empty; expected a header and at least 2 items")
    return text


def too_large(name: str, size: int) -> WorkbenchError:
    """What is said of a file that is not even sent."""
    return WorkbenchError(
        f"{name} has {size / 1e6:.3g} MB; the explorer takes tables of up to {MAX_UPLOAD / 1e6:g} MB: keep fewer "
        "columns, or use `workbench compare`"
    )
