"""Noise for a few chains that tests drive themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from workbench.simulation.sampling.noise import Noise


def places(chains: int) -> np.ndarray:
    """Checkpoint 0 of every chain, and its number."""
    return np.stack([np.zeros(chains, int), np.arange(chains)], axis=1)


def endless(noise: Noise) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Its steps, one after the other."""
    while True:
        yield from noise.block()
