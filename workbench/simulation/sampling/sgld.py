"""Stochastic gradient Langevin dynamics with full-batch gradients (Welling & Teh 2011).

    w <- w - (eps/2) grad U(w) + sqrt(eps) xi,      xi ~ N(0, 1)

On a direction of precision p its stationary variance is exactly ``1 / (p (1 - eps p / 4))``: the step size biases
variances up by the factor ``1 / (1 - eps p / 4)`` and the chain is stable for ``eps < 4 / p``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from workbench.simulation.network.model import ModelBatch
from workbench.simulation.sampling import diagnostics, minibatch
from workbench.simulation.sampling.posterior import LocalPosterior
from workbench.simulation.sampling.sampler import Plan, Precisions, Sampler

if TYPE_CHECKING:
    from workbench.simulation.sampling.plan import Sampling


@dataclass
class SGLDState:
    """The chains, their step, and the items of a mini-batch (0: all)."""

    batch: ModelBatch
    eps: float
    batch_size: int = 0


def init(target: LocalPosterior, plan: Plan, sampling: Sampling) -> SGLDState:
    """Every chain at its checkpoint."""
    return SGLDState(target.at_checkpoint(), plan.step, sampling.batch_size or 0)


def update(state: SGLDState, target: LocalPosterior, noise: torch.Tensor, extra: torch.Tensor, step: int) -> None:
    """One step in place; ``noise`` holds standard normal numbers shaped like the weights (any float type).

    Chains that diverge become infinite, silently.
    """
    batch, eps = state.batch, state.eps
    pull, drift = eps * target.gamma / 2, eps * target.n_beta / (2 * target.n_items)
    omega = minibatch.item_weights(extra, state.batch_size).to(batch.w.dtype) if state.batch_size else None
    g = batch.gradient(omega)
    batch.w.lerp_(target.star, pull).add_(g, alpha=-drift).add_(noise, alpha=eps**0.5)
    batch.refresh()


def variance_inflation(eps: float, precision: float) -> float:
    """Stationary variance over the true one on a quadratic: ``1 / (1 - eps p / 4)``."""
    return 1.0 / (1.0 - eps * precision / 4)


def langevin_plan(precisions: Precisions, sampling: Sampling, scale: float = 1.0) -> Plan:
    """Of Langevin steps whose force is multiplied by ``scale``: ``eps p scale = 0.1`` for the largest precision p."""
    low, high = precisions.low, precisions.high
    step = sampling.step if sampling.step is not None else 0.1 / (high * scale)
    slowest = step * low * scale / 2
    autocorrelation = max(1.0, 2 / slowest - 1)
    thin = sampling.thin or max(math.ceil(0.5 / slowest), diagnostics.thinning(sampling.draws, autocorrelation))
    burn_in = sampling.burn_in if sampling.burn_in is not None else math.ceil(10 / slowest)
    inflation = variance_inflation(step * scale, high)
    return Plan(step, burn_in, thin, inflation - 1, autocorrelation=autocorrelation)


def plan(precisions: Precisions, sampling: Sampling) -> Plan:
    """See `Sampler.plan`; mini-batches add to the bias."""
    planned = langevin_plan(precisions, sampling)
    if sampling.batch_size is None or sampling.batch_size >= precisions.n_items:
        return planned
    noise = precisions.gradient_noise(sampling.batch_size)
    inflation = minibatch.variance_inflation(planned.step, precisions.high, noise)
    return replace(planned, expected_bias=inflation - 1)


SAMPLER = Sampler(
    name="sgld",
    title="stochastic gradient Langevin dynamics",
    init=init,
    update=update,
    plan=plan,
    stable=lambda precision: 4 / precision,
    usual=lambda precision: 0.1 / precision,
    extra=lambda target, sampling: target.n_items if sampling.batch_size else 0,
    mini_batches=True,
    rotates=True,
    fused="workbench.simulation.sampling.gpu.fused_sgld",
)
