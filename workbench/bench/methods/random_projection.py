"""The gradient kernel through a random projection, as methods for large networks do (TRAK, TracIn with sketches)."""

from __future__ import annotations

import torch
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples, example_gradients

#: Dimensions that the gradients are projected to.
DIMENSIONS = 64


@method(
    "random_projection",
    scale="loss^2 / weight^2, as the gradient kernel, with a relative error of about sqrt(2 / 64)",
    source="Johnson-Lindenstrauss projection of the gradients, as in TRAK (Park et al. 2023) without its Hessian",
)
def random_projection(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``-(R g_i) . (R g_j)``, R with independent normal entries of variance 1/64, the same at every checkpoint."""
    g = example_gradients(network, examples)
    generator = torch.Generator().manual_seed(0)
    R = torch.randn(g.shape[1], DIMENSIONS, generator=generator, dtype=g.dtype) / DIMENSIONS**0.5
    projected: torch.Tensor = g @ R
    return -projected @ projected.T
