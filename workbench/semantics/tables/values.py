"""Cells as numbers, in the ways that people and programs write them, wherever only one number can be meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError

#: What says where a cell stands, from its row and column.
Place = Callable[[int, int], str]
#: What a comma inside a number is; None if no cell says.
Comma = Literal["decimal", "thousands"] | None

_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ONE_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_COMMA_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}((,[0-9]{3})+\.[0-9]*|(,[0-9]{3}){2,})")
_DECIMAL_COMMA = re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+|),[0-9]+([eE][+-]?[0-9]+)?")
_ONE_POINT_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
_SPACED_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}([\u00a0\u2009\u202f][0-9]{3})+(?![0-9])")
_WORDS = {"true": 1.0, "false": 0.0}
_YES_NO = {"yes": 1.0, "no": 0.0}
_MISSING = {"na", "n/a", "#n/a", "null", "none", "-", "?", "."}


def is_value(cell: Any) -> bool:
    """Whether a cell is a number or a truth value in any notation, or empty; item names are none of these."""
    if not isinstance(cell, str):
        return cell is None or isinstance(cell, Real | np.bool_)
    text = _bare(cell).removesuffix("%")
    return (
        not text
        or text.lower() in _WORDS | _YES_NO
        or any(form.fullmatch(text) for form in (_PLAIN, _ONE_GROUP, _COMMA_GROUPS, _DECIMAL_COMMA))
    )


def is_numeral(text: str) -> bool:
    """Whether text is written in digits alone, with or without a decimal point, sign and exponent."""
    return _PLAIN.fullmatch(_bare(text)) is not None


def numbers(columns: Sequence[Sequence[Any]], n_rows: int, place: Place) -> NDArray[np.float64]:
    """``(columns, rows)`` numbers.

    Args:
        columns: each of ``n_rows`` cells; cells are text or numbers, None or empty text where there is none.
        place: names a cell in errors, from its row and column.
    """
    values = np.empty((len(columns), n_rows))
    slow = []
    for k, column in enumerate(columns):
        try:
            values[k] = [_plain_float(cell) for cell in column]
        except (TypeError, ValueError):
            slow.append(k)
    comma = _comma_of_table(columns, slow, place)
    for k in slow:
        words = {_bare(cell).lower() for cell in columns[k] if isinstance(cell, str)}
        percent = bool(words) and all(word.endswith("%") or word in ("0", "") for word in words)
        yes_no = words <= _YES_NO.keys()
        for row, cell in enumerate(columns[k]):
            values[k, row] = _number(cell, place(row, k), comma, percent=percent, yes_no=yes_no)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        k, row = bad[np.lexsort((bad[:, 0], bad[:, 1]))[0]]
        cell = columns[k][row]
        shown = repr(cell.strip()) if isinstance(cell, str) else f"{cell}"
        raise WorkbenchError(f"{place(int(row), int(k))}: {shown} is not finite; use finite numbers only")
    return values


def _bare(cell: str) -> str:
    """Without spaces around it, thin spaces between groups of digits and the typographic minus."""
    text = cell.strip().replace("\u2212", "-")
    number = text.rstrip("%").rstrip() if text.endswith("%") else text
    groups = _SPACED_GROUPS.match(number)
    if groups:
        number = re.sub(r"[\u00a0\u2009\u202f]", "", groups[0]) + number[groups.end() :]
    return number + "%" if text.endswith("%") else number


def _comma_of_table(columns: Sequence[Sequence[Any]], slow: Sequence[int], place: Place) -> Comma:
    """What commas in numbers are: a cell that can be read in one way only decides for the whole table."""
    written = [_bare(cell).removesuffix("%") for k in slow for cell in columns[k] if isinstance(cell, str)]
    if not any("," in text for text in written):
        return None
    pointed = [(k, row) for k, column in enumerate(columns) for row, cell in enumerate(column) if "." in str(cell)]
    unsure = [
        (k, row)
        for k, row in pointed
        if isinstance(columns[k][row], str) and _ONE_POINT_GROUP.fullmatch(columns[k][row].strip())
    ]
    decimal = any(_DECIMAL_COMMA.fullmatch(text) and not _ONE_GROUP.fullmatch(text) for text in written if "," in text)
    thousands = any(_COMMA_GROUPS.fullmatch(text) for text in written) or any(
        _PLAIN.fullmatch(str(columns[k][row]).strip()) for k, row in set(pointed) - set(unsure)
    )
    if decimal and not thousands and unsure:
        k, row = unsure[0]
        text = columns[k][row].strip()
        raise WorkbenchError(
            f"{place(row, k)}: {text!r} may be {text.replace('.', '')} or {text} where other cells have decimal "
            "commas; write numbers with a decimal point and without commas"
        )
    return None if decimal == thousands else "decimal" if decimal else "thousands"


def _number(cell: Any, place: str, comma: Comma, *, percent: bool, yes_no: bool) -> float:
    """One cell as a number; what it was taken for, and the remedy, where it cannot be one."""
    if not isinstance(cell, str):
        return _plain_number(cell, place)
    text = _bare(cell)
    if not text:
        raise WorkbenchError(f"{place}: the cell is empty; fill in a number, such as 0 or 1")
    word = text.lower()
    if word in _WORDS or (yes_no and word in _YES_NO):
        return (_WORDS | _YES_NO)[word]
    share = text.endswith("%")
    if share and not percent:
        raise WorkbenchError(f"{place}: {text!r} stands among numbers without a percent sign; write all of them alike")
    number = text.removesuffix("%")
    if "," in number:
        number = _without_commas(number, text, place, comma)
    if _PLAIN.fullmatch(number):
        return float(number) / (100 if share else 1)
    if word in _MISSING:
        raise WorkbenchError(
            f"{place}: {text!r} marks a missing value; fill in a number, or leave the item or the property out"
        )
    return _plain_number(text, place)


def _without_commas(number: str, text: str, place: str, comma: Comma) -> str:
    """``0,5`` as ``0.5`` and ``17,441`` as ``17441``, by what commas are in this table."""
    if comma == "decimal" and _DECIMAL_COMMA.fullmatch(number):
        return number.replace(".", "").replace(",", ".")
    if comma == "thousands" and (_ONE_GROUP.fullmatch(number) or _COMMA_GROUPS.fullmatch(number)):
        return number.replace(",", "")
    if _ONE_GROUP.fullmatch(number):
        raise WorkbenchError(
            f"{place}: {text!r} may be {number.replace(',', '')} or {number.replace(',', '.')}; "
            "write numbers with a decimal point and without commas"
        )
    if _DECIMAL_COMMA.fullmatch(number) or _COMMA_GROUPS.fullmatch(number):
        raise WorkbenchError(
            f"{place}: {text!r} is not a number where other cells use commas or points in another way; "
            "write numbers with a decimal point and without commas"
        )
    return number


def _plain_number(cell: Any, place: str) -> float:
    try:
        return _plain_float(cell)
    except (TypeError, ValueError):
        raise WorkbenchError(f"{place}: {cell!r} is not a number; use numbers, such as 0 and 1") from None


def _plain_float(cell: Any) -> float:
    """As Python reads it, but for ``1_000`` and digits of other scripts, which are typing errors in a table."""
    if isinstance(cell, str) and ("_" in cell or not cell.isascii()):
        raise ValueError(cell)
    return float(cell)
