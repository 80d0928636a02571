"""Peaks of influence against transitions: how far from one, and how wide, in units of the time a transition takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from workbench.agreement.events import curve_events
from workbench.figures.reading import stages
from workbench.paper.curves import group_curves, resolved

Array = NDArray[np.float64]


def transitions(ds: xr.Dataset) -> tuple[Array, Array]:
    """Half-rise times of the levels (or modes) and how long each takes from 10% to 90%, ``(n,)`` each.

    The times are read off the predicted strengths, or the trained ones where nothing is predicted.
    """
    side = "analytic" if "mode_strength_analytic" in ds else "simulated"
    strength, times = ds[f"mode_strength_{side}"].values, ds["time"].values
    final = ds["singular_value"].values / float(ds.attrs["input_scale"])
    halves, rises = [], []
    for stage in stages(ds):
        k = stage.members[0]
        ends = [_first_crossing(times, strength[:, k], share * final[k]) for share in (0.1, 0.9)]
        if np.isfinite(ends).all():
            halves.append(stage.half_rise)
            rises.append(ends[1] - ends[0])
    return np.array(halves), np.array(rises)


def spacing(halves: Array, at: float) -> float:
    """Between the half-rise times that enclose ``at``; before the first and after the last, the nearest such."""
    k = int(np.clip(np.searchsorted(halves, at), 1, len(halves) - 1))
    return float(halves[k] - halves[k - 1])


def _first_crossing(times: Array, values: Array, level: float) -> float:
    roots = CubicSpline(times, values - level).roots(extrapolate=False)
    return float(roots.min(initial=np.inf))


def half_height_width(times: Array, values: Array, at: float) -> float:
    """Full width at half height of the lobe around ``at``; nan where it is cut off by the end of training."""
    spline = CubicSpline(times, values)
    roots = CubicSpline(times, values - float(spline(at)) / 2).roots(extrapolate=False)
    before, after = roots[roots < at], roots[roots > at]
    return float(after.min() - before.max()) if len(before) and len(after) else float("nan")


def peak_table(ds: xr.Dataset) -> pd.DataFrame:
    """A row each peak: time, nearest transition, distance to it in spacings, and width in rise times.

    ``attrs["chance"]`` is the share of all times of training that lie within a quarter of a spacing. Empty where fewer
    than two transitions are seen.
    """
    halves, rises = transitions(ds)
    rows = []
    for curve in group_curves(ds):
        if curve.group not in resolved(ds, curve.measure, curve.side):
            continue
        noise = 2 * curve.error if curve.error.any() else None
        for event in curve_events(curve.times, curve.values, None, noise):
            if event.kind == "flip" or len(halves) < 2:
                continue
            k = int(np.abs(halves - event.time).argmin())
            distance = abs(event.time - halves[k]) / spacing(halves, event.time)
            width = half_height_width(curve.times, curve.values, event.time)
            rows.append(
                [curve.measure, curve.label, curve.side, curve.group, event.kind, event.time, halves[k]]
                + [distance, width / rises[k], width, event.size]
            )
    columns = ["key", "measure", "side", "pairs", "peak", "time", "nearest transition", "from the transition", "width"]
    frame = pd.DataFrame(rows, columns=[*columns, "width in time", "size"])
    grid = np.linspace(0, float(ds["time"].values[-1]), 2001)
    if len(halves) > 1:
        near = [np.abs(halves - t).min() <= 0.25 * spacing(halves, t) for t in grid]
        frame.attrs["chance"] = float(np.mean(near))
    return frame
