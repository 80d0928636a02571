"""The Hessian of the mean training loss: explicit, or by its products with vectors, and functions of it.

Functions of a matrix too large to be diagonalised are sums of Chebyshev polynomials over the interval of its
eigenvalues, ``f(H) v = sum_n c_n T_n(H) v``, one product with H a term.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.linalg import eigvalsh_tridiagonal
from torch import nn

from workbench.bench.functional import flat_weights, losses_of_weights
from workbench.bench.run import Examples
from workbench.errors import WorkbenchError

Array = NDArray[np.float64]
#: ``(M, N)`` vectors to their products with a symmetric matrix.
Products = Callable[[torch.Tensor], torch.Tensor]

#: Weights of a network whose Hessian takes some hundred megabytes, and seconds to diagonalise.
MOST_WEIGHTS = 2500
#: Relative error of a sum of polynomials, and their largest degree.
ERROR, DEGREE = 1e-8, 512
#: Steps of Lanczos iteration, and the part of the interval that it is made wider by: polynomials grow outside of it.
LANCZOS, WIDER = 40, 0.03


class Curvature(Protocol):
    """A symmetric matrix H by what is asked of it."""

    least: float

    def function(self, f: Callable[[Array], Array], rows: torch.Tensor) -> torch.Tensor:
        """``(M, N)``: every row of ``rows`` times f(H); ``f`` takes eigenvalues."""


class Diagonalised:
    """A matrix by its eigenvectors."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.values, self.vectors = torch.linalg.eigh(matrix)
        self.least = float(self.values[0])

    def function(self, f: Callable[[Array], Array], rows: torch.Tensor) -> torch.Tensor:
        """See `Curvature`."""
        turned: torch.Tensor = (rows @ self.vectors) * torch.from_numpy(f(self.values.numpy()))
        product: torch.Tensor = turned @ self.vectors.T
        return product


class ByProducts:
    """A matrix of size N by its products with vectors."""

    def __init__(self, products: Products, N: int) -> None:
        self.products = products
        self.least, most = _ends(products, N)
        margin = WIDER * max(most - self.least, 1e-12)
        self.low, self.high = self.least - margin, most + margin

    def function(self, f: Callable[[Array], Array], rows: torch.Tensor) -> torch.Tensor:
        """See `Curvature`."""
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        before, now, total = torch.zeros_like(rows), rows, torch.zeros_like(rows)
        for n, c in enumerate(_coefficients(lambda x: f(middle + half * x))):
            total = total + c * now
            turned = (self.products(now) - middle * now) / half
            before, now = now, turned if n == 0 else 2 * turned - before
        return total


def _coefficients(f: Callable[[Array], Array]) -> Array:
    """Of ``f`` on [-1, 1], as many as its error asks for."""
    degree = 16
    while degree <= DEGREE:
        c: Array = chebyshev.chebinterpolate(f, degree)  # type: ignore[arg-type]  # its stubs know scalars only
        if np.abs(c[-4:]).max() <= ERROR * np.abs(c).max():
            return c[: 1 + int(np.nonzero(np.abs(c) > ERROR * np.abs(c).max())[0].max())]
        degree *= 2
    raise WorkbenchError(f"the curvatures of the loss spread too far for polynomials of degree {DEGREE}")


def _ends(products: Products, N: int) -> tuple[float, float]:
    """Least and largest eigenvalue, by Lanczos iteration with all vectors kept orthogonal."""
    v = torch.from_numpy(np.random.default_rng([N, 0x1A9C05]).standard_normal(N))
    basis, diagonal, beside = [v / v.norm()], [], []
    for _ in range(min(LANCZOS, N)):
        w = products(basis[-1][None])[0]
        diagonal.append(float(w @ basis[-1]))
        Q = torch.stack(basis)
        for _ in range(2):  # once leaves what rounding has added
            w = w - (Q @ w) @ Q
        beside.append(float(w.norm()))
        if beside[-1] < 1e-12 * max(map(abs, diagonal)):
            break
        basis.append(w / beside[-1])
    values = eigvalsh_tridiagonal(diagonal, beside[: len(diagonal) - 1])
    return float(values[0]), float(values[-1])


@dataclass(frozen=True)
class Weighted:
    """A network, and its weight in a mean over networks."""

    network: nn.Module
    weight: float = 1.0


def curvature(networks: Sequence[Weighted], items: Examples) -> Curvature:
    """Of the mean training loss, its weighted mean over networks of one shape."""
    N = len(flat_weights(networks[0].network))
    if N <= MOST_WEIGHTS:
        hessians = [one.weight * mean_loss_hessian(one.network, items) for one in networks]
        return Diagonalised(torch.stack(hessians).sum(dim=0))
    several = [(one.weight, hessian_products(one.network, items)) for one in networks]
    return ByProducts(lambda rows: torch.stack([w * products(rows) for w, products in several]).sum(dim=0), N)


def hessian_products(network: nn.Module, items: Examples) -> Products:
    """The function of ``(M, N)`` vectors to their products with the Hessian of the mean loss of the items."""
    losses, weights = losses_of_weights(network, items), flat_weights(network)
    gradient = torch.func.grad(lambda w: losses(w).mean())
    return torch.func.vmap(lambda v: torch.func.jvp(gradient, (weights,), (v,))[1])


def mean_loss_hessian(network: nn.Module, items: Examples) -> torch.Tensor:
    """``(N, N)`` Hessian of the mean loss of the items in the parameters, in order, by automatic differentiation."""
    losses = losses_of_weights(network, items)
    hessian: torch.Tensor = torch.func.hessian(lambda w: losses(w).mean())(flat_weights(network))
    return hessian


def mean_loss_gauss_newton(network: nn.Module, items: Examples) -> torch.Tensor:
    """``(N, N)`` Gauss-Newton part of the same, ``sum_i J_i^T J_i / P`` for squared losses: never negative."""
    if items.loss != "squared":
        raise WorkbenchError(f"loss {items.loss!r}: the Gauss-Newton matrix is computed for squared losses")
    names = [name for name, _ in network.named_parameters()]
    shapes = [p.shape for p in network.parameters()]

    def outputs(w: torch.Tensor) -> torch.Tensor:
        parts = torch.split(w, [shape.numel() for shape in shapes])
        given = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return torch.func.functional_call(network, given, (items.inputs,))  # type: ignore[no-any-return]

    J: torch.Tensor = torch.func.jacrev(outputs)(flat_weights(network)).flatten(0, 1)
    return J.T @ J / len(items)
