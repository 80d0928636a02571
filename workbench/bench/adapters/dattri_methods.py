"""dattri: TracIn, influence functions (explicit, CG, EK-FAC), TRAK, of one checkpoint; positive = helpful.

Its scores are ``g_i . A g_j`` with the gradient of the target's loss: where they are positive, weight on i lowers l_j.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples

#: Added to the Hessian of the mean loss: twice what the most curved checkpoint of the tree needs.
DAMPING = 1.0


def _scores(network: nn.Module, examples: Examples, attributor: Callable[[Any], Any]) -> torch.Tensor:
    from dattri.task import AttributionTask

    model = copy.deepcopy(network)
    task = AttributionTask(_loss_of(model, examples), model, [network.state_dict()])
    items, every = _loader(examples.items), _loader(examples)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
        made = attributor(task)
        cached = "full_train_dataloader" in inspect.signature(made.cache).parameters
        if cached:
            made.cache(items)
        with torch.no_grad():
            # TRAK wants no second look at what it has cached.
            train_last = "train_dataloader" not in list(inspect.signature(made.attribute).parameters)[:1]
            scores: torch.Tensor = made.attribute(every) if train_last else made.attribute(items, every)
    return scores


def _loader(examples: Examples) -> Any:
    data = torch.utils.data.TensorDataset(examples.inputs, examples.targets)
    return torch.utils.data.DataLoader(data, batch_size=len(examples), shuffle=False)


def _loss_of(model: nn.Module, examples: Examples) -> Callable[[Any, Any], torch.Tensor]:
    """Mean loss of a batch, or the loss of one example without a batch dimension."""

    def loss(parameters: Any, data: Any) -> torch.Tensor:
        inputs, targets = (x if x.ndim > 1 else x[None] for x in data)
        outputs = torch.func.functional_call(model, parameters, (inputs,))
        return replace(examples, targets=targets).losses(lambda _: outputs).mean()

    return loss


@method(
    "dattri_tracin", sign="positive_helps", scale="loss^2 / weight^2", source="dattri TracInAttributor, one checkpoint"
)
def dattri_tracin(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``g_i . g_j``."""
    from dattri.algorithm.tracin import TracInAttributor

    weight = torch.ones(1, dtype=torch.float64)
    return _scores(network, examples, lambda task: TracInAttributor(task, weight, normalized_grad=False))


@method(
    "dattri_if_explicit", sign="positive_helps", scale="loss", source="dattri IFAttributorExplicit, regularization 1.0"
)
def dattri_if_explicit(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``g_i . (H + damping)^{-1} g_j``, H of the mean loss of the items."""
    from dattri.algorithm.influence_function import IFAttributorExplicit

    return _scores(network, examples, lambda task: IFAttributorExplicit(task, regularization=DAMPING))


@method("dattri_if_cg", sign="positive_helps", scale="loss", source="dattri IFAttributorCG, 10 iterations, its default")
def dattri_if_cg(network: nn.Module, examples: Examples) -> torch.Tensor:
    """The same by conjugate gradients."""
    from dattri.algorithm.influence_function import IFAttributorCG

    return _scores(network, examples, lambda task: IFAttributorCG(task, regularization=DAMPING))


@method(
    "dattri_ekfac",
    sign="positive_helps",
    scale="loss",
    source="dattri IFAttributorEKFAC, damping 1.0, all linear layers",
)
def dattri_ekfac(network: nn.Module, examples: Examples) -> torch.Tensor:
    """The same with an eigenvalue-corrected Kronecker approximation of the Fisher matrix of the items' gradients."""
    from dattri.algorithm.influence_function import IFAttributorEKFAC

    return _scores(network, examples, lambda task: IFAttributorEKFAC(task, damping=DAMPING))


@method(
    "dattri_trak",
    sign="positive_helps",
    scale="arbitrary",
    source="dattri TRAKAttributor, p = exp(-loss), one checkpoint",
)
def dattri_trak(network: nn.Module, examples: Examples) -> torch.Tensor:
    """TRAK with projected gradients of the loss."""
    from dattri.algorithm.trak import TRAKAttributor

    loss = _loss_of(network, examples)
    projection = {"proj_dim": 64, "proj_max_batch_size": 32, "proj_seed": 0, "device": "cpu"}

    def made(task: Any) -> Any:
        def probability(parameters: Any, data: Any) -> torch.Tensor:
            return torch.exp(-loss(parameters, data))

        return TRAKAttributor(task, probability, projector_kwargs=projection, regularization=DAMPING)

    return _scores(network, examples, made)
