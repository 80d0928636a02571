"""The Bayesian influence function sampled as published (Kreer et al. 2025; settings of Hoogland and co-workers)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Run

CHAINS, DRAWS, BURN_IN = 8, 200, 50
N_BETA, GAMMA, STEP = 30.0, 300.0, 1e-3


@method(
    "local_bif",
    scale="loss^2: minus the covariance of two losses under the local posterior",
    source="SGLD at n beta = 30, gamma = 300, step 1e-3 (published for small language models), 8 chains x 200 draws; "
    "n beta multiplies the mean loss",
)
def local_bif(run: Run) -> NDArray[np.float64]:
    """``-Cov(l_i, l_j)`` over draws around every checkpoint, chains centred one by one."""
    return np.stack([_covariance(network, run, k) for k, network in enumerate(run.checkpoints)])


def _covariance(network: nn.Module, run: Run, k: int) -> NDArray[np.float64]:
    names = [name for name, _ in network.named_parameters()]
    centre = [p.detach() for p in network.parameters()]

    def losses(*weights: torch.Tensor) -> torch.Tensor:
        called = lambda inputs: torch.func.functional_call(network, dict(zip(names, weights, strict=True)), (inputs,))  # noqa: E731
        return run.examples.losses(called)  # type: ignore[arg-type]

    def mean_loss(*weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        each = losses(*weights)
        return each[: len(run.items)].mean(), each

    gradient = torch.func.vmap(torch.func.grad(mean_loss, argnums=tuple(range(len(centre))), has_aux=True))
    generator = torch.Generator().manual_seed(k)
    weights = [w.expand(CHAINS, *w.shape).clone() for w in centre]
    draws = []
    for step in range(BURN_IN + DRAWS):
        force, each = gradient(*weights)
        if step >= BURN_IN:
            draws.append(each.detach())
        for w, g, start in zip(weights, force, centre, strict=True):
            noise = torch.randn(w.shape, generator=generator, dtype=w.dtype)
            w += -STEP / 2 * (N_BETA * g + GAMMA * (w - start)) + STEP**0.5 * noise
    samples = torch.stack(draws)
    samples -= samples.mean(dim=0)
    flat = samples.reshape(-1, samples.shape[-1])
    covariance = flat[:, : len(run.items)].T @ flat / (len(flat) - CHAINS)
    return (-covariance).numpy()
