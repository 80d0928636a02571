"""What a measure is handed besides its trajectory and its options: where and how to work, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

if TYPE_CHECKING:
    from workbench.simulation import Recipe, Schedule

#: ``bar(title, total)`` opens a progress bar and yields a function that advances it.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]
Progress = Callable[[int], Any]
Precision = Literal["float32", "float64"]

#: Parts of a flow, integrated in steps that nobody knows beforehand, that its progress bar counts.
PARTS = 1000


def no_bar(title: str, total: int) -> AbstractContextManager[Callable[[int], Any]]:
    """The silent progress bar."""
    return nullcontext(lambda done: None)


@dataclass(frozen=True)
class Work:
    """How a measure works.

    Attributes:
        bar: opens progress bars.
        slot: where unfinished work is kept, and gone on with.
        device: of the simulated side, ``"cpu"`` or ``"cuda"``.
        precision: of sampled chains; training is always float64.
        recipe: of retraining: schedule, rule and mini-batches; None: gradient descent at the trajectory's own learning
            rate. The flow times must be the trajectory's.
        twice: the recipe at twice the learning rate, for measures that extrapolate from both to none; or None.
        seed: of everything random.
    """

    bar: Bar = no_bar
    slot: Slot = NOWHERE
    device: str = "cpu"
    precision: Precision = "float64"
    recipe: Recipe | None = None
    twice: Recipe | None = None
    seed: int = 0

    def retraining(self, trajectory: Trajectory) -> Recipe:
        """The recipe of a retraining that must meet the trajectory's checkpoints."""
        from workbench.simulation import Recipe

        recipe = self.recipe or Recipe(schedule_of(trajectory))
        here, there = recipe.schedule.times, trajectory.times
        if here.shape != there.shape or not np.allclose(here, there, rtol=1e-9, atol=0):
            raise WorkbenchError(
                "the schedule's flow times differ from the trajectory's checkpoints; use Schedule.finer"
            )
        return recipe


def schedule_of(trajectory: Trajectory) -> Schedule:
    """The schedule that a trained trajectory followed."""
    from workbench.simulation import Schedule

    if trajectory.side != "trained":
        raise WorkbenchError("a predicted trajectory has no learning rate; train one with workbench.simulation.train")
    return Schedule.at(trajectory.times, trajectory.eta)


def in_parts(advance: Progress) -> Callable[[float], None]:
    """Turn a fraction done into increments of 1 / `PARTS`, as progress bars count."""
    done = 0

    def report(fraction: float) -> None:
        nonlocal done
        now = int(np.clip(PARTS * fraction, done, PARTS))
        advance(now - done)
        done = now

    return report
