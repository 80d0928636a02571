"""The Hessian of the mean training loss, explicit: for networks of some thousand weights."""

from __future__ import annotations

import torch
from torch import nn

from workbench.bench.functional import flat_weights, losses_of_weights
from workbench.bench.run import Examples
from workbench.errors import WorkbenchError

#: Weights of a network whose Hessian takes at most some hundred megabytes.
MOST_WEIGHTS = 4000


def mean_loss_hessian(network: nn.Module, items: Examples) -> torch.Tensor:
    """``(N, N)`` Hessian of the mean loss of the items in the parameters, in order, by automatic differentiation."""
    weights = flat_weights(network)
    if len(weights) > MOST_WEIGHTS:
        raise WorkbenchError(f"{len(weights)} weights: the explicit Hessian is computed up to {MOST_WEIGHTS}")
    losses = losses_of_weights(network, items)
    hessian: torch.Tensor = torch.func.hessian(lambda w: losses(w).mean())(weights)
    return hessian


def mean_loss_gauss_newton(network: nn.Module, items: Examples) -> torch.Tensor:
    """``(N, N)`` Gauss-Newton part of the same, ``sum_i J_i^T J_i / P`` for squared losses: never negative."""
    if items.loss != "squared":
        raise WorkbenchError(f"loss {items.loss!r}: the Gauss-Newton matrix is computed for squared losses")
    names = [name for name, _ in network.named_parameters()]
    shapes = [p.shape for p in network.parameters()]

    def outputs(w: torch.Tensor) -> torch.Tensor:
        parts = torch.split(w, [shape.numel() for shape in shapes])
        given = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return torch.func.functional_call(network, given, (items.inputs,))  # type: ignore[no-any-return]

    J: torch.Tensor = torch.func.jacrev(outputs)(flat_weights(network)).flatten(0, 1)
    return J.T @ J / len(items)
