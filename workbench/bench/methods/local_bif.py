"""The Bayesian influence function sampled as published (Kreer et al. 2025; settings of Hoogland and co-workers)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Run
from workbench.simulation.module import ModuleSampling, sample_module_checkpoints

SETTINGS = ModuleSampling(chains=4, draws=200, step=1e-3, burn_in=50, thin=1, batching="vmap")


@method(
    "local_bif",
    scale="loss^2: minus the covariance of two losses under the local posterior",
    source="SGLD at n beta = 30, gamma = 300, step 1e-3 (published for small language models), 4 chains x 200 draws; "
    "n beta multiplies the mean loss",
)
def local_bif(run: Run) -> NDArray[np.float64]:
    """``-Cov(l_i, l_j)`` over draws around every checkpoint, every chain centred by itself."""
    examples, items = run.examples, run.items

    def losses(network: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return replace(examples, inputs=batch[0], targets=batch[1]).losses(network)

    samples = sample_module_checkpoints(
        run.checkpoints[0], losses, [network.state_dict() for network in run.checkpoints],
        (items.inputs, items.targets), n_beta=30.0, gamma=300.0, sampling=SETTINGS,
        observed=(examples.inputs, examples.targets),
    )  # fmt: skip
    return -np.stack([one.estimate().covariance[0] for one in samples])
