"""SGLD with mini-batch gradients (Welling & Teh 2011): a fresh random subset of m of the P items a chain and step.

    w <- w - (eps/2) [ (n beta / m) sum_{i in batch} grad l_i + gamma (w - w*) ] + sqrt(eps) xi

Subsets are drawn without replacement, so the gradient is unbiased, with covariance

    Sigma = (n beta)^2 (P - m) / (m (P - 1)) Cov_items(grad l_i)

around the full one. On a direction of precision p in which Sigma is sigma^2 the stationary variance is
``(1 + eps sigma^2 / 4) / (p (1 - eps p / 4))``: the noise of the batches adds a bias that is linear in the step too,
falls like (P - m) / m, and does not vanish where the gradient of the whole loss does. The residuals of all items are
computed, since their losses are what is sampled: a step costs what a full-batch step costs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.simulation.network.model import NetworkModel
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Draws of the weights, and checkpoints at most, over which the noise of the gradient is averaged.
_DRAWS, _CHECKPOINTS = 8, 8


def item_weights(extra: torch.Tensor, batch_size: int) -> torch.Tensor:
    """``(B, P)`` factors: P/m for the m items of the batch, 0 for the rest; the m smallest numbers choose it.

    ``extra`` holds ``(B, P)`` independent numbers of any one continuous distribution, of which no two are equal. Of
    eight normal numbers in single precision the m-th and the next are, in less than one subset of ten million; both
    are in then.
    """
    P, m = extra.shape[1], batch_size
    if extra.is_cuda:
        largest = extra.kthvalue(m, dim=1, keepdim=True).values
    else:  # in half of torch's time
        largest = torch.from_numpy(np.partition(extra.numpy(), m - 1, axis=1)[:, m - 1 : m])
    return torch.where(extra <= largest, P / m, 0.0)


def gradient_noise(trajectory: Trajectory, *, n_beta: float, gamma: float, batch_size: int) -> float:
    """Largest eigenvalue of Sigma, at the worst checkpoint, averaged over weights drawn from ``N(w*, 1/gamma)``.

    At the checkpoints themselves it would vanish late in training, where no item has a gradient.

    Args:
        trajectory: the checkpoints; P > 1 items.
        n_beta, gamma: of the local posterior. batch_size: m.
    """
    rng, T, P = np.random.default_rng(0), len(trajectory.times), trajectory.task.n_items
    model = NetworkModel.of(trajectory.network)
    some = np.unique(np.linspace(0, T - 1, min(_CHECKPOINTS, T)).astype(int))
    covariance, centre = np.zeros(len(some)), np.eye(P) - 1 / P
    for _ in range(_DRAWS):
        moved = (W[some] + rng.standard_normal(W[some].shape) / np.sqrt(gamma) for W in trajectory.weights)
        kernel = model.trajectory(tuple(moved)).kernel().numpy()
        covariance += np.linalg.eigvalsh(centre @ kernel @ centre)[:, -1] / (P * _DRAWS)
    return float(n_beta**2 * (P - batch_size) / (batch_size * (P - 1)) * covariance.max())


def variance_inflation(eps: float, precision: float, noise: float) -> float:
    """Stationary variance over the true one: ``(1 + eps sigma^2 / 4) / (1 - eps p / 4)`` on a quadratic."""
    return (1 + eps * noise / 4) / (1 - eps * precision / 4)
