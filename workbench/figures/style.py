"""How figures look: sizes, fonts, and colours that are told apart without red-green vision.

A colour has one meaning in a figure. Blue and orange are said of helping and harming alone (`Style.diverging`), magenta
and green of the sign of data (`Style.signed`), a hue of `HUES` of a branch of the tree (`Style.item_colours`), and the
steps from plum to rose of levels, modes or measures in their order (`Style.sequence`). All of them stand out from the
background by at least 4.5 : 1, as text must.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from workbench.figures.fonts import families

Array = NDArray[np.float64]

#: Hues in degrees (OKLCH) of the top branches of a tree, and their chroma: violet, olive, teal, green, grey, rose.
#: Without red-green vision hues lie on one line from blue to yellow, with room for four; two more are paler.
HUES = (290.0, 115.0, 195.0, 155.0, 90.0, 355.0)
CHROMA = (0.12, 0.12, 0.12, 0.12, 0.02, 0.08)

#: From the linear responses of the cones in OKLab to linear sRGB (Ottosson 2020).
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)


def oklch(lightness: ArrayLike, chroma: ArrayLike, hue: ArrayLike) -> Array:
    """``(..., 3)`` sRGB of perceptual lightness in [0, 1], chroma and hue (degrees); clipped to the gamut."""
    L, C, h = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (lightness, chroma, hue)))
    lab = np.stack([L, C * np.cos(np.radians(h)), C * np.sin(np.radians(h))], axis=-1)
    linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T, 0, 1)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


class Picture(Figure):
    """A figure that notebooks show by itself, without pyplot or a magic command."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=110)
        return stream.getvalue()


