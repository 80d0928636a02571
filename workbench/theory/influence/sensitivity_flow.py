"""Derivative of the losses through the training history from **any** start: the linearised flow, integrated.

With the weights in mode coordinates (see `weighted_flow`) the derivative ``(dM_i, dA_i)`` of the weights by
eps_i obeys the flow's linearisation, driven by item i::

    d(dM_i)/dt = D[A^T E] + P (A^T E v_i) v_i^T,      E = S - c A M
    d(dA_i)/dt = D[E M^T] + P (E v_i)(M v_i)^T

All items are integrated together with the weights, as one ODE. No condition on the start is needed: balanced
with any lambda, Gaussian, bottleneck. For an aligned start `trajectory_derivative` has the same in closed
form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.flow.runge_kutta import march
from workbench.theory.flow.weighted_flow import (
    Progress,
    ReducedFlow,
    batches,
    checked_times,
    default_rtol,
    integrate,
    reduced_flow,
)

Array = NDArray[np.float64]


def _gram_rates(flow: ReducedFlow, M: Array, At: Array) -> tuple[Array, Array]:
    """``A^T E`` ``(h, P)`` and ``M E^T`` ``(h, q)``."""
    K, c = len(flow.s), flow.c
    first, second = -c * (At @ At.T) @ M, -c * (M @ M.T) @ At
    first[:, :K] += At[:, :K] * flow.s
    second[:, :K] += M[:, :K] * flow.s
    return first, second


def _right_hand_side(flow: ReducedFlow, items: Array, runs: int) -> Callable[[float, Array], Array]:
    """Rate of (M, A^T, all dM, all dA^T); ``items`` are the rows of V that drive the runs, or none."""
    (h, P), q, K, c = flow.M.shape, flow.At.shape[1], len(flow.s), flow.c
    cuts = np.cumsum([h * P, h * q, runs * h * P])

    def split(y: Array) -> tuple[Array, Array, Array, Array]:
        M, At, dM, dAt = np.split(y, cuts)
        return M.reshape(h, P), At.reshape(h, q), dM.reshape(runs, h, P), dAt.reshape(runs, h, q)

    def symmetric(Z: Array) -> Array:
        return np.asarray(Z + np.swapaxes(Z, 1, 2))

    def rate(_: float, y: Array) -> Array:
        M, At, dM, dAt = split(y)
        out = np.empty_like(y)
        M_dot, At_dot, dM_dot, dAt_dot = split(out)
        M_dot[:], At_dot[:] = _gram_rates(flow, M, At)
        np.matmul(symmetric(dAt @ At.T), M, out=dM_dot)
        dM_dot += (At @ At.T) @ dM
        dM_dot *= -c
        dM_dot[:, :, :K] += dAt[:, :, :K] * flow.s
        np.matmul(symmetric(dM @ M.T), At, out=dAt_dot)
        dAt_dot += (M @ M.T) @ dAt
        dAt_dot *= -c
        dAt_dot[:, :, :K] += dM[:, :, :K] * flow.s
        if len(items):
            Mv = M @ items.T
            Ev = -c * At.T @ Mv
            Ev[:K] += flow.s[:, None] * items[:, :K].T
            dM_dot += P * (M_dot @ items.T).T[:, :, None] * items[:, None, :]
            dAt_dot += P * Mv.T[:, :, None] * Ev.T[:, None, :]
        return out

    return rate


def _loss_derivative(flow: ReducedFlow, M: Array, At: Array, dM: Array, dAt: Array) -> Array:
    """``(R, P)``: ``dl_j = -r_j . (dA M + A dM) x_j``."""
    seen = M @ flow.V.T
    residual = flow.targets - flow.c * At.T @ seen
    by_second = ((dAt @ residual) * seen).sum(axis=1)
    by_first = ((dM @ flow.V.T) * (At @ residual)).sum(axis=1)
    return np.asarray(-flow.n_items * (by_second + by_first))


def trajectory_derivative_from_start(
    start: Network,
    times: ArrayLike,
    *,
    window: tuple[float, float] = (0.0, np.inf),
    rtol: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """``dl_j(t)/deps_i`` along the flow from any start, ``(T, source P, target P)``; negative = helpful.

    Args:
        start: task and initial weights.
        times: ``(T,)`` flow times >= 0, in any order.
        window: eps_i acts only between these flow times; from start to end unless given.
        rtol: relative tolerance of the integrator; 1e-9 for small tasks, 1e-7 for the largest unless given.
        progress: called with the fraction done, between 0 and 1.

    A numeric algorithm (order 8, step control), not a closed form. Units of the loss per unit of eps.
    """
    begin, end = window
    if not 0 <= begin <= end:
        raise ConditionError("0 <= begin <= end of the window", f"({begin:g}, {end:g})", "give the earlier time first")
    flow = reduced_flow(start)
    t, back = np.unique(checked_times(times), return_inverse=True)
    P = flow.n_items
    rtol = default_rtol(flow, P) if rtol is None else rtol
    derivative = np.zeros((len(t), P, P))
    if not len(t) or begin >= min(end, t[-1]):
        return derivative[back]
    *_, (_, M0, At0) = integrate(flow, flow.layers(1), np.ones((1, P)), 0.0, np.array([begin]), 0.1 * rtol)
    for runs in batches(flow, P):
        for k, dl in _tangents(flow, (M0[0], At0[0]), runs, (begin, min(end, t[-1])), t, rtol):
            derivative[k, runs] = dl
            if progress:
                progress((runs.start + (runs.stop - runs.start) * (k + 1) / len(t)) / P)
    return derivative[back]


def _tangents(
    flow: ReducedFlow,
    layers: tuple[Array, Array],
    runs: slice,
    window: tuple[float, float],
    t: Array,
    rtol: float,
) -> Iterator[tuple[int, Array]]:
    """Index of every time after the window's begin, and the ``(R, P)`` loss derivatives of one batch then."""
    M, At = layers
    count = runs.stop - runs.start
    shapes = [M.shape, At.shape, (count, *M.shape), (count, *At.shape)]
    cuts = np.cumsum([M.size, At.size, count * M.size])
    y = np.concatenate([M.ravel(), At.ravel(), np.zeros(count * (M.size + At.size))])
    size = np.abs(y).max()
    # The derivatives are P times larger than the weights: eps = 1/P is a weight of order 1.
    atol = 0.1 * rtol * size * np.where(np.arange(len(y)) < cuts[1], 1.0, flow.n_items)
    begin, end = window
    inside, after = t[(t > begin) & (t < end)], t[t >= end]
    offset = int((t <= begin).sum())
    for now, stops, items in ((begin, np.r_[inside, end], flow.V[runs]), (end, after, flow.V[:0])):
        rate = _right_hand_side(flow, items, count)
        for k, state in march(rate, now, y, stops, rtol=rtol, atol=atol):
            parts = [part.reshape(shape) for part, shape in zip(np.split(state, cuts), shapes, strict=True)]
            if now == begin and k == len(inside):
                y = state
            else:
                yield offset + k, _loss_derivative(flow, *parts)
        offset += len(inside)
