"""The damped influence function of a trained network, ``-g_i^T (H + damping)^{-1} g_j``, from its exact Hessian.

Small networks: one Cholesky factorisation a checkpoint. Large ones: conjugate gradients for all items at once, with
exact Hessian-vector products; a direction of negative curvature ends them with an error, never with a number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.simulation.influence.two_layer_gradients import extreme_curvatures, hessian_products

Array = NDArray[np.float64]
Progress = Callable[[int], None]

#: Hessians of up to this many weights are factorised.
_DENSE = 1500
#: Conjugate gradients stop at this relative residual of every item.
_RESIDUAL = 1e-10
_ITERATIONS = 2000


def damped_newton(
    X: Array,
    Y: Array,
    W1: Array,
    W2: Array,
    times: Array,
    *,
    damping: float,
    progress: Progress | None = None,
) -> Array:
    """``(T, P, P)`` influence at every checkpoint.

    Args:
        X: ``(N_i, P)``. Y: ``(N_o, P)``.
        W1: ``(T, N_h, N_i)``. W2: ``(T, N_o, N_h)``.
        times: ``(T,)``, for error messages.
        damping: must exceed ``-lambda_min`` of the Hessian at every checkpoint, and 0.
        progress: called with 1 after every checkpoint.
    """
    influence = np.empty((len(times), X.shape[1], X.shape[1]))
    solve = _by_cholesky if W1[0].size + W2[0].size <= _DENSE else _by_conjugate_gradients
    for k, t in enumerate(times):
        g = _item_gradients(X, Y, W1[k], W2[k])
        solved = solve(X, Y, W1[k], W2[k], g, damping) if 0 < damping < np.inf else None
        if solved is None:
            smallest = extreme_curvatures(X, Y, W1[k], W2[k])[0]
            raise ConditionError(
                "H + damping is positive definite (damping > -lambda_min and damping > 0)",
                f"damping = {damping:g} at t = {t:.4g}, where lambda_min = {smallest:.4g}",
                f"use a damping above {max(-smallest, 0):.4g}; twice the largest singular value always does",
            )
        influence[k] = -g @ solved.T
        if progress:
            progress(1)
    return influence


def _item_gradients(X: Array, Y: Array, W1: Array, W2: Array) -> Array:
    """``(P, N)``, first layer first."""
    H = W1 @ X
    R = Y - W2 @ H
    first = -(W2.T @ R).T[:, :, None] * X.T[:, None, :]
    second = -R.T[:, :, None] * H.T[:, None, :]
    return np.concatenate([first.reshape(len(first), -1), second.reshape(len(second), -1)], axis=1)


def _by_cholesky(X: Array, Y: Array, W1: Array, W2: Array, g: Array, damping: float) -> Array | None:
    """``(H + damping)^{-1} g`` row by row, or None where the matrix is not positive definite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    matrix = hessian_products(X, Y, W1, W2, np.eye(g.shape[1]))
    matrix[np.diag_indices_from(matrix)] += damping
    try:
        return np.asarray(cho_solve(cho_factor(matrix), g.T).T)
    except LinAlgError:
        return None


def _by_conjugate_gradients(X: Array, Y: Array, W1: Array, W2: Array, g: Array, damping: float) -> Array | None:
    """The same without the matrix; None as soon as a direction of negative curvature is met."""
    x, r = np.zeros_like(g), g.copy()
    p, size = r.copy(), (r**2).sum(axis=1)
    wanted = _RESIDUAL**2 * size
    for _ in range(_ITERATIONS):
        active = size > wanted
        if not active.any():
            return x
        image = hessian_products(X, Y, W1, W2, p[active]) + damping * p[active]
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
