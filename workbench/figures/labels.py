"""Names written next to curves, where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Width of an average character of DejaVu Sans, in units of the font size.
CHARACTER = 0.6


def label_curves(
    ax: Axes,
    time: Array,
    curves: Sequence[Array],
    names: Sequence[str],
    colours: Sequence[str],
    *,
    font: float,
    obstacles: Array | None = None,
) -> list[bool]:
    """Write each name just above or below its curve, at the most telling place that nothing else occupies.

    Call after the layout: places are found in points. ``obstacles`` ``(n, 2)`` are further points, in data
    coordinates, that no name may cover. Returns which names found a place.
    """
    box = ax.get_window_extent()
    points = 72 / ax.figure.dpi
    width, height = box.width * points, box.height * points
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    fine = np.linspace(time[0], time[-1], 160)
    x = (fine - x0) / (x1 - x0) * width
    ys = np.array([(np.interp(fine, time, np.nan_to_num(curve)) - y0) / (y1 - y0) * height for curve in curves])
    marks = np.empty((0, 2)) if obstacles is None else obstacles[np.isfinite(obstacles).all(axis=1)]
    marks = (marks - [x0, y0]) / [x1 - x0, y1 - y0] * [width, height]
    zero = (0.0 - y0) / (y1 - y0) * height
    blocked: list[tuple[float, float, float, float]] = []
    done = []
    for y, name, colour in zip(ys, names, colours, strict=True):
        best = _place(x, y, ys, zero, (width, height), name, font, blocked, marks)
        done.append(best is not None)
        if best:
            blocked.append(best)
            ax.text(
                0.5 * (best[0] + best[2]) / width,
                best[1] / height,
                name,
                transform=ax.transAxes,
                fontsize=font,
                color=colour,
                ha="center",
                va="bottom",
            ).set_in_layout(False)
    return done


Frame = tuple[float, float, float, float]


def _place(
    x: Array,
    y: Array,
    ys: Array,
    zero: float,
    size: tuple[float, float],
    name: str,
    font: float,
    blocked: list[Frame],
    marks: Array,
) -> Frame | None:
    """A free frame (left, low, right, high) for a name beside the curve ``y`` over ``x``, all in points."""
    width, height = size
    half, tall = 0.5 * CHARACTER * font * len(name.replace(r"\$", "$")), 1.25 * font
    # Prominent places first, far from zero and from the other curves; near zero no curve is told apart.
    others = np.abs(ys - y).min(axis=0, where=np.abs(ys - y) > 0, initial=height)
    for k in np.argsort(-(np.abs(y - zero) + others))[:110]:
        if abs(y[k] - zero) < 0.3 * np.abs(y - zero).max():
            continue
        left, right = x[k] - half, x[k] + half
        under = (x >= left - 2) & (x <= right + 2)
        own = y[under]
        for low in (own.max() + 0.25 * font, own.min() - 0.25 * font - tall):
            frame = (left, low, right, low + tall)
            if left < 2 or right > width - 2 or low < 1 or low + tall > height - 1:
                continue
            if ((ys[:, under] > low) & (ys[:, under] < low + tall)).any() or low < zero < low + tall:
                continue
            if abs(low + 0.5 * tall - y[k]) > 3 * font or any(_overlap(frame, other) for other in blocked):
                continue
            if not (np.abs(marks - [x[k], low + tall / 2]) < [half + 1, tall / 2 + 1]).all(axis=1).any():
                return frame
    return None


def spread(wanted: Array, gap: float, low: float, high: float) -> Array:
    """Places in ``[low, high]`` at least ``gap`` apart, in the order of ``wanted`` and near it.

    Where there is no room for that, they are evenly spread.
    """
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    placed = np.clip(wanted[order], low, high)
    for k in range(1, len(placed)):
        placed[k] = max(placed[k], placed[k - 1] + gap)
    placed[-1:] = np.minimum(placed[-1:], high)
    for k in range(len(placed) - 2, -1, -1):
        placed[k] = min(placed[k], placed[k + 1] - gap)
    result = np.empty_like(placed)
    result[order] = placed
    return result


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    between = 0.5 * (a[3] - a[1])  # names side by side are two names
    return a[0] - between < b[2] and b[0] - between < a[2] and a[1] < b[3] and b[1] < a[3]
