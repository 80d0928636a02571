"""A figure in an Image widget, moved by blitting.

Of a figure only a few artists move. Everything else is drawn once, kept as a background, and put back before the
moving artists are drawn over it; the pixels then go to the browser as one PNG. Rebuilding the figure would take ten
times as long.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

#: Deflates in an eighth of the time where the extra `explore` is installed.
_ZLIB: Any = import_module("isal.isal_zlib" if find_spec("isal") else "zlib")


@dataclass(frozen=True)
class Part:
    """A part of a figure that can be drawn anew alone.

    Attributes:
        cell: left, bottom, width, height, fractions of the figure.
        axes: all that stand in it, with their names inside the cell too.
    """

    cell: tuple[float, float, float, float]
    axes: tuple[Axes, ...]


def mimebundle(widget: widgets.DOMWidget, text: str, png: bytes) -> dict[str, Any]:
    """A widget, and the picture for readers without widgets: saved notebooks, nbconvert, GitHub.

    ipywidgets 7 displays itself, without a picture, and puts that before any bundle: a class that returns this from
    ``_repr_mimebundle_`` sets ``_ipython_display_ = None``.
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {"text/plain": text, "image/png": png, "application/vnd.jupyter.widget-view+json": view}


def close_inside(box: Any) -> None:
    """Close everything in a box; ipywidgets keeps what is not closed for as long as the kernel runs."""
    for child in getattr(box, "children", ()):
        close_inside(child)
        for part in (child, child.layout, getattr(child, "style", None)):
            if part is not None:
                part.close()


class BlittedImage:
    """A figure and the widget that shows it; change the artists, then call `blit`.

    Attributes:
        figure: drawn on a canvas of its own, unknown to pyplot.
        widget: the `ipywidgets.Image` with the PNG.
        moving: the artists that `blit` draws, in that order; all others are background.
        frames: how many pictures were sent.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.canvas: Any = FigureCanvasAgg(figure)
        self.moving: list[Artist] = []
        self.frames = 0
        self._background: Any = None
        self._parts: list[Part] = []
        self.widget = widgets.Image(format="png", layout=widgets.Layout(width="100%"))

    def move(self, artists: Iterable[Artist]) -> None:
        """Draw these with every frame, and no others."""
        self.moving = list(artists)

    def resized(self) -> None:
        """The figure has been filled anew, perhaps at another size: nothing moves yet."""
        self.canvas = FigureCanvasAgg(self.figure)
        self.moving = []
        self.invalidate()

    def invalidate(self, parts: Iterable[Part] | None = None) -> None:
        """The background has changed (limits, titles), here or everywhere: the next frame draws it anew."""
        if parts is None:
            self._background = None
        else:
            self._parts += parts

    def blit(self) -> None:
        """Show the artists as they are now."""
        if self._background is None:
            self._set_animated(True)
            try:
                self.canvas.draw()
            finally:
                self._set_animated(False)
            self._background = self.canvas.copy_from_bbox(self.figure.bbox)
        else:
            self.canvas.restore_region(self._background)
            if self._parts:
                self._draw_parts()
        self._parts = []
        renderer = self.canvas.get_renderer()
        for artist in self.moving:
            if artist.get_visible():
                artist.draw(renderer)
        self.widget.value = png_bytes(np.asarray(self.canvas.buffer_rgba()))
        self.frames += 1

    def _draw_parts(self) -> None:
        """A whole figure takes 0.2 s, most of it for letters; mostly one or two panels have changed."""
        renderer = self.canvas.get_renderer()
        self._set_animated(True)
        try:
            for part in dict.fromkeys(self._parts):
                x, y, width, height = part.cell
                paper = Rectangle((x, y), width, height, lw=0, fc=self.figure.get_facecolor())
                paper.set_transform(self.figure.transFigure)
                paper.draw(renderer)
                for ax in part.axes:
                    ax.draw(renderer)
        finally:
            self._set_animated(False)
        self._background = self.canvas.copy_from_bbox(self.figure.bbox)

    def png(self) -> bytes:
        """The figure as it stands, without sending it."""
        self.canvas.draw()
        return png_bytes(np.asarray(self.canvas.buffer_rgba()))

    def locate(self, x: float, y: float) -> tuple[Axes, float, float] | None:
        """The axes under a pixel of the picture (from its upper left corner), and the place in their data."""
        at = (x, self.figure.bbox.height - y)
        for ax in self.figure.axes:
            if ax.get_visible() and ax.get_window_extent().contains(*at):
                column, row = ax.transData.inverted().transform(at)
                return ax, float(column), float(row)
        return None

    def _set_animated(self, animated: bool) -> None:
        for artist in self.moving:
            artist.set_animated(animated)


@lru_cache(maxsize=2)
def _scanlines(height: int, width: int) -> NDArray[np.uint8]:
    """Room for ``height`` rows; fresh memory would take longer than filling it. Each begins with its filter, 0."""
    return np.zeros((height, 1 + width), dtype=np.uint8)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of ``(height, width, 4)`` pixels, in a tenth of the time of a usual encoder: no filters, little effort."""
    height, width, channels = pixels.shape
    rows = _scanlines(height, channels * width)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", _ZLIB.crc32(kind + data))

    data = _ZLIB.compress(rows, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
