"""Gradients of trained networks: the kernel of per-item gradients, and the extreme curvatures of the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from workbench.errors import WorkbenchError

Array = NDArray[np.float64]

#: Hessians of up to this many weights are diagonalised; Lanczos is slower there.
_DENSE = 400


def gradient_kernel(X: Array, Y: Array, W1: Array, W2: Array) -> Array:
    """``(T, P, P)`` inner products of the per-item gradients of ``l_i = |y_i - W2 W1 x_i|^2 / 2``.

    The gradients ``-r_i (W1 x_i)^T`` and ``-W2^T r_i x_i^T`` are outer products, so their inner products are
    products of inner products; the gradients themselves are never stored.
    """
    hidden = W1 @ X
    residual = Y - W2 @ hidden
    back = W2.swapaxes(1, 2) @ residual
    second = (residual.swapaxes(1, 2) @ residual) * (hidden.swapaxes(1, 2) @ hidden)
    return np.asarray(second + (back.swapaxes(1, 2) @ back) * (X.T @ X))


def hessian_products(X: Array, Y: Array, W1: Array, W2: Array, vectors: Array) -> Array:
    """``(n, N)`` products of the Hessian of the mean loss with ``n`` vectors; first-layer weights come first."""
    P, split = X.shape[1], W1.size
    H = W1 @ X
    R = Y - W2 @ H
    d1, d2 = vectors[:, :split].reshape(-1, *W1.shape), vectors[:, split:].reshape(-1, *W2.shape)
    d1_x = d1 @ X
    change = d2 @ H + W2 @ d1_x
    first = (W2.T @ change - np.swapaxes(d2, 1, 2) @ R) @ X.T
    second = change @ H.T - R @ np.swapaxes(d1_x, 1, 2)
    products = np.concatenate([first.reshape(len(vectors), -1), second.reshape(len(vectors), -1)], axis=1)
    return np.asarray(products / P)


def extreme_curvatures(X: Array, Y: Array, W1: Array, W2: Array) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian at one set of weights, by diagonalisation or Lanczos."""
    N = W1.size + W2.size

    def times_hessian(vector: Array) -> Array:
        return np.asarray(hessian_products(X, Y, W1, W2, np.reshape(vector, (1, N)))[0])

    if N <= _DENSE:
        values = np.linalg.eigvalsh(hessian_products(X, Y, W1, W2, np.eye(N)))
        return float(values[0]), float(values[-1])
    operator = LinearOperator((N, N), matvec=times_hessian, dtype=np.float64)
    return _one_end(operator, "SA"), _one_end(operator, "LA")


def _one_end(operator: LinearOperator, which: str) -> float:
    """Lanczos value of one end of the spectrum; near a saddle many eigenvalues crowd there, any of them will do."""
    start = np.random.default_rng(0).standard_normal(operator.shape[0])
    for tolerance in (1e-5, 1e-3, 1e-2):
        try:
            found = eigsh(
                operator, k=1, which=which, v0=start, tol=tolerance, ncv=40, maxiter=200, return_eigenvectors=False
            )
        except ArpackNoConvergence:
            continue
        return float(found[0])
    raise WorkbenchError(
        "the extreme curvatures of the loss could not be found by Lanczos iteration; give --step-size and --gamma, or "
        "leave local_bif out of --measures"
    )
