"""Segment-wise unrolling (Bae et al. 2024): through segments in which gradient and Hessian are constant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.method import method
from workbench.bench.methods.curvature import mean_loss_hessian
from workbench.bench.run import Run, example_gradients


@method(
    "segmentwise_unrolling",
    scale="loss per unit of weight on the item's loss throughout training",
    source="Bae et al. (2024), with the exact Hessian, one segment between two checkpoints",
)
def segmentwise_unrolling(run: Run) -> NDArray[np.float64]:
    """``dl_j/deps_i`` of ``dS/dt = -H S - g_i`` with H and g_i constant between checkpoints (means of both ends)."""
    gradients = torch.stack([example_gradients(network, run.examples).detach() for network in run.checkpoints])
    hessians = torch.stack([mean_loss_hessian(network, run.items) for network in run.checkpoints])
    return unrolled(gradients, hessians, run.times, range(len(run.times)), len(run.items))


def unrolled(
    gradients: torch.Tensor, hessians: torch.Tensor, times: NDArray[np.float64], ends: Sequence[int], P: int
) -> NDArray[np.float64]:
    """``(E, P, N)`` influence at the E checkpoints ``ends``, with one segment between two of them.

    Args:
        gradients: ``(T, N, n_weights)`` of the losses at all checkpoints, the P items first.
        hessians: ``(T, n_weights, n_weights)`` curvature of the training loss; a segment has the mean over its time.
        times: ``(T,)``.
    """
    S = torch.zeros_like(gradients[0, :P])
    influence = [S @ gradients[ends[0]].T]
    for begin, end in pairwise(ends):
        inside, dt = slice(begin, end + 1), float(times[end] - times[begin])
        mean = torch.tensor(_trapezoid(times[inside]) / dt)
        values, vectors = torch.linalg.eigh(torch.tensordot(mean, hessians[inside], dims=1))
        g = torch.tensordot(mean, gradients[inside, :P], dims=1) @ vectors
        # S(t + dt) = e^{-h dt} S - (1 - e^{-h dt})/h g in every direction of curvature h.
        decay = torch.exp(-values * dt)
        gained = torch.where(values.abs() * dt > 1e-9, -torch.expm1(-values * dt) / values, torch.full_like(values, dt))
        S = ((S @ vectors) * decay - g * gained) @ vectors.T
        influence.append(S @ gradients[end].T)
    return np.asarray(torch.stack(influence).numpy())


def _trapezoid(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the trapezoidal rule at the times."""
    half = np.diff(times) / 2
    weights: NDArray[np.float64] = np.append(half, 0.0) + np.append(0.0, half)
    return weights
