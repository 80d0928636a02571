"""The classical influence function with a damped Hessian (Koh & Liang 2017)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.method import method
from workbench.bench.methods.curvature import Weighted, curvature
from workbench.bench.run import Run, example_gradients


@method(
    "damped_newton",
    scale="loss per weight of the item, if training went on to the minimum of the damped loss",
    source="Koh & Liang (2017); damping: twice what the most curved checkpoint needs, found from the run",
)
def damped_newton(run: Run) -> NDArray[np.float64]:
    """``-g_i . (H + damping)^{-1} g_j``, one damping for all checkpoints: twice the largest ``-lambda_min``."""
    curvatures = [curvature([Weighted(network)], run.items) for network in run.checkpoints]
    damping = 2 * max(max(-one.least for one in curvatures), 1e-3)
    influence = []
    for network, H in zip(run.checkpoints, curvatures, strict=True):
        g = example_gradients(network, run.examples).detach()
        influence.append(-H.function(lambda h: 1 / (h + damping), g[: len(run.items)]) @ g.T)
    return torch.stack(influence).numpy()
