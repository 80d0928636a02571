"""Marks and numbers of an axis, drawn anew with every frame.

matplotlib lays out every number again whenever limits change (20 ms an axis), which they often do while a slider is
dragged. These are drawn by `Stamp` at fixed distances (1 ms), and kept as the pixels of a whole axis (0.05 ms) for
when the same limits come back; names of axes keep their places, too.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import IdentityTransform, ScaledTranslation
from numpy.typing import NDArray

from workbench.explorer.stamp import Stamp, cut_out
from workbench.figures.style import Style

Array = NDArray[np.float64]

#: Numbers are written with a power of ten beside the axis from these magnitudes on.
_SMALL, _LARGE = -3, 4
_MOST = 12
#: Pairs of limits for which the pixels of an axis are kept.
_KEPT = 32
#: Ems between the axes and the name of the axis.
_NAME = {"bottom": 1.62, "left": 3.5}


class Ticks(Artist):
    """Marks and numbers at one side of axes: "bottom", "left" or "right"."""

    def __init__(self, ax: Any, side: str, style: Style) -> None:
        super().__init__()
        self.ax, self.side, self.style, self.flat = ax, side, style, side == "bottom"
        self.em = style.font / 0.72 / 96  # inches, see `look`
        axis = ax.xaxis if self.flat else ax.yaxis
        axis.set_major_locator(NullLocator())
        options: dict[str, Any] = {"fontsize": style.small, "color": style.ink, "visible": False}
        ha, va = {
            "bottom": ("center", "top"),
            "left": ("right", "center_baseline"),
            "right": ("left", "center_baseline"),
        }[side]
        self.texts = [Stamp(0, 0, "", ha=ha, va=va, transform=IdentityTransform(), **options) for _ in range(_MOST)]
        self.power = Stamp(
            0, 0, "", ha="right" if self.flat else "left", va="bottom", transform=IdentityTransform(), **options
        )
        self._known: dict[tuple[float, ...], tuple[Any, tuple[int, int]]] = {}
        ax.add_artist(self)
        for text in (*self.texts, self.power):
            text.set_figure(ax.figure)
        if side in _NAME:
            away = -_NAME[side] * self.em
            x, y = (0.0, away) if self.flat else (away, 0.0)
            shift = ScaledTranslation(x, y, ax.figure.dpi_scale_trans)
            axis.set_label_coords(*((0.5, 0.0) if self.flat else (0.0, 0.5)), transform=ax.transAxes + shift)

    def get_children(self) -> list[Artist]:
        """The numbers."""
        return [*self.texts, self.power]

    def draw(self, renderer: Any) -> None:
        """Marks, numbers and the power of ten where there is one."""
        if not self.get_visible():
            return
        ends, size = self.ax.get_xlim() if self.flat else self.ax.get_ylim(), self.ax.figure.bbox.size
        if not isinstance(renderer, RendererAgg):
            self._draw_on(renderer, *ends)
            return
        key = (*ends, *self.ax.bbox.extents, *size, renderer.dpi)
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            width, height = (math.ceil(each) for each in size)
            paper: Any = RendererAgg(width, height, renderer.dpi)  # type: ignore[no-untyped-call]
            self._draw_on(paper, *ends)
            self._known[key] = cut_out(paper)
        pixels, (left, bottom) = self._known[key]
        renderer.draw_image(renderer.new_gc(), left, bottom, pixels)

    def _draw_on(self, renderer: Any, low: float, high: float) -> None:
        box, scale = self.ax.bbox, self.ax.figure.dpi / 72
        length = (box.width if self.flat else box.height) / scale / self.style.small
        places, names, power = numbers(low, high, max(2, min(_MOST - 3, int(length / (4.0 if self.flat else 2.0)))))
        along = (np.array(places) - low) / (high - low) * (box.width if self.flat else box.height)
        mark, gap = 0.35 * self.style.font * scale, 0.65 * self.style.font * scale
        at = np.floor(along + (box.x0 if self.flat else box.y0)) + 0.5
        edge = {"bottom": box.y0, "left": box.x0, "right": box.x1}[self.side]
        away = 1.0 if self.side == "right" else -1.0
        self._draw_marks(renderer, at, edge, edge + away * mark)
        for text, name, place in zip(self.texts, names, at, strict=False):
            text.set_position((place, edge + away * gap) if self.flat else (edge + away * gap, place))
            self._write(text, name, renderer)
        for text in self.texts[len(names) :]:
            text.set_visible(False)
        corner = (
            (box.x1, box.y0 - _NAME["bottom"] * self.em * self.ax.figure.dpi)
            if self.flat
            else (edge, box.y1 + 0.2 * gap)
        )
        self.power.set_position((corner[0], corner[1] - (1.0 * self.style.font * scale if self.flat else 0)))
        self._write(self.power, f"×10{_raised(power)}" if power else "", renderer)

    @staticmethod
    def _write(text: Stamp, name: str, renderer: Any) -> None:
        text.set_text(name)
        text.set_visible(bool(name))
        text.draw(renderer)

    def _draw_marks(self, renderer: Any, at: Any, start: float, end: float) -> None:
        gc = renderer.new_gc()
        gc.set_linewidth(renderer.points_to_pixels(0.08 * self.style.font))
        gc.set_foreground(self.style.muted)
        along, across = np.repeat(at, 2), np.tile([start, end], len(at))
        points = np.column_stack((along, across) if self.flat else (across, along))
        if len(at):
            renderer.draw_path(gc, Path(points, [Path.MOVETO, Path.LINETO] * len(at)), IdentityTransform())
        gc.restore()


@lru_cache(maxsize=256)
def numbers(low: float, high: float, most: int) -> tuple[tuple[float, ...], tuple[str, ...], int]:
    """Round places between two ends, what is written there, and the power of ten that is taken out of it."""
    found = np.asarray(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high), dtype=np.float64)
    room = 1e-9 * (high - low)
    places: Array = found[(found >= low - room) & (found <= high + room)]
    size = float(np.abs(places).max(initial=0.0))
    power = int(np.floor(np.log10(size) + 1e-9)) if size > 0 else 0
    power = power if power <= _SMALL or power >= _LARGE else 0
    scaled = places / 10.0**power
    step = float(scaled[1] - scaled[0]) if len(scaled) > 1 else 1.0
    decimals = next((d for d in range(9) if abs(round(step, d) - step) < 1e-6 * step), 9)
    names = tuple(f"{0.0 if abs(x) < 1e-9 * step else x:.{decimals}f}".replace("-", "−") for x in scaled)
    return tuple(float(x) for x in places), names, power


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
