"""The gradient kernel without the size of the gradients."""

from __future__ import annotations

import torch
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples, example_gradients


@method("gradient_cosine", scale="1: minus the cosine of the angle between two gradients")
def gradient_cosine(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``-g_i . g_j / |g_i| |g_j|`` at the checkpoint."""
    g = nn.functional.normalize(example_gradients(network, examples), dim=1, eps=1e-300)
    return -g @ g.T
