"""When an influence changes sign and when it peaks: curves evaluated at any time, their special times."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.networks import Network
from workbench.semantics.modes import Modes
from workbench.theory.flow.weighted_flow import weighted_flow
from workbench.theory.influence.leave_one_out import Convention, held_out_times
from workbench.theory.influence.mode_transport import pair_responses
from workbench.theory.influence.trajectory_derivative import started_groups
from workbench.theory.roots import sign_changes

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]


def derivative_curve(
    modes: Modes, source: int, target: int, *, a0: float, active: int | None = None, depth: int = 2
) -> Curve:
    """``t -> dl_target/deps_source`` of an aligned start, for times of any shape."""
    groups, strengths = started_groups(modes, a0, active)
    shared = groups.projectors[:, source, target]
    scale = -(modes.n_items**2)

    def curve(t: Array) -> Array:
        x, e = pair_responses(groups.s, strengths, np.ravel(t), c=modes.c, depth=depth)
        return np.asarray(scale * ((e * shared)[:, None, :] @ (x @ shared)[:, :, None])).reshape(np.shape(t))

    return curve


def leave_one_out_curve(
    start: Network,
    source: int,
    target: int,
    *,
    convention: Convention = "unnormalised",
    rtol: float = 1e-10,
) -> Curve:
    """``t -> l_target(with source) - l_target(without)``, for times of any shape; two runs a call."""
    P = start.task.n_items
    keep = np.ones(P)
    keep[source] = 0.0

    def curve(t: Array) -> Array:
        times = np.ravel(t)
        without = weighted_flow(start, held_out_times(times, P, convention), keep, rtol=rtol)
        return np.asarray((weighted_flow(start, times, np.ones(P), rtol=rtol) - without)[:, 0, target]).reshape(
            np.shape(t)
        )

    return curve


def sign_flips(curve: Curve, grid: ArrayLike) -> Array:
    """Times at which the curve changes sign, refined by root finding; ``grid`` must separate them."""
    return sign_changes(curve, np.asarray(grid, dtype=np.float64))


def extrema(curve: Curve, grid: ArrayLike, *, noise: float = 1e-8) -> tuple[Array, Array]:
    """Local maxima and minima inside the grid: times (to 1e-8, what a flat top allows) and values.

    Changes between neighbouring grid points below ``noise`` times the largest value count as flat.
    """
    from scipy.optimize import minimize_scalar

    t = np.asarray(grid, dtype=np.float64)
    values = np.asarray(curve(t))
    change = np.diff(values)
    steep = np.flatnonzero(np.abs(change) > noise * np.abs(values).max(initial=0.0))
    extreme_times = []
    for k, later in pairwise(steep):
        sign = -np.sign(change[k])
        if sign != np.sign(change[later]):
            continue
        best = minimize_scalar(
            lambda u, sign=sign: sign * float(curve(np.array(u))),
            bounds=(t[k], t[later + 1]),
            method="bounded",
            options={"xatol": 1e-9 * t[-1]},
        )
        extreme_times.append((float(best.x), sign * float(best.fun)))
    return np.array([x for x, _ in extreme_times]), np.array([y for _, y in extreme_times])
