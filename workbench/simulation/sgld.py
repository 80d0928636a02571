"""Stochastic gradient Langevin dynamics with full-batch gradients (Welling & Teh 2011).

    w <- w - (eps/2) grad U(w) + sqrt(eps) xi,      xi ~ N(0, 1)

On a direction of precision p its stationary variance is exactly ``1 / (p (1 - eps p / 4))``: the step size biases
variances up by the factor ``1 / (1 - eps p / 4)`` and the chain is stable for ``eps < 4 / p``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.simulation.target import LocalPosterior


@dataclass
class SGLDState:
    """Weights of every chain, the residuals that belong to them, and a second buffer to step into."""

    W1: torch.Tensor
    W2: torch.Tensor
    residual: torch.Tensor
    spare1: torch.Tensor
    spare2: torch.Tensor


def init(target: LocalPosterior) -> SGLDState:
    """Every chain at its checkpoint."""
    W1, W2 = target.star1.clone(), target.star2.clone()
    return SGLDState(W1, W2, target.residual(W1, W2), torch.empty_like(W1), torch.empty_like(W2))


def update(
    state: SGLDState, target: LocalPosterior, eps: float, noise1: torch.Tensor, noise2: torch.Tensor
) -> SGLDState:
    """One step in place; ``noise`` holds standard normal numbers shaped like the weights (any float type)."""
    shrink, pull = 1.0 - eps * target.gamma / 2, eps * target.gamma / 2
    drift = eps * target.n_beta / (2 * target.Y.shape[1])
    E = state.residual
    torch.baddbmm(state.W2, E, target.hidden(state.W1).mT, beta=shrink, alpha=drift, out=state.spare2)
    torch.baddbmm(state.W1, state.W2.mT, target.to_inputs(E), beta=shrink, alpha=drift, out=state.spare1)
    state.spare1.add_(target.star1, alpha=pull).add_(noise1, alpha=eps**0.5)
    state.spare2.add_(target.star2, alpha=pull).add_(noise2, alpha=eps**0.5)
    state.W1, state.spare1 = state.spare1, state.W1
    state.W2, state.spare2 = state.spare2, state.W2
    target.residual(state.W1, state.W2, out=state.residual)
    return state


def variance_inflation(eps: float, precision: float) -> float:
    """Stationary variance over the true one on a quadratic: ``1 / (1 - eps p / 4)``."""
    return 1.0 / (1.0 - eps * precision / 4)
