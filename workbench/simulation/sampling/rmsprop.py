"""RMSProp-preconditioned SGLD (Li et al. 2016), without its Gamma term, and with the bias that this costs.

    V <- alpha V + (1 - alpha) (grad U)^2,   G = 1 / (delta + sqrt V),
    w <- w - (eps/2) G grad U + sqrt(eps G) xi

The exact diffusion has a further drift ``Gamma = (1/2) sum_k dG/dw_k``, left out as in every common implementation.
Without it, to first order in 1 - alpha, the variance in a direction whose draws have lag-one correlation phi is
high by the factor ``1 + (1 - alpha) / (1 - alpha phi^2)`` (`variance_inflation`): 11% for alpha = 0.99 at usual step
sizes. The default alpha keeps it below 1%.

V starts from its value at the checkpoint, the squared gradient plus its stationary variance, the diagonal of
``n beta H + gamma`` with the Gauss-Newton part of H; started from zero the first steps would be as long as ``1/delta``
allows. U includes the localization, so V does not vanish where the loss is flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.simulation.sampling.posterior import Posterior

ALPHA = 0.9995
DELTA = 1e-8


@dataclass
class RMSPropState:
    """Weights, residuals and the running mean square V of the gradients of U, layer by layer."""

    W1: torch.Tensor
    W2: torch.Tensor
    residual: torch.Tensor
    V1: torch.Tensor
    V2: torch.Tensor


def init(target: Posterior) -> RMSPropState:
    """Every chain at its checkpoint, V at the mean square gradient expected around it."""
    W1, W2 = target.star1.clone(), target.star2.clone()
    E = target.residual(W1, W2)
    first, second = target.gradients(W1, W2, E)
    curvature1, curvature2 = target.gauss_newton(W1, W2)
    V1 = first.square_() + target.n_beta * curvature1 + target.gamma
    V2 = second.square_() + target.n_beta * curvature2 + target.gamma
    return RMSPropState(W1, W2, E, V1, V2)


def update(
    state: RMSPropState,
    target: Posterior,
    eps: float,
    noise1: torch.Tensor,
    noise2: torch.Tensor,
    alpha: float = ALPHA,
) -> RMSPropState:
    """One step in place."""
    gradients = target.gradients(state.W1, state.W2, state.residual)
    for W, V, gradient, noise in zip(
        (state.W1, state.W2), (state.V1, state.V2), gradients, (noise1, noise2), strict=True
    ):
        V.mul_(alpha).addcmul_(gradient, gradient, value=1 - alpha)
        G = V.sqrt().add_(DELTA).reciprocal_()
        W.addcmul_(G, gradient, value=-eps / 2)
        W.addcmul_(G.sqrt_(), noise.to(W.dtype), value=eps**0.5)
    target.residual(state.W1, state.W2, out=state.residual)
    return state


def variance_inflation(alpha: float, correlation: float) -> float:
    """Variance over the true one, to first order in 1 - alpha, where successive draws correlate by ``correlation``.

    In stationarity ``E[G (1 - p w^2)] = 0``; G falls where recent draws were far out, so the variance must be high
    by the covariance of ``p w^2`` with its own running mean.
    """
    return 1.0 + (1 - alpha) / (1 - alpha * correlation**2)
