"""One pair of items: the two factors of the kernel, and the sign of their product."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import PolyCollection
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.explorer.chosen_pair import pair_anatomy
from workbench.explorer.lecture import DAY, Lecture, control
from workbench.explorer.maps import TreeMap
from workbench.explorer.scales import limits
from workbench.explorer.scene import Scene
from workbench.explorer.state import RANGES
from workbench.figures.anatomy import MAX_SHARES, Anatomy, flips_in_words
from workbench.figures.reading import text
from workbench.theory.modes.groups import ModeGroups

Array = NDArray[np.float64]


class PairView(Lecture):
    """The tree with the pair, the two factors over time, and their product; see `one_pair`."""

    title = "one pair of items"

    def __init__(self, scene: Scene, i: int, j: int, a0: float, lam: float, *, night: bool = False) -> None:
        self.scene, names = scene, list(scene.task.items)
        self._background: Any = None
        low, high = (float(np.log10(x)) for x in RANGES["a0"])
        controls = {
            "source": control(widgets.Dropdown, "source item i", options=names, value=names[i]),
            "target": control(widgets.Dropdown, "target item j", options=names, value=names[j]),
            "a0": control(
                widgets.FloatLogSlider, "initial scale a₀ (weight²)", min=low, max=high, step=0.02, value=a0,
                readout_format=".3g",
            ),
            "lam": control(widgets.FloatSlider, "balance λ (weight²)", min=-10.0, max=10.0, step=0.1, value=lam),
            "time": control(widgets.FloatSlider, "flow time t", min=0.0, max=1.0, step=0.005, value=0.0),
        }  # fmt: skip
        self.anatomy = pair_anatomy(scene, i, j, a0=a0, lam=lam)
        self._fit_time(controls["time"])
        controls["time"].value = float(self.anatomy.times[np.argmin(self.anatomy.influence)])
        super().__init__(6.2, controls, night=night)

    def _fit_time(self, slider: Any) -> None:
        end = float(self.anatomy.times[-1])
        if slider.max != end:
            slider.max, slider.step = end, end / 200

    def _make(self) -> list[Artist]:
        order, scene, figure = self.scene.order, self.scene, self.figure
        colours = self.look.item_colours(order.branch, order.place)
        self.tree = TreeMap(self.look.tidy(figure.add_axes((0.012, 0.36, 0.27, 0.57))), scene, colours, self.look)
        self.formulas = [figure.text(0.015, y, "", fontsize=self.look.font) for y in (0.2, 0.12, 0.04)]
        self.axes = [self.look.tidy(figure.add_axes((0.4, bottom, 0.585, 0.215))) for bottom in (0.715, 0.4, 0.085)]
        inside, error, product = self.axes
        for ax in (inside, error):
            ax.tick_params(labelbottom=False)
        product.set_xlabel("flow time $t$", labelpad=1)
        product.set_ylabel("← helps   harms →")
        zeros = [ax.axhline(0, color=self.look.muted, lw=0.9) for ax in self.axes]
        self.now = [ax.axvline(0, color=self.look.muted, lw=1.2) for ax in self.axes]
        groups = self._groups
        self.share_lines = [error.plot([], [], color=c, lw=1.3)[0] for c in self.look.sequence(len(groups.s))]
        lines = [ax.plot([], [], color=self.look.ink, lw=2.2)[0] for ax in self.axes]
        self.inside_line, self.error_line, self.product_line = lines
        ends = self.look.diverging()([0.0, 1.0])
        self.shades = [PolyCollection([], facecolors=[colour], alpha=0.4, linewidths=0) for colour in ends]
        for shade in self.shades:
            product.add_collection(shade, autolim=False)
        self.flips = [
            [ax.axvline(0, color=self.look.ink, lw=1.0, ls=(0, (4, 3))) for _ in range(4)] for ax in self.axes
        ]
        self.here = [
            ax.plot([], [], "o", color=self.look.ink, mfc=self.look.background, ms=7, mew=1.6)[0] for ax in self.axes
        ]
        flips = [line for each in self.flips for line in each]
        return [*self.shades, *zeros, *self.now, *flips, *self.share_lines, *lines, *self.here, *self.tree.moving]

    @property
    def _groups(self) -> ModeGroups:
        return self.scene.groups(self.scene.modes.rank)

    def _follow(self) -> bool:
        value = {name: widget.value for name, widget in self.controls.items()}
        i, j = (self.scene.task.item_index(value[name]) for name in ("source", "target"))
        if i == j:
            raise WorkbenchError(f"source and target are both {value['source']}; choose two different items")
        self.anatomy = anatomy = pair_anatomy(self.scene, i, j, a0=value["a0"], lam=value["lam"])
        self._fit_time(self.controls["time"])
        t, now = anatomy.times, min(value["time"], float(anatomy.times[-1]))
        series = (anatomy.hidden, anatomy.error, anatomy.influence)
        for line, dot, y in zip((self.inside_line, self.error_line, self.product_line), self.here, series, strict=True):
            line.set_data(t, y)
            dot.set_data([now], [np.interp(now, t, y)])
        self._show_shares(anatomy)
        for shade, sign in zip(self.shades, (-1, 1), strict=True):
            part = np.where(sign * anatomy.influence > 0, anatomy.influence, 0.0)
            shade.set_verts([np.column_stack([np.r_[t, t[::-1]], np.r_[part, 0 * t]])])
        for line in self.now:
            line.set_xdata([now, now])
        for lines in self.flips:
            for k, line in enumerate(lines):
                line.set_visible(k < len(anatomy.flips))
                line.set_xdata([anatomy.flips[k]] * 2 if k < len(anatomy.flips) else [0, 0])
        self.tree.mark(i, (j,))
        self.line = self._in_words(i, j, now)
        return self._show_background(i, j, value["lam"] != 0, series)

    def _show_shares(self, anatomy: Anatomy) -> None:
        size = np.abs(anatomy.shares).max(axis=0)
        self.shown = sorted(k for k in np.argsort(-size)[:MAX_SHARES] if size[k] > 1e-2 * size.max())
        for k, line in enumerate(self.share_lines):
            line.set_visible(k in self.shown)
            line.set_data(anatomy.times, anatomy.shares[:, k])

    def _show_background(self, i: int, j: int, unbalanced: bool, series: tuple[Array, ...]) -> bool:
        end = float(self.anatomy.times[-1])
        shares = self.anatomy.shares[:, self.shown]
        drawn = (series[0], np.column_stack([series[1], shares]), series[2])
        ends = tuple(limits(float(y.min()), float(y.max())) for y in drawn)
        background = (i, j, unbalanced, end, ends, tuple(self.shown))
        if background == self._background:
            return False
        for ax, span in zip(self.axes, ends, strict=True):
            ax.set(xlim=(-0.008 * end, 1.008 * end), ylim=span)
        m, groups = self._ancestor(i, j), self._groups
        A, E = self._symbols(m, unbalanced)
        one, other = (text(self.scene.task.items[k], 14) for k in (i, j))
        inside, error, product = self.axes
        _title(inside, f"do {one} and {other} look alike inside?   {A}")
        _title(error, f"is the network wrong about them in the same way?   {E}, and its parts")
        _title(product, f"so a step on {one} changes the loss of {other}:   $I=-P^2$ {A} {E}")
        lines = [self.share_lines[k] for k in self.shown]
        error.legend(lines, [groups.names[k] for k in self.shown], loc="upper right", fontsize=self.look.small,
                     frameon=False, labelcolor=self.look.ink, ncols=1 + (len(lines) > 4))  # fmt: skip
        inner = "w_{1,%s}^2" if unbalanced else "a_%s"
        for artist, line in zip(
            self.formulas,
            (f"{A} = {self._sum(i, j, m, inner)}", f"{E} = {self._sum(i, j, m, 'e_%s^2')}", "$e_k = s_k - c\\,a_k$"),
            strict=True,
        ):
            artist.set_text(line)
        self._background = background
        return True

    def _ancestor(self, i: int, j: int) -> int | None:
        """Level of the common ancestor, where every group of modes is one level of the tree."""
        levels = self.scene.task.common_ancestor_level
        plain = all(name.removeprefix("level ").isdigit() for name in self._groups.names)
        return int(levels[i, j]) if levels is not None and plain else None

    @staticmethod
    def _symbols(m: int | None, unbalanced: bool) -> tuple[str, str]:
        inner = "w_1^2" if unbalanced else "a"
        return ("$A$", "$E$") if m is None else (f"$R_{m}[{inner}]$", f"$R_{m}[e^2]$")

    def _sum(self, i: int, j: int, m: int | None, symbol: str) -> str:
        """What a factor is the sum of: with the numbers of the tree, or in general."""
        if m is None:
            return rf"$\sum_k {symbol % 'k'}\,v_{{ki}}v_{{kj}}$"
        groups = self._groups
        terms = sorted(zip((int(name.removeprefix("level ")) for name in groups.names), groups.projectors[:, i, j],
                           strict=True))  # fmt: skip
        shares = [(level, Fraction(float(x)).limit_denominator(10_000)) for level, x in terms]
        bottom = lcm(*(share.denominator for _, share in shares))
        parts: list[str] = []
        for level, share in shares:
            count = int(share * bottom)
            if count:
                size = "" if abs(count) == 1 else str(abs(count))
                sign = "-" if count < 0 else "+" if parts else ""
                parts.append(f"{sign}{size}{symbol % level}")
        return rf"$({''.join(parts)})\,/\,{bottom}$"

    def _in_words(self, i: int, j: int, now: float) -> str:
        anatomy = self.anatomy
        A, E, value = (
            float(np.interp(now, anatomy.times, y)) for y in (anatomy.hidden, anatomy.error, anatomy.influence)
        )
        one, other = (text(self.scene.task.items[k]) for k in (i, j))
        alike = f"alike inside ({_n(A)})" if A > 0 else f"opposite inside ({_n(A)})"
        wrong = f"wrong in the same way ({_n(E)})" if E > 0 else f"wrong in opposite ways ({_n(E)})"
        does = "helps" if value < 0 else "harms"
        if value == 0:
            alike, wrong, does = "", "", "does nothing to"
        because = f"{alike} and {wrong}, so " if alike else ""
        flips = flips_in_words(anatomy.flips).replace("$t$", "t")
        return f"t = {now:.3g}: {because}a step on {one} {does} {other} (I = {_n(value)}); {flips}"


def _title(ax: Any, line: str) -> None:
    ax.set_title(line, loc="left", fontsize=DAY.font, pad=8)


def _n(value: float) -> str:
    return f"{value:.2g}".replace("-", "−")
