"""The Hessian of the mean loss at a network's weights: its products with vectors, its extreme eigenvalues."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.network.backprop import split_layers
from workbench.simulation.network.model import NetworkModel

Array = NDArray[np.float64]

#: Hessians of up to this many weights are diagonalised; Lanczos is slower there.
_DENSE = 400
#: Relative errors that Lanczos is asked for, one after another: near a saddle many eigenvalues crowd at one end, any of
#: which will do.
_TOLERANCES = (1e-5, 1e-3, 1e-2)


def hessian_operator(network: Network) -> Callable[[Array], Array]:
    """The function that takes M vectors ``(M, N)`` to their ``(M, N)`` products with the Hessian of the mean loss."""
    batch = NetworkModel.of(network).trajectory(tuple(W[None] for W in network.weights))
    weights = torch.full((network.task.n_items,), 1 / network.task.n_items, dtype=torch.float64)

    def products(vectors: Array) -> Array:
        V = torch.from_numpy(np.ascontiguousarray(vectors))
        out = torch.empty_like(V)
        batch.gradient_derivatives(split_layers(V, network.shapes), weights, None, split_layers(out, network.shapes))
        return np.asarray(out.numpy())

    return products


def hessian_products(network: Network, vectors: Array) -> Array:
    """``(M, N)`` products of the Hessian of the mean loss with M vectors ``(M, N)``; any depth and activation."""
    return hessian_operator(network)(vectors)


def extreme_curvatures(network: Network) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian of the mean loss, by diagonalisation or Lanczos iteration."""
    least, most = _extremes(network, "SA", "LA")
    return least, most


def largest_curvature(network: Network) -> float:
    """Largest eigenvalue of the Hessian of the mean loss."""
    (most,) = _extremes(network, "LA")
    return most


def _extremes(network: Network, *ends: str) -> list[float]:
    N, products = network.n_weights, hessian_operator(network)
    if N <= _DENSE:
        values = np.linalg.eigvalsh(products(np.eye(N)))
        return [float(values[0 if end == "SA" else -1]) for end in ends]
    operator = LinearOperator((N, N), matvec=lambda v: products(np.reshape(v, (1, N)))[0], dtype=np.float64)
    return [lanczos(operator, end) for end in ends]


def lanczos(operator: LinearOperator, end: str, tolerances: tuple[float, ...] = _TOLERANCES) -> float:
    """The eigenvalue of a symmetric operator at one end, ``"SA"`` or ``"LA"``, of the spectrum."""
    # Of a stream of its own: weights drawn from the same one would be a direction of their own Hessian's symmetry.
    start = np.random.default_rng([0, 0x1A9C05]).standard_normal(operator.shape[0])
    for tolerance in tolerances:
        try:
            (value,) = eigsh(
                operator, k=1, which=end, v0=start, tol=tolerance, ncv=40, maxiter=200, return_eigenvectors=False
            )
        except ArpackNoConvergence:
            continue
        return float(value)
    raise WorkbenchError(
        "the extreme curvatures of the loss could not be found by Lanczos iteration; give `step` and `gamma` of the "
        "sampling, or leave local_bif out of `measures`"
    )
