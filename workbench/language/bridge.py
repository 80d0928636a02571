"""The bridge: one hierarchy of items told to four networks; do the flips of the closed theory survive?

The items of a tree and their properties are learned by two-layer networks (linear; ReLU; linear with sigmoid outputs
and cross-entropy) and, as sentences "item can property", by the attention-only transformer, whose outputs are the
probabilities of the properties. In each, the influence of one item on another is minus the gradient kernel of their
losses, averaged over the pairs whose last common ancestor has the same level. The theory of the linear network says
that it turns from help to harm once for every level, the farthest pairs first. A level is learned when the network's
outputs, projected on what distinguishes the nodes of that level, have half of their final size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.language.model import Shape, Transformer
from workbench.language.study import Bar, no_bar
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation.module import ModuleLosses, gradient_kernel

Array = NDArray[np.float64]

#: Networks by name, in the order of the figure.
NETWORKS = ("linear", "ReLU", "sigmoid outputs", "transformer")


#: Training steps between looks.
_EVERY = {"linear": 3, "ReLU": 4, "sigmoid outputs": 3, "transformer": 2}


class TwoLayers(nn.Module):
    """``W2 f(W1 x)`` for one-hot items: ``(items,)`` to ``(items, properties)``."""

    def __init__(self, items: int, hidden: int, properties: int, activation: str, sigma: float, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.W1, self.W2 = (
            nn.Parameter(sigma * torch.randn(shape, generator=random, dtype=torch.float64))
            for shape in ((hidden, items), (properties, hidden))
        )
        self.activation: Callable[[torch.Tensor], torch.Tensor] = torch.relu if activation == "ReLU" else lambda x: x

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        """Outputs."""
        return torch.mm(self.W2, self.activation(self.W1[:, items])).T


@dataclass(frozen=True, eq=False)
class Curves:
    """One network over its training.

    Attributes:
        name, seed: which. times: ``(T,)``, flow time (transformer: steps of Adam).
        influence: ``(levels, T)`` minus the mean kernel over pairs by the level of their last common ancestor.
        learned: ``(levels, T)`` strength of what distinguishes the nodes of a level, 1 when learned.
    """

    name: str
    seed: int
    times: Array
    influence: Array
    learned: Array


@dataclass(frozen=True, eq=False)
class _Learner:
    model: nn.Module
    losses: Callable[[nn.Module, torch.Tensor], torch.Tensor]
    outputs: Callable[[nn.Module], torch.Tensor]
    rate: float
    adam: bool


def bridge(task: SemanticTask | None = None, seeds: int = 3, looks: int = 90, *, bar: Bar = no_bar) -> list[Curves]:
    """Train every network on the tree, ``looks`` looks at each; the same seeds everywhere."""
    tree = task or task_from_spec("tree")
    rows = []
    with bar("bridge", len(NETWORKS) * seeds * looks) as advance:
        for name in NETWORKS:
            for seed in range(seeds):
                rows.append(_curves(name, seed, tree, looks, _EVERY[name], advance))
    return rows


def _learner(name: str, seed: int, task: SemanticTask) -> _Learner:
    Y = torch.tensor(task.Y.T.copy())
    items = torch.arange(task.n_items)
    if name == "transformer":
        return _reader(task, seed)
    model = TwoLayers(task.n_items, 16, task.n_outputs, name, 0.1, seed)
    if name == "sigmoid outputs":
        entropy = nn.functional.binary_cross_entropy_with_logits

        def crossed(model: nn.Module, items: torch.Tensor) -> torch.Tensor:
            return entropy(model(items), Y[items], reduction="none").sum(dim=1)

        return _Learner(model, crossed, lambda model: model(items).sigmoid(), 0.02 * task.n_items, False)

    def squared(model: nn.Module, items: torch.Tensor) -> torch.Tensor:
        losses: torch.Tensor = 0.5 * (Y[items] - model(items)).square().sum(dim=1)
        return losses

    return _Learner(model, squared, lambda model: model(items), 0.01 * task.n_items, False)


def _reader(task: SemanticTask, seed: int) -> _Learner:
    """Sentences of three tokens; the loss of an item is the mean over the properties that it has."""
    P, N = task.n_items, task.n_outputs
    has = torch.tensor(task.Y.T > 0)
    shares = has.double() / has.sum(dim=1, keepdim=True)
    told = torch.stack([torch.arange(P), torch.full((P,), P)], dim=1)
    model = Transformer(Shape(P + 1 + N, 3, width=32, heads=2, layers=2), seed).double()

    def log_probabilities(model: nn.Module, items: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(told[items])[:, -1]
        value: torch.Tensor = torch.log_softmax(logits, dim=1)[:, P + 1 :]
        return value

    def losses(model: nn.Module, items: torch.Tensor) -> torch.Tensor:
        return -(shares[items] * log_probabilities(model, items)).sum(dim=1)

    def outputs(model: nn.Module) -> torch.Tensor:
        return log_probabilities(model, torch.arange(P)).exp() * has.sum(dim=1, keepdim=True)

    return _Learner(model, losses, outputs, 2e-3, True)


def _curves(name: str, seed: int, task: SemanticTask, looks: int, every: int, advance: Callable[[int], Any]) -> Curves:
    learner, items = _learner(name, seed, task), torch.arange(task.n_items)
    levels, projectors = _levels(task)
    parameters = list(learner.model.parameters())
    optimizer: torch.optim.Optimizer = (
        torch.optim.Adam(parameters, lr=learner.rate) if learner.adam else torch.optim.SGD(parameters, lr=learner.rate)
    )
    influence, learned = np.empty((len(projectors) - 1, looks)), np.empty((len(projectors), looks))
    for look in range(looks):
        kernel = gradient_kernel(ModuleLosses.at(learner.model, learner.losses), items)
        influence[:, look] = [kernel[levels == m].mean() for m in range(len(projectors) - 1)]
        with torch.no_grad():
            outputs = learner.outputs(learner.model).numpy().T
        learned[:, look] = [np.sum((task.Y @ H) * outputs) / np.sum((task.Y @ H) ** 2) for H in projectors]
        for _ in range(every):
            optimizer.zero_grad()
            learner.losses(learner.model, items).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        advance(1)
    unit = 1.0 if learner.adam else learner.rate
    return Curves(name, seed, unit * every * np.arange(looks, dtype=np.float64), influence, learned)


def _levels(task: SemanticTask) -> tuple[NDArray[np.int64], list[Array]]:
    """Level of the last common ancestor of every pair (-1 for an item and itself), and the projectors by level."""
    assert task.common_ancestor_level is not None
    level = np.asarray(task.common_ancestor_level).copy()
    P = len(level)
    deepest = int(level[~np.eye(P, dtype=bool)].max()) + 1
    level[np.eye(P, dtype=bool)] = deepest
    averages = [(level >= k) / (level >= k).sum(axis=1) for k in range(deepest + 1)]
    projectors = [averages[0], *(b - a for a, b in pairwise(averages))]
    return np.where(np.eye(P, dtype=bool), -1, level), projectors


#: Harm that counts, as a share of the largest influence: around zero a curve crosses without meaning it.
_CLEAR = 0.05


def flip_time(times: Array, curve: Array) -> float:
    """First time at which influence turns from help to harm and stays until it is clear harm; nan if it never does."""
    clear = _CLEAR * np.abs(curve).max()
    for i in np.flatnonzero((curve[:-1] < 0) & (curve[1:] >= 0)):
        back = np.flatnonzero(curve[i + 1 :] < 0)
        stretch = curve[i + 1 : i + 1 + back[0]] if len(back) else curve[i + 1 :]
        if stretch.max() > clear:
            return crossing_up(times[i : i + 2], curve[i : i + 2], 0.0)
    return float("nan")


def crossing_up(times: Array, curve: Array, level: float) -> float:
    """First time at which a curve comes from below a level to above it; nan if it never does."""
    k = np.flatnonzero((curve[:-1] < level) & (curve[1:] >= level))
    if not len(k):
        return float("nan")
    i = int(k[0])
    return float(times[i] + (level - curve[i]) / (curve[i + 1] - curve[i]) * (times[i + 1] - times[i]))


def in_order(curves: list[Curves]) -> dict[str, int]:
    """By network: on how many seeds every level flips, the farthest pairs first."""
    kept: dict[str, int] = {}
    for c in curves:
        flips = np.array([flip_time(c.times, row) for row in c.influence])
        kept[c.name] = kept.get(c.name, 0) + int(np.isfinite(flips).all() and (np.diff(flips) > 0).all())
    return kept
