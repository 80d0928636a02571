"""The honest question: is a curve of influence over training anything but monotone, beyond its noise?

A curve of T checkpoints with standard errors *rises* if for some t1 < t2 the difference exceeds its own standard error
by more than a critical number, and *falls* likewise; it changes sign if it is surely positive at one time and surely
negative at another. With T(T-1)/2 differences looked at and errors that themselves come from a few chains, the
critical number is far above 2: it is the one that a flat curve of the same kind exceeds once in a hundred times, found
by simulation. What remains uncertain is the network: all errors are of chains around the checkpoints of one training.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

_LEVEL, _SIMULATED = 0.01, 4000


class Extreme(NamedTuple):
    """The most significant difference of a kind: in standard errors, and between which checkpoints."""

    z: float
    first: int
    second: int


@cache
def critical_difference(checkpoints: int, chains: int) -> float:
    """What the largest of all differences of a flat curve exceeds in 1 of 100 cases, in its own standard errors."""
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((_SIMULATED, checkpoints, chains))
    mean, error = draws.mean(axis=2), draws.std(axis=2, ddof=1) / chains**0.5
    z = _differences(mean, error)
    return float(np.quantile(z.max(axis=(1, 2)), 1 - _LEVEL))


@cache
def critical_value(checkpoints: int, chains: int) -> float:
    """The same for the largest of T values, for being surely above or below zero."""
    rng = np.random.default_rng(1)
    draws = rng.standard_normal((_SIMULATED, checkpoints, chains))
    z = draws.mean(axis=2) / (draws.std(axis=2, ddof=1) / chains**0.5)
    return float(np.quantile(np.abs(z).max(axis=1), 1 - _LEVEL))


def _differences(mean: Array, error: Array) -> Array:
    """``(..., T, T)`` later minus earlier in standard errors; -inf where not later."""
    z = (mean[..., None, :] - mean[..., :, None]) / np.hypot(error[..., None, :], error[..., :, None])
    later = np.triu(np.ones(z.shape[-2:], dtype=bool), 1)
    return np.where(later & np.isfinite(z), z, -np.inf)


def steepest(mean: Array, error: Array) -> Extreme:
    """The most significant rise of a curve ``(T,)``; of ``-mean``: fall."""
    z = _differences(mean, error)
    first, second = np.unravel_index(int(z.argmax()), z.shape)
    return Extreme(float(z.max()), int(first), int(second))


def shapes(ds: xr.Dataset) -> pd.DataFrame:
    """What every class-to-class correlation does over training, one row a pair, the surest first.

    Columns: pair, verdict (``rises and falls``, ``falls``, ``rises``, ``no change``), the most significant rise and
    fall of influence in standard errors with their steps (influence falls when help grows), sign (``changes``,
    ``helps``, ``harms``, ``unsure``), and the surest values of either sign with their steps.
    """
    T, chains = ds.sizes["time"], int(ds.attrs["chains"])
    critical, sure = critical_difference(T, chains), critical_value(T, chains)
    steps, names = ds["step"].values, [str(name) for name in ds["class"].values]
    rows = []
    for a, b in combinations_with_replacement(range(len(names)), 2):
        mean = ds["group_correlation"].values[:, a, b]
        error = ds["group_correlation_stderr"].values[:, a, b]
        if not np.isfinite(mean).all():
            continue
        up, down, z = steepest(mean, error), steepest(-mean, error), mean / error
        rises, falls = up.z > critical, down.z > critical
        low, high = int(z.argmin()), int(z.argmax())
        rows.append(
            {
                "pair": names[a] if a == b else f"{names[a]} / {names[b]}",
                "verdict": ("rises and falls" if falls else "rises") if rises else "falls" if falls else "no change",
                "rise": up.z,
                "rise_steps": f"{steps[up.first]} to {steps[up.second]}",
                "fall": down.z,
                "fall_steps": f"{steps[down.first]} to {steps[down.second]}",
                "sign": _sign(z, sure),
                "lowest": f"{1e3 * mean[low]:.0f} ± {1e3 * error[low]:.0f} at {steps[low]}",
                "highest": f"{1e3 * mean[high]:.0f} ± {1e3 * error[high]:.0f} at {steps[high]}",
                "sureness": min(up.z, down.z),
            }
        )
    frame = pd.DataFrame(rows).sort_values("sureness", ascending=False, ignore_index=True)
    frame.attrs.update(critical_difference=critical, critical_value=sure)
    return frame


def _sign(z: Array, sure: float) -> str:
    below, above = bool(z.min() < -sure), bool(z.max() > sure)
    if below and above:
        return "changes"
    return "helps" if below else "harms" if above else "unsure"
