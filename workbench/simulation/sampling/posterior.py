"""The local posterior of a batch of chains, and the force that drives a sampler on it.

    U(w) = n beta L(w) + gamma |w - w*|^2 / 2,      L the mean of the losses

with one checkpoint w* a chain. With ReLU the potential has kinks: HMC, which corrects every error of its steps, still
samples it exactly; the bias stated for SGLD assumes smoothness.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.simulation.network.model import Model, ModelBatch


@dataclass(frozen=True)
class LocalPosterior:
    """What B chains sample.

    Attributes:
        model: losses of P targets as a function of N weights.
        star: ``(B, N)``, the checkpoint of every chain.
        n_beta: inverse temperature times number of items.
        gamma: localization.
    """

    model: Model
    star: torch.Tensor
    n_beta: float
    gamma: float

    @property
    def chains(self) -> int:
        """B."""
        return self.star.shape[0]

    @property
    def n_weights(self) -> int:
        """N, weights of one chain."""
        return self.star.shape[1]

    @property
    def n_items(self) -> int:
        """P."""
        return len(self.model.targets)

    def at_checkpoint(self) -> ModelBatch:
        """Every chain at its checkpoint."""
        batch = self.model.batch(self.star.clone())
        batch.refresh()
        return batch

    def gradient(self, batch: ModelBatch) -> torch.Tensor:
        """``(B, N)`` gradient of U."""
        pull = (batch.w - self.star).mul_(self.gamma)
        return pull.add_(batch.gradient(), alpha=self.n_beta / self.n_items)

    def potential(self, batch: ModelBatch) -> torch.Tensor:
        """``(B,)`` values of U."""
        distance = (batch.w - self.star).square_().sum(dim=1)
        return self.n_beta / self.n_items * batch.losses().sum(dim=1) + self.gamma / 2 * distance
