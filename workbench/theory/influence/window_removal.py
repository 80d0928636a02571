"""Window removal: item i is absent only for t in [t0, t1]; when in training does its presence matter?

Influence is ``l_j`` with the item always there minus ``l_j`` with the window cut out; negative = helpful. It
is 0 up to t0, and the window (0, t) gives leave-one-out at time t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.theory.flow.one_item import one_item_losses
from workbench.theory.flow.weighted_flow import Progress, Window, checked_times, checked_window, weighted_flow
from workbench.theory.influence.leave_one_out import Convention, held_out_times
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.trajectory_derivative import trajectory_derivative

Array = NDArray[np.float64]


def window_removal(
    network: Network,
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
        network: task and initial weights.
        times: ``(T,)`` flow times >= 0, in any order.
        windows: pairs ``(t0, t1)`` of flow times, ``0 <= t0 <= t1``.
        method: ``"finite"`` restarts the flow at t0 and t1 and is exact to ``rtol``. ``"first_order"`` is 1/P
            times the derivative restricted to the window (closed form for an aligned network), which is
            additive over adjoining windows and good where the removal changes little.
        convention: weights of the items kept, inside the window: 1 (``"unnormalised"``) or P/(P-1)
            (``"renormalised"``).
        rtol: relative tolerance of the integrator; see `weighted_flow`.
        progress: called with the fraction done, between 0 and 1.
    """
    t = checked_times(times)
    for window in windows:
        checked_window(window)
    held_out_times([], network.task.n_items, convention)
    if method not in ("finite", "first_order"):
        raise WorkbenchError(f"method {method!r} is unknown; use 'finite' or 'first_order'")
    one_window = _finite if method == "finite" else _first_order
    removal = np.zeros((len(windows), len(t), network.task.n_items, network.task.n_items))
    for k, window in enumerate(windows):
        removal[k] = one_window(network, t, window, convention, rtol)
        if progress:
            progress((k + 1) / len(windows))
    return removal


def _first_order(network: Network, t: Array, window: Window, convention: Convention, rtol: float | None) -> Array:
    """``(T, P, P)``: eps_i = -1/P and, renormalised, eps_j = 1/(P(P-1)) for the others."""
    P = network.task.n_items
    if network.active is not None and network.a0 is not None:
        derivative = trajectory_derivative(
            network.modes, t, a0=network.a0, active=network.active, depth=network.depth, window=window
        )
    else:
        derivative = trajectory_derivative_from_start(network, t, window=window, rtol=rtol or 1e-10)
    if convention == "renormalised":
        derivative = (P * derivative - derivative.sum(axis=1, keepdims=True)) / (P - 1)
    return np.asarray(derivative / P)


def _finite(network: Network, t: Array, window: Window, convention: Convention, rtol: float | None) -> Array:
    P = network.task.n_items
    if window[0] >= min(window[1], t.max(initial=0.0)):
        return np.zeros((len(t), P, P))
    faster = 1.0 if convention == "unnormalised" else P / (P - 1)
    if network.active is not None:
        # Other items at a common weight are a faster clock, inside the window.
        begin, end = window
        clock = t + (faster - 1) * np.clip(t - begin, 0, end - begin)
        losses = one_item_losses(network, clock, window=(begin, begin + faster * (end - begin)), rtol=rtol)
        change = one_item_losses(network, t, 1.0) - losses
        # One is a closed form and the other integrated: before the window opens they differ by rounding alone.
        return np.where((t > begin)[:, None, None], change, 0.0)
    without = (1.0 - np.eye(P)) * faster
    losses = weighted_flow(network, t, np.vstack([np.ones(P), without]), window=window, rtol=rtol)
    return np.asarray(losses[:, :1] - losses[:, 1:])
