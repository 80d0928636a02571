"""The local posterior of networks of any depth and activation; there is no analytic side, the chains run all the same.

    U(w) = n beta L(w) + gamma |w - w*|^2 / 2

The samplers see two matrices a chain, as they do for two-layer networks: the first layer, and all others, each laid
out as one row. Gradients are the hand-written passes of `backprop`. With ReLU the potential has kinks: HMC, which
corrects every error of its steps, still samples it exactly; the bias stated for SGLD assumes smoothness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from workbench.errors import WorkbenchError
from workbench.networks import Activation, Network
from workbench.semantics import SemanticTask
from workbench.simulation.influence.gradient_kernel import item_kernel
from workbench.simulation.influence.trajectory_derivative import hessian_products
from workbench.simulation.network.backprop import (
    Inputs,
    activities,
    errors_backwards,
    gradients,
    outer_products,
    split_layers,
)
from workbench.simulation.sampling.posterior import LangevinState, at_checkpoint, squared_norm
from workbench.simulation.training.descent import Place
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Hessians of up to this many weights are diagonalised.
_DENSE = 400


@dataclass(frozen=True)
class NetworkPosterior:
    """What B chains sample; the counterpart of `target.LocalPosterior`.

    Attributes:
        Y: ``(N_o, P)``.
        inputs: of all items.
        shapes: of the layers. activation: of the hidden ones.
        star1: ``(B, 1, n_1 N_i)``; star2: ``(B, 1, .)``: first layer and all others of each chain's checkpoint.
        n_beta: inverse temperature times number of items. gamma: localization.
    """

    Y: torch.Tensor
    inputs: Inputs
    shapes: tuple[tuple[int, int], ...]
    activation: Activation
    star1: torch.Tensor
    star2: torch.Tensor
    n_beta: float
    gamma: float

    @property
    def chains(self) -> int:
        """B."""
        return self.star1.shape[0]

    @property
    def n_weights(self) -> int:
        """N, weights of one chain."""
        return self.star1.shape[2] + self.star2.shape[2]

    @property
    def n_items(self) -> int:
        """P."""
        return self.Y.shape[1]

    def _activities(self, W1: torch.Tensor, W2: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        layers = split_layers(torch.cat([W1, W2], dim=2)[:, 0], self.shapes)
        return layers, activities(layers, self.inputs, self.activation)

    def residual(self, W1: torch.Tensor, W2: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """``(B, N_o, P)`` residuals ``r_i``."""
        return torch.sub(self.Y, self._activities(W1, W2)[1][-1], out=out)

    def gradients(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of U, where the residuals are ``E``."""
        layers, h = self._activities(W1, W2)
        flat = torch.empty(self.chains, self.n_weights, dtype=E.dtype, device=E.device)
        delta = E * (-self.n_beta / self.n_items)
        gradients(layers, h, delta, self.inputs, self.activation, split_layers(flat, self.shapes))
        first, others = self._two(flat)
        return first + self.gamma * (W1 - self.star1), others + self.gamma * (W2 - self.star2)

    def potential(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> torch.Tensor:
        """``(B,)`` values of U, where the residuals are ``E``."""
        distance = squared_norm(W1 - self.star1) + squared_norm(W2 - self.star2)
        return self.n_beta / (2 * self.n_items) * squared_norm(E) + self.gamma / 2 * distance

    def gauss_newton(self, W1: torch.Tensor, W2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Diagonal of the Gauss-Newton part of the Hessian of L, ``(1/P) sum_i |df(x_i)/dw|^2``; one pass an output."""
        layers, h = self._activities(W1, W2)
        flat = torch.zeros(self.chains, self.n_weights, dtype=W1.dtype, device=W1.device)
        own = torch.empty_like(flat)
        parts = split_layers(own, self.shapes)
        squares = Inputs(None if self.inputs.X is None else self.inputs.X.square())
        for output in range(self.Y.shape[0]):
            delta = torch.zeros_like(h[-1])
            delta[:, output] = 1.0
            deltas = errors_backwards(layers, h, delta, self.activation)
            outer_products([d.square() for d in deltas], [x.square() for x in h], squares, parts)
            flat += own
        return self._two(flat / self.n_items)

    def _two(self, flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, others = torch.split(flat[:, None], [self.star1.shape[2], self.star2.shape[2]], dim=2)
        return first, others


init = at_checkpoint


def update(
    state: LangevinState, target: NetworkPosterior, eps: float, noise1: torch.Tensor, noise2: torch.Tensor
) -> LangevinState:
    """One step of SGLD in place: ``w <- w - (eps/2) grad U + sqrt(eps) xi`` (Welling & Teh 2011)."""
    first, second = target.gradients(state.W1, state.W2, state.residual)
    state.W1.add_(first, alpha=-eps / 2).add_(noise1, alpha=eps**0.5)
    state.W2.add_(second, alpha=-eps / 2).add_(noise2, alpha=eps**0.5)
    target.residual(state.W1, state.W2, out=state.residual)
    return state


@dataclass(frozen=True, eq=False)
class NetworkCheckpoints:
    """Checkpoints of a trained network of any depth, laid out for the samplers.

    Attributes:
        network: the start, for its task, layers and activation.
        times: ``(T,)``.
        W1: ``(T, 1, n_1 N_i)`` first layers. W2: ``(T, 1, .)`` all others.
    """

    network: Network
    times: Array
    W1: Array
    W2: Array

    @classmethod
    def of(cls, trajectory: Trajectory) -> NetworkCheckpoints:
        """Those of a trajectory."""
        T = len(trajectory.times)
        first, *others = (W.reshape(T, 1, -1) for W in trajectory.weights)
        rest = np.concatenate(others, axis=2) if others else np.empty((T, 1, 0))
        return cls(trajectory.network, trajectory.times, first, rest)

    @property
    def task(self) -> SemanticTask:
        """What the network learns."""
        return self.network.task

    def curvatures(self) -> Array:
        """``(T, 2)`` smallest and largest eigenvalue of the Hessian of the mean loss."""
        flat = np.concatenate([self.W1, self.W2], axis=2)[:, 0]
        return np.array([_extreme_curvatures(_rebuilt(self.network, weights)) for weights in flat])

    def kernel(self, W1: Array, W2: Array) -> Array:
        """``(T, P, P)`` inner products of the per-item gradients at weights laid out like those of the checkpoints."""
        flat = torch.tensor(np.concatenate([W1, W2], axis=2)[:, 0])
        return item_kernel(split_layers(flat, self.network.shapes), self.task, self.network.activation)

    def target(self, index: NDArray[np.int64], n_beta: float, gamma: float, place: Place) -> NetworkPosterior:
        """What chains at the checkpoints ``index`` sample."""
        network = self.network
        star1, star2 = place.chosen_rows(self.W1, index), place.chosen_rows(self.W2, index)
        Y, inputs = place.tensor(self.task.Y), place.inputs(self.task)
        return NetworkPosterior(Y, inputs, network.shapes, network.activation, star1, star2, n_beta, gamma)


def _rebuilt(network: Network, flat: Array) -> Network:
    sizes = np.cumsum([rows * columns for rows, columns in network.shapes])[:-1]
    layers = (part.reshape(shape) for part, shape in zip(np.split(flat, sizes), network.shapes, strict=True))
    return Network(network.task, tuple(layers), network.activation)


def _extreme_curvatures(network: Network) -> tuple[float, float]:
    N = network.n_weights
    if N <= _DENSE:
        values = np.linalg.eigvalsh(hessian_products(network, np.eye(N)))
        return float(values[0]), float(values[-1])
    operator = LinearOperator((N, N), matvec=lambda v: hessian_products(network, np.reshape(v, (1, N)))[0], dtype=float)
    start = np.random.default_rng(0).standard_normal(N)
    try:
        low, high = (
            eigsh(operator, k=1, which=end, v0=start, tol=1e-3, ncv=40, return_eigenvectors=False)[0]
            for end in ("SA", "LA")
        )
    except RuntimeError:
        raise WorkbenchError(
            "the extreme curvatures of the loss could not be found by Lanczos iteration; give step, burn_in and thin"
        ) from None
    return float(low), float(high)
