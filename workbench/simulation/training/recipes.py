"""How a network is trained: schedule, rule, mini-batches; and which item counts how much when."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.training.learning_rate import learning_rate
from workbench.simulation.training.optimizers import GradientDescent, Optimizer
from workbench.simulation.training.schedule import Schedule

Array = NDArray[np.float64]
Items = NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        schedule: checkpoints and learning rate.
        optimizer: the rule; one step is worth ``eta`` of flow time under all but `Adam`.
        batch_size: items per step, None for all. The loss of a step is the mean over its batch of the weighted item
            losses. Every epoch visits every item once; its last batch may be smaller.
        batch_seed: of the order of the items. The batches depend on nothing else: runs with other starts or item
            weights see the same ones.
    """

    schedule: Schedule
    optimizer: Optimizer = field(default_factory=GradientDescent)
    batch_size: int | None = None
    batch_seed: int = 0

    @property
    def steady(self) -> bool:
        """Whether every step is the same function of weights and memory: full batches, and a rule that counts none."""
        return self.batch_size is None and not self.optimizer.counts

    def batches(self, n_items: int) -> Iterator[Items | None]:
        """The items of step 1, 2, ... without end; None for all items."""
        size = self.batch_size
        if size is None:
            while True:
                yield None
        if not 1 <= size <= n_items:
            raise WorkbenchError(f"batch size {size} for {n_items} items; give 1 to {n_items}, or None for all items")
        epoch = 0
        while True:
            order = np.random.default_rng([self.batch_seed, 0xBA7C, epoch]).permutation(n_items)
            yield from (np.sort(order[first : first + size]) for first in range(0, n_items, size))
            epoch += 1


@dataclass(frozen=True, eq=False)
class ItemWeights:
    """Factors of the item losses of R runs, constant between given steps.

    Attributes:
        begins: ``(S,)`` step counts, ascending from 0, after which each row of ``values`` holds.
        values: ``(S, R, P)`` factors; 1 keeps an item, 0 leaves it out.
    """

    begins: tuple[int, ...]
    values: Array

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or len(self.begins) != len(self.values) or self.begins[:1] != (0,):
            raise WorkbenchError(
                f"item weights of shape {self.values.shape} from steps {self.begins[:3]}...; give (phases, runs, "
                "items) and one step for each phase, the first 0"
            )

    @classmethod
    def constant(cls, values: ArrayLike) -> ItemWeights:
        """``(R, P)`` factors that hold throughout."""
        return cls((0,), np.asarray(values, dtype=np.float64)[None])

    def phase(self, done: int) -> tuple[int, int]:
        """The row of ``values`` that holds for the next step when so many are done, and the step count it ends at."""
        row = bisect_right(self.begins, done) - 1
        return row, self.begins[row + 1] if row + 1 < len(self.begins) else sys.maxsize

    @property
    def runs(self) -> int:
        """R."""
        return int(self.values.shape[1])

    def of(self, runs: slice) -> ItemWeights:
        """Those of some runs."""
        return ItemWeights(self.begins, self.values[:, runs])


def as_recipe(training: Recipe | Schedule | ArrayLike, network: Network, eta: float | None = None) -> Recipe:
    """A recipe itself, of a schedule, or of flow times with a learning rate; see `descent.train`."""
    if isinstance(training, Recipe):
        return training
    if isinstance(training, Schedule):
        return Recipe(training)
    return Recipe(Schedule.at(training, learning_rate(network, 0.01) if eta is None else eta))
