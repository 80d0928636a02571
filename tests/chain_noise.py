"""Posteriors of two-layer networks, and noise for a few chains that tests drive themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from workbench.simulation.network.model import NetworkModel
from workbench.simulation.sampling.noise import Noise
from workbench.simulation.sampling.posterior import LocalPosterior


def flat(*layers: torch.Tensor) -> torch.Tensor:
    """``(B, N)``, the layers of every chain end to end."""
    return torch.cat([W.flatten(1) for W in layers], dim=1)


def two_layers(
    Y: torch.Tensor, X: torch.Tensor | None, W1: torch.Tensor, W2: torch.Tensor, n_beta: float, gamma: float
) -> LocalPosterior:
    """The posterior around ``(B, N_h, N_i)`` and ``(B, N_o, N_h)``; X is None for one-hot items."""
    shapes = tuple((W.shape[1], W.shape[2]) for W in (W1, W2))
    model = NetworkModel(Y, X, shapes, "linear", tuple(str(k) for k in range(Y.shape[1])))
    return LocalPosterior(model, flat(W1, W2), n_beta, gamma)


def places(chains: int) -> np.ndarray:
    """Checkpoint 0 of every chain, and its number."""
    return np.stack([np.zeros(chains, int), np.arange(chains)], axis=1)


def endless(noise: Noise) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Its steps, one after the other."""
    while True:
        yield from noise.block()
