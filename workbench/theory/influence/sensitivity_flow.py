"""Derivative of the losses through the training history from **any** start, at any depth: the flow, differentiated.

An item weight ``1 + P eps_i`` is eps_i in ``L + sum_i eps_i l_i``. The flow and the losses are polynomials of weights
and item weights, so a tiny imaginary eps_i carries the derivative through the integration of `weighted_flow` without a
difference of large numbers: ``dl_j/deps_i = Im l_j / h`` at ``eps_i = i h``. No condition on the start is needed. For
an aligned one `trajectory_derivative` has the same in closed or reduced form.

Source: Squire & Trapp (1998) for the complex step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.networks import Network
from workbench.theory.flow.weighted_flow import ALWAYS, Progress, Window, weighted_flow

Array = NDArray[np.float64]

#: Its square is far below rounding of 1.
_STEP = 1e-30


def trajectory_derivative_from_start(
    network: Network,
    times: ArrayLike,
    *,
    window: Window = ALWAYS,
    rtol: float = 1e-10,
    progress: Progress | None = None,
) -> Array:
    """``dl_j(t)/deps_i`` along the flow from any start, ``(T, source P, target P)``; negative = helpful.

    Args:
        network: a linear network of any depth with its initial weights.
        times: ``(T,)`` flow times >= 0, in any order.
        window: eps_i acts only between these flow times; from start to end unless given.
        rtol: relative tolerance of the integrator.
        progress: called with the fraction done, between 0 and 1.

    A numeric algorithm (order 8, step control), not a closed form. Units of the loss per unit of eps.
    """
    P = network.task.n_items
    weights = 1.0 + 1j * _STEP * P * np.eye(P)
    losses = weighted_flow(network, times, weights, window=window, rtol=rtol, progress=progress)
    return np.asarray(losses.imag / _STEP)
