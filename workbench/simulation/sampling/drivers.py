"""What moves the chains of one batch: any sampler step by step, or SGLD on a GPU in one kernel for many steps.

Drivers count steps from 0, stop between blocks of `block` steps, and hand out the losses at the steps that are draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.simulation.network.model import ModelBatch
from workbench.simulation.sampling import noise
from workbench.simulation.sampling.plan import Sampling
from workbench.simulation.sampling.posterior import LocalPosterior
from workbench.simulation.sampling.sampler import Plan, State

Places = NDArray[np.int64]


class Stepwise:
    """Any sampler, one step after the other; on a GPU as a graph of a block of steps, which costs one launch.

    Attributes:
        state: of the sampler; its ``batch`` holds the chains.
        block: steps between two places to stop at.
    """

    def __init__(self, sampling: Sampling, plan: Plan, target: LocalPosterior, places: Places) -> None:
        self._algorithm, self._target, self._plan = sampling.algorithm, target, plan
        self.state: State = self._algorithm.init(target, plan, sampling)
        self._noise = noise.Noise(target, sampling.seed, places, self._algorithm.extra(target, sampling))
        self.block = self._noise.steps
        self._captures = target.star.is_cuda and self._algorithm.captured
        self._warm = False
        self._graph: torch.cuda.CUDAGraph | None = None

    def advance(self, first: int, last: int) -> Iterator[torch.Tensor]:
        """Do the steps ``first`` to ``last - 1``; the losses ``(B, P)`` of each that is a draw."""
        if self._captures and self._warm and last - first == self.block:
            yield from self._replay(first)
            return
        for step, xi in zip(range(first, last), self._noise.block(last - first), strict=True):
            self._algorithm.update(self.state, self._target, *xi, step)
            if self._plan.draws_at(step):
                yield self.state.batch.losses()
        self._warm = True  # libraries set themselves up in steps of their own

    def _replay(self, first: int) -> Iterator[torch.Tensor]:
        numbers = self._noise.block()
        if self._graph is None:
            now = self.state.batch.losses()
            self._losses, self._graph = now.new_empty((self.block, *now.shape)), torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                for losses, xi in zip(self._losses, numbers, strict=True):
                    self._algorithm.update(self.state, self._target, *xi, 0)
                    losses.copy_(self.state.batch.losses())
        self._graph.replay()
        for losses, step in zip(self._losses, range(first, first + self.block), strict=True):
            if self._plan.draws_at(step):
                yield losses.clone()

    def position(self) -> NDArray[Any]:
        """Where the random streams are between two blocks."""
        return self._noise.position()

    def go_to(self, position: NDArray[Any]) -> None:
        """Put the random streams there."""
        self._noise.go_to(position)


class FusedState:
    """The chains of a kernel."""

    def __init__(self, batch: ModelBatch) -> None:
        self.batch = batch


class Fused:
    """A sampler's own kernel on a GPU; see `fused_sgld`, and `Stepwise` for the attributes."""

    def __init__(self, sampling: Sampling, plan: Plan, target: LocalPosterior, places: Places) -> None:
        self._kernel, self._target, self._plan, self._seed = _kernel(sampling), target, plan, sampling.seed
        self._places = torch.tensor(places, dtype=torch.int32, device=target.star.device)
        self.state: State = FusedState(target.at_checkpoint())
        self.block = int(self._kernel.STEPS)

    def advance(self, first: int, last: int) -> Iterator[torch.Tensor]:
        """See `Stepwise.advance`."""
        plan = self._plan
        where = self._seed, self._places, first, last, plan.burn_in, plan.thin
        yield from self._kernel.advance(self.state.batch, self._target, plan.step, *where)

    def position(self) -> NDArray[Any]:
        """Nowhere: the noise is made by counter."""
        return np.zeros(1)

    def go_to(self, position: NDArray[Any]) -> None:
        """See `position`."""


def driver(sampling: Sampling, plan: Plan, target: LocalPosterior, places: Places) -> Stepwise | Fused:
    """What moves the chains numbered by ``places``, ``(B, 2)`` checkpoint and chain, towards their targets."""
    return (Fused if can_fuse(sampling, target) else Stepwise)(sampling, plan, target, places)


def can_fuse(sampling: Sampling, target: LocalPosterior) -> bool:
    """Whether the sampler has a kernel that does these steps."""
    plain = sampling.algorithm.fused is not None and sampling.batch_size is None
    return plain and noise.by_counter(target.star.device) and bool(_kernel(sampling).fits(target))


def bytes_per_chain(n_weights: int) -> float:
    """Memory of one chain's weights, checkpoint and forces, and of its noise in float32, at most."""
    return 4.0 * noise.block_steps(n_weights) * n_weights + 8.0 * 8 * n_weights


def _kernel(sampling: Sampling) -> Any:
    assert sampling.algorithm.fused is not None
    return import_module(sampling.algorithm.fused)  # needs Triton
