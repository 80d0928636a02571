"""Tables: data frames and the verdicts on the claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.report.markup import Markup, element, slug, together

if TYPE_CHECKING:
    from workbench.agreement import Ruling, Verdict

#: Rows beyond this many are counted, not shown.
MAX_ROWS = 200

_HEAD = ("Claim", "Found", "Allowed", "Verdict", "Would have caught", "Reason")


def value_text(value: Any) -> str:
    """Four significant digits for numbers, a dash for what is missing."""
    if value is None:
        return "–"
    if isinstance(value, bool | int) or not isinstance(value, Real):
        return str(value)
    number = float(value)
    return "–" if math.isnan(number) else f"{number:.4g}"


def table(title: str, frame: pd.DataFrame, note: str) -> Markup:
    """A data frame with title and note; an index with a name or of words becomes row headers."""
    indexed = frame.index.name is not None or not isinstance(frame.index, pd.RangeIndex)
    shown = frame.iloc[:MAX_ROWS]
    head = ([str(frame.index.name or "")] if indexed else []) + [str(column) for column in frame.columns]
    rows = [
        [_cell(label, header=True)] * indexed + [_cell(value) for value in values]
        for label, values in zip(shown.index, shown.itertuples(index=False, name=None), strict=True)
    ]
    left = len(frame) - len(shown)
    more = f"The first {len(shown)} of {len(frame)} rows. " if left else ""
    return together(_grid(title, head, rows), element("p", more + note, class_="note") if more + note else "")


def _cell(value: Any, *, header: bool = False) -> Markup:
    if header:
        return element("th", value_text(value), scope="row")
    kind = "number" if value is None or (isinstance(value, Real) and not isinstance(value, bool)) else "words"
    return element("td", value_text(value), class_=kind)


def _grid(title: str, head: Sequence[str], rows: Sequence[Sequence[Markup]]) -> Markup:
    return element(
        "div",
        element(
            "table",
            element("caption", title),
            element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
            element("tbody", *(element("tr", *row) for row in rows)),
        ),
        # Wide tables scroll inside their own frame; it must be reachable by keyboard to scroll.
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=title,
        id=f"table-{slug(title)}",
    )


def verdict_table(verdicts: Sequence[Verdict]) -> Markup:
    """The claims, each with a coloured word that does not rely on the colour."""
    rows = [
        [
            _cell(v.claim, header=True),
            _cell(v.found.replace("+-", "±")),
            _cell(v.allowed),
            element("td", element("span", v.ruling.value, class_=f"verdict {verdict_class(v.ruling)}")),
            _cell(v.catches),
            _cell(v.reason),
        ]
        for v in verdicts
    ]
    return _grid("Claims and verdicts", _HEAD, rows)


def verdict_class(ruling: Ruling) -> str:
    """``good``, ``bad`` or ``open``, for colours and counts."""
    return {"HOLDS": "good", "FAILS": "bad", "NOT_CLAIMED": "open"}[ruling.name]
