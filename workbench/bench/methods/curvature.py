"""The Hessian of the mean training loss, explicit: for networks of some thousand weights."""

from __future__ import annotations

import torch
from torch import nn

from workbench.bench.run import Examples


def mean_loss_hessian(network: nn.Module, items: Examples) -> torch.Tensor:
    """``(N, N)`` Hessian of the mean loss of the items in the parameters, in order, by automatic differentiation."""
    names = [name for name, _ in network.named_parameters()]
    shapes = [p.shape for p in network.parameters()]
    flat = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    sizes = [shape.numel() for shape in shapes]

    class _Called(nn.Module):
        """The network at other weights, called like a module."""

        def __init__(self, weights: torch.Tensor) -> None:
            super().__init__()
            parts = [part.view(shape) for part, shape in zip(weights.split(sizes), shapes, strict=True)]
            self._weights = dict(zip(names, parts, strict=True))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = torch.func.functional_call(network, self._weights, (inputs,))
            return outputs

    hessian: torch.Tensor = torch.func.hessian(lambda w: items.losses(_Called(w)).mean())(flat)
    return hessian
