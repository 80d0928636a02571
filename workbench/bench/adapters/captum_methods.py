"""captum: TracInCP, products of gradients summed over the checkpoints so far; positive = helpful there."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Run


@method(
    "captum_tracincp",
    sign="positive_helps",
    scale="loss^2 / weight^2, summed over checkpoints",
    source="captum.influence.TracInCP; targets go in as (inputs, targets), checkpoints weigh 1",
)
def captum_tracincp(run: Run) -> NDArray[np.float64]:
    """One influence matrix a checkpoint, summed up to each."""
    from captum.influence import TracInCP

    items, examples = run.items, run.examples
    train = torch.utils.data.TensorDataset(items.inputs, items.targets)

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        from dataclasses import replace

        return replace(examples, targets=targets).losses(lambda _: outputs)

    def load(network: nn.Module, at: Any) -> float:
        network.load_state_dict(run.checkpoints[int(at)].state_dict())
        return 1.0

    matrices = []
    for k in range(len(run.checkpoints)):
        network = copy.deepcopy(run.checkpoints[k])
        tracer = TracInCP(network, train, [str(k)], load, loss_fn=loss, batch_size=len(items))
        # (targets, sources), positive where the source helps.
        matrices.append(tracer.influence((examples.inputs, examples.targets)).detach().numpy().T)
    return np.cumsum(np.stack(matrices), axis=0)
