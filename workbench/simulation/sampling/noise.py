"""The noise that drives the chains: standard normal numbers, of which every chain has a stream of its own.

A chain's numbers depend on its seed, checkpoint and number alone, not on which chains run beside it. float32 normals
cost a fifth of float64 ones and only enter as noise.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.simulation.sampling.posterior import LocalPosterior

Steps = list[tuple[torch.Tensor, torch.Tensor]]

#: Numbers that every chain draws at once, at most; part of its random stream, so it depends on the network alone.
_BLOCK_NUMBERS, _BLOCK_STEPS = 2**20, 64


def by_counter(device: torch.device) -> bool:
    """Whether numbers are made by counter (`philox`): on a GPU, a generator a chain would launch a kernel a chain.

    Triton builds what launches its kernels with the machine's C compiler.
    """
    compilers = (os.environ.get("CC", "cc"), "gcc", "clang")
    return device.type == "cuda" and find_spec("triton") is not None and any(map(shutil.which, compilers))


def block_steps(n_weights: int) -> int:
    """Steps for which a chain draws its noise at once: a multiple of 4, as counters want."""
    return max(4, min(_BLOCK_STEPS, _BLOCK_NUMBERS // n_weights // 4 * 4))


class Noise:
    """Standard normal numbers, a block of steps at a time.

    Attributes:
        steps: of a block, at most.

    Args:
        target: whose B chains are driven.
        seed: of all chains. places: ``(B, 2)`` whole numbers, checkpoint and chain.
        extra: numbers a chain needs in every step besides those of its weights.
    """

    def __init__(self, target: LocalPosterior, seed: int, places: NDArray[np.int64], extra: int = 0) -> None:
        device = target.star.device
        self._source = (_Counters if by_counter(device) else _Streams)(seed, places, device)
        self.steps = block_steps(target.n_weights)
        parts = [target.n_weights, extra]
        self._block = self._source.room(self.steps, sum(parts))
        # The block stays where it is, so the views of every step on it are made once.
        weights, rest = (part.unbind(dim=1) for part in torch.split(self._block, parts, dim=2))
        self._views = list(zip(weights, rest, strict=True))

    def block(self, steps: int | None = None) -> Steps:
        """Noise of the next steps, at most and by default `steps` of them: ``(B, N)``, and ``(B, extra)`` more.

        In the same tensors every time, so a block is over when the next begins.
        """
        count = self.steps if steps is None else steps
        self._source.fill(self._block[:, :count])
        return self._views[:count]

    def position(self) -> NDArray[Any]:
        """Where the streams are: it says what comes next."""
        return self._source.position()

    def go_to(self, position: NDArray[Any]) -> None:
        """Go on from where `position` was."""
        self._source.go_to(position)


class _Streams:
    """A random generator of torch for every chain.

    It fills a block that is contiguous in the steps of one chain, while a step reads that of all chains: from as many
    places as there are chains, each a miss of the cache, unless the numbers are laid out by steps as they are drawn.
    """

    def __init__(self, seed: int, places: NDArray[np.int64], device: torch.device) -> None:
        self._device = device
        self._streams = [
            torch.Generator(device=device).manual_seed(
                int(np.random.SeedSequence((seed, int(k), int(c))).generate_state(1, np.uint64)[0]) >> 1
            )
            for k, c in places
        ]

    def room(self, steps: int, numbers: int) -> torch.Tensor:
        """``(B, steps, numbers)``, to be filled."""
        by_steps = torch.empty((steps, len(self._streams), numbers), dtype=torch.float32, device=self._device)
        return by_steps.transpose(0, 1)

    def fill(self, block: torch.Tensor) -> None:
        drawn = torch.empty(block.shape[1:], dtype=block.dtype, device=block.device)
        for chain, stream in zip(block, self._streams, strict=True):
            chain.copy_(drawn.normal_(generator=stream))

    def position(self) -> NDArray[Any]:
        return np.stack([stream.get_state().numpy() for stream in self._streams])

    def go_to(self, position: NDArray[Any]) -> None:
        for stream, state in zip(self._streams, position, strict=True):
            stream.set_state(torch.from_numpy(state.copy()))


class _Counters:
    """Numbers by counter; where they are is a count of steps."""

    def __init__(self, seed: int, places: NDArray[np.int64], device: torch.device) -> None:
        self._seed, self._places = seed, torch.tensor(places, dtype=torch.int32, device=device)
        self._steps = 0

    def room(self, steps: int, numbers: int) -> torch.Tensor:
        """``(B, steps, numbers)``, to be filled."""
        return torch.empty((len(self._places), steps, numbers), dtype=torch.float32, device=self._places.device)

    def fill(self, block: torch.Tensor) -> None:
        from workbench.simulation.sampling.gpu import philox  # needs Triton

        philox.fill(block, self._seed, self._places, self._steps)
        self._steps += block.shape[1]

    def position(self) -> NDArray[Any]:
        return np.array([self._steps])

    def go_to(self, position: NDArray[Any]) -> None:
        self._steps = int(position[0])
