"""Whether the chains can be trusted: alive, accepting, in agreement, and long for their autocorrelation time.

The autocorrelation time tau of an item's losses is ``1 + 2 sum_k rho_k``, in steps; the mean of n steps has the error
of n / tau independent ones. As emcee does (Foreman-Mackey et al. 2013), an estimate from a chain shorter than `LENGTH`
times tau is refused: neither it nor its error bar could be believed. Twice:

* before sampling, by the autocorrelation time of the slowest direction, known from the exact curvatures;
* after sampling, by the one measured for every item, where it is too long by more than three of its standard errors.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import SamplingError
from workbench.semantics import SemanticTask
from workbench.simulation.sampling import batch_means

Array = NDArray[np.float64]

#: Autocorrelation times that a chain must last.
LENGTH = 50
#: Planned chains are longer by this factor.
_MARGIN = 1.2
#: A chain of HMC that accepts less than this is stuck.
_ACCEPTANCE = 0.1
#: How many standard errors too long a measured autocorrelation time must be.
_REFUSED_BY = 3.0


class _Lengths(Protocol):
    @property
    def chains(self) -> int: ...
    @property
    def draws(self) -> int: ...
    @property
    def batches(self) -> int: ...


class _Named(Protocol):
    @property
    def task(self) -> SemanticTask: ...
    @property
    def times(self) -> Array: ...


def thinning(draws: int, autocorrelation: float) -> int:
    """Smallest thinning with which ``draws`` draws last `LENGTH` autocorrelation times (in steps), with a margin."""
    return max(1, math.ceil(_MARGIN * LENGTH * autocorrelation / draws))


def check_planned_length(draws: int, thin: int, autocorrelation: float) -> None:
    """Refuse, before sampling, a chain too short for the slowest direction of the posterior.

    Args:
        draws: per chain. thin: steps from one to the next.
        autocorrelation: time of the slowest direction, in steps.
    """
    needed = math.ceil(LENGTH * autocorrelation / thin)
    if draws < needed:
        raise SamplingError(
            f"chains too short: {draws} draws {thin} steps apart last {draws * thin / autocorrelation:.2g} "
            f"autocorrelation times ({autocorrelation:.3g} steps) of the slowest direction, {LENGTH} are needed: use "
            f"at least {needed} draws, thin >= {math.ceil(LENGTH * autocorrelation / draws)}, or `force_short`"
        )


def check_length(ess: Array, settings: _Lengths, thin: int, trajectory: _Named) -> None:
    """Refuse, after sampling, chains too short for the measured autocorrelation time of some item's losses.

    Args:
        ess: ``(T, P)`` effective sample sizes of the mean losses over all chains.
        settings: chains, draws and batches. thin: steps from one draw to the next.
        trajectory: names the checkpoint and the item.
    """
    tau = settings.chains * settings.draws / ess
    error = batch_means.relative_error(settings.batches, settings.chains)
    steps = autocorrelation_in_steps(tau * max(0.0, 1 - _REFUSED_BY * error), thin)
    if not (LENGTH * steps > settings.draws * thin).any():
        return
    k, item = np.unravel_index(np.nanargmax(steps), steps.shape)
    measured = float(autocorrelation_in_steps(tau, thin)[k, item])
    needed = math.ceil(LENGTH * measured / thin)
    raise SamplingError(
        f"chains too short: {settings.draws} draws {thin} steps apart last {settings.draws * thin / measured:.2g} "
        f"autocorrelation times ({measured:.3g} steps) of the loss of {trajectory.task.items[item]} at t = "
        f"{trajectory.times[k]:.4g}, {LENGTH} are needed: use at least {needed} draws, or `force_short`"
    )


def autocorrelation_in_steps(tau: Array, thin: int) -> Array:
    """Autocorrelation time in steps from that of every ``thin``-th draw, if correlations fall geometrically.

    ``tau = (1 + phi^thin) / (1 - phi^thin)`` gives phi, and ``(1 + phi) / (1 - phi)`` is returned; 1 for draws that
    look independent or better.
    """
    thinned = np.clip((tau - 1) / (tau + 1), 0.0, None)
    phi = thinned ** (1 / thin)
    with np.errstate(divide="ignore"):
        return np.asarray((1 + phi) / (1 - phi))


def check_alive(losses: torch.Tensor, times: Array, step: float, stable: Array) -> None:
    """Refuse chains whose ``(B, P)`` losses are no longer finite.

    Args:
        times: ``(B,)`` of the chains' checkpoints. step: in use. stable: ``(B,)`` largest stable ones.
    """
    alive = torch.isfinite(losses).all(dim=1).cpu().numpy()
    if alive.all():
        return
    k = int(np.argmin(alive))
    smaller = 0.025 * stable[k]
    # Far from the checkpoint the loss is quartic: chains that get there leave at steps that are stable near it.
    remedy = f"`step` {smaller:.2g}" if smaller < step / 2 else "a larger `gamma`, which keeps chains near it"
    raise SamplingError(
        f"{int((~alive).sum())} of {len(alive)} chains diverged, the first at checkpoint t = {times[k]:.4g}: "
        f"step {step:.3g}, while steps below {stable[k]:.3g} are stable there; use {remedy}"
    )


def check_acceptance(acceptance: Array, times: Array, step: float) -> None:
    """Refuse chains of HMC that hardly move: ``(T, C)`` mean acceptance."""
    if acceptance.min() >= _ACCEPTANCE:
        return
    k = int(acceptance.min(axis=1).argmin())
    raise SamplingError(
        f"a chain of HMC at checkpoint t = {times[k]:.4g} accepts {acceptance[k].min():.1%} of its trajectories: step "
        f"{step:.3g} is too large there; use a quarter of it, or none to have it adapted in a burn-in of 200 or more"
    )
