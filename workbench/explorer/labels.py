"""Names written on curves, where they are told apart, and none over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.explorer.stamp import Stamp

Array = NDArray[np.float64]

#: Width of a letter over its size, on average and with room.
_LETTER = 0.56
_CANDIDATES = 41


class CurveLabels:
    """Up to ``most`` names in one panel; they move with the curves."""

    def __init__(self, ax: Any, most: int, size: float, background: str) -> None:
        self.ax = ax
        paper = {"facecolor": background, "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
        self.texts = [
            Stamp(
                0,
                0,
                "",
                fontsize=size,
                ha="center",
                va="center",
                bbox=paper,
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
        taken: list[tuple[float, float, float, float]] = []
        used = 0
        for name, curve, colour in zip(names, values, colours, strict=True):
            if used == len(self.texts):
                break
            half = (0.5 * _LETTER * size * len(name), 0.75 * size)
            place = self._place(times, curve, half, taken, box)
            if place is None:
                continue
            text = self.texts[used]
            text.set_position(place)
            text.set_text(name)
            text.set_color(colour)
            text.set_visible(True)
            used += 1
        for text in self.texts[used:]:
            text.set_visible(False)

    def _place(
        self, times: Array, curve: Array, half: tuple[float, float], taken: list[Any], box: Any
    ) -> tuple[float, float] | None:
        """Data coordinates of the middle of a name just off its curve, where the curve is far from 0."""
        (left, right), (bottom, top) = self.ax.get_xlim(), self.ax.get_ylim()
        at = np.linspace(0.02, 0.98, _CANDIDATES) * times[-1]
        y = np.interp(at, times, curve)
        column = (at - left) / (right - left) * box.width
        row = (y - bottom) / (top - bottom) * box.height
        for k in np.argsort(-np.abs(y), kind="stable"):
            for side in (np.sign(y[k]) or 1.0, -(np.sign(y[k]) or 1.0)):
                x, z = float(column[k]), float(row[k] + side * 1.5 * half[1])
                x = min(max(x, half[0] + 2), box.width - half[0] - 2)
                if not (half[1] <= z <= box.height - half[1]):
                    continue
                here = (x - half[0], x + half[0], z - half[1], z + half[1])
                if any(a < here[1] and here[0] < b and c < here[3] and here[2] < d for a, b, c, d in taken):
                    continue
                taken.append(here)
                return left + x / box.width * (right - left), bottom + z / box.height * (top - bottom)
        return None


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
