"""How fast the layers of a batch of runs move, each run with its own item weights (see `weighted_flow`)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.theory.flow.reduction import ReducedFlow

Array = NDArray[np.float64]

#: Inputs up to which calls cost more than their arithmetic.
_SMALL_INPUTS = 16


def _error(flow: ReducedFlow, item_weights: Array) -> Callable[[Any], Any]:
    """``W -> E_r`` of R runs, ``(R, q, n)`` from ``(R, q, n)``; of a single run ``(q, n)`` from ``(q, n)``.

    The m items whose weight differs from 1 in a run either change Syx and Sxx once for all, n^2 numbers, or are taken
    one by one, 2 m n numbers a time: the first where it is less work or all is small.
    """
    excess = item_weights - 1.0
    m = int((excess != 0).sum(axis=1).max(initial=0))
    items = np.argsort(excess == 0, axis=1, kind="stable")[:, :m]
    share = np.take_along_axis(excess, items, axis=1)[:, None, :] / flow.n_items
    targets, inputs = flow.targets[:, items].transpose(1, 0, 2), flow.inputs[:, items].transpose(1, 0, 2).copy()
    across, Syx, Sxx = np.swapaxes(inputs, 1, 2).copy(), flow.Syx, flow.Sxx
    single, n = len(item_weights) == 1, len(Sxx)
    if m == 0:
        return lambda W: Syx - W * Sxx
    if n <= max(2 * m, _SMALL_INPUTS):
        whole_yx, whole_xx = Syx + (targets * share) @ across, np.diag(Sxx) + (inputs * share) @ across
        if single:
            whole_yx, whole_xx = whole_yx[0], whole_xx[0]
        return lambda W: whole_yx - W @ whole_xx
    if single:
        share, targets, inputs, across = share[0], targets[0], inputs[0], across[0]
    return lambda W: Syx - W * Sxx + ((targets - W @ inputs) * share) @ across


def weighted_covariances(flow: ReducedFlow, item_weights: Array) -> tuple[Any, Any]:
    """``(R, q, n)`` Syx and ``(R, n, n)`` Sxx of R runs; of a single run without R."""
    share = (item_weights - 1.0)[:, None, :] / flow.n_items
    Syx, Sxx = ((x * share) @ flow.inputs.T for x in (flow.targets, flow.inputs))
    Syx, Sxx = flow.Syx + Syx, np.diag(flow.Sxx) + Sxx
    return (Syx[0], Sxx[0]) if len(item_weights) == 1 else (Syx, Sxx)


def right_hand_side(flow: ReducedFlow, item_weights: Array) -> Callable[[float, Any], Any]:
    """``(t, y) -> dy/dt``, y the layers of all R runs ``(R, h_l, h_{l-1})`` one after another, flat.

    Overhead is most of the time where layers are small: all products go into arrays that are made once, and of one run
    they are those of plain matrices.
    """
    single, R = len(item_weights) == 1, len(item_weights)
    product = np.dot if single else np.matmul
    shapes = [W.shape if single else (R, *W.shape) for W in flow.layers]
    kind = np.result_type(item_weights, np.float64)
    cuts = np.cumsum([0, *(R * W.size for W in flow.layers)]).tolist()

    def parts() -> tuple[Any, list[Any]]:
        whole = np.empty(cuts[-1], dtype=kind)
        return whole, [whole[i:j].reshape(shape) for (i, j), shape in zip(pairwise(cuts), shapes, strict=True)]

    y_now, W = parts()
    dy, dW = parts()
    error_of, depth = _error(flow, item_weights), len(shapes)
    # W_l .. W_1, then what is left of the error below layer l.
    reached = [W[0], *(np.empty((*shape[:-1], shapes[0][-1]), dtype=kind) for shape in shapes[1:])]
    left = [np.empty((*shape[:-2], shape[-1], shapes[0][-1]), dtype=kind) for shape in shapes[1:]]
    turned, back = [x.swapaxes(-1, -2) for x in reached], [x.swapaxes(-1, -2) for x in W]

    def rate(_: float, y: Any) -> Any:
        y_now[:] = y
        for k in range(1, depth):
            product(W[k], reached[k - 1], reached[k])
        error = error_of(reached[-1])
        for k in range(depth - 1, 0, -1):
            product(error, turned[k - 1], dW[k])
            error = product(back[k], error, left[k - 1])
        dW[0][...] = error
        return dy.copy()

    return rate
