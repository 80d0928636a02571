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

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from workbench.simulation.network.model import ModelBatch
from workbench.simulation.sampling.posterior import LocalPosterior
from workbench.simulation.sampling.sampler import Plan, Precisions, Sampler
from workbench.simulation.sampling.sgld import langevin_plan

if TYPE_CHECKING:
    from workbench.simulation.sampling.plan import Sampling

ALPHA = 0.9995
DELTA = 1e-8


@dataclass
class RMSPropState:
    """The chains, the running mean square V ``(B, N)`` of the gradients of U, the step, and the memory of V."""

    batch: ModelBatch
    V: torch.Tensor
    eps: float
    alpha: float = ALPHA


def init(target: LocalPosterior, plan: Plan, sampling: Sampling) -> RMSPropState:
    """Every chain at its checkpoint, V at the mean square gradient expected around it."""
    batch = target.at_checkpoint()
    V = target.gradient(batch).square_() + target.n_beta * batch.gauss_newton() + target.gamma
    return RMSPropState(batch, V, plan.step)


def update(state: RMSPropState, target: LocalPosterior, noise: torch.Tensor, extra: torch.Tensor, step: int) -> None:
    """One step in place."""
    w, V, gradient, eps = state.batch.w, state.V, target.gradient(state.batch), state.eps
    V.mul_(state.alpha).addcmul_(gradient, gradient, value=1 - state.alpha)
    # sqrt V as V / sqrt V, since torch takes twice as long for a root as for its reciprocal.
    inverse = V.rsqrt().mul_(V).add_(DELTA)
    w.addcdiv_(gradient, inverse, value=-eps / 2)
    w.addcmul_(inverse.rsqrt_(), noise.to(w.dtype), value=eps**0.5)
    state.batch.refresh()


def variance_inflation(alpha: float, correlation: float) -> float:
    """Variance over the true one, to first order in 1 - alpha, where successive draws correlate by ``correlation``.

    In stationarity ``E[G (1 - p w^2)] = 0``; G falls where recent draws were far out, so the variance must be high
    by the covariance of ``p w^2`` with its own running mean.
    """
    return 1.0 + (1 - alpha) / (1 - alpha * correlation**2)


def plan(precisions: Precisions, sampling: Sampling) -> Plan:
    """See `Sampler.plan`: the force is divided by its root mean square, sqrt(p) in a direction of precision p."""
    scale = precisions.high**-0.5
    planned = langevin_plan(precisions, sampling, scale)
    memory = variance_inflation(ALPHA, 1 - planned.step * scale * precisions.high / 2) - 1
    return replace(planned, expected_bias=planned.expected_bias + memory)


SAMPLER = Sampler(
    name="rmsprop",
    title="SGLD preconditioned by RMSProp",
    init=init,
    update=update,
    plan=plan,
    stable=lambda precision: 4 / precision**0.5,
    usual=lambda precision: 0.1 / precision**0.5,
)
