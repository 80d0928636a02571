"""Stochastic gradient Langevin dynamics with full-batch gradients (Welling & Teh 2011).

    w <- w - (eps/2) grad U(w) + sqrt(eps) xi,      xi ~ N(0, 1)

On a direction of precision p its stationary variance is exactly ``1 / (p (1 - eps p / 4))``: the step size biases
variances up by the factor ``1 / (1 - eps p / 4)`` and the chain is stable for ``eps < 4 / p``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from workbench.simulation.running.products import multiply
from workbench.simulation.sampling.posterior import LocalPosterior


@dataclass
class SGLDState:
    """Weights of every chain, the residuals that belong to them, and buffers for the forces on the weights.

    All of them change in place, none is replaced.
    """

    W1: torch.Tensor
    W2: torch.Tensor
    residual: torch.Tensor
    force1: torch.Tensor
    force2: torch.Tensor


def init(target: LocalPosterior) -> SGLDState:
    """Every chain at its checkpoint."""
    W1, W2 = target.star1.clone(), target.star2.clone()
    return SGLDState(W1, W2, target.residual(W1, W2), torch.empty_like(W1), torch.empty_like(W2))


def update(
    state: SGLDState, target: LocalPosterior, eps: float, noise1: torch.Tensor, noise2: torch.Tensor
) -> SGLDState:
    """One step in place; ``noise`` holds standard normal numbers shaped like the weights (any float type).

    Chains that diverge become infinite, silently.
    """
    W1, W2, E = state.W1, state.W2, state.residual
    pull, drift = eps * target.gamma / 2, eps * target.n_beta / (2 * target.Y.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        force1 = multiply(W2.mT, target.to_inputs(E), out=state.force1)
        force2 = multiply(E, target.hidden(W1).mT, out=state.force2)
        W1.lerp_(target.star1, pull).add_(force1, alpha=drift).add_(noise1, alpha=eps**0.5)
        W2.lerp_(target.star2, pull).add_(force2, alpha=drift).add_(noise2, alpha=eps**0.5)
        outputs = multiply(W2, target.hidden(W1), out=E)
        torch.sub(target.Y, outputs, out=E)
    return state


def variance_inflation(eps: float, precision: float) -> float:
    """Stationary variance over the true one on a quadratic: ``1 / (1 - eps p / 4)``."""
    return 1.0 / (1.0 - eps * precision / 4)
