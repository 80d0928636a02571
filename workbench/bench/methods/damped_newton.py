"""The classical influence function with a damped Hessian (Koh & Liang 2017)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.method import method
from workbench.bench.methods.curvature import mean_loss_hessian
from workbench.bench.run import Run, example_gradients


@method(
    "damped_newton",
    scale="loss per weight of the item, if training went on to the minimum of the damped loss",
    source="Koh & Liang (2017); damping: twice what the most curved checkpoint needs, found from the run",
)
def damped_newton(run: Run) -> NDArray[np.float64]:
    """``-g_i . (H + damping)^{-1} g_j``, one damping for all checkpoints: twice the largest ``-lambda_min``."""
    spectra = [torch.linalg.eigh(mean_loss_hessian(network, run.items)) for network in run.checkpoints]
    needed = max(max(-float(values[0]) for values, _ in spectra), 1e-3)
    influence = []
    for network, (values, vectors) in zip(run.checkpoints, spectra, strict=True):
        g = example_gradients(network, run.examples) @ vectors
        influence.append(-(g[: len(run.items)] / (values + 2 * needed)) @ g.T)
    return torch.stack(influence).detach().numpy()
