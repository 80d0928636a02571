"""When to look: checkpoints in equal ratios, and where the stages of learning are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.simulation.training.two_layer_training import Schedule

Array = NDArray[np.float64]


def log_spaced_times(first: float, last: float, count: int) -> Array:
    """0 and ``count - 1`` times from ``first`` to ``last`` in equal ratios."""
    if not 0 < first < last or count < 3:
        raise WorkbenchError(
            f"{count} log-spaced times from {first:g} to {last:g}; give 0 < first < last, and at least 3 times"
        )
    return np.concatenate([[0.0], np.geomspace(first, last, count - 1)])


def stage_times(half_rise_times: ArrayLike, t_max: float, between: int = 4) -> Array:
    """Checkpoints where the stages are: 0, every half-rise time, ``t_max``, and ``between`` even times in each gap.

    Args:
        half_rise_times: when each mode is half learned, in any order; infinite or later than ``t_max``: left out.
        t_max: end of training.
        between: checkpoints between two neighbouring stages.
    """
    rises = np.ravel(np.asarray(half_rise_times, dtype=np.float64))
    inside = rises[(rises > 0) & (rises < t_max)]
    if not 0 < t_max < np.inf or between < 0:
        raise WorkbenchError(f"t_max {t_max:g} with {between} times a gap; give t_max > 0 and 0 or more times")
    # Modes of one level rise at the same time up to rounding.
    stages = np.unique(np.round(inside / t_max, 9)) * t_max
    corners = np.concatenate([[0.0], stages, [t_max]])
    fractions = np.arange(between + 1) / (between + 1)
    filled = corners[:-1, None] + np.diff(corners)[:, None] * fractions
    return np.append(filled.ravel(), t_max)


def schedule_near(times: ArrayLike, eta: float) -> Schedule:
    """`Schedule.at` for times that may be denser than the steps: those that fall on one step are one checkpoint."""
    wanted = np.asarray(times, dtype=np.float64)
    if not (eta > 0 and wanted.size and np.isfinite(wanted).all() and wanted.min() >= 0):
        raise WorkbenchError(f"eta {eta:g} with {wanted.size} checkpoints; give eta > 0 and finite times >= 0")
    return Schedule(float(eta), tuple(int(n) for n in np.unique(np.rint(wanted / eta).astype(np.int64))))
