"""Hamiltonian Monte Carlo: the exact referee, without a bias from its step size (Duane et al. 1987; Neal 2011).

    p ~ N(0, 1);  L leapfrog steps of  p <- p - (eps/2) grad U,  w <- w + eps p,  p <- p - (eps/2) grad U;
    the end is kept with probability min(1, exp(H_0 - H_L)),  H = U + |p|^2 / 2

Every chain has its own step eps, set during warm-up by dual averaging (Hoffman & Gelman 2014, section 3.2) so that
the mean acceptance becomes `TARGET`, and fixed afterwards. Every trajectory scales it by a factor that is uniform on
``1 -+ JITTER`` and independent of the state, which leaves the posterior invariant: with one fixed length, a
direction that makes half a turn in it would hardly mix.

On a direction of precision p, with ``h = eps sqrt p`` and ``cos theta = 1 - h^2 / 2``, L leapfrog steps turn
by ``L theta`` and cost the mean energy error ``sin^2(L theta) h^4 / (32 (1 - h^2 / 4))`` (Blanes, Casas & Sanz-Serna
2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, ceil, erfc, log, pi, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from workbench.simulation.network.model import ModelBatch
from workbench.simulation.sampling import diagnostics
from workbench.simulation.sampling.posterior import LocalPosterior
from workbench.simulation.sampling.sampler import Plan, Precisions, Sampler

if TYPE_CHECKING:
    from workbench.simulation.sampling.plan import Sampling

#: Mean acceptance that the warm-up aims for.
TARGET = 0.8
#: Relative half-width of the uniform spread of the step from one trajectory to the next.
JITTER = 0.4
#: More leapfrog steps than this are not planned; the chain is thinned instead.
MOST_LEAPFROGS = 100
#: Constants of dual averaging: pull to the first step, stabiliser of the first steps, decay of the average. The pull is
#: four times the usual: the spectrum gives a good first step, and wide swings around it raise the final acceptance.
_PULL, _STABILISER, _DECAY = 0.2, 10.0, 0.75


@dataclass
class HMCState:
    """The chains with gradient ``(B, N)`` and potential ``(B,)``, every chain's step, and how often it has accepted.

    ``log_step`` is the step in use, ``average`` its weighted mean and ``shortfall`` the mean of target minus
    acceptance, as dual averaging defines them; all are ``(B,)``. The first ``adapting`` trajectories adapt; ``warmed``
    and ``proposed`` count trajectories in and after warm-up.
    """

    batch: ModelBatch
    gradient: torch.Tensor
    potential: torch.Tensor
    first_step: float
    leapfrogs: int
    adapting: int
    log_step: torch.Tensor
    average: torch.Tensor
    shortfall: torch.Tensor
    accepted: torch.Tensor
    warmed: int = 0
    proposed: int = 0

    @property
    def acceptance(self) -> torch.Tensor:
        """``(B,)`` mean acceptance probability of every chain after warm-up."""
        return self.accepted / max(1, self.proposed)


def init(target: LocalPosterior, plan: Plan, sampling: Sampling) -> HMCState:
    """Every chain at its checkpoint, with the step of the plan first; a step that is given stays."""
    batch = target.at_checkpoint()
    zero = torch.zeros(target.chains, dtype=torch.float64, device=target.star.device)
    steps = zero + log(plan.step)
    return HMCState(
        batch=batch,
        gradient=target.gradient(batch),
        potential=target.potential(batch),
        first_step=plan.step,
        leapfrogs=plan.leapfrogs,
        adapting=plan.burn_in if sampling.step is None else 0,
        log_step=steps,
        average=steps.clone(),
        shortfall=zero,
        accepted=zero.clone(),
    )


def update(state: HMCState, target: LocalPosterior, noise: torch.Tensor, extra: torch.Tensor, step: int) -> None:
    """One trajectory of every chain, in place; ``extra`` holds two more normal numbers a chain, ``(B, 2)``."""
    batch, w, gradient = state.batch, state.batch.w, state.gradient
    jitter, threshold = torch.special.ndtr(extra.double()).unbind(dim=1)
    eps = state.log_step.exp() * (1 + JITTER * (2 * jitter - 1))
    eps = eps.to(w.dtype)[:, None]
    begin, p = w.clone(), noise.to(w.dtype)
    energy = state.potential + p.square().sum(dim=1) / 2
    p = torch.addcmul(p, eps, gradient, value=-0.5)
    for leapfrog in range(state.leapfrogs):
        w.addcmul_(eps, p)
        batch.refresh()
        gradient = target.gradient(batch)
        p.addcmul_(eps, gradient, value=-1.0 if leapfrog < state.leapfrogs - 1 else -0.5)
    potential = target.potential(batch)
    gain = energy - potential - p.square().sum(dim=1) / 2
    gain = gain.double().nan_to_num(nan=-torch.inf, neginf=-torch.inf).clamp_(max=0.0)
    kept = threshold.log() < gain
    w.copy_(torch.where(kept[:, None], w, begin))
    state.gradient = torch.where(kept[:, None], gradient, state.gradient)
    state.potential = torch.where(kept, potential, state.potential)
    batch.refresh()
    acceptance = gain.exp()
    if step < state.adapting:
        _adapt(state, acceptance)
    else:
        state.log_step = state.average
        state.accepted = state.accepted + acceptance
        state.proposed += 1


def _adapt(state: HMCState, acceptance: torch.Tensor) -> None:
    """One step of dual averaging towards `TARGET` (Hoffman & Gelman 2014, eq. 6), around the first step."""
    state.warmed += 1
    m = state.warmed
    share = 1 / (m + _STABILISER)
    state.shortfall = (1 - share) * state.shortfall + share * (TARGET - acceptance)
    state.log_step = log(state.first_step) - sqrt(m) / _PULL * state.shortfall
    weight = m**-_DECAY
    state.average = weight * state.log_step + (1 - weight) * state.average


def expected_acceptance(n_weights: int, h: float) -> float:
    """Acceptance for ``n_weights`` directions of ``h = eps sqrt p``, a quarter turn each: ``2 Phi(-sqrt(D/2))``.

    D is the mean energy error; that the error is normal holds for many directions (Neal 2011, section 4.4). The
    jitter is left out. Other turns, and smaller precisions, cost less.
    """
    if h >= 2:
        return 0.0
    energy = n_weights * h**4 / (32 * (1 - h**2 / 4))
    return erfc(sqrt(energy) / 2)


class Tuning(NamedTuple):
    """What follows from the spectrum: first step, leapfrogs, expected acceptance and autocorrelation time."""

    step: float
    leapfrogs: int
    acceptance: float
    autocorrelation: float


def tuned(n_weights: int, low: float, high: float, eps: float | None = None) -> Tuning:
    """Step and leapfrogs for precisions between ``low`` and ``high``.

    The step (unless given) is where `expected_acceptance` with the largest precision is `TARGET`. The leapfrogs turn
    the direction of the smallest precision by a quarter, unless that takes more than `MOST_LEAPFROGS`.
    """
    if eps is None:
        k = 2 * NormalDist().inv_cdf(TARGET / 2) ** 2 / n_weights
        eps = sqrt((sqrt(16 * k**2 + 32 * k) - 4 * k) / high)
    leapfrogs = int(min(MOST_LEAPFROGS, max(1, round(pi / 2 / turn(eps, low)))))
    acceptance = expected_acceptance(n_weights, eps * sqrt(high))
    return Tuning(eps, leapfrogs, acceptance, autocorrelation(eps, leapfrogs, low, high, acceptance))


def turn(eps: float, precision: float) -> float:
    """Angle theta that one leapfrog step turns a direction: ``sin(theta / 2) = eps sqrt(p) / 2``."""
    return 2 * asin(min(1.0, eps * sqrt(precision) / 2))


def autocorrelation(eps: float, leapfrogs: int, low: float, high: float, acceptance: float = TARGET) -> float:
    """Autocorrelation time, in trajectories, of the slowest linear or square function of a Gaussian posterior.

    Over the jitter j, the mean correlation of a direction that turns by phi is ``cos phi sinc(j phi)``, that of its
    square ``(1 + cos 2 phi sinc(2 j phi)) / 2``. The slowest of all turns between those of ``low`` and ``high`` counts.
    """
    phi = np.linspace(leapfrogs * turn(eps, low), leapfrogs * turn(eps, high), 2001)
    linear = np.cos(phi) * np.sinc(JITTER * phi / pi)
    square = (1 + np.cos(2 * phi) * np.sinc(2 * JITTER * phi / pi)) / 2
    slowest = 1 - max(acceptance, 0.01) * (1 - float(np.maximum(linear, square).max()))
    return (1 + slowest) / max(1 - slowest, 1e-15)


def plan(precisions: Precisions, sampling: Sampling) -> Plan:
    """See `Sampler.plan`; a burn-in of at least 200 trajectories, in which the step is adapted."""
    tuning = tuned(precisions.n_weights, precisions.low, precisions.high, sampling.step)
    burn_in = sampling.burn_in if sampling.burn_in is not None else max(200, ceil(10 * tuning.autocorrelation))
    return Plan(
        step=tuning.step,
        burn_in=burn_in,
        thin=sampling.thin or diagnostics.thinning(sampling.draws, tuning.autocorrelation),
        expected_bias=0.0,
        autocorrelation=tuning.autocorrelation,
        leapfrogs=tuning.leapfrogs,
        expected_acceptance=tuning.acceptance,
    )


SAMPLER = Sampler(
    name="hmc",
    title="Hamiltonian Monte Carlo, the exact referee",
    init=init,
    update=update,
    plan=plan,
    stable=lambda precision: 2 / precision**0.5,
    usual=lambda precision: 0.5 / precision**0.5,
    extra=lambda target, sampling: 2,
    captured=False,  # steps adapt, and are counted
    acceptance=lambda state: state.acceptance,
)
