"""The one-step influence at a checkpoint."""

from __future__ import annotations

import torch
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples, example_gradients


@method(
    "gradient_kernel", scale="loss^2 / weight^2: change of the target's loss per learning rate, one step on the source"
)
def gradient_kernel(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``-g_i . g_j`` at the checkpoint."""
    g = example_gradients(network, examples)
    return -g @ g.T
