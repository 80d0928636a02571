"""Where gradient descent with a small learning rate is, to first order, from any start: the error bar of its runs.

Steps ``w -> w + eta r(w)`` along the flow ``dw/dt = r`` follow ``dw/dt = r - (eta/2) J r`` up to second order, J the
derivative of r, so that they are at ``w(t) + eta d(t)`` with

    dd/dt = J (d - r/2),        d(0) = 0

J times a vector is taken by a tiny imaginary step along it. For an aligned start `step_size_shift` is the same in
closed form. Source: backward error analysis of Euler's method (Hairer, Lubich & Wanner, 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.flow.layer_rates import right_hand_side
from workbench.theory.flow.reduction import ReducedFlow, reduced_flow
from workbench.theory.flow.runge_kutta import march
from workbench.theory.flow.weighted_flow import ALWAYS, Window, checked_times, checked_window
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Its square is far below rounding of 1.
_STEP = 1e-30


def descent_trajectory(network: Network, times: ArrayLike, eta: float, *, rtol: float = 1e-7) -> Trajectory:
    """Weights of full-batch gradient descent with learning rate ``eta`` at ``(T,)`` flow times, up to order eta^2.

    Args:
        network: linear, of any depth, with its initial weights.
        times: flow times ``eta x step`` >= 0, ascending.
    """
    flow, t = _linear(network), checked_times(times)
    layers = [np.empty((len(t), *W.shape)) for W in flow.layers]
    for k, w, d in _both(flow, np.ones((1, flow.n_items)), t, ALWAYS, rtol):
        for layer, W, D in zip(layers, w, d, strict=True):
            layer[k] = W[0] + eta * D[0]
    return Trajectory(network, "predicted", t, flow.lifted(layers), eta)


def descent_loss_shift(
    network: Network, times: ArrayLike, item_weights: Array, *, window: Window = ALWAYS, rtol: float = 1e-7
) -> Array:
    """``(T, R, P)``: what a learning rate does to the item losses of R runs that weigh the items, over it, first order.

    Arguments as of `weighted_flow`; ``times`` ascending.
    """
    flow, t = _linear(network), checked_times(times)
    shift = np.empty((len(t), *item_weights.shape))
    for k, w, d in _both(flow, item_weights, t, checked_window(window), rtol):
        moved = flow.losses([W + 1j * _STEP * D for W, D in zip(w, d, strict=True)])
        shift[k] = moved.imag / _STEP
    return shift


def _linear(network: Network) -> ReducedFlow:
    if network.activation != "linear":
        raise ConditionError("linear hidden layers", f"activation {network.activation!r}", "train the network instead")
    return reduced_flow(network)


def _both(
    flow: ReducedFlow, item_weights: Array, times: Array, window: Window, rtol: float
) -> Iterator[tuple[int, list[Array], list[Array]]]:
    """Index of the time, w and d, each a ``(R, h_l, h_{l-1})`` a layer; outside the window all items weigh 1."""
    start = flow.repeated(len(item_weights))
    cuts = np.cumsum([0, *(W.size for W in start)])

    def layers(flat: Array) -> list[Array]:
        return [flat[i:j].reshape(W.shape) for (i, j), W in zip(pairwise(cuts), start, strict=True)]

    y = np.concatenate([W.ravel() for W in start])
    both, now, N, atol = np.concatenate([y, np.zeros(len(y))]), 0.0, len(y), 0.1 * rtol * float(np.abs(y).max())
    ones, last = np.ones_like(item_weights), float(times.max(initial=0.0))
    for weights, until in ((ones, window[0]), (item_weights, window[1]), (ones, np.inf)):
        if until <= now or now > last:
            continue
        inside = np.flatnonzero((times >= now) & (times < until))
        stops = times[inside] if until > last else np.append(times[inside], until)
        for k, state in march(_moved(flow, weights, N), now, both, stops, rtol=rtol, atol=atol):
            if k < len(inside):
                yield int(inside[k]), layers(state[:N]), layers(state[N:])
            else:
                both = state.copy()
        now = until


def _moved(flow: ReducedFlow, item_weights: Array, N: int) -> Callable[[float, Any], Any]:
    rate = right_hand_side(flow, item_weights.astype(complex))

    def moved(_: float, both: Any) -> Any:
        y, d = both[:N], both[N:]
        velocity = rate(0.0, y).real
        return np.concatenate([velocity, rate(0.0, y + 1j * _STEP * (d - velocity / 2)).imag / _STEP])

    return moved
