"""One mode of a linear network: its rise against depth, initial scale and imbalance, from rich to lazy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.explorer.lecture import Lecture, control
from workbench.explorer.scales import rounded_up
from workbench.theory.modes.rise_time import rise_time
from workbench.theory.modes.strength import mode_strength

Array = NDArray[np.float64]

DEPTHS = range(1, 7)
#: Ends of the sliders.
SCALES, IMBALANCES, VALUES = (1e-6, 0.4), (0.0, 10.0), (0.5, 2.0)
#: 10-90 % width over half-way time of an exponential, the rise of a linear model: ln 9 / ln 2.
EXPONENTIAL = math.log(9) / math.log(2)
#: Curves that can be kept for comparison.
KEPT = 5
_POINTS = 321


@dataclass(frozen=True)
class Mode:
    """One mode at input scale c = 1.

    Attributes:
        depth: D, weight layers. a0: initial strength (weight^D). s: singular value, which is the final strength.
        lam: imbalance ``w2^2 - w1^2`` (weight^2) of a two-layer network.
    """

    depth: int = 2
    a0: float = 0.01
    lam: float = 0.0
    s: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in {"depth": (1, 6), "a0": SCALES, "lam": IMBALANCES, "s": VALUES}.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise WorkbenchError(f"{name} = {value:g}; give a value from {low:g} to {high:g}")
        if self.depth != 2 and self.lam:
            raise WorkbenchError(f"lam = {self.lam:g} at depth {self.depth}; use depth 2 or lam 0")

    def strength(self, t: ArrayLike) -> Array:
        """a at flow times t."""
        return mode_strength(t, self.s, c=1.0, a0=self.a0, depth=self.depth, lam=self.lam)

    def time_to(self, way: float) -> float:
        """When so much of the way from a0 to the final strength is done."""
        return float(_time_to(way, self.a0, self.depth, self.lam, self.s))

    @property
    def sharpness(self) -> float:
        """10-90 % width of the rise over the time to half of the way; from near 0 (rich) to `EXPONENTIAL` (lazy)."""
        return float(sharpness(self.a0 / self.s, self.depth, self.lam / self.s))

    @property
    def name(self) -> str:
        """Its settings, for a legend."""
        lam = f", λ = {self.lam:g}" if self.lam else ""
        s = f", s = {self.s:g}" if self.s != 1 else ""
        return f"D = {self.depth}, $a_0$ = {self.a0:.2g}{lam}{s}"


def _time_to(way: float, a0: ArrayLike, depth: int, lam: float, s: float = 1.0) -> Array:
    start = np.asarray(a0) / s
    return rise_time(start + way * (1 - start), s, c=1.0, a0=a0, depth=depth, lam=lam)


def sharpness(start: ArrayLike, depth: int, lam: float = 0.0) -> Array:
    """10-90 % width over half-way time of a rise that starts at ``start`` of the final strength, at s = c = 1.

    Another s changes the unit of time alone: only a0/s and lambda/s matter.
    """
    t10, t50, t90 = (_time_to(way, start, depth, lam) for way in (0.1, 0.5, 0.9))
    return np.asarray((t90 - t10) / t50)


class ModeView(Lecture):
    """Left the rise, right how sharp it is; see `one_mode`."""

    title = "one mode, rich to lazy"

    def __init__(self, mode: Mode, *, night: bool = False) -> None:
        low, high = (math.log10(x) for x in SCALES)
        controls = {
            "depth": control(widgets.IntSlider, "depth D (layers)", min=1, max=6, value=mode.depth),
            "a0": control(
                widgets.FloatLogSlider, "initial scale a₀ (weightᴰ)", min=low, max=high, step=0.02, value=mode.a0,
                readout_format=".3g",
            ),
            "lam": control(
                widgets.FloatSlider, "imbalance λ (weight²)", min=0.0, max=IMBALANCES[1], step=0.05, value=mode.lam,
            ),
            "s": control(
                widgets.FloatSlider, "singular value s", min=VALUES[0], max=VALUES[1], step=0.05, value=mode.s,
            ),
        }  # fmt: skip
        self.kept: list[Mode] = []
        buttons = (self._button("keep this curve", self.keep), self._button("drop the kept ones", self.drop))
        self._background: Any = None
        super().__init__(4.6, controls, buttons, night=night)

    def _button(self, text: str, action: Callable[[], None]) -> Any:
        button = widgets.Button(description=text, layout=widgets.Layout(width="160px"))
        button.on_click(lambda _: action())
        return button

    @property
    def mode(self) -> Mode:
        """What the sliders say; imbalance only has a meaning at depth 2."""
        values = {name: widget.value for name, widget in self.controls.items()}
        # A slider of logarithms ends at its ends only up to rounding.
        values["a0"] = min(max(values["a0"], SCALES[0]), SCALES[1])
        return Mode(**values | {"lam": values["lam"] if values["depth"] == 2 else 0.0})

    def keep(self) -> None:
        """Leave the present curve in the picture, for comparison with the next ones."""
        self.kept = [*(mode for mode in self.kept if mode != self.mode), self.mode][-KEPT:]
        self.show()

    def drop(self) -> None:
        """Forget the kept curves."""
        self.kept = []
        self.show()

    def _make(self) -> list[Artist]:
        self.rise = self.look.tidy(self.figure.add_axes((0.07, 0.15, 0.5, 0.68)))
        self.sharp = self.look.tidy(self.figure.add_axes((0.66, 0.15, 0.32, 0.68)))
        colours = self.look.sequence(KEPT + 1)
        self.kept_lines = [self.rise.plot([], [], color=colours[k], lw=1.6)[0] for k in range(KEPT)]
        self.final = self.rise.axhline(1.0, color=self.look.muted, lw=1.0, ls=(0, (4, 3)))
        self.line_now = self.rise.plot([], [], color=self.look.ink, lw=1.8)[0]
        self.width = self.rise.plot([], [], color=self.look.ink, lw=4.5, solid_capstyle="butt")[0]
        self.half = self.rise.plot([], [], "o", color=self.look.ink, mfc=self.look.background, ms=8, mew=1.8)[0]
        self.rise.set_xlabel("flow time $t$")
        self.rise.set_ylabel("strength $a$ (weight$^D$)")
        self.heading = self.rise.set_title("", loc="left", pad=12)
        self._make_sharpness()
        return [*self.kept_lines, self.final, self.line_now, self.width, self.half, self.curve_now, self.here]

    def _make_sharpness(self) -> None:
        ax, start = self.sharp, np.geomspace(SCALES[0] / VALUES[1], SCALES[1] / VALUES[0], 61)
        self.starts = start
        ax.set(xscale="log", xlim=(start[0], 1.0), ylim=(0, 3.7))
        for depth in DEPTHS:
            values = sharpness(start, depth)
            ax.plot(start, values, color=self.look.faint, lw=1.2)
            if depth < 4:  # the others lie too close together to be named
                ax.annotate(
                    ("D = 2" if depth == 2 else "D = 3 to 6") if depth > 1 else "D = 1: exponential",
                    (start[0], values[np.searchsorted(start, 30 * start[0])]),  # above the curve at the name's end, too
                    (4, 3 if depth > 1 else 5), textcoords="offset points",
                    color=self.look.muted, fontsize=self.look.small,
                )  # fmt: skip
        self.curve_now = ax.plot([], [], color=self.look.ink, lw=1.8)[0]
        self.here = ax.plot([], [], "o", color=self.look.ink, mfc=self.look.background, ms=8, mew=1.8)[0]
        ax.set_xlabel("initial scale / final strength, $a_0\\,c/s$")
        ax.set_ylabel("width of the rise / wait for half of it", fontsize=self.look.small)
        ax.set_title("rich ↓   lazy ↑", loc="left", pad=12)

    def _follow(self) -> bool:
        mode = self.mode
        self.controls["lam"].disabled = mode.depth != 2
        t10, t50, t90 = (mode.time_to(way) for way in (0.1, 0.5, 0.9))
        shown = (*self.kept, mode)
        end, top = rounded_up(max(each.time_to(0.985) for each in shown)), max(each.s for each in shown)
        t = np.linspace(0.0, end, _POINTS)
        self.line_now.set_data(t, mode.strength(t))
        rising = np.linspace(t10, t90, 61)
        self.width.set_data(rising, mode.strength(rising))
        self.half.set_data([t50], mode.strength([t50]))
        self.final.set_ydata([mode.s] * 2)
        for k, line in enumerate(self.kept_lines):
            line.set_visible(k < len(self.kept))
            if k < len(self.kept):
                line.set_data(t, self.kept[k].strength(t))
        self.curve_now.set_data(self.starts, sharpness(self.starts, mode.depth, mode.lam / mode.s))
        self.here.set_data([mode.a0 / mode.s], [mode.sharpness])
        self.line = (
            f"half of the way at t = {t50:.3g}; from 10 % to 90 % (thick) in {t90 - t10:.3g}, "
            f"{mode.sharpness:.2g} times the wait: {_in_words(mode.sharpness)}"
        )
        background = (end, top, mode.depth, mode.lam != 0, tuple(self.kept))
        if background == self._background:
            return False
        # Above the curves there is room for the names of those kept.
        self.rise.set(xlim=(-0.01 * end, end), ylim=(-0.02 * top, 1.45 * top))
        self.heading.set_text("one mode:   " + _equation(mode))
        self._name_kept()
        self._background = background
        return True

    def _name_kept(self) -> None:
        if legend := self.rise.get_legend():
            legend.remove()
        if self.kept:
            names = [mode.name for mode in self.kept]
            handles = self.kept_lines[: len(names)]
            self.rise.legend(
                handles,
                names,
                loc="upper left",
                fontsize=self.look.small,
                frameon=False,
                labelcolor=self.look.ink,
                ncols=2,
            )


def _equation(mode: Mode) -> str:
    if mode.lam:
        return r"$\dot a=\sqrt{\lambda^2+4a^2}\,(s-c\,a)$,  $c=1$"
    if mode.depth == 1:
        return r"$\dot a=s-c\,a$,  $c=1$"
    power = "a" if mode.depth == 2 else rf"a^{{2-2/{mode.depth}}}"
    return rf"$\dot a={mode.depth}\,{power}\,(s-c\,a)$,  $c=1$"


def _in_words(ratio: float) -> str:
    if ratio < 1.5:
        return "rich, a long wait and a fast rise"
    return "between rich and lazy" if ratio < 2.7 else "lazy, no wait, as in a linear model"
