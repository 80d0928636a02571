"""Gradient flow of many runs that weigh the items differently, integrated as one batch.

Run r trains on ``L_r = (1/P) sum_i w_ri l_i`` from the same start. Three exact reductions come first:

* **modes**: with ``M = W1 X V / sqrt(cP)``, ``A = [U, U_perp]^T W2`` and ``Syx = U S V^T`` the flow is::

      dM/dt = A^T (S - c A M) G,      dA/dt = (S - c A M) G M^T
      G = V^T diag(w_r) V = I + sum_i (w_ri - 1) v_i v_i^T

  so S is a scaling and G the identity but for the items whose weight is not 1;
* **outputs**: ``U_perp`` spans what W2(0) has outside the targets; no other output ever moves;
* **hidden units**: M and A never leave the span of their columns at t = 0, so idle units (those of an aligned
  start) drop out.

In Gram form, ``A^T S - c (A^T A) M``, no product is larger than ``(N_h, N_h) x (N_h, P)`` per run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Lock

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network
from workbench.parallel import in_threads
from workbench.theory.flow.runge_kutta import march

Array = NDArray[np.float64]
Progress = Callable[[float], None]

#: Directions below this fraction of the largest are rounding, not part of the start.
_SPAN_TOLERANCE = 1e-13
#: Numbers in the state of one batch: small enough for the integrator's stages to stay near the processor.
_BATCH = 2**16
#: States up to this size (all runs together) are integrated at rtol 1e-9, larger ones at 1e-7.
_SMALL = 10**6


@dataclass(frozen=True, eq=False)
class ReducedFlow:
    """A start in mode coordinates, without the directions that never move.

    Attributes:
        s: ``(K,)`` singular values of Syx.
        c: input scale.
        V: ``(P, P)`` item vectors.
        targets: ``(q, P)`` targets in output coordinates, times sqrt(c/P): ``S V^T`` and rows of 0.
        M: ``(h, P)`` first layer at t = 0.
        At: ``(h, q)`` second layer at t = 0, transposed.
    """

    s: Array
    c: float
    V: Array
    targets: Array
    M: Array
    At: Array

    @property
    def n_items(self) -> int:
        """P."""
        return len(self.V)

    def losses(self, M: Array, At: Array) -> Array:
        """``(R, P)`` item losses of runs with layers ``(R, h, P)`` and ``(R, h, q)``."""
        outputs = np.swapaxes(At, -1, -2) @ (M @ self.V.T)
        residual = self.targets - self.c * outputs
        return np.asarray(0.5 * self.n_items / self.c * np.einsum("rqj,rqj->rj", residual, residual))

    def layers(self, runs: int) -> tuple[Array, Array]:
        """The start, once for every run: ``(runs, h, P)`` and ``(runs, h, q)``."""
        return np.repeat(self.M[None], runs, axis=0), np.repeat(self.At[None], runs, axis=0)


def _basis(columns: Array, scale: float) -> Array:
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, size > _SPAN_TOLERANCE * scale])


def reduced_flow(start: Network) -> ReducedFlow:
    """The start of `weighted_flow` in mode coordinates."""
    modes, task = start.modes, start.task
    M = start.W1 @ task.X @ modes.V / np.sqrt(modes.c * task.n_items)
    size = float(np.linalg.norm(start.W2, 2))
    outside = start.W2 - modes.U @ (modes.U.T @ start.W2)
    outputs = np.concatenate([modes.U, _basis(outside, size)], axis=1)
    At = start.W2.T @ outputs
    both = np.concatenate([M, At], axis=1)
    hidden = _basis(both, float(np.linalg.norm(both, 2)))
    if hidden.shape[1] < start.hidden:
        M, At = hidden.T @ M, hidden.T @ At
    targets = np.zeros((outputs.shape[1], task.n_items))
    targets[: modes.rank] = modes.s[:, None] * modes.V[:, : modes.rank].T
    return ReducedFlow(modes.s, modes.c, modes.V, targets, M, At)


def default_rtol(flow: ReducedFlow, runs: int) -> float:
    """1e-9 where that takes well under a second, 1e-7 for the largest tasks."""
    return 1e-9 if runs * (flow.M.size + flow.At.size) <= _SMALL else 1e-7


def _reweighting(V: Array, item_weights: Array) -> tuple[Array, Array]:
    """``G_r - I`` in factors: ``(R, 1, m)`` weights minus 1, ``(R, m, P)`` vectors of the items concerned."""
    excess = item_weights - 1.0
    m = max(1, int((excess != 0).sum(axis=1).max()))
    items = np.argsort(excess == 0, axis=1, kind="stable")[:, :m]
    return np.take_along_axis(excess, items, axis=1)[:, None, :], V[items]


def _right_hand_side(flow: ReducedFlow, item_weights: Array) -> Callable[[float, Array], Array]:
    s, c, K = flow.s, flow.c, len(flow.s)
    excess, vectors = _reweighting(flow.V, item_weights)
    across = np.swapaxes(vectors, 1, 2).copy()
    R, (h, P), q = len(item_weights), flow.M.shape, flow.At.shape[1]
    N, X, spread = np.empty((R, h, P)), np.empty((R, h, P)), np.empty((R, h, P))
    gram, scaled = np.empty((R, h, h)), np.empty((R, h, K))

    def add_reweighted(Z: Array, out: Array) -> None:
        np.matmul((Z @ across) * excess, vectors, out=spread)
        np.add(Z, spread, out=out)

    def rate(_: float, y: Array) -> Array:
        M, At = y[: R * h * P].reshape(R, h, P), y[R * h * P :].reshape(R, h, q)
        dy = np.empty_like(y)
        dM, dAt = dy[: R * h * P].reshape(R, h, P), dy[R * h * P :].reshape(R, h, q)
        np.matmul(At, np.swapaxes(At, 1, 2), out=gram)
        np.multiply(gram, -c, out=gram)
        np.matmul(gram, M, out=X)
        np.multiply(At[:, :, :K], s, out=scaled)
        X[:, :, :K] += scaled
        add_reweighted(X, dM)
        add_reweighted(M, N)
        np.matmul(N, np.swapaxes(M, 1, 2), out=gram)
        np.multiply(gram, -c, out=gram)
        np.matmul(gram, At, out=dAt)
        np.multiply(N[:, :, :K], s, out=scaled)
        dAt[:, :, :K] += scaled
        return dy

    return rate


def integrate(
    flow: ReducedFlow,
    layers: tuple[Array, Array],
    item_weights: Array,
    begin: float,
    times: Array,
    rtol: float,
) -> Iterator[tuple[int, Array, Array]]:
    """The flow from ``layers`` at time ``begin`` through ascending ``times >= begin``.

    Yields:
        index of the time, ``(R, h, P)`` and ``(R, h, q)`` layers then.
    """
    M, At = layers
    y = np.concatenate([M.ravel(), At.ravel()])
    rate = _right_hand_side(flow, item_weights)
    for k, state in march(rate, begin, y, times, rtol=rtol, atol=0.1 * rtol * np.abs(y).max()):
        yield k, state[: M.size].reshape(M.shape), state[M.size :].reshape(At.shape)


def batches(flow: ReducedFlow, runs: int) -> Iterator[slice]:
    """The runs in batches small enough for the processor's caches."""
    size = max(1, _BATCH // (flow.M.size + flow.At.size))
    for first in range(0, runs, size):
        yield slice(first, min(first + size, runs))


def checked_times(times: ArrayLike) -> Array:
    """``(T,)`` flow times as an array, refused unless finite and >= 0."""
    t = np.asarray(times, dtype=np.float64)
    if t.ndim != 1 or not np.isfinite(t).all() or (t < 0).any():
        raise ConditionError("times finite and >= 0, a one-dimensional array", f"{t}", "count time from the start")
    return t


def weighted_flow(
    start: Network,
    times: ArrayLike,
    item_weights: ArrayLike,
    *,
    rtol: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """Item losses of runs that weigh the items: run r follows the flow of ``L = (1/P) sum_i w_ri l_i``.

    Args:
        start: task and initial weights, aligned or not; inputs orthogonal and of equal length.
        times: ``(T,)`` flow times >= 0, in any order.
        item_weights: ``(R, P)``; all 1 is ordinary training. Runs with few weights other than 1 are cheaper.
        rtol: relative tolerance of the integrator; unless given 1e-9 for small tasks, 1e-7 for the largest.
        progress: called with the fraction done, between 0 and 1.

    Returns:
        ``(T, R, P)`` losses ``l_j`` (unweighted), in units of the loss.
    """
    flow = reduced_flow(start)
    t, back = np.unique(checked_times(times), return_inverse=True)
    weights = np.atleast_2d(np.asarray(item_weights, dtype=np.float64))
    if weights.ndim != 2 or weights.shape[1] != flow.n_items or not np.isfinite(weights).all():
        raise WorkbenchError(f"item weights of shape {weights.shape}; expected (runs, {flow.n_items}) finite numbers")
    R = len(weights)
    rtol = default_rtol(flow, R) if rtol is None else rtol
    losses = np.empty((len(t), R, flow.n_items))
    lock, done = Lock(), 0

    def follow(runs: slice, stopped: Event) -> None:
        nonlocal done
        count = runs.stop - runs.start
        for k, M, At in integrate(flow, flow.layers(count), weights[runs], 0.0, t, rtol):
            if stopped.is_set():
                return
            losses[k, runs] = flow.losses(M, At)
            with lock:
                done += count
                if progress:
                    progress(done / (R * len(t)))

    in_threads(follow, list(batches(flow, R)))
    return losses[back]
