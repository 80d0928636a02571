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