@dataclass(frozen=True)
class Style:
    """One look: page width and greatest height in inches, font size in points, and the colours of a theme."""

    width: float = 7.2
    tallest: float = 24.0
    font: float = 8.0
    background: str = "#ffffff"
    ink: str = "#1d1d22"
    muted: str = "#6b6b76"
    faint: str = "#c9c9d2"
    blank: str = "#e4e4ea"
    lightness: tuple[float, float] = (0.28, 0.54)
    centre: float = 0.985
    ends: float = 0.5

    @property
    def small(self) -> float:
        """Size of tick and curve labels, in points."""
        return 0.86 * self.font

    @property
    def least(self) -> float:
        """The smallest size that can be read, in points."""
        return max(5.0, 0.5 * self.font)

    @property
    def wide(self) -> bool:
        """Whether there is room for panels side by side."""
        return self.width / self.font > 0.6

    @contextmanager
    def context(self) -> Iterator[None]:
        """Defaults of all artists made inside."""
        settings: dict[Any, Any] = {
            "font.family": list(families()),
            "font.size": self.font,
            "axes.titlesize": self.font,
            "axes.labelsize": self.font,
            "figure.titlesize": self.font,
            "legend.fontsize": self.small,
            "legend.frameon": False,
            "legend.handlelength": 1.6,
            "lines.linewidth": 0.17 * self.font,
            "lines.markersize": 0.4 * self.font,
            "axes.linewidth": 0.08 * self.font,
            "figure.facecolor": self.background,
            "axes.facecolor": self.background,
            "savefig.facecolor": self.background,
            "text.color": self.ink,
            "axes.labelcolor": self.ink,
            "axes.titlecolor": self.ink,
            "axes.edgecolor": self.muted,
            "axes.titlelocation": "left",
            "axes.formatter.limits": (-3, 4),
            "axes.formatter.use_mathtext": True,
            # Type 3 fonts, the default, are refused by many publishers.
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
        }
        with mpl.rc_context(settings):
            yield

    def figure(self, height: float) -> Figure:
        """An empty figure as wide as the page and ``height`` inches tall (scaled with the font), or as may be."""
        figure = Picture(figsize=(self.width, min(self.tall(height), self.tallest)), layout="constrained")
        FigureCanvasAgg(figure)
        return figure

    def tall(self, height: float) -> float:
        """Inches of a ``height`` that is meant for an 8 pt font."""
        return height * self.font / 8.0

    def legend_columns(self, labels: Sequence[str]) -> int:
        """How many columns of a legend below the panels fit the page."""
        # Handle and gaps take about 5 characters' width, an average character 0.6 of the font size.
        entry = (max(map(len, labels), default=1) * 0.6 + 4.5) * self.small
        return max(1, min(6, len(labels), int(72 * self.width / entry)))

    def tidy(self, ax: Axes) -> Axes:
        """Quiet axes: no upper and right spine, ticks in the theme's colours."""
        ax.spines[["top", "right"]].set_visible(False)
        # Ticks are made when drawn, outside `context`: their look must be set here.
        ax.tick_params(
            which="both",
            labelsize=self.small,
            color=self.muted,
            labelcolor=self.ink,
            length=0.35 * self.font,
            width=0.08 * self.font,
            pad=0.3 * self.font,
        )
        for axis in (ax.xaxis, ax.yaxis):
            axis.get_offset_text().set_fontsize(self.small)
        return ax

    def bare(self, ax: Axes) -> Axes:
        """Axes without spines and ticks, for matrices and trees."""
        self.tidy(ax).spines[:].set_visible(False)
        ax.set(xticks=[], yticks=[])
        ax.tick_params(length=0)
        return ax

    def item_colours(self, branch: NDArray[np.int64], place: Array) -> list[str]:
        """A colour an item: hue by its top branch, lightness by its ``place`` in [0, 1] within."""
        low, high = self.lightness
        hue, chroma = (np.asarray(each)[branch % len(each)] for each in (HUES, CHROMA))
        return [to_hex(colour) for colour in oklch(low + (high - low) * place, chroma, hue)]

    def group_colour(self, branch: NDArray[np.int64], place: Array) -> str:
        """The colour of several items in one curve: that of their middle, or the ink if they are of many branches."""
        if np.unique(branch).size > 1:
            return self.ink
        return self.item_colours(branch[:1], np.array([place.mean()]))[0]

    def sequence(self, n: int) -> list[str]:
        """``n`` colours in an order one can see, for modes, levels and measures: plum to rose."""
        low, high = self.lightness
        position = np.linspace(0, 1, max(n, 2))[:n]
        low, high = (low - 0.08, high) if low < 0.5 else (low, high + 0.03)
        return [to_hex(rgb) for rgb in oklch(low + (high - low) * position, 0.12, 290 + 95 * position)]

    def diverging(self) -> Colormap:
        """Blue (negative, helps) through the background to orange (positive, harms); masked entries grey."""
        return self._two_ends("helps_harms", 255.0, 50.0)

    def signed(self) -> Colormap:
        """Magenta (negative) through the background to green (positive), for data and singular vectors."""
        return self._two_ends("sign", 330.0, 140.0)

    def _two_ends(self, name: str, negative: float, positive: float) -> Colormap:
        u = np.linspace(-1, 1, 101)
        colours = oklch(
            self.centre + (self.ends - self.centre) * np.abs(u),
            0.17 * np.abs(u) ** 0.8,
            np.where(u < 0, negative, positive),
        )
        return LinearSegmentedColormap.from_list(name, [tuple(rgb) for rgb in colours], N=255).with_extremes(
            bad=self.blank
        )

    def amount(self) -> Colormap:
        """From the background (none) to grey-blue, for data without sign."""
        shade = oklch(0.5, 0.05, 265)
        return LinearSegmentedColormap.from_list("amount", [self.blank_paper(), tuple(shade)])

    def blank_paper(self) -> tuple[float, ...]:
        """The neutral middle of `diverging`."""
        return tuple(oklch(self.centre, 0.0, 0.0))


PAGE = Style()
COLUMN = replace(PAGE, width=3.5, font=7.0)
#: 16 : 9, as projectors are.
SLIDE = replace(PAGE, width=13.3, font=14.0, tallest=7.48)


def dark(style: Style) -> Style:
    """The same sizes on a dark background."""
    return replace(
        style,
        background="#16161a",
        ink="#ececf1",
        muted="#a2a2ad",
        faint="#4a4a55",
        blank="#34343c",
        lightness=(0.62, 0.90),
        centre=0.22,
        ends=0.66,
    )
