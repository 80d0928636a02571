"""Letters drawn once and then put where they are as pixels: on a screen letters take most of the time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

#: Pixels of every line drawn so far, and where they lie from its place; forgotten when there are so many.
_KNOWN: dict[tuple[object, ...], tuple[Any, tuple[int, int]]] = {}
_MOST = 600


class Stamp(Text):
    """A line that moves, or comes and goes: drawn letter by letter the first time (1 ms), then as pixels (0.02 ms)."""

    def draw(self, renderer: Any) -> None:
        """As pixels on a screen, as letters in vector graphics."""
        if not self.get_visible() or not self.get_text():
            return
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        x, y = (round(each) for each in self.get_transform().transform(self.get_position()))
        paper = self.get_bbox_patch()
        aligned = self.get_horizontalalignment(), self.get_verticalalignment()
        colours = self.get_color(), paper and paper.get_facecolor()
        key = self.get_text(), colours, self.get_fontsize(), aligned, renderer.dpi
        if key not in _KNOWN:
            if len(_KNOWN) >= _MOST:
                _KNOWN.clear()
            _KNOWN[key] = self._drawn(renderer)
        pixels, (left, bottom) = _KNOWN[key]
        renderer.draw_image(renderer.new_gc(), x + left, y + bottom, pixels)

    def _drawn(self, renderer: RendererAgg) -> tuple[Any, tuple[int, int]]:
        """The pixels of the line, lowest row first, and where they lie from its place."""
        transform, place = self.get_transform(), self.get_position()
        self.set_clip_on(False)  # to axes that are not on this paper
        self.set_transform(IdentityTransform())
        self.set_position((0, 0))
        box = self.get_window_extent(renderer)
        room = math.ceil(0.5 * float(self.get_fontsize()) * renderer.dpi / 72)  # for the paper below the letters
        left, bottom = math.floor(box.x0) - room, math.floor(box.y0) - room
        width, height = math.ceil(box.x1) + room - left, math.ceil(box.y1) + room - bottom
        paper: Any = RendererAgg(width, height, renderer.dpi)  # type: ignore[no-untyped-call]
        self.set_position((-left, -bottom))
        super().draw(paper)
        self.set_transform(transform)
        self.set_position(place)
        pixels, (column, row) = cut_out(paper)
        return pixels, (left + column, bottom + row)


def paper(background: str) -> dict[str, Any]:
    """The ``bbox`` of a name that is read over curves."""
    return {"facecolor": background, "edgecolor": "none", "alpha": 0.75, "pad": 0.6}


def cut_out(paper: Any) -> tuple[Any, tuple[int, int]]:
    """The pixels of what was drawn on transparent paper, lowest row first, and the place of their lower left corner."""
    pixels = np.asarray(paper.buffer_rgba())[::-1]
    rows, columns = (np.flatnonzero(pixels[:, :, 3].any(axis=1 - axis)) for axis in (0, 1))
    if not len(rows):
        return pixels[:1, :1].copy(), (0, 0)
    inside = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(inside), (int(columns[0]), int(rows[0]))
