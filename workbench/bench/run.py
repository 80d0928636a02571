"""What a method of attribution gets to see: a training run as a practitioner has it, and nothing of the truth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.errors import WorkbenchError

Array = NDArray[np.float64]
Loss = Literal["squared", "cross_entropy"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples, and what a network's loss on each of them is.

    Attributes:
        names: N names.
        inputs: ``(N, n_in)``, one row an example.
        targets: ``(N, n_out)``.
        loss: ``"squared"``: ``|y - f(x)|^2 / 2``; ``"cross_entropy"``: binary cross-entropy of sigmoid outputs, summed
            over outputs.
        trained: how many of them, from the first, are training items; None: all.
    """

    names: tuple[str, ...]
    inputs: torch.Tensor
    targets: torch.Tensor
    loss: Loss = "squared"
    trained: int | None = None

    @property
    def items(self) -> Examples:
        """The training items among them."""
        return self[: self.trained]

    def losses(self, network: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """``(N,)`` losses of a network, or of any function of the inputs; differentiable in its parameters."""
        outputs = network(self.inputs)
        if self.loss == "squared":
            return (outputs - self.targets).square().sum(dim=1) / 2
        return nn.functional.binary_cross_entropy_with_logits(outputs, self.targets, reduction="none").sum(dim=1)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, chosen: slice) -> Examples:
        return Examples(self.names[chosen], self.inputs[chosen], self.targets[chosen], self.loss)

    def followed_by(self, others: Examples) -> Examples:
        """These examples, then the others."""
        inputs, targets = torch.cat([self.inputs, others.inputs]), torch.cat([self.targets, others.targets])
        return Examples(self.names + others.names, inputs, targets, self.loss, trained=len(self))


@dataclass(frozen=True, eq=False)
class Run:
    """One training run.

    Attributes:
        checkpoints: T networks, from the first to the last; a method may not change them.
        steps: ``(T,)`` training steps done at each checkpoint.
        times: ``(T,)`` flow times, learning rate x steps.
        items: the P training items.
        queries: Q held-out examples whose losses are to be attributed, too.
        eta: learning rate.
        optimizer: ``"gd"``, ``"momentum"`` or ``"adam"``.
        batches: items of each step, in order; None where every step sees all items.
    """

    checkpoints: tuple[nn.Module, ...]
    steps: NDArray[np.int64]
    times: Array
    items: Examples
    queries: Examples
    eta: float
    optimizer: str = "gd"
    batches: tuple[NDArray[np.int64], ...] | None = None

    @property
    def examples(self) -> Examples:
        """Items, then queries: the P + Q targets of influence."""
        return self.items.followed_by(self.queries)


class ChainNetwork(nn.Module):
    """``f(x) = W_D phi(W_{D-1} ... phi(W_1 x))`` as a torch module, without biases.

    Args:
        weights: D layers ``(n_l, n_{l-1})``.
        activation: of the hidden layers: ``"linear"``, ``"relu"`` or ``"tanh"``.
    """

    def __init__(self, weights: Sequence[Array], activation: str = "linear") -> None:
        super().__init__()
        activations = {"linear": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh}
        if activation not in activations:
            raise WorkbenchError(f"activation {activation!r} is unknown; use {', '.join(activations)}")
        layers: list[nn.Module] = []
        for W in weights:
            layer = nn.Linear(W.shape[1], W.shape[0], bias=False, dtype=torch.float64)
            layer.weight = nn.Parameter(torch.tensor(W, dtype=torch.float64))
            layers += [layer, activations[activation]()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """``(N, n_in)`` to ``(N, n_out)``."""
        outputs: torch.Tensor = self.layers(inputs)
        return outputs

    def representations(self, inputs: torch.Tensor) -> torch.Tensor:
        """``(N, n_{D-1})`` activities of the last hidden layer; the inputs themselves where there is none."""
        hidden: torch.Tensor = self.layers[:-1](inputs)
        return hidden

    def with_weights(self, flat: torch.Tensor) -> ChainNetwork:
        """The same network with other weights, ``(n_weights,)``."""
        other = copy.deepcopy(self)
        nn.utils.vector_to_parameters(flat, other.parameters())
        return other

    def shuffled(self, generator: torch.Generator) -> ChainNetwork:
        """The same network with the weights within every layer in random order."""
        other = copy.deepcopy(self)
        for weight in other.parameters():
            order = torch.randperm(weight.numel(), generator=generator)
            weight.data = weight.data.reshape(-1)[order].reshape(weight.shape)
        return other


def example_gradients(network: nn.Module, examples: Examples) -> torch.Tensor:
    """``(N, n_weights)`` gradients of the losses of the examples, by automatic differentiation, parameters in order."""
    parameters = list(network.parameters())
    rows = []
    for loss in examples.losses(network):
        grads = torch.autograd.grad(loss, parameters, retain_graph=True)
        rows.append(torch.cat([g.reshape(-1) for g in grads]))
    return torch.stack(rows)
