"""Segment-wise unrolling (Bae et al. 2024): through segments in which gradient and Hessian are constant."""

from __future__ import annotations

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
    P = len(run.items)
    gradients = [example_gradients(network, run.examples).detach() for network in run.checkpoints]
    hessians = [mean_loss_hessian(network, run.items) for network in run.checkpoints]
    S = torch.zeros_like(gradients[0][:P])
    influence = [S @ gradients[0].T]
    for k, dt in enumerate(np.diff(run.times)):
        values, vectors = torch.linalg.eigh((hessians[k] + hessians[k + 1]) / 2)
        g = (gradients[k][:P] + gradients[k + 1][:P]) / 2 @ vectors
        # S(t + dt) = e^{-h dt} S - (1 - e^{-h dt})/h g in every direction of curvature h.
        decay = torch.exp(-values * dt)
        gained = torch.where(values.abs() * dt > 1e-9, -torch.expm1(-values * dt) / values, torch.full_like(values, dt))
        S = ((S @ vectors) * decay - g * gained) @ vectors.T
        influence.append(S @ gradients[k + 1].T)
    return torch.stack(influence).numpy()
