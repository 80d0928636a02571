"""Sign flips and peaks of influence curves, read off both sides in the same way."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from workbench.agreement.differences import ROUNDING, measures_in
from workbench.agreement.groups import pair_groups
from workbench.semantics import Hierarchy
from workbench.theory import flip_times

Array = NDArray[np.float64]


def sign_flips(times: Array, values: Array, noise: Array | float = 0.0) -> Array:
    """Times at which a sampled curve changes sign.

    Args:
        times: ``(T,)``. values: ``(T,)``.
        noise: values no larger than this (a number or ``(T,)``) are taken for zero: 2 standard errors of a
            sampled curve. A flip is counted between two values of opposite sign that exceed it.

    Returns:
        Flip times, ascending: roots of the cubic spline for a curve without noise, of the chord for one with.
    """
    keep = np.flatnonzero(np.abs(values) > noise)
    flips = []
    spline = CubicSpline(times, values) if len(times) > 3 else None
    for i, j in itertools.pairwise(keep):
        if values[i] * values[j] >= 0:
            continue
        chord = times[i] - values[i] * (times[j] - times[i]) / (values[j] - values[i])
        roots = spline.solve(0.0, extrapolate=False) if spline is not None and not np.any(noise) else np.array([])
        inside = roots[(roots >= times[i]) & (roots <= times[j])]
        flips.append(float(inside[0]) if len(inside) else float(chord))
    return np.array(flips)


def extreme_times(times: Array, values: Array) -> tuple[float, float]:
    """Times of the most negative (most helpful) and most positive (most harmful) value, by cubic spline.

    nan where the curve never is negative or positive.
    """
    spline = CubicSpline(times, values)
    stationary = spline.derivative().roots(extrapolate=False)
    candidates = np.concatenate([times, stationary[np.isfinite(stationary)]])
    heights = spline(candidates)
    low, high = int(heights.argmin()), int(heights.argmax())
    return (
        float(candidates[low]) if heights[low] < 0 else float("nan"),
        float(candidates[high]) if heights[high] > 0 else float("nan"),
    )


def event_table(ds: xr.Dataset) -> pd.DataFrame:
    """Flips and peaks of the mean curve of every group of pairs, on both sides, with their differences.

    Columns: measure, pairs, event (``flip 1``, ``most helpful``, ...), analytic, simulated, difference, and
    ``closed_form`` where the theory has the time itself (kernel flips on a symmetric tree, aligned start).
    """
    times = ds["time"].values
    exact = _closed_form_flips(ds)
    rows = []
    for measure in measures_in(ds):
        analytic, simulated = ds[f"{measure}_analytic"].values, ds[f"{measure}_simulated"].values
        floor = ROUNDING * float(np.abs(analytic).max())
        for group, mask in pair_groups(ds).items():
            first, second = analytic[:, mask].mean(axis=1), simulated[:, mask].mean(axis=1)
            noise: Array | float = floor
            if f"{measure}_simulated_stderr" in ds:
                # The pairs share their chains; their errors are taken as fully correlated.
                noise = 2 * ds[f"{measure}_simulated_stderr"].values[:, mask].mean(axis=1)
            predicted = sign_flips(times, np.where(np.abs(first) > floor, first, 0.0))
            if isinstance(noise, float):
                seen = sign_flips(times, np.where(np.abs(second) > floor, second, 0.0))
            else:
                seen = sign_flips(times, second, noise)
            known = exact.get(group, np.array([])) if measure == "gradient_kernel" else np.array([])
            for k, (a, b) in enumerate(_side_by_side(predicted, seen)):
                rows.append(_row(measure, group, f"flip {k + 1}", a, b, _at(known, k)))
            for event, a, b in zip(
                ("most helpful", "most harmful"), extreme_times(times, first), extreme_times(times, second), strict=True
            ):
                if np.isfinite(a) and np.abs(first).max() > floor:
                    rows.append(_row(measure, group, event, a, b, float("nan")))
    return pd.DataFrame(
        rows, columns=["measure", "pairs", "event", "analytic", "simulated", "difference", "closed_form"]
    )


def _side_by_side(predicted: Array, seen: Array) -> list[tuple[float, float]]:
    """Pairs of flips that are each other's nearest, in order of time; nan beside a flip without partner.

    A sampled curve misses flips that drown in its noise, so that the first seen need not be the first predicted.
    """
    if not len(predicted) or not len(seen):
        return [(a, np.nan) for a in predicted.tolist()] + [(np.nan, b) for b in seen.tolist()]
    gap = np.abs(predicted[:, None] - seen)
    forth, back = gap.argmin(axis=1), gap.argmin(axis=0)
    pairs = [(a, float(seen[forth[i]]) if back[forth[i]] == i else np.nan) for i, a in enumerate(predicted.tolist())]
    pairs += [(np.nan, b) for j, b in enumerate(seen.tolist()) if forth[back[j]] != j]
    return sorted(pairs, key=lambda pair: np.nanmin(pair))


def _at(values: Array, k: int) -> float:
    return float(values[k]) if k < len(values) else float("nan")


def _row(measure: str, group: str, event: str, analytic: float, simulated: float, exact: float) -> dict[str, object]:
    return {
        "measure": measure,
        "pairs": group,
        "event": event,
        "analytic": analytic,
        "simulated": simulated,
        "difference": simulated - analytic,
        "closed_form": exact,
    }


def _closed_form_flips(ds: xr.Dataset) -> dict[str, Array]:
    """Roots of the flip equation, by group name, where its conditions hold."""
    config = json.loads(ds.attrs.get("config", "{}"))
    branching, a0 = ds.attrs.get("branching"), ds.attrs.get("a0")
    if branching is None or a0 is None or not np.all(ds["mode_level"].values >= 0) or not config:
        return {}
    hierarchy = Hierarchy(tuple(int(b) for b in np.atleast_1d(branching)))
    levels, singular = ds["mode_level"].values, ds["singular_value"].values
    if not np.isfinite(ds["half_rise_time"].values).all() or np.any(np.bincount(levels) == 0):
        return {}
    s_levels = np.array([singular[levels == k].mean() for k in range(hierarchy.depth + 1) if (levels == k).any()])
    if len(s_levels) != hierarchy.depth + 1:
        return {}
    found = flip_times(hierarchy, s_levels, a0=float(a0), c=float(ds.attrs["input_scale"]))
    last = float(ds["time"].values[-1])
    return {name: times[times <= last] for name, times in zip(pair_groups(ds), found, strict=False)}
