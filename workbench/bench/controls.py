"""Controls: what knows nothing, or the wrong thing. A table in which one of them does not come last is wrong."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples, Run, example_gradients

Array = NDArray[np.float64]


@method("zero", source="control: no influence anywhere", control=True)
def zero(run: Run) -> Array:
    """0."""
    return np.zeros((len(run.checkpoints), len(run.items), len(run.examples)))


@method("random", source="control: independent normal numbers, seeded by the run", control=True)
def random(run: Run) -> Array:
    """Standard normal numbers that depend on the run's first weights alone."""
    first = torch.cat([p.detach().reshape(-1) for p in run.checkpoints[0].parameters()]).numpy()
    rng = np.random.default_rng(np.frombuffer(first.tobytes(), dtype=np.uint32))
    return rng.standard_normal((len(run.checkpoints), len(run.items), len(run.examples)))


@method("identity", source="control: an item helps itself and nobody else", control=True)
def identity(run: Run) -> Array:
    """-1 for an item and itself."""
    return np.tile(-np.eye(len(run.items), len(run.examples)), (len(run.checkpoints), 1, 1))


@method(
    "minus_kernel", scale="loss^2 / weight^2", source="control: the gradient kernel with its sign wrong", control=True
)
def minus_kernel(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``+g_i . g_j``."""
    g = example_gradients(network, examples)
    return g @ g.T


@method(
    "final_gradients",
    scale="loss^2 / weight^2",
    source="control: every stage scored with the last checkpoint's gradients, a bug once found in a public library",
    control=True,
)
def final_gradients(run: Run) -> Array:
    """``-g_i . g_j`` of the last checkpoint, whatever the time."""
    g = example_gradients(run.checkpoints[-1], run.examples)
    last = -(g @ g.T).detach().numpy()
    return np.tile(last[: len(run.items)], (len(run.checkpoints), 1, 1))
