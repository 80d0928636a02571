"""TracIn: the gradient kernel summed over the checkpoints so far (Pruthi et al. 2020)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.method import method
from workbench.bench.run import Run, example_gradients


@method(
    "tracin",
    scale="loss: learning rate x steps x products of gradients, summed up to each checkpoint",
    source="Pruthi et al. (2020), TracInCP; their positive = helpful is turned round",
)
def tracin(run: Run) -> NDArray[np.float64]:
    """``-int_0^t g_i(u) . g_j(u) du`` by the trapezoidal rule over the checkpoints."""
    gradients = [example_gradients(network, run.examples) for network in run.checkpoints]
    kernel = torch.stack([g[: len(run.items)] @ g.T for g in gradients]).detach().numpy()
    pieces = (kernel[1:] + kernel[:-1]) / 2 * np.diff(run.times)[:, None, None]
    return -np.concatenate([np.zeros_like(kernel[:1]), np.cumsum(pieces, axis=0)])
