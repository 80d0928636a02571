"""A module's losses as a function of its flat weights, for `torch.func`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from workbench.bench.run import Examples

Tensor = torch.Tensor


def flat_weights(network: nn.Module) -> Tensor:
    """``(n_weights,)`` parameters in order, detached."""
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()])


def losses_of_weights(network: nn.Module, examples: Examples) -> Callable[[Tensor], Tensor]:
    """``w -> (N,)`` losses of the network with the flat weights w."""
    names = [name for name, _ in network.named_parameters()]
    shapes = [p.shape for p in network.parameters()]
    sizes = [shape.numel() for shape in shapes]

    def losses(w: Tensor) -> Tensor:
        parts = [part.view(shape) for part, shape in zip(torch.split(w, sizes), shapes, strict=True)]
        weights = dict(zip(names, parts, strict=True))
        return examples.losses(lambda inputs: torch.func.functional_call(network, weights, (inputs,)))

    return losses
