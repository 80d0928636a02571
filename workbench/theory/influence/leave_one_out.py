"""Leave-one-out on the gradient flow: how much worse or better item j is learned because item i was there.

Removing item i multiplies its weight by 0 and leaves everything else as it was (``"unnormalised"``,
eps_i = -1/P): ``L = (1/P) sum_{j != i} l_j``. Averaging over the items kept, ``1/(P-1)``
(``"renormalised"``), speeds up all of them by P/(P-1): exactly the same curve at time ``t P/(P-1)``. That
alone changes the sign of most early entries, so the two conventions must never meet in one plot.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network
from workbench.theory.flow.end_to_end import end_to_end_flow
from workbench.theory.flow.exact_solution import balance_residual, exact_factors
from workbench.theory.flow.one_item import one_item_losses
from workbench.theory.flow.reduction import reduced_flow
from workbench.theory.flow.weighted_flow import Progress, checked_times, weighted_flow

Array = NDArray[np.float64]
Convention = Literal["unnormalised", "renormalised"]
Method = Literal["ode", "end_to_end", "closed_form"]


def held_out_times(times: ArrayLike, n_items: int, convention: Convention) -> Array:
    """Flow times at which unnormalised runs are where the runs of ``convention`` are at ``times``."""
    if convention not in ("unnormalised", "renormalised"):
        raise WorkbenchError(f"convention {convention!r} is unknown; use 'unnormalised' or 'renormalised'")
    t = checked_times(times)
    return t if convention == "unnormalised" else t * n_items / (n_items - 1)


def held_out_losses(
    network: Network,
    times: ArrayLike,
    *,
    convention: Convention = "unnormalised",
    method: Method = "ode",
    rtol: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """``(T, P, P)``: entry (t, i, j) is the loss of item j at time t in the run trained without item i.

    Args:
        network: task and initial weights.
        times: ``(T,)`` flow times >= 0.
        convention: how the items kept are weighted; see the head of this module.
        method: ``"ode"`` integrates the flow of the layers of all runs, exact to ``rtol`` for every network; of an
            aligned one, in the few directions that an item reaches (`one_item`).
            ``"end_to_end"`` that of the product of balanced layers, to the same numbers and slower.
            ``"closed_form"`` is the Riccati solution on the inputs that are kept. It needs a balanced network,
            and projecting the removed input out of one of strength a0 unbalances it by O(a0): on the 8-item
            tree the influence is wrong by 1.3e-4 at a0 = 1e-2, 6e-6 at 1e-3. The removed item's own loss
            depends on the rotation of the hidden units, which that formula does not give: those entries (the
            diagonal) are **NaN**.
        rtol: for ``"ode"``; see `weighted_flow`.
        progress: called with the fraction done, between 0 and 1.
    """
    P = network.task.n_items
    t = held_out_times(times, P, convention)
    if method == "ode" and network.active is not None:
        return one_item_losses(network, t, rtol=rtol, progress=progress)
    if method == "ode":
        return weighted_flow(network, t, 1.0 - np.eye(P), rtol=rtol, progress=progress)
    if method == "end_to_end":
        return end_to_end_flow(network, t, 1.0 - np.eye(P), rtol=rtol or 1e-10)
    if method != "closed_form":
        raise WorkbenchError(f"method {method!r} is unknown; use 'ode', 'end_to_end' or 'closed_form'")
    lam = _checked_lambda(network)
    losses = np.empty((len(t), P, P))
    for i in range(P):
        keep = np.ones(P)
        keep[i] = 0.0
        losses[:, i] = _projected_losses(network, t, keep, lam)
        losses[:, i, i] = np.nan
        if progress:
            progress((i + 1) / P)
    return losses


def leave_one_out(
    network: Network,
    times: ArrayLike,
    *,
    convention: Convention = "unnormalised",
    method: Method = "ode",
    rtol: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """Leave-one-out influence ``l_j(with i) - l_j(without i)``, ``(T, source P, target P)``.

    In units of the loss; negative: having item i in the data helps item j. Arguments and the meaning of NaN
    as in `held_out_losses`.
    """
    without = held_out_losses(network, times, convention=convention, method=method, rtol=rtol, progress=progress)
    everything = np.ones(network.task.n_items)
    if method == "closed_form":
        together = _projected_losses(network, checked_times(times), everything, _checked_lambda(network))
    elif network.active is not None:
        together = one_item_losses(network, times, 1.0)[:, 0]
    else:
        together = weighted_flow(network, times, everything, rtol=rtol)[:, 0]
    return np.asarray(together[:, None, :] - without)


def _projected_losses(network: Network, times: Array, keep: Array, lam: float) -> Array:
    """``(T, P)`` losses by the Riccati solution for ``Sxx = c Pi``, Pi the projector on the items kept."""
    flow, c = reduced_flow(network), network.modes.c
    scale = np.sqrt(c * flow.n_items)
    # In coordinates of the items: inputs of length 1, targets times sqrt(c/P).
    W1, targets = flow.layers[0] @ flow.inputs / scale * keep, flow.targets * c / scale
    W1_t, W2_t = exact_factors(W1, flow.layers[1], targets * keep, c, times, lam)
    residual = targets - c * W2_t @ W1_t
    return np.asarray(0.5 * flow.n_items / c * (residual**2).sum(axis=1))


def _checked_lambda(network: Network) -> float:
    """lambda of ``W2^T W2 - W1 W1^T = lambda I``; Gaussian starts use 0, as in `exact_solution`."""
    if network.gaussian:
        return 0.0
    lam = float((np.vdot(network.W2, network.W2) - np.vdot(network.W1, network.W1)) / network.hidden)
    residual, allowed = (
        balance_residual(network.W1, network.W2, lam),
        1e-8 * float(network.modes.s[0]) / network.modes.c,
    )
    if residual > allowed:
        raise ConditionError(
            f"balance, W2^T W2 - W1 W1^T = {lam:.6g} I within {allowed:.3g}",
            f"a deviation of {residual:.3g}",
            "use method 'ode', which takes any start",
        )
    return lam
