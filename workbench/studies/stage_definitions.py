"""Events of a training run by definitions of a stage that know no theory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import find_peaks

from workbench import theory
from workbench.agreement.events import sign_flips
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

DEFINITIONS = ("loss", "log loss", "mode strengths", "influence peaks", "influence flips", "lambda-hat")
#: Events closer than this share of their time are one.
_ONE = 0.08
#: A peak must stand out by this share of the curve's range.
_PROMINENCE = 0.01


def first_half(times: Array, values: Array, final: float) -> float:
    """When a rising curve first passes half of its final value; nan if it never does, or starts above."""
    above = np.flatnonzero(values >= final / 2)
    if not above.size or above[0] == 0:
        return float("nan")
    roots = CubicSpline(times, values).solve(final / 2, extrapolate=False)
    return float(roots[0]) if len(roots) else float("nan")


def stage_events(run: Trajectory) -> list[Array]:
    """Times of the events of a run by each of the `DEFINITIONS`, ascending."""
    from workbench.influence import MEASURES
    from workbench.simulation.sampling.learning_coefficient import gaussian_expectation

    t, task = run.times, run.task
    product = run.weights[0]
    for W in run.weights[1:]:
        product = W @ product
    sizes: Array = np.linalg.svd(product, compute_uv=False)[:, : run.network.modes.rank].astype(np.float64)
    K = np.asarray(MEASURES["gradient_kernel"](run).values)
    off = np.triu(np.ones((task.n_items, task.n_items), dtype=bool), 1)
    top = np.abs(K[:, off]).max()
    flips = [sign_flips(t, K[:, i, j], noise=0.01 * top) for i, j in zip(*np.nonzero(off), strict=True)]
    modes = run.network.modes
    n_beta = theory.default_n_beta(modes)
    gamma = 2 * n_beta * float(modes.s[0])
    llc = np.array([gaussian_expectation(run.at(k), n_beta, gamma) for k in range(len(t))])
    rest = run.loss - run.loss.min() + 1e-4 * np.ptp(run.loss)
    halves = [first_half(t, sizes[:, k], float(sizes[-1, k])) for k in range(sizes.shape[1])]
    return [
        _peaks(t, -CubicSpline(t, run.loss)(t, 1)),
        _peaks(t, -CubicSpline(t, np.log(rest))(t, 1)),
        _merged(np.array(halves)),
        _peaks(t, np.abs(K[:, off]).sum(axis=1)),
        _merged(np.concatenate(flips)),
        _merged(np.concatenate([_peaks(t, llc), _peaks(t, -llc)])),
    ]


def _peaks(times: Array, values: Array) -> Array:
    """Times of maxima that stand out."""
    fine = np.linspace(times[0], times[-1], 2000)
    curve = CubicSpline(times, values)(fine)
    return np.asarray(fine[find_peaks(curve, prominence=_PROMINENCE * np.ptp(curve))[0]])


def _merged(times: Array) -> Array:
    """Means of clusters of times that follow each other closely."""
    t = np.sort(times[np.isfinite(times)])
    if not t.size:
        return t
    return np.array([part.mean() for part in np.split(t, np.flatnonzero(np.diff(t) > _ONE * t[1:]) + 1)])
