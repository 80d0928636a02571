"""Names written on curves, where they are told apart, and none over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.explorer.stamp import Stamp, paper

Array = NDArray[np.float64]

#: Width of a letter over its size, on average and with room.
_LETTER = 0.56
_CANDIDATES = 41
#: A name leaves the place farthest from 0, where others cross it, for one at least so far away.
_FAR = 0.2


class CurveLabels:
    """Up to ``most`` names in one panel; they move with the curves."""

    def __init__(self, ax: Any, most: int, size: float, background: str) -> None:
        self.ax = ax
        self.texts = [
            Stamp(
                0,
                0,
                "",
                fontsize=size,
                ha="center",
                va="center",
                bbox=paper(background),
                visible=False,
                transform=ax.transData,
                clip_on=False,
            )
            for _ in range(most)
        ]
        for text in self.texts:
            ax.add_artist(text)

    def show(self, names: Sequence[str], times: Array, values: Sequence[Array], colours: Sequence[str]) -> None:
        """Write each name on its curve, first come first placed; what finds no room is left out."""
        box = self.ax.get_window_extent()
        size = self.texts[0].get_fontsize() * self.ax.figure.dpi / 72 if self.texts else 0.0
        (left, right), (bottom, top) = self.ax.get_xlim(), self.ax.get_ylim()
        columns = (times - left) / (right - left) * box.width
        rows = [(curve - bottom) / (top - bottom) * box.height for curve in values]
        zero = -bottom / (top - bottom) * box.height
        taken: list[tuple[float, float, float, float]] = []
        used = 0
        for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
            if used == len(self.texts):
                break
            half = (0.5 * _LETTER * size * len(name), 0.75 * size)
            place = _place(columns, rows, k, zero, half, taken, (box.width, box.height))
            if place is None:
                continue
            x, y = place
            text = self.texts[used]
            text.set_position((left + x / box.width * (right - left), bottom + y / box.height * (top - bottom)))
            text.set_text(name)
            text.set_color(colour)
            text.set_visible(True)
            used += 1
        for text in self.texts[used:]:
            text.set_visible(False)


def _place(
    columns: Array,
    rows: Sequence[Array],
    own: int,
    zero: float,
    half: tuple[float, float],
    taken: list[tuple[float, float, float, float]],
    size: tuple[float, float],
) -> tuple[float, float] | None:
    """Pixels of the middle of a name just off its curve, far from 0 and where no curve runs if there is such a place.

    Curves are ``rows`` over ``columns``, in pixels; the room of a name is ``2 * half``. The chosen room is ``taken``.
    """
    at = np.linspace(0.02, 0.98, _CANDIDATES) * columns[-1]
    y = np.interp(at, columns, rows[own])
    away = np.where(y >= zero, 1.0, -1.0)
    x = np.tile(np.clip(at, half[0] + 2, size[0] - half[0] - 2), 2)
    z = np.concatenate([y + away * 1.5 * half[1], y - away * 1.5 * half[1]])
    free = (half[1] <= z) & (z <= size[1] - half[1])
    for a, b, c, d in taken:
        free &= (x + half[0] <= a) | (b <= x - half[0]) | (z + half[1] <= c) | (d <= z - half[1])
    if not free.any():
        return None
    crossed = np.zeros(len(x), dtype=bool)
    beside = np.abs(columns - x[:, None]) < half[0]
    for row in rows:
        crossed |= (beside & (np.abs(row - z[:, None]) < half[1])).any(axis=1)
    far = np.where(free, np.abs(np.tile(y, 2) - zero), -1.0)
    good = free & ~crossed & (far >= _FAR * far.max())
    k = int(np.argmax(np.where(good, far, -1.0) if good.any() else far))
    taken.append((x[k] - half[0], x[k] + half[0], z[k] - half[1], z[k] + half[1]))
    return float(x[k]), float(z[k])


def together(values: Array, members: Sequence[int], equal: float = 1e-6) -> list[list[int]]:
    """``members`` (columns of ``(T, P)`` values) in groups whose curves coincide, in the order given."""
    scale = equal * max(float(np.abs(values[:, list(members)]).max(initial=0.0)), np.finfo(float).tiny)
    groups: list[list[int]] = []
    for j in members:
        for group in groups:
            if np.abs(values[:, j] - values[:, group[0]]).max() <= scale:
                group.append(j)
                break
        else:
            groups.append([j])
    return groups
