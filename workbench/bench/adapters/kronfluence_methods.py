"""kronfluence: the influence function with EK-FAC (or identity) curvature, in float32; positive = helpful there."""

from __future__ import annotations

import copy
import logging
import tempfile
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples


@method(
    "kronfluence_ekfac", sign="positive_helps", scale="loss", source="kronfluence, strategy ekfac, heuristic damping"
)
def kronfluence_ekfac(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``g_i . (G + damping)^{-1} g_j`` with an eigenvalue-corrected Kronecker approximation G of the curvature."""
    return _pairwise(network, examples, "ekfac")


def _pairwise(network: nn.Module, examples: Examples, strategy: str) -> torch.Tensor:
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments
    from kronfluence.task import Task

    logging.disable(logging.WARNING)

    class Attribution(Task):  # type: ignore[misc, unused-ignore]
        """The loss of the examples, as objective and as measurement."""

        def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> torch.Tensor:
            inputs, targets = batch
            outputs = model(inputs)
            if sample:
                # Targets drawn from the model itself, as the Fisher matrix of a squared loss asks.
                targets = outputs.detach() + torch.randn_like(outputs)
            return replace(examples, targets=targets).losses(lambda _: outputs).sum()

        def compute_measurement(self, batch: Any, model: nn.Module) -> torch.Tensor:
            return self.compute_train_loss(batch, model)

    items, every = (
        torch.utils.data.TensorDataset(e.inputs.float(), e.targets.float()) for e in (examples.items, examples)
    )
    task = Attribution()
    model = prepare_model(copy.deepcopy(network).float(), task)
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("bench", model, task, cpu=True, disable_tqdm=True, output_dir=folder)
        factor_arguments, P, N = FactorArguments(strategy=strategy), len(items), len(every)
        analyzer.fit_all_factors("factors", items, per_device_batch_size=P, factor_args=factor_arguments)
        analyzer.compute_pairwise_scores(
            "scores", "factors", every, items, per_device_query_batch_size=N, per_device_train_batch_size=P
        )
        scores: torch.Tensor = analyzer.load_pairwise_scores("scores")["all_modules"]
    return scores.double().T  # (queries, items) there
