"""Networks beyond the closed forms, each trained from several seeds: the kernel along their paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench import theory
from workbench.bench.run import ChainNetwork, Examples, example_gradients
from workbench.bench.training import Training
from workbench.influence import MEASURES
from workbench.networks import Activation, Network, network
from workbench.semantics import SemanticTask
from workbench.simulation import Adam, GradientDescent, Momentum, Optimizer, Recipe, Schedule, train_networks

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """A network and how it is trained.

    Attributes:
        family, strength: what is varied, and how much of it.
        init: start. depth, hidden, activation: of the network.
        optimizer, batch_size: rule and items a step; None: all.
        loss: ``"cross_entropy"``: of sigmoid outputs.
        step: learning rate times the largest singular value of the task; of Adam the learning rate itself.
        length: of training, over the settling time of the network were it linear; of Adam in its own time.
    """

    family: str
    strength: str
    init: str = "gaussian:0.05"
    depth: int = 2
    hidden: int = 16
    activation: Activation = "linear"
    optimizer: Optimizer = field(default_factory=GradientDescent)
    batch_size: int | None = None
    loss: Literal["squared", "cross_entropy"] = "squared"
    step: float = 0.03
    length: float = 1.0

    @property
    def name(self) -> str:
        """Of its row."""
        return f"{self.family} {self.strength}".strip()

    @property
    def predicted(self) -> bool:
        """Whether a gradient flow predicts it."""
        plain = isinstance(self.optimizer, GradientDescent) and self.batch_size is None
        return plain and self.activation == "linear" and self.loss == "squared"


VARIANTS: tuple[Variant, ...] = (
    Variant("plain", ""),
    *(Variant("batches of", str(size), batch_size=size) for size in (4, 2, 1)),
    *(Variant("momentum", f"{mu:g}", optimizer=Momentum(mu)) for mu in (0.9, 0.99)),
    Variant("Adam", "", optimizer=Adam(), step=0.004, length=1.0),
    Variant("Adam, batches of", "2", optimizer=Adam(), batch_size=2, step=0.004, length=1.0),
    *(Variant("layers", str(d), f"gaussian:{s:g}", depth=d) for d, s in ((3, 0.15), (4, 0.22))),
    *(Variant("start", f"{s:g}", f"gaussian:{s:g}") for s in (0.01, 0.2, 0.5, 1.0)),
    Variant("ReLU", "", "gaussian:0.1", hidden=48, activation="relu", length=2.0),
    Variant("tanh", "", "gaussian:0.05", hidden=32, activation="tanh", length=1.3),
    Variant("cross-entropy", "", "gaussian:0.1", loss="cross_entropy", length=1.3),
)


def kernels(task: SemanticTask, variant: Variant, seeds: int, points: int) -> tuple[Array, Array, Array | None]:
    """Times ``(T,)`` and influence ``(S, T, P, P)`` of trained networks, and of the predicted flow if there is one."""
    hidden = max(variant.hidden, min(task.n_items, task.n_outputs))
    starts = [network(task, hidden, variant.init, variant.depth, variant.activation, seed) for seed in range(seeds)]
    recipe = recipe_of(variant, starts, points)
    if variant.loss == "cross_entropy":
        return recipe.schedule.times, _cross_entropy(starts, recipe), None
    trained = train_networks(starts, recipe)
    measured = np.stack([MEASURES["gradient_kernel"](run).values for run in trained])
    predicted = None
    if variant.predicted:
        flows = [theory.predict(start, recipe.schedule.times) for start in starts]
        predicted = np.stack([MEASURES["gradient_kernel"](flow).values for flow in flows])
    return recipe.schedule.times, measured, predicted


def recipe_of(variant: Variant, starts: list[Network], points: int) -> Recipe:
    """Long enough for all seeds."""
    s_max = float(starts[0].modes.s[0])
    if isinstance(variant.optimizer, Adam):
        end, eta = 1.2 * variant.length, variant.step
    else:
        linear = [network(one.task, one.hidden, variant.init, variant.depth, seed=one.seed) for one in starts]
        end, eta = variant.length * max(theory.settling_time(one) for one in linear), variant.step / s_max
        eta *= (s_max / starts[0].modes.c) ** (2 / variant.depth - 1)
    return Recipe(Schedule.even(end, points, eta), variant.optimizer, variant.batch_size)


def _cross_entropy(starts: list[Network], recipe: Recipe) -> Array:
    """``-K`` of sigmoid outputs and their cross-entropy, ``(S, T, P, P)``; targets must lie between 0 and 1."""
    task = starts[0].task
    targets = np.clip(task.Y / np.abs(task.Y).max(), 0.0, 1.0)
    items = Examples(task.items, torch.tensor(task.X.T), torch.tensor(targets.T), "cross_entropy")
    net = ChainNetwork(starts[0].weights, starts[0].activation)
    paths = Training(net, items, items, recipe).weights(torch.tensor(np.stack([one.flat for one in starts])))
    influence = [[_kernel(net.with_weights(torch.tensor(w)), items) for w in path] for path in paths]
    return -np.array(influence)


def _kernel(net: ChainNetwork, items: Examples) -> Array:
    g = example_gradients(net, items).detach().numpy()
    return np.asarray(g @ g.T)


def variants_for(task: SemanticTask) -> list[Variant]:
    """Those whose mini-batches are smaller than the task."""
    return [variant for variant in VARIANTS if (variant.batch_size or 0) < task.n_items]
