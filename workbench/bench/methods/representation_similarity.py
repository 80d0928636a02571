"""Similarity of the last hidden layer: what looks alike to the network is taken to help."""

from __future__ import annotations

import torch
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import ChainNetwork, Examples


@method("representation_similarity", scale="1: minus the cosine between two hidden representations")
def representation_similarity(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``-h_i . h_j / |h_i| |h_j|``, h the activities of the last hidden layer."""
    assert isinstance(network, ChainNetwork)
    h = nn.functional.normalize(network.representations(examples.inputs), dim=1, eps=1e-300)
    return -h @ h.T
