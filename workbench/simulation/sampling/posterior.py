"""The local posterior of a batch of chains, and the force that drives a sampler on it.

    U(w) = n beta L(w) + gamma |w - w*|^2 / 2,      L = |Y - W2 W1 X|^2 / 2P

with one checkpoint w* a chain. Gradients are closed form; with one-hot items ``X`` never enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


class Posterior(Protocol):
    """What samplers ask of the posterior of B chains, whose weights are two matrices a chain."""

    @property
    def star1(self) -> torch.Tensor: ...
    @property
    def star2(self) -> torch.Tensor: ...
    @property
    def n_beta(self) -> float: ...
    @property
    def gamma(self) -> float: ...
    @property
    def chains(self) -> int: ...
    @property
    def n_weights(self) -> int: ...
    @property
    def n_items(self) -> int: ...
    def residual(self, W1: torch.Tensor, W2: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor: ...
    def gradients(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...
    def potential(self, W1: torch.Tensor, W2: torch.Tensor, E: torch.Tensor) -> torch.Tensor: ...
    def gauss_newton(self, W1: torch.Tensor, W2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass
class LangevinState:
    """Weights of every chain and the residuals that belong to them, all changed in place."""

    W1: torch.Tensor
    W2: torch.Tensor
    residual: torch.Tensor


def at_checkpoint(target: Posterior) -> LangevinState:
    """Every chain at its checkpoint."""
    W1, W2 = target.star1.clone(), target.star2.clone()
    return LangevinState(W1, W2, target.residual(W1, W2))


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

    @property
    def n_items(self) -> int:
        """P."""
        return self.Y.shape[1]

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

    def gauss_newton(self, W1: torch.Tensor, W2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Diagonal of the Gauss-Newton part of the Hessian of L, ``(1/P) sum_i |df(x_i)/dw|^2``, shaped like W1, W2."""
        P, inputs = self.n_items, torch.ones(W1.shape[2], dtype=W1.dtype, device=W1.device)
        power = (inputs if self.X is None else self.X.square().sum(dim=1)) / P
        first = W2.square().sum(dim=1)[:, :, None] * power
        return first, (self.hidden(W1).square().sum(dim=2) / P)[:, None, :].expand_as(W2)

    def to_inputs(self, errors: torch.Tensor) -> torch.Tensor:
        """``(B, ., N_i)`` errors at the items carried back to the input units."""
        return errors if self.X is None else errors @ self.X.T


def squared_norm(values: torch.Tensor) -> torch.Tensor:
    """``(B,)`` sums of squares of every chain's numbers."""
    return values.square().flatten(1).sum(dim=1)


def item_losses(residual: torch.Tensor) -> torch.Tensor:
    """``(B, P)`` losses ``|r_i|^2 / 2``."""
    return residual.square().sum(dim=1).mul_(0.5)
