"""The Bayesian influence function sampled as published (Kreer et al. 2025; settings of Hoogland and co-workers)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.functional import flat_weights, losses_of_weights
from workbench.bench.method import method
from workbench.bench.run import Run

CHAINS, DRAWS, BURN_IN = 4, 200, 50
N_BETA, GAMMA, STEP = 30.0, 300.0, 1e-3


@method(
    "local_bif",
    scale="loss^2: minus the covariance of two losses under the local posterior",
    source="SGLD at n beta = 30, gamma = 300, step 1e-3 (published for small language models), 4 chains x 200 draws; "
    "n beta multiplies the mean loss",
)
def local_bif(run: Run) -> NDArray[np.float64]:
    """``-Cov(l_i, l_j)`` over draws around every checkpoint, every chain centred by itself."""
    losses, P = losses_of_weights(run.checkpoints[0], run.examples), len(run.items)

    def mean_loss(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        each = losses(w)
        return each[:P].mean(), each

    gradient = torch.func.vmap(torch.func.grad(mean_loss, has_aux=True))
    generator = torch.Generator().manual_seed(0)
    # All chains of all checkpoints side by side: (T x chains, n_weights).
    centre = torch.stack([flat_weights(network) for network in run.checkpoints]).repeat_interleave(CHAINS, dim=0)
    w, draws = centre.clone(), []
    for step in range(BURN_IN + DRAWS):
        force, each = gradient(w)
        if step >= BURN_IN:
            draws.append(each)
        noise = torch.randn(w.shape, generator=generator, dtype=w.dtype)
        w = w - STEP / 2 * (N_BETA * force + GAMMA * (w - centre)) + STEP**0.5 * noise
    samples = torch.stack(draws, dim=1)
    samples = (samples - samples.mean(dim=1, keepdim=True)).reshape(len(run.checkpoints), CHAINS * DRAWS, -1)
    covariance = samples[..., :P].mT @ samples / (samples.shape[1] - CHAINS)
    return np.asarray(-covariance.numpy())
