"""What moves the chains of one batch: any sampler step by step, or SGLD on a GPU in one kernel for many steps.

Drivers count steps from 0, stop between blocks of `block` steps, and hand out the losses at the steps that are draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.simulation.sampling import hmc, minibatch, network_posterior, noise, rmsprop, sgld
from workbench.simulation.sampling.network_posterior import NetworkPosterior
from workbench.simulation.sampling.plan import Plan, Sampling
from workbench.simulation.sampling.posterior import LocalPosterior, at_checkpoint, item_losses

Places = NDArray[np.int64]


class Stepwise:
    """Any sampler, one step after the other; on a GPU as a graph of a block of steps, which costs one launch.

    Attributes:
        state: of the sampler; it has ``residual``.
        block: steps between two places to stop at.
    """

    def __init__(
        self, settings: Sampling, how: Plan, target: LocalPosterior | NetworkPosterior, places: Places
    ) -> None:
        self.state, self._update, extra = _algorithm(settings, how, target)
        self._noise, self._how = noise.Noise(target, settings.seed, places, extra), how
        self.block = self._noise.steps
        # Steps of HMC adapt, and are counted.
        self._captures = target.star1.is_cuda and settings.sampler != "hmc"
        self._warm = False
        self._graph: torch.cuda.CUDAGraph | None = None

    def advance(self, first: int, last: int) -> Iterator[torch.Tensor]:
        """Do the steps ``first`` to ``last - 1``; the losses ``(B, P)`` of each that is a draw."""
        if self._captures and self._warm and last - first == self.block:
            yield from self._replay(first)
            return
        for step, xi in zip(range(first, last), self._noise.block(last - first), strict=True):
            self._update(step, *xi)
            if self._how.draws_at(step):
                yield item_losses(self.state.residual)
        self._warm = True  # libraries set themselves up in steps of their own

    def _replay(self, first: int) -> Iterator[torch.Tensor]:
        numbers = self._noise.block()
        if self._graph is None:
            B, _, P = self.state.residual.shape
            self._losses, self._graph = self.state.residual.new_empty((self.block, B, P)), torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                for losses, xi in zip(self._losses, numbers, strict=True):
                    self._update(0, *xi)
                    losses.copy_(item_losses(self.state.residual))
        self._graph.replay()
        for losses, step in zip(self._losses, range(first, first + self.block), strict=True):
            if self._how.draws_at(step):
                yield losses.clone()

    def position(self) -> NDArray[Any]:
        """Where the random streams are between two blocks."""
        return self._noise.position()

    def go_to(self, position: NDArray[Any]) -> None:
        """Put the random streams there."""
        self._noise.go_to(position)


class Fused:
    """SGLD on a GPU; see `fused_sgld`, and `Stepwise` for the attributes."""

    def __init__(self, settings: Sampling, how: Plan, target: LocalPosterior, places: Places) -> None:
        self._kernel, self._target, self._how, self._seed = _kernel(), target, how, settings.seed
        self._places = torch.tensor(places, dtype=torch.int32, device=target.star1.device)
        self.state: Any = at_checkpoint(target)
        self.block = int(self._kernel.STEPS)

    def advance(self, first: int, last: int) -> Iterator[torch.Tensor]:
        """See `Stepwise.advance`."""
        how = self._how
        where = self._seed, self._places, first, last, how.burn_in, how.thin
        yield from self._kernel.advance(self.state, self._target, how.step, *where)

    def position(self) -> NDArray[Any]:
        """Nowhere: the noise is made by counter."""
        return np.zeros(1)

    def go_to(self, position: NDArray[Any]) -> None:
        """See `position`."""


def driver(
    settings: Sampling, how: Plan, target: LocalPosterior | NetworkPosterior, places: Places
) -> Stepwise | Fused:
    """What moves the chains numbered by ``places``, ``(B, 2)`` checkpoint and chain, towards their targets."""
    if isinstance(target, LocalPosterior) and can_fuse(settings, target):
        return Fused(settings, how, target, places)
    return Stepwise(settings, how, target, places)


def can_fuse(settings: Sampling, target: LocalPosterior) -> bool:
    """Whether `fused_sgld` does these steps."""
    plain = settings.sampler == "sgld" and settings.batch_size is None
    return plain and noise.by_counter(target.star1.device) and bool(_kernel().fits(target))


def bytes_per_chain(n_weights: int) -> float:
    """Memory of one chain's weights, checkpoint and forces, and of its noise in float32, at most."""
    return 4.0 * noise.block_steps(n_weights) * n_weights + 8.0 * 8 * n_weights


def _kernel() -> Any:
    return import_module("workbench.simulation.sampling.gpu.fused_sgld")  # needs Triton


def _algorithm(
    settings: Sampling, how: Plan, target: LocalPosterior | NetworkPosterior
) -> tuple[Any, Callable[..., Any], int]:
    """State, ``update(step number, noise1, noise2, extra)``, and how many extra numbers a chain-step needs."""
    state: Any
    if settings.sampler == "hmc":
        state = hmc.init(target, how.step)
        adapted = how.burn_in if settings.step is None else 0
        return state, lambda k, *xi: hmc.update(state, target, how.leapfrogs, k < adapted, *xi), hmc.EXTRA
    if settings.sampler == "rmsprop":
        state = rmsprop.init(target)
        return state, lambda k, first, second, _: rmsprop.update(state, target, how.step, first, second), 0
    langevin: Any = network_posterior if isinstance(target, NetworkPosterior) else sgld
    state, m = langevin.init(target), settings.batch_size
    if m is None:
        return state, lambda k, first, second, _: langevin.update(state, target, how.step, first, second), 0
    few = partial(minibatch.update, state, target, how.step, m, langevin.update)
    return state, lambda k, *xi: few(*xi), target.n_items
