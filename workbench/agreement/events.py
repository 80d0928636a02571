"""Sign flips and peaks of influence curves, read off both sides in the same way.

An event needs a size: on both sides of a flip, and at a peak, the curve must exceed a floor,

* 1% of its own largest value (`VISIBLE`): less is zero to the eye in any figure;
* what the analytic side is computed to: rounding, or the integration of a flow (`INTEGRATED`), of the largest value of
  the measure;
* two standard errors of a sampled curve.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from workbench.agreement.differences import ROUNDING
from workbench.influence import MEASURES

Array = NDArray[np.float64]
Kind = Literal["flip", "most helpful", "most harmful"]

#: An event smaller than this fraction of its curve's largest value is none.
VISIBLE = 0.01
#: Flows are integrated to a relative error of about this.
INTEGRATED = 1e-8


@dataclass(frozen=True)
class Event:
    """A flip or a peak of a curve, and its size as a fraction of the curve's largest value.

    The size of a flip is the smaller of what the curve reaches before and after it, up to the next flips.
    """

    kind: Kind
    time: float
    size: float


def event_floor(values: Array, largest: float = 0.0, measure: str = "") -> float:
    """What a curve must exceed to have an event.

    Args:
        values: ``(T,)`` the curve.
        largest: of the measure over all pairs, if the curve is one of many.
    """
    error = INTEGRATED if measure in MEASURES and MEASURES[measure].whole_item else ROUNDING
    return max(VISIBLE * float(np.abs(values).max(initial=0.0)), error * largest)


def curve_events(times: Array, values: Array, floor: float | None = None, noise: Array | None = None) -> list[Event]:
    """Flips in order of time, then the peaks.

    Args:
        times, values: ``(T,)``.
        floor: see the module; None: `event_floor` of the curve alone.
        noise: ``(T,)`` two standard errors of a sampled curve.
    """
    floor, top = event_floor(values) if floor is None else floor, float(np.abs(values).max(initial=0.0))
    if not top > floor:
        return []
    flips = sign_flips(times, values, floor if noise is None else np.maximum(noise, floor))
    edges = np.array([-np.inf, *flips, np.inf])
    lobes = [float(np.abs(values[(times > a) & (times < b)]).max(initial=0.0)) for a, b in itertools.pairwise(edges)]
    events = [Event("flip", float(flip), min(lobes[k : k + 2]) / top) for k, flip in enumerate(flips)]
    names: tuple[Kind, Kind] = ("most helpful", "most harmful")
    clear = np.where(np.abs(values) > (floor if noise is None else np.maximum(noise, floor)), values, 0.0)
    for kind, at, peak in zip(names, extreme_times(times, values), (-clear.min(), clear.max()), strict=True):
        if np.isfinite(at) and peak > 0:
            events.append(Event(kind, at, float(peak) / top))
    return events


def sign_flips(times: Array, values: Array, noise: Array | float = 0.0) -> Array:
    """Times at which a sampled curve changes sign.

    Args:
        times: ``(T,)``. values: ``(T,)``.
        noise: values no larger than this are taken for zero: the floor of a smooth curve (a number), or 2 standard
            errors of a sampled one (``(T,)``). A flip is counted between two values of opposite sign that exceed it.

    Returns:
        Flip times, ascending: roots of the cubic spline for a smooth curve, of the chord for a sampled one.
    """
    keep = np.flatnonzero(np.abs(values) > noise)
    flips = []
    spline = scipy.interpolate.CubicSpline(times, values) if len(times) > 3 and np.ndim(noise) == 0 else None
    roots = spline.solve(0.0, extrapolate=False) if spline is not None and len(keep) else np.array([])
    for i, j in itertools.pairwise(keep):
        if values[i] * values[j] >= 0:
            continue
        chord = times[i] - values[i] * (times[j] - times[i]) / (values[j] - values[i])
        inside = roots[(roots >= times[i]) & (roots <= times[j])]
        flips.append(float(inside[0]) if len(inside) else float(chord))
    return np.array(flips)


def visible_flips(flips: Array, times: Array, values: Array) -> Array:
    """Those of the exact ``flips`` on whose both sides the curve exceeds its `event_floor`, up to the next of them."""
    floor, edges, lobes = event_floor(values), np.array([-np.inf, *flips, np.inf]), []
    for k, (a, b) in enumerate(itertools.pairwise(edges)):
        inside = values[(times > a) & (times < b)]
        peak = float(inside[np.abs(inside).argmax()]) if len(inside) else 0.0
        if abs(peak) > floor:
            lobes.append((k, peak > 0))
    return np.array([flips[k] for (k, harms), (_, then) in itertools.pairwise(lobes) if harms != then])


def extreme_times(times: Array, values: Array) -> tuple[float, float]:
    """Times of the most negative (most helpful) and most positive (most harmful) value, by cubic spline.

    nan where the curve never is negative or positive.
    """
    spline = scipy.interpolate.CubicSpline(times, values)
    stationary = spline.derivative().roots(extrapolate=False)
    candidates = np.concatenate([times, stationary[np.isfinite(stationary)]])
    heights = spline(candidates)
    low, high = int(heights.argmin()), int(heights.argmax())
    return (
        float(candidates[low]) if heights[low] < 0 else float("nan"),
        float(candidates[high]) if heights[high] > 0 else float("nan"),
    )
