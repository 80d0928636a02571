"""How well an estimate of influence answers a truth: per time and per level, over seeds, never only pooled.

The estimate e and the truth y are ``(time, pairs)`` arrays of one level of the common ancestor (or of all pairs between
different examples, ``off_diagonal``; or of all pairs, ``all``). Per checkpoint: correlation over the pairs, sign
agreement, slope of e on y through the origin. Over the whole run: ``agreement``, the cosine ``e.y / |e||y|`` between
the two, blind to scale and to nothing else (the sign, the time of a peak and of a flip all count); the error of flip
and peak times of the level's mean curve. Each is computed for every seed; the value is the mean over seeds, low and
high its 95% t interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workbench.agreement import extreme_times, sign_flips

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A truth smaller than this fraction of its largest value over the run has no sign worth asking for.
FLOOR = 1e-3
#: Truths that differ by less than this fraction of the largest are one value (a symmetry), without a correlation.
_EQUAL = 1e-6


@dataclass(frozen=True)
class Score:
    """One number of a table in long form; ``time`` is None for a score of the whole run."""

    level: str
    score: str
    time: float | None
    value: float
    low: float
    high: float


def level_masks(levels: NDArray[np.int64]) -> dict[str, Mask]:
    """``(P, N)`` masks by name: every level, ``off_diagonal`` and ``all``; level -1 marks an item with itself."""
    masks = {str(m): levels == m for m in np.unique(levels[levels >= 0])}
    return masks | {"off_diagonal": levels >= 0, "all": np.ones_like(levels, dtype=bool)}


def scores(estimate: Array, truth: Array, times: Array, levels: NDArray[np.int64]) -> list[Score]:
    """All scores of an estimate against one truth.

    Args:
        estimate: ``(S, T, P, N)`` for S seeds and N targets, in the package's sign.
        truth: ``(S, T, P, N)``.
        times: ``(T,)``.
        levels: ``(P, N)``.
    """
    rows: list[Score] = []
    unit = _unit(estimate)
    estimate = estimate / unit
    for level, mask in level_masks(levels).items():
        e, y = estimate[..., mask], truth[..., mask]
        rows += _of_the_run(level, e, y, times)
        floor = FLOOR * np.abs(y).max(axis=(1, 2))[:, None, None]
        for name, values in (
            ("correlation", _correlation(e, y)),
            ("sign_agreement", _sign_agreement(e, y, floor)),
            ("slope", unit * _slope(e, y)),
        ):
            rows += [Score(level, name, float(t), *interval(values[:, k])) for k, t in enumerate(times)]
    return rows


def interval(values: Array) -> tuple[float, float, float]:
    """Mean over seeds and its 95% t interval, ignoring seeds without a value; no interval for a single one."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    mean = float(known.mean())
    if len(known) == 1:
        return mean, float("nan"), float("nan")
    with np.errstate(over="ignore"):  # of slopes, which have the estimate's own scale
        half = _quantile(len(known) - 1) * float(known.std(ddof=1) / np.sqrt(len(known)))
    return mean, mean - half, mean + half


@cache
def _quantile(degrees: int) -> float:
    """97.5% quantile of Student's t; a table asks for it ten thousand times."""
    return float(stats.t.ppf(0.975, degrees))


def _of_the_run(level: str, e: Array, y: Array, times: Array) -> Iterator[Score]:
    yield Score(level, "agreement", None, *interval(agreement(e, y)))
    late = [_events(times, e[s].mean(axis=1), y[s].mean(axis=1)) for s in range(len(y))]
    for name in ("flip_error", "flips_missed", "flips_invented", "peak_error"):
        yield Score(level, name, None, *interval(np.array([row[name] for row in late])))


