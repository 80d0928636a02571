"""Window removal: item i is absent only for t in [t0, t1]; when in training does its presence matter?

Influence is ``l_j`` with the item always there minus ``l_j`` with the window cut out; negative = helpful. It
is 0 up to t0, and the window (0, t) gives leave-one-out at time t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network
from workbench.theory.flow.weighted_flow import (
    Progress,
    ReducedFlow,
    batches,
    checked_times,
    default_rtol,
    integrate,
    reduced_flow,
)
from workbench.theory.influence.leave_one_out import Convention, held_out_times
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.trajectory_derivative import trajectory_derivative

Array = NDArray[np.float64]
Window = tuple[float, float]


def window_removal(
    start: Network,
    times: ArrayLike,
    windows: Sequence[Window],
    *,
    method: Literal["finite", "first_order"] = "finite",
    convention: Convention = "unnormalised",
    rtol: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """Influence of each item's presence in each window, ``(window, T, source P, target P)``.

    Args:
        start: task and initial weights.
        times: ``(T,)`` flow times >= 0, in any order.
        windows: pairs ``(t0, t1)`` of flow times, ``0 <= t0 <= t1``.
        method: ``"finite"`` restarts the flow at t0 and t1 and is exact to ``rtol``. ``"first_order"`` is 1/P
            times the derivative restricted to the window (closed form for an aligned start), which is
            additive over adjoining windows and good where the removal changes little.
        convention: weights of the items kept, inside the window: 1 (``"unnormalised"``) or P/(P-1)
            (``"renormalised"``).
        rtol: relative tolerance of the integrator; see `weighted_flow`.
        progress: called with the fraction done, between 0 and 1.
    """
    t = checked_times(times)
    for begin, end in windows:
        if not 0 <= begin <= end:
            raise ConditionError(
                "windows (t0, t1) with 0 <= t0 <= t1", f"({begin:g}, {end:g})", "give the earlier time first"
            )
    held_out_times([], start.task.n_items, convention)
    if method not in ("finite", "first_order"):
        raise WorkbenchError(f"method {method!r} is unknown; use 'finite' or 'first_order'")
    one_window = _finite if method == "finite" else _first_order
    removal = np.zeros((len(windows), len(t), start.task.n_items, start.task.n_items))
    for k, window in enumerate(windows):
        removal[k] = one_window(start, t, window, convention, rtol)
        if progress:
            progress((k + 1) / len(windows))
    return removal


def _first_order(start: Network, t: Array, window: Window, convention: Convention, rtol: float | None) -> Array:
    """``(T, P, P)``: eps_i = -1/P and, renormalised, eps_j = 1/(P(P-1)) for the others."""
    P = start.task.n_items
    if start.active is not None and start.a0 is not None:
        derivative = trajectory_derivative(start.modes, t, a0=start.a0, active=start.active, window=window)
    else:
        derivative = trajectory_derivative_from_start(start, t, window=window, rtol=rtol)
    if convention == "renormalised":
        derivative = (P * derivative - derivative.sum(axis=1, keepdims=True)) / (P - 1)
    return np.asarray(derivative / P)


def _finite(start: Network, t: Array, window: Window, convention: Convention, rtol: float | None) -> Array:
    flow = reduced_flow(start)
    P = flow.n_items
    rtol = default_rtol(flow, P) if rtol is None else rtol
    stamps, back = np.unique(t, return_inverse=True)
    begin, end = window[0], min(window[1], stamps.max(initial=0.0))
    if begin >= end:
        return np.zeros((len(t), P, P))
    everything = np.ones((1, P))
    together = np.empty((len(stamps), P))
    stops = np.r_[stamps[stamps < begin], begin, stamps[stamps >= begin]]
    at_begin = int((stamps < begin).sum())
    for k, M, At in integrate(flow, flow.layers(1), everything, 0.0, stops, rtol):
        if k == at_begin:
            before = M.copy(), At.copy()
        else:
            together[k - (k > at_begin)] = flow.losses(M, At)[0]
    without = np.repeat(together[:, None], P, axis=1)
    inside, after = (stamps > begin) & (stamps < end), stamps >= end
    # In the window the renormalised flow is the unnormalised one, faster.
    lived = held_out_times(np.r_[stamps[inside], end] - begin, P, convention)
    for runs in batches(flow, P):
        count = runs.stop - runs.start
        layers = np.repeat(before[0], count, axis=0), np.repeat(before[1], count, axis=0)
        weights = 1.0 - np.eye(P)[runs]
        layers = _record(flow, layers, weights, 0.0, lived, rtol, without[:, runs], np.flatnonzero(inside))
        rest = np.r_[stamps[after], stamps[-1]]
        _record(flow, layers, np.ones((count, P)), end, rest, rtol, without[:, runs], np.flatnonzero(after))
    return np.asarray(together[:, None, :] - without)[back]


def _record(
    flow: ReducedFlow,
    layers: tuple[Array, Array],
    weights: Array,
    begin: float,
    stops: Array,
    rtol: float,
    losses: Array,
    rows: NDArray[np.intp],
) -> tuple[Array, Array]:
    """Integrate through ``stops``: the last layers returned, the losses of all others in ``losses[rows]``."""
    for k, M, At in integrate(flow, layers, weights, begin, stops, rtol):
        if k < len(rows):
            losses[rows[k]] = flow.losses(M, At)
        else:
            layers = M.copy(), At.copy()
    return layers
