"""A study: one question about influence over training, answered with numbers, a figure, and claims that can fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from workbench.errors import WorkbenchError
from workbench.influence import Bar, no_bar
from workbench.semantics import SemanticTask, task_from_spec

Relation = Literal["<=", ">="]


@dataclass(frozen=True)
class Inquiry:
    """What a study is asked to do.

    Attributes:
        task: the task to study; None: the study's own choice (the default tree, unless it says otherwise).
        quick: fewer seeds and times, for a first look.
        seed: of everything random.
        bar: opens progress bars.
    """

    task: SemanticTask | None = None
    quick: bool = False
    seed: int = 0
    bar: Bar = no_bar

    def task_or(self, spec: str) -> SemanticTask:
        """The task asked for, or the one that ``spec`` names."""
        return task_from_spec(spec, seed=self.seed) if self.task is None else self.task

    def tree_or(self, spec: str) -> SemanticTask:
        """The same, where the study needs a tree.

        Raises:
            WorkbenchError: for a task without one.
        """
        task = self.task_or(spec)
        if task.common_ancestor_level is None:
            raise WorkbenchError(f"task {task.name!r} has no tree, which this study needs; use a tree such as tree:3,2")
        return task

    def allow(self, least: int, most: int, why: str) -> None:
        """Refuse a task of the user's of fewer or more items, in one line with the reason.

        Raises:
            WorkbenchError: for such a task.
        """
        if self.task is not None and not least <= self.task.n_items <= most:
            raise WorkbenchError(
                f"task {self.task.name!r} has {self.task.n_items} items, and this study takes {least} to {most}: {why}"
            )


@dataclass(frozen=True)
class StudyClaim:
    """A sentence that a study puts to the test.

    Attributes:
        sentence: what is claimed.
        value: the number that decides.
        relation, bound: the claim holds where ``value relation bound``; a value that is no number fails.
        reason: why this bound.
    """

    sentence: str
    value: float
    relation: Relation
    bound: float
    reason: str

    @property
    def holds(self) -> bool:
        """Whether it does."""
        below = bool(np.isfinite(self.value)) and self.value <= self.bound
        return below if self.relation == "<=" else bool(np.isfinite(self.value)) and self.value >= self.bound

    def __str__(self) -> str:
        """The sentence with its numbers and the reason."""
        return f"{self.sentence} ({self.value:.4g} {self.relation} {self.bound:.4g}; {self.reason})"


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Attributes:
        finding: one sentence with its numbers.
        dataset: every number that is drawn or claimed, labelled.
        draw: makes the figure from the dataset alone.
        caption, alt: of the figure.
        claims: each can fail; one that does is part of the finding.
    """

    finding: str
    dataset: xr.Dataset
    draw: Callable[[xr.Dataset], Figure]
    caption: str
    alt: str
    claims: Sequence[StudyClaim] = field(default_factory=tuple)


@dataclass(frozen=True)
class Study:
    """One question.

    Attributes:
        name: on the command line.
        question: in a line.
        answer: ``answer(inquiry) -> StudyResult``.
        own_task: whether it can be asked of a table or tree of the user's; if not, why, in a line.
    """

    name: str
    question: str
    answer: Callable[[Inquiry], StudyResult]
    own_task: str = "yes"

    @property
    def method(self) -> str:
        """How it is answered: the first paragraph about it in its file."""
        about = sys.modules[self.answer.__module__].__doc__ or ""
        return " ".join(about.split("\n\n")[0].split())

    def run(self, inquiry: Inquiry) -> StudyResult:
        """Answer, after refusing a task that the study cannot be asked of."""
        if inquiry.task is not None and self.own_task != "yes":
            raise WorkbenchError(f"study {self.name} takes no task of your own: {self.own_task}")
        return self.answer(inquiry)
