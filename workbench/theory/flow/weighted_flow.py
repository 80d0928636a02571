"""Gradient flow of many runs that weigh the items differently, layer by layer, integrated as one batch.

Run r trains on ``L_r = (1/P) sum_i w_ri l_i`` from the same start. With ``W = W_D ... W_1``::

    dW_l/dt = (W_D ... W_{l+1})^T E_r (W_{l-1} ... W_1)^T,     E_r = Syx - W Sxx + (1/P) sum_i (w_ri - 1) r_i x_i^T

so an item of weight 1 costs nothing. Exact for every start, balanced or not, any depth and any inputs; for a balanced
one `end_to_end` needs the product W alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from threading import Event, Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network
from workbench.parallel import in_threads
from workbench.theory.flow.layer_rates import right_hand_side, weighted_covariances
from workbench.theory.flow.reduction import ReducedFlow, reduced_flow
from workbench.theory.flow.runge_kutta import march
from workbench.theory.flow.taylor import layer_series
from workbench.theory.flow.taylor import march as taylor_march

Array = NDArray[np.float64]
Layers = tuple[Any, ...]
Progress = Callable[[float], None]
Window = tuple[float, float]

#: Numbers in the state of one batch: small enough for the integrator's stages to stay near the processor.
_BATCH = 2**16
#: States up to this size (all runs together) are integrated at rtol 1e-10, larger ones at 1e-7.
_SMALL = 10**6
#: Multiplications in a product of one batch up to which a Taylor series is quicker: eight runs of eight modes.
_SHORT = 2**12
#: From begin to end.
ALWAYS: Window = (0.0, np.inf)


def default_rtol(flow: ReducedFlow, runs: int) -> float:
    """1e-10 where that takes about a second, 1e-7 for the largest tasks."""
    return 1e-10 if runs * flow.size <= _SMALL else 1e-7


def integrate(
    flow: ReducedFlow, layers: Layers, item_weights: Array, begin: float, times: Array, rtol: float
) -> Iterator[tuple[int, Layers]]:
    """The flow from ``layers`` at time ``begin`` through ascending ``times >= begin``.

    Yields:
        index of the time, and the ``(R, h_l, h_{l-1})`` layers then.
    """
    y = np.concatenate([W.ravel() for W in layers]).astype(np.result_type(item_weights, *layers))
    cuts, shapes = np.cumsum([0, *(W.size for W in layers)]), [W.shape for W in layers]
    if _by_series(flow, item_weights):
        of_run = [shape[1:] if len(item_weights) == 1 else shape for shape in shapes]
        series = layer_series(of_run, *weighted_covariances(flow, item_weights))
        states = taylor_march(series, begin, y, times, rtol=rtol)
    else:
        rate, atol = right_hand_side(flow, item_weights), 0.1 * rtol * float(np.abs(y).max(initial=0.0))
        states = march(rate, begin, y, times, rtol=rtol, atol=atol)
    for k, state in states:
        yield k, tuple(state[i:j].reshape(shape) for (i, j), shape in zip(pairwise(cuts), shapes, strict=True))


def _by_series(flow: ReducedFlow, item_weights: Array) -> bool:
    """Whether the products of a step are so small that the many of a Taylor series cost no more than their calls."""
    largest = max(W.size for W in flow.layers) * len(flow.Sxx)
    return not np.iscomplexobj(item_weights) and len(item_weights) * largest <= _SHORT


def follow(
    flow: ReducedFlow, item_weights: Array, times: Array, rtol: float, window: Window = ALWAYS
) -> Iterator[tuple[int, Layers]]:
    """The flow of R runs from the start through ascending times; outside the window every item has weight 1.

    Yields:
        index of the time, and the layers then; one run stands for all until the window begins.
    """
    if not len(times):
        return
    begin, end = window
    layers, now = flow.repeated(1), 0.0
    ones = np.ones_like(item_weights)
    for weights, until in ((ones[:1], begin), (item_weights, end), (ones, np.inf)):
        if until <= now or now > times[-1]:
            continue
        inside = np.flatnonzero((times >= now) & (times < until))
        stops = times[inside] if until > times[-1] else np.append(times[inside], until)
        if len(layers[0]) < len(weights):
            layers = tuple(np.repeat(W, len(weights), axis=0) for W in layers)
        for k, state in integrate(flow, layers, weights, now, stops, rtol):
            if k < len(inside):
                yield int(inside[k]), state
            else:
                layers = tuple(W.copy() for W in state)
        now = until


def batches(flow: ReducedFlow, runs: int) -> Iterator[slice]:
    """The runs in batches small enough for the processor's caches."""
    size = max(1, _BATCH // flow.size)
    for first in range(0, runs, size):
        yield slice(first, min(first + size, runs))


def checked_times(times: ArrayLike) -> Array:
    """``(T,)`` flow times as an array, refused unless finite and >= 0."""
    t = np.asarray(times, dtype=np.float64)
    if t.ndim != 1 or not np.isfinite(t).all() or (t < 0).any():
        raise ConditionError("times finite and >= 0, a one-dimensional array", f"{t}", "count time from the start")
    return t


def checked_window(window: Window) -> Window:
    """The window, refused unless it opens before it closes."""
    if not 0 <= window[0] <= window[1]:
        raise ConditionError(
            "windows (t0, t1) with 0 <= t0 <= t1", f"({window[0]:g}, {window[1]:g})", "give the earlier time first"
        )
    return window


def weighted_flow(
    network: Network,
    times: ArrayLike,
    item_weights: ArrayLike,
    *,
    window: Window = ALWAYS,
    rtol: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """Item losses of runs that weigh the items: run r follows the flow of ``L = (1/P) sum_i w_ri l_i``.

    Args:
        network: a linear network of any depth with its initial weights, aligned or not; inputs of any kind.
        times: ``(T,)`` flow times >= 0, in any order.
        item_weights: ``(R, P)``; all 1 is ordinary training. Runs with few weights other than 1 are cheaper. Complex
            weights are followed analytically: a tiny imaginary part carries a derivative.
        window: flow times between which these weights act; all are 1 before and after.
        rtol: relative tolerance of the integrator; unless given 1e-10 for small tasks, 1e-7 for the largest.
        progress: called with the fraction done, between 0 and 1.

    Returns:
        ``(T, R, P)`` losses ``l_j`` (unweighted), in units of the loss.
    """
    flow, window = reduced_flow(network), checked_window(window)
    t, back = np.unique(checked_times(times), return_inverse=True)
    weights = np.atleast_2d(np.asarray(item_weights))
    weights = weights.astype(np.result_type(weights, np.float64))
    if weights.ndim != 2 or weights.shape[1] != flow.n_items or not np.isfinite(weights).all():
        raise WorkbenchError(f"item weights of shape {weights.shape}; expected (runs, {flow.n_items}) finite numbers")
    losses = np.empty((len(t), len(weights), flow.n_items), dtype=weights.dtype)

    def record(k: int, runs: slice, layers: Layers) -> None:
        losses[k, runs] = flow.losses(layers)

    run_losses(flow, weights, t, record, window=window, rtol=rtol, progress=progress)
    return losses[back]


def run_losses(
    flow: ReducedFlow,
    item_weights: Array,
    times: Array,
    record: Callable[[int, slice, Layers], None],
    *,
    window: Window = ALWAYS,
    rtol: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Follow all runs through ascending times, in batches and threads; ``record(k, runs, layers)`` keeps what it wants.

    ``layers`` are those of the runs of one batch at time k.
    """
    R = len(item_weights)
    rtol = default_rtol(flow, R) if rtol is None else rtol
    lock, done = Lock(), 0

    def run(runs: slice, stopped: Event) -> None:
        nonlocal done
        for k, layers in follow(flow, item_weights[runs], times, rtol, window):
            if stopped.is_set():
                return
            record(k, runs, layers)
            with lock:
                done += runs.stop - runs.start
                if progress:
                    progress(done / (R * len(times)))

    if _by_series(flow, item_weights):
        # Products this small know no threads, and finding the libraries that have some takes a millisecond.
        run(slice(0, R), Event())
    else:
        in_threads(run, list(batches(flow, R)))


def layerwise_flow(
    network: Network,
    times: ArrayLike,
    *,
    item_weights: ArrayLike | None = None,
    window: Window = ALWAYS,
    rtol: float = 1e-10,
) -> tuple[Array, ...]:
    """All weights along the gradient flow from any start, one ``(T, n_l, n_{l-1})`` a layer.

    A numeric integration (order 8, step control), exact to ``rtol`` for every linear network: unbalanced, not aligned,
    any depth >= 1, inputs of any covariance. ``item_weights`` ``(P,)`` act within the window; all 1 unless given.
    """
    if network.activation != "linear":
        raise ConditionError("linear hidden layers", f"activation {network.activation!r}", "train the network instead")
    flow = reduced_flow(network)
    t, back = np.unique(checked_times(times), return_inverse=True)
    weights = np.ones((1, flow.n_items)) if item_weights is None else np.atleast_2d(np.asarray(item_weights, float))
    path: Sequence[Array] = [np.empty((len(t), *W.shape)) for W in flow.layers]
    for k, layers in follow(flow, weights, t, rtol, checked_window(window)):
        for out, W in zip(path, layers, strict=True):
            out[k] = W[0]
    return tuple(W[back] for W in flow.lifted(path))
