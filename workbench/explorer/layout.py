"""Where panels stand in a window of any size: rows of about equal fullness, sizes in the pixels of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

Box = tuple[float, float, float, float]

#: Narrowest width a panel can be read at, in ems, and its share of a row.
_SIZES = {
    "tree": (14, 0.72),
    "strengths": (19, 1.0),
    "loss": (17, 0.9),
    "influence": (27, 1.9),
    "matrix": (20, 1.1),
    "representation": (20, 1.0),
    "factors": (20, 1.1),
    "measures": (22, 1.3),
}
#: Room around the axes of a panel, in ems: left, right, above, below.
_MARGINS = {
    "tree": (0.4, 0.4, 2.4, 0.6),
    "matrix": (6.6, 4.6, 2.4, 6.4),
    "representation": (1.2, 0.8, 2.4, 3.2),
}
#: In rows lower than so many ems the matrix has no names under its columns.
_SHORT, _NAMELESS = 17.0, (6.6, 4.6, 2.4, 1.2)
_MARGIN = (4.6, 0.8, 2.4, 3.2)
#: Room for legend and formula at the foot of the figure, in ems; below a width of so many ems they take more lines.
_FOOT, _NARROW_FOOT, NARROW = 4.4, 7.6, 48
_ROW = 13.0
#: The tree of more items than this stands beside all rows, in a column of so many ems.
_TALL, _COLUMN = 16, 17.0


@dataclass(frozen=True)
class Window:
    """What is known of the window.

    Attributes:
        width, height: of the picture's place, in pixels of the page.
        ratio: pixels of the screen per pixel of the page.
        large: whether letters are those of a presentation.
    """

    width: int = 1180
    height: int = 640
    ratio: float = 1.0
    large: bool = False

    @property
    def em(self) -> float:
        """Size of a letter, in pixels of the page: larger in a wide window, from which people sit further away."""
        size = min(max(9.0 + self.width / 260, 12.0), 16.5)
        return 1.35 * size if self.large else size


@dataclass(frozen=True)
class Layout:
    """Places of the axes as fractions of the figure (left, bottom, width, height), and the figure's size in pixels.

    Attributes:
        cells: what each panel has to itself, with the room for its names.
        short: whether rows are too low for names under the columns of a matrix.
    """

    places: tuple[Box, ...]
    cells: tuple[Box, ...]
    width: float
    height: float
    em: float
    short: bool = False


@cache
def layout(panels: Sequence[str], window: Window, items: int = 0) -> Layout:
    """Panels in the order given, in as few rows as they can be read in; the tree of many ``items`` beside all rows."""
    em, width = window.em, float(window.width)
    rows, column = _beside_the_tree(tuple(panels), width / em, items)
    foot = (_NARROW_FOOT if width < NARROW * em else _FOOT) * em
    high = max(_ROW * em, (window.height - foot) / len(rows))
    high = min(high, 0.62 * width)
    height, short = len(rows) * high + foot, high < _SHORT * em
    cells: dict[str, Box] = {}  # left, top, width, height in pixels
    if column:
        cells["tree"] = (0.0, 0.0, column * em, len(rows) * high)
    for k, row in enumerate(rows):
        whole, left = sum(_SIZES[_kind(name)][1] for name in row), column * em
        for name in row:
            wide = (width - column * em) * _SIZES[_kind(name)][1] / whole
            cells[name] = (left, k * high, wide, high)
            left += wide
    margins = _MARGINS | {"matrix": _NAMELESS} if short else _MARGINS
    places = []
    for name in panels:
        left, top, wide, tall = cells[name]
        before, after, above, below = (em * x for x in margins.get(_kind(name), _MARGIN))
        places.append(
            (
                (left + before) / width,
                1 - (top + tall - below) / height,
                max(wide - before - after, 2 * em) / width,
                (tall - above - below) / height,
            )
        )
    shares = tuple(
        (x / width, 1 - (y + h) / height, w / width, h / height) for x, y, w, h in (cells[name] for name in panels)
    )
    return Layout(tuple(places), shares, width, height, em, short)


def _beside_the_tree(panels: tuple[str, ...], ems: float, items: int) -> tuple[list[tuple[str, ...]], float]:
    """Rows of panels, and the width of a column for the tree beside them: 0 where it stands in a row."""
    others = tuple(name for name in panels if name != "tree")
    if items > _TALL and 0 < len(others) < len(panels):
        rows = _rows(others, ems - _COLUMN)
        if len(rows) > 1 and all(_fits(row, ems - _COLUMN) for row in rows):
            return rows, _COLUMN
    return _rows(panels, ems), 0.0


def _kind(name: str) -> str:
    return name.partition("@")[0]


def _rows(panels: Sequence[str], ems: float) -> list[tuple[str, ...]]:
    """Contiguous rows that fit ``ems``, the fewest of them but two for more than three panels, evenly full."""
    fewest = 1 if len(panels) <= 3 else 2
    for count in range(fewest, len(panels) + 1):
        splits = [rows for rows in _splits(tuple(panels), count) if all(_fits(row, ems) for row in rows)]
        if splits:
            return min(splits, key=lambda rows: max(sum(_SIZES[_kind(name)][1] for name in row) for row in rows))
    return [(name,) for name in panels]


def _fits(row: tuple[str, ...], ems: float) -> bool:
    return sum(_SIZES[_kind(name)][0] for name in row) <= ems


def _splits(panels: tuple[str, ...], count: int) -> list[list[tuple[str, ...]]]:
    if count == 1:
        return [[panels]]
    return [[panels[:k], *rest] for k in range(1, len(panels) - count + 2) for rest in _splits(panels[k:], count - 1)]
