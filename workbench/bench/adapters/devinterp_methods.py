"""devinterp: the Bayesian influence function from its SGLD draws; per-item losses are observables, in float32.

It returns draws; the covariance is ours, every chain centred by itself. n beta there multiplies the mean loss.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import tempfile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples

N_BETA, GAMMA, STEP, CHAINS, DRAWS = 30.0, 300.0, 1e-3, 4, 200


@method(
    "devinterp_bif",
    scale="loss^2: minus the covariance of two losses under the local posterior",
    source="devinterp sample(), SGLD at n beta = 30, gamma = 300, step 1e-3, 4 chains x 200 draws, full batches",
)
def devinterp_bif(network: nn.Module, examples: Examples) -> NDArray[np.float64]:
    """``-Cov(l_i, l_j)`` around one checkpoint."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from datasets import Dataset
    from devinterp.slt.sampling import sample

    inputs, targets = examples.inputs.float(), examples.targets.float()
    model = _Indexed(network, inputs)

    def losses(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        chosen = rows[:, 0]
        outputs = model(chosen)
        return Examples((), inputs[chosen], targets[chosen], examples.loss).losses(lambda _: outputs)[:, None]

    P = len(examples.items)
    items = Dataset.from_dict({"input_ids": [[i, i] for i in range(P)]}).with_format("torch")
    # Observables come in whole batches of P: the last one is filled up with examples that are there already.
    rows = [[i % len(examples)] * 2 for i in range(P * -(-len(examples) // P))]
    every = Dataset.from_dict({"input_ids": rows}).with_format("torch")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        tree = sample(
            model,
            items,
            {"losses": (every, len(rows) // P)},
            lr=STEP,
            n_beta=N_BETA,
            localization=GAMMA,
            num_chains=CHAINS,
            num_draws=DRAWS,
            batch_size=P,
            num_burnin_steps=50,
            loss_fn=losses,
            device="cpu",
            output_path=os.path.join(folder, "draws"),
        )
        draws = _draws(tree, len(examples))
    draws = draws - draws.mean(axis=1, keepdims=True)
    flat = draws.reshape(-1, len(examples))
    return np.asarray(-flat.T @ flat / (len(flat) - CHAINS))


class _Indexed(nn.Module):
    """The network as a function of the index of an example, in float32."""

    def __init__(self, network: nn.Module, inputs: torch.Tensor) -> None:
        super().__init__()
        self.network, self._inputs = copy.deepcopy(network).float(), inputs

    def forward(self, chosen: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.network(self._inputs[chosen])
        return outputs


def _draws(tree: Any, n_examples: int) -> NDArray[np.float64]:
    """``(chains, draws, N)`` losses in the order of the examples: they come back shuffled, with their input_ids."""
    rows = tree["input_ids_losses"].values[:, 0]
    losses = np.asarray(tree["loss_losses"].values[..., 0], dtype=np.float64)
    order = [int(np.flatnonzero(rows == i)[0]) for i in range(n_examples)]
    return losses[:, :, order]
