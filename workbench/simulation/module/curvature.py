"""The extreme curvatures of a module's mean loss, from products of its Hessian with vectors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from workbench.simulation.module.losses import Data, ModuleLosses, length, rows
from workbench.simulation.network.curvature import lanczos

Array = NDArray[np.float64]

#: Up to this many weights the Hessian is explicit.
_DENSE = 200
#: Examples that the curvature is taken from, at most.
EXAMPLES = 64


def extreme_curvatures(model: ModuleLosses, data: Data) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian of the mean loss at the checkpoint, over at most 64 examples."""
    few = rows(data, slice(0, EXAMPLES)) if length(data) > EXAMPLES else data
    N = model.n_weights
    if N <= _DENSE:
        H = np.stack([hessian_product(model, few, v) for v in np.eye(N)])
        values = np.linalg.eigvalsh((H + H.T) / 2)
        return float(values[0]), float(values[-1])
    operator = LinearOperator((N, N), matvec=lambda v: hessian_product(model, few, np.ravel(v)), dtype=np.float64)
    return lanczos(operator, "SA", (1e-3, 1e-2)), lanczos(operator, "LA", (1e-3, 1e-2))


def hessian_product(model: ModuleLosses, data: Data, v: Array) -> Array:
    """``(N,)`` Hessian of the mean loss times v; by differences of gradients where it has no second derivative."""
    direction = torch.as_tensor(v, dtype=model.star.dtype, device=model.star.device)
    leaf = model.star.detach().requires_grad_()
    try:
        (gradient,) = torch.autograd.grad(model.mean(leaf, data), leaf, create_graph=True)
        (product,) = torch.autograd.grad(gradient @ direction, leaf)
    except (RuntimeError, NotImplementedError):
        size = 1e-3 * (float(model.star.norm()) or 1.0) / max(float(direction.norm()), 1e-30)
        ends = [model.gradient(model.star + sign * size * direction, data) for sign in (1, -1)]
        product = (ends[0] - ends[1]) / (2 * size)
    return product.detach().cpu().numpy().astype(np.float64)
