"""How the local posterior is to be sampled, and the step size and lengths that follow from its curvature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.simulation.network.curvature import extreme_curvatures
from workbench.simulation.running.place import CPU, Place
from workbench.simulation.sampling.minibatch import gradient_noise
from workbench.simulation.sampling.sampler import Plan, Precisions, Sampler
from workbench.simulation.sampling.samplers import SAMPLERS
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """How to sample.

    Attributes:
        chains: chains per checkpoint.
        draws: kept draws per chain.
        sampler: one of `samplers.SAMPLERS`: ``"sgld"``, ``"rmsprop"``, or the exact referee ``"hmc"``, whose steps are
            whole trajectories.
        step: step size eps; None chooses ``eps p = 0.1`` for the largest precision p, a bias of 2.5%. HMC then adapts
            its own during the burn-in; a step that is given stays.
        burn_in: discarded steps; None: ten relaxation times of the slowest direction, for HMC at least 200.
        thin: steps from one kept draw to the next; None: half a relaxation time (HMC: 1), or more if the chain would
            otherwise be too short for its autocorrelation time.
        batch_size: items a mini-batch of SGLD, drawn anew for every chain and step; None: all items.
        batches: batches a chain is cut into for its Monte Carlo error; see `batch_means`.
        seed: every chain draws from its own stream, numbered by (seed, checkpoint, chain).
        traces: keep the losses of every draw; R-hat is then rank-normalised, of split chains.
        force_short: accept chains shorter than `diagnostics.LENGTH` autocorrelation times. Implied by giving step,
            burn-in and thinning all three: nothing is then left to plan.
        layer: the one whose weights move, 0 for the first; None: all move.
        place: where and how precisely the chains run. A GPU draws other random numbers than a processor.
    """

    chains: int = 4
    draws: int = 500
    sampler: str = "sgld"
    step: float | None = None
    burn_in: int | None = None
    thin: int | None = None
    batches: int = 40
    seed: int = 0
    traces: bool = False
    batch_size: int | None = None
    force_short: bool = False
    layer: int | None = None
    place: Place = CPU

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            *some, last = SAMPLERS
            raise WorkbenchError(f"sampler {self.sampler!r} is unknown; use {', '.join(some)} or {last}")
        if self.batch_size is not None and (not self.algorithm.mini_batches or self.batch_size < 1):
            able = ", ".join(name for name in SAMPLERS if sampler_of(name).mini_batches)
            raise WorkbenchError(
                f"batch size {self.batch_size} with sampler {self.sampler}; mini-batches of 1 item or more go with "
                f"{able}"
            )
        if self.chains < 1 or self.draws < self.batches:
            raise WorkbenchError(
                f"chains {self.chains}, draws {self.draws}; give at least 1 chain and {self.batches} draws "
                f"({self.batches} batches, for the Monte Carlo error)"
            )

    @property
    def algorithm(self) -> Sampler:
        """The sampler itself."""
        return sampler_of(self.sampler)

    @property
    def any_length(self) -> bool:
        """Whether chains too short for their autocorrelation time are accepted."""
        return self.force_short or None not in (self.step, self.burn_in, self.thin)


def sampler_of(name: str) -> Sampler:
    """The sampler of that name."""
    sampler: Sampler = import_module(SAMPLERS[name]).SAMPLER
    return sampler


def plan(
    trajectory: Trajectory, n_beta: float, gamma: float, sampling: Sampling, *, curvatures: Array | None = None
) -> Plan:
    """Choose step size, burn-in and thinning from the exact extreme curvatures at every checkpoint.

    Args:
        trajectory: T checkpoints.
        n_beta, gamma: of the local posterior.
        sampling: what is asked for.
        curvatures: ``(T, 2)`` smallest and largest curvature of the loss, if they are known.

    Raises:
        ConditionError: where ``n beta H + gamma`` is not positive definite: no local posterior to sample.
        WorkbenchError: for a mini-batch of more items than there are.
    """
    task, network = trajectory.task, trajectory.network
    if sampling.batch_size is not None and sampling.batch_size > task.n_items:
        raise WorkbenchError(f"batch size {sampling.batch_size} of {task.n_items} items; use {task.n_items} or fewer")
    if curvatures is None:
        curvatures = np.array([extreme_curvatures(trajectory.at(k)) for k in range(len(trajectory.times))])
    p = n_beta * curvatures + gamma
    if p[:, 0].min() <= 0:
        k = int(p[:, 0].argmin())
        raise ConditionError(
            "the local posterior exists (gamma > -n beta lambda_min)",
            f"gamma = {gamma:g} at t = {trajectory.times[k]:.4g}, where lambda_min = {curvatures[k, 0]:.4g}",
            f"use gamma above {-n_beta * curvatures[k, 0]:.4g} (20 times that for accuracy), or a smaller n beta",
        )
    precisions = Precisions(
        network.n_weights,
        task.n_items,
        low=float(p[:, 0].min()),
        high=float(p[:, 1].max()),
        gradient_noise=lambda size: gradient_noise(trajectory, n_beta=n_beta, gamma=gamma, batch_size=size),
    )
    planned = sampling.algorithm.plan(precisions, sampling)
    return replace(planned, lambda_min=curvatures[:, 0], lambda_max=curvatures[:, 1])
