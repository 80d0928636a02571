"""When a training run is looked at: checkpoints in flow time ``t = eta x step``, and where its stages are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """Checkpoints in flow time, each hit exactly by a whole number of steps.

    Attributes:
        eta: learning rate.
        steps: ``(T,)`` gradient steps done at each checkpoint, ascending from 0.
    """

    eta: float
    steps: tuple[int, ...]

    @classmethod
    def at(cls, times: ArrayLike, eta: float) -> Schedule:
        """Checkpoints at the multiples of ``eta`` nearest to ``times``."""
        wanted = np.asarray(times, dtype=np.float64)
        if not eta > 0 or wanted.ndim != 1 or len(wanted) < 2 or not np.isfinite(wanted).all():
            raise WorkbenchError(f"eta {eta:g}, {wanted.size} checkpoints; give eta > 0 and at least 2 finite times")
        steps = np.rint(wanted / eta).astype(np.int64)
        if steps[0] < 0 or (np.diff(steps) <= 0).any():
            raise WorkbenchError(
                f"eta {eta:g} is too coarse for checkpoints {wanted.min():.3g} to {wanted.max():.3g}: two of them fall "
                "on one step; use a smaller eta or fewer checkpoints"
            )
        return cls(float(eta), tuple(int(n) for n in steps))

    @classmethod
    def even(cls, t_max: float, checkpoints: int, eta: float) -> Schedule:
        """``checkpoints`` even times from 0 to t_max with the largest learning rate up to ``eta`` that hits them."""
        if checkpoints < 2 or not t_max > 0 or not eta > 0:
            raise WorkbenchError(
                f"checkpoints {checkpoints}, t-max {t_max:g}, eta {eta:g}; "
                "give at least 2 checkpoints and positive times"
            )
        spacing = t_max / (checkpoints - 1)
        return cls.at(np.linspace(0.0, t_max, checkpoints), spacing / max(1, int(np.ceil(spacing / eta - 1e-9))))

    @property
    def times(self) -> Array:
        """``(T,)`` flow times ``eta x step``."""
        return self.eta * np.array(self.steps, dtype=np.float64)

    @property
    def total(self) -> int:
        """Number of gradient steps of the whole run."""
        return self.steps[-1]

    def finer(self, factor: int) -> Schedule:
        """The same flow times with the learning rate divided by ``factor``."""
        return Schedule(self.eta / factor, tuple(factor * n for n in self.steps))


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
