"""The local posterior of a batch of chains, and the force and the noise that drive a sampler on it.

    U(w) = n beta L(w) + gamma |w - w*|^2 / 2,      L = |Y - W2 W1 X|^2 / 2P

with one checkpoint w* a chain. Gradients are closed form; with one-hot items ``X`` never enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

#: Numbers that every chain draws at once, at most; part of its random stream, so it depends on the network alone.
_BLOCK_NUMBERS, _BLOCK_STEPS = 2**20, 64


class Posterior(Protocol):
    """What samplers ask of the posterior of B chains, whose weights are two matrices a chain."""

    @property
    def star1(self) -> torch.Tensor: ...
    @property
    def star2(self) -> torch.Tensor: ...
    @property
    def chains(self) -> int: ...
    @property
    def n_weights(self) -> int: ...
    def residual(self, W1: torch.Tensor, W2: torch.Tensor) -> torch.Tensor: ...
    def gradients(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...
    def potential(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class LocalPosterior:
    """What B chains sample.

    Attributes:
        Y: ``(N_o, P)``.
        X: ``(N_i, P)``, or None for one-hot items.
        star1: ``(B, N_h, N_i)``; star2: ``(B, N_o, N_h)``: the checkpoint of every chain.
        n_beta: inverse temperature times number of items.
        gamma: localization.
    """

    Y: torch.Tensor
    X: torch.Tensor | None
    star1: torch.Tensor
    star2: torch.Tensor
    n_beta: float
    gamma: float

    @property
    def chains(self) -> int:
        """B."""
        return self.star1.shape[0]

    @property
    def n_weights(self) -> int:
        """N, weights of one chain."""
        return self.star1[0].numel() + self.star2[0].numel()

    def hidden(self, W1: torch.Tensor) -> torch.Tensor:
        """``(B, N_h, P)`` hidden activity of every item."""
        return W1 if self.X is None else W1 @ self.X

    def residual(self, W1: torch.Tensor, W2: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """``(B, N_o, P)`` residuals ``r_i``."""
        targets = self.Y.expand(self.chains, *self.Y.shape)
        if out is None:
            return torch.baddbmm(targets, W2, self.hidden(W1), alpha=-1.0)
        return torch.baddbmm(targets, W2, self.hidden(W1), alpha=-1.0, out=out)

    def gradients(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of U in both layers, where the residuals are ``E``."""
        scale = -self.n_beta / self.Y.shape[1]
        first = self.gamma * (W1 - self.star1)
        first.baddbmm_(W2.mT, self.to_inputs(E), alpha=scale)
        second = self.gamma * (W2 - self.star2)
        second.baddbmm_(E, self.hidden(W1).mT, alpha=scale)
        return first, second

    def potential(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> torch.Tensor:
        """``(B,)`` values of U, where the residuals are ``E``."""
        distance = squared_norm(W1 - self.star1) + squared_norm(W2 - self.star2)
        return self.n_beta / (2 * self.Y.shape[1]) * squared_norm(E) + self.gamma / 2 * distance

    def to_inputs(self, errors: torch.Tensor) -> torch.Tensor:
        """``(B, ., N_i)`` errors at the items carried back to the input units."""
        return errors if self.X is None else errors @ self.X.T


def squared_norm(values: torch.Tensor) -> torch.Tensor:
    """``(B,)`` sums of squares of every chain's numbers."""
    return values.square().flatten(1).sum(dim=1)


def item_losses(residual: torch.Tensor) -> torch.Tensor:
    """``(B, P)`` losses ``|r_i|^2 / 2``."""
    return residual.square().sum(dim=1).mul_(0.5)


def block_steps(n_weights: int) -> int:
    """Steps for which a chain draws its noise at once."""
    return max(1, min(_BLOCK_STEPS, _BLOCK_NUMBERS // n_weights))


class Noise:
    """Standard normal numbers, a block of steps at a time, from one random stream per chain.

    float32 normals cost a fifth of float64 ones and only enter as noise. A chain's numbers depend on its seed alone,
    not on which chains run beside it.

    Args:
        target: whose B chains are driven.
        seeds: B tuples of whole numbers, one a chain.
        extra: numbers a chain needs in every step besides those of its weights.
    """

    def __init__(self, target: Posterior, seeds: Sequence[tuple[int, ...]], extra: int = 0) -> None:
        device = target.star1.device
        self._streams = [
            torch.Generator(device=device).manual_seed(
                int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1)
            )
            for seed in seeds
        ]
        self.steps = block_steps(target.n_weights)
        parts = [target.star1[0].numel(), target.star2[0].numel(), extra]
        self._block = torch.empty((target.chains, self.steps, sum(parts)), dtype=torch.float32, device=device)
        # The block stays where it is, so the views of every step on it are made once.
        first, second, rest = (part.unbind(dim=1) for part in torch.split(self._block, parts, dim=2))
        self._views = [
            (a.view(target.star1.shape), b.view(target.star2.shape), c)
            for a, b, c in zip(first, second, rest, strict=True)
        ]
        self._used = self.steps

    def streams(self) -> NDArray[np.uint8]:
        """``(B, bytes)`` states of the random streams; between two blocks they say what comes next."""
        return np.stack([stream.get_state().numpy() for stream in self._streams])

    def restore(self, streams: NDArray[np.uint8]) -> None:
        """Go on, with a new block, from states that `streams` gave."""
        for stream, state in zip(self._streams, streams, strict=True):
            stream.set_state(torch.from_numpy(state.copy()))
        self._used = self.steps

    def next(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Noise of one step for the two layers, and ``(B, extra)`` more numbers."""
        if self._used == self.steps:
            for chain, stream in zip(self._block, self._streams, strict=True):
                chain.normal_(generator=stream)
            self._used = 0
        self._used += 1
        return self._views[self._used - 1]