def agreement(e: Array, y: Array) -> Array:
    """``(S,)`` cosine over time and pairs; 0 where the estimate is zero, NaN where the truth is."""
    e, y = e / _unit(e), y / _unit(y)
    product = (e * y).sum(axis=(1, 2))
    sizes = np.linalg.norm(e, axis=(1, 2)), np.linalg.norm(y, axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.where(sizes[0] > 0, product / (sizes[0] * sizes[1]), 0.0)
    return np.where(sizes[1] > 0, cosine, np.nan)


def _unit(values: Array) -> float:
    """The power of two below the largest value: squares of huge or tiny numbers stay numbers, and no bit is lost."""
    size = float(np.abs(values).max(initial=0.0))
    return 2.0 ** (np.frexp(size)[1] - 1) if size > 0 else 1.0


def _correlation(e: Array, y: Array) -> Array:
    """``(S, T)``; NaN where all truths of a checkpoint are one value, 0 where all estimates are."""
    d, z = e - e.mean(axis=2, keepdims=True), y - y.mean(axis=2, keepdims=True)
    spread = np.linalg.norm(z, axis=2) > _EQUAL * np.linalg.norm(y, axis=2).max(axis=1, keepdims=True)
    sizes = np.linalg.norm(d, axis=2) * np.linalg.norm(z, axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(sizes > 0, (d * z).sum(axis=2) / sizes, 0.0)
    return np.where(spread, r, np.nan)


def _sign_agreement(e: Array, y: Array, floor: Array) -> Array:
    """``(S, T)`` share of the pairs whose truth exceeds the floor that have its sign; NaN without such a pair."""
    counted = np.abs(y) > floor
    right = (np.sign(e) == np.sign(y)) & counted
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counted.any(axis=2), right.sum(axis=2) / counted.sum(axis=2), np.nan)


def _slope(e: Array, y: Array) -> Array:
    """``(S, T)`` least-squares slope of the estimate on the truth through the origin: 1 has the truth's own scale."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((y != 0).any(axis=2), (e * y).sum(axis=2) / (y * y).sum(axis=2), np.nan)


def _events(times: Array, e: Array, y: Array) -> Mapping[str, float]:
    """Errors of flips and peaks of one curve, in flow time.

    A flip of the truth and one of the estimate are each other's partners where both are the nearest to the other.
    """
    truth, estimated = _flips(times, y), _flips(times, e)
    gap = np.abs(truth[:, None] - estimated)
    pairs = [
        (i, j)
        for i in range(len(truth))
        for j in range(len(estimated))
        if gap[i].argmin() == j and gap[:, j].argmin() == i
    ]
    peaks = [abs(a - b) for a, b in zip(_peaks(times, y), _peaks(times, e), strict=True) if np.isfinite(a)]
    return {
        "flip_error": float(np.mean([gap[i, j] for i, j in pairs])) if pairs else float("nan"),
        "flips_missed": float(len(truth) - len(pairs)),
        "flips_invented": float(len(estimated) - len(pairs)),
        "peak_error": float(np.mean(peaks)) if peaks else float("nan"),
    }


def _flips(times: Array, curve: Array) -> Array:
    size = float(np.abs(curve).max())
    return sign_flips(times, np.where(np.abs(curve) > FLOOR * size, curve, 0.0)) if size > 0 else np.array([])


def _peaks(times: Array, curve: Array) -> tuple[float, float]:
    return extreme_times(times, curve) if np.abs(curve).max() > 0 else (float("nan"), float("nan"))


def scores_of_subsets(lds: Array, times: Array, masks: Mapping[str, Mask], name: str = "lds") -> list[Score]:
    """Rows of linear datamodelling scores ``lds`` ``(S, T, N)`` of the targets in each mask ``(N,)``."""
    rows = []
    for level, mask in masks.items():
        with np.errstate(invalid="ignore"):
            values = np.array([[_mean(lds[s, k, mask]) for k in range(len(times))] for s in range(len(lds))])
        rows += [Score(level, name, float(t), *interval(values[:, k])) for k, t in enumerate(times)]
    return rows


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
