"""The damped influence function of a trained network, ``-g_i^T (H + damping)^{-1} g_j``, from its exact Hessian.

Small networks: one Cholesky factorisation a checkpoint. Large ones: conjugate gradients for all items at once, with
exact Hessian-vector products; a direction of negative curvature ends them with an error, never with a number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network
from workbench.simulation.influence.gradient_kernel import item_gradients
from workbench.simulation.network.curvature import extreme_curvatures, hessian_operator
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]
Progress = Callable[[int], None]

#: Hessians of up to this many weights are factorised.
_DENSE = 1500
#: Conjugate gradients stop at this relative residual of every item.
_RESIDUAL = 1e-10
_ITERATIONS = 2000


def damped_newton(trajectory: Trajectory, damping: float, *, progress: Progress | None = None) -> Array:
    """``(T, P, P)`` influence at every checkpoint of a network of any depth and activation.

    Args:
        trajectory: T checkpoints.
        damping: must exceed ``-lambda_min`` of the Hessian at every checkpoint, and 0.
        progress: called with 1 after every checkpoint.
    """
    P = trajectory.task.n_items
    influence = np.empty((len(trajectory.times), P, P))
    solve = _by_cholesky if trajectory.network.n_weights <= _DENSE else _by_conjugate_gradients
    for k, t in enumerate(trajectory.times):
        network = trajectory.at(k)
        g = item_gradients(network)
        solved = solve(network, g, damping) if 0 < damping < np.inf else None
        if solved is None:
            smallest = extreme_curvatures(network)[0]
            raise ConditionError(
                "H + damping is positive definite (damping > -lambda_min and damping > 0)",
                f"damping = {damping:g} at t = {t:.4g}, where lambda_min = {smallest:.4g}",
                f"use a damping above {max(-smallest, 0):.4g}; twice the largest singular value always does",
            )
        influence[k] = -g @ solved.T
        if progress:
            progress(1)
    return influence


def _by_cholesky(network: Network, g: Array, damping: float) -> Array | None:
    """``(H + damping)^{-1} g`` row by row, or None where the matrix is not positive definite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    matrix = hessian_operator(network)(np.eye(g.shape[1]))
    matrix[np.diag_indices_from(matrix)] += damping
    try:
        return np.asarray(cho_solve(cho_factor(matrix), g.T).T)
    except LinAlgError:
        return None


def _by_conjugate_gradients(network: Network, g: Array, damping: float) -> Array | None:
    """The same without the matrix; None as soon as a direction of negative curvature is met."""
    times_hessian, x, r = hessian_operator(network), np.zeros_like(g), g.copy()
    p, size = r.copy(), (r**2).sum(axis=1)
    wanted = _RESIDUAL**2 * size
    for _ in range(_ITERATIONS):
        active = size > wanted
        if not active.any():
            return x
        image = times_hessian(p[active]) + damping * p[active]
        curvature = (p[active] * image).sum(axis=1)
        if (curvature <= 0).any():
            return None
        alpha = (size[active] / curvature)[:, None]
        x[active] += alpha * p[active]
        r[active] -= alpha * image
        before, size[active] = size[active], (r[active] ** 2).sum(axis=1)
        p[active] = r[active] + (size[active] / before)[:, None] * p[active]
    raise WorkbenchError(
        f"conjugate gradients did not settle in {_ITERATIONS} iterations: H + damping is nearly singular with "
        f"damping = {damping:g}; use a larger one"
    )
