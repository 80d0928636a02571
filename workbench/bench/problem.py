"""Problems: small training runs whose influence is known to rounding, each a frozen, seeded specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.semantics import Hierarchy, SemanticTask, rumelhart_task, task_from_spec

Array = NDArray[np.float64]
Levels = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """A training problem of the bench.

    Attributes:
        name: of its rows in the tables.
        words: what is special about it, in a line.
        task: makes the task.
        init: ``balanced:a0`` (linear networks) or ``gaussian:sigma``.
        depth, hidden, activation: of the network.
        loss: ``"squared"`` or ``"cross_entropy"`` (sigmoid outputs).
        optimizer: ``"gd"``, ``"momentum"`` or ``"adam"``.
        batch_size: items a step; None: all.
        eta: learning rate.
        t_max: flow time of the last checkpoint, learning rate x steps.
        checkpoints: T, evenly spaced from the start.
        subsets: how many random halves of the items are trained for the linear datamodelling score.
        spec: what makes the problem again: its name, or the task specification of a user's own.
    """

    name: str
    words: str
    task: Callable[[], SemanticTask]
    init: str = "balanced:0.01"
    depth: int = 2
    hidden: int = 16
    activation: Literal["linear", "relu", "tanh"] = "linear"
    loss: Literal["squared", "cross_entropy"] = "squared"
    optimizer: Literal["gd", "momentum", "adam"] = "gd"
    batch_size: int | None = None
    eta: float = 0.05
    t_max: float = 24.0
    checkpoints: int = 25
    subsets: int = 32
    spec: str = ""


def _tree() -> SemanticTask:
    return Hierarchy((2, 2, 2)).indicator_task()


def _noisy_tree() -> SemanticTask:
    """Three and two children, with independent normal noise of .15 on every property of every item, seeded."""
    task = Hierarchy((3, 2)).indicator_task()
    noise = np.random.default_rng(20251).normal(0.0, 0.15, task.Y.shape)
    return replace(task, name="noisy tree 3,2", Y=task.Y + noise)


#: The problems by name.
PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        Problem("tree", "the 2,2,2 tree, two linear layers, balanced small start: every closed form holds", _tree),
        Problem("noisy_tree", "a 3,2 tree with noise on every property: symmetric only in the mean", _noisy_tree),
        Problem("table", "the 8-item table of Rumelhart: a hierarchy that is only approximate", rumelhart_task),
        Problem("gaussian", "the tree from independent normal weights", _tree, init="gaussian:0.1"),
        Problem(
            "lazy",
            "the tree from large normal weights: the kernel hardly changes",
            _tree,
            init="gaussian:1",
            eta=0.02,
            t_max=12.0,
        ),
        Problem("deep", "the tree with three linear layers", _tree, init="balanced:0.03", depth=3, t_max=36.0),
        Problem("relu", "the tree with a ReLU hidden layer", _tree, init="gaussian:0.2", activation="relu", hidden=32),
        Problem(
            "cross_entropy",
            "the tree with sigmoid outputs and cross-entropy",
            _tree,
            init="gaussian:0.1",
            loss="cross_entropy",
            t_max=30.0,
        ),
        Problem(
            "adam",
            "the tree, mini-batches of 4 and Adam",
            _tree,
            init="gaussian:0.1",
            optimizer="adam",
            batch_size=4,
            eta=0.002,
            t_max=0.8,
        ),
        Problem(
            "tree64",
            "a 4,4,4 tree of 64 items",
            lambda: task_from_spec("tree:4,4,4"),
            hidden=64,
            t_max=200.0,
            eta=0.4,
            subsets=32,
        ),
    )
}

#: Named sets of problems.
SUITES: dict[str, tuple[str, ...]] = {
    "small": ("tree", "table", "relu"),
    "full": tuple(PROBLEMS),
}


def problem_of(text: str) -> Problem:
    """A problem by name, or one made of the user's own table or tree (a task specification), with the tree's settings.

    Its time and learning rate are chosen as `workbench.compare` does.
    """
    if text in PROBLEMS:
        return PROBLEMS[text]
    try:
        task = task_from_spec(text)
    except WorkbenchError as error:
        raise WorkbenchError(
            f"problem {text!r}: no problem of the bench ({', '.join(PROBLEMS)}), and {error}"
        ) from None
    from workbench.networks import network
    from workbench.theory import settling_time

    start = network(task, hidden=max(16, min(task.n_items, task.n_outputs)), init="auto")
    t_max = float(f"{settling_time(start):.2g}")
    s_max = float(start.modes.s[0])
    return Problem(
        task.name,
        f"the task {text}",
        lambda: task,
        init=str(start.init),
        hidden=start.hidden,
        t_max=t_max,
        eta=0.025 / s_max,
        spec=text,
    )


@dataclass(frozen=True, eq=False)
class Queries:
    """Held-out examples of a task.

    Attributes:
        names: Q names.
        X: ``(N_i, Q)`` inputs. Y: ``(N_o, Q)`` targets.
        level: ``(P, Q)`` level of the common ancestor of an item and a query; groups of likeness without a tree.
    """

    names: tuple[str, ...]
    X: Array
    Y: Array
    level: Levels


def queries_of(task: SemanticTask) -> Queries:
    """New leaves of the tree: an unseen child of every lowest branch; for a table, one between an item and its likest.

    The new leaf is shown to the network as the mean of its siblings' inputs, and is to have every property on which
    they agree; of its own it has none.
    """
    groups = _lowest_branches(task)
    X = np.stack([task.X[:, group].mean(axis=1) for group in groups], axis=1)
    agreed = [np.ptp(task.Y[:, group], axis=1) <= 0.5 * np.abs(task.Y).max() for group in groups]
    Y = np.stack([np.where(a, task.Y[:, g].mean(axis=1), 0.0) for a, g in zip(agreed, groups, strict=True)], axis=1)
    names = tuple("new, like " + " and ".join(task.items[i] for i in group) for group in groups)
    ancestor = task.common_ancestor_level
    if ancestor is None:
        return Queries(names, X, Y, _thirds(_cosine(task.Y, Y)))
    depth = int(ancestor.max())
    level = np.stack([np.minimum(ancestor[:, group].max(axis=1), depth - 1) for group in groups], axis=1)
    return Queries(names, X, Y, level)


def pair_levels(task: SemanticTask) -> Levels:
    """``(P, P)`` level of the common ancestor, -1 on the diagonal; thirds by likeness (0 = least) without a tree."""
    P = task.n_items
    level = _thirds(_cosine(task.Y, task.Y)) if task.common_ancestor_level is None else task.common_ancestor_level
    return np.where(np.eye(P, dtype=bool), -1, level)


def _lowest_branches(task: SemanticTask) -> list[list[int]]:
    ancestor = task.common_ancestor_level
    if ancestor is not None:
        siblings = ancestor >= int(ancestor.max()) - 1
        return [list(map(int, group)) for group in dict.fromkeys(tuple(np.flatnonzero(row)) for row in siblings)]
    likeness = _cosine(task.Y, task.Y) - 3 * np.eye(task.n_items)
    pairs = dict.fromkeys(tuple(sorted((i, int(likeness[i].argmax())))) for i in range(task.n_items))
    return [list(pair) for pair in pairs]


def _cosine(A: Array, B: Array) -> Array:
    lengths = np.outer(np.linalg.norm(A, axis=0), np.linalg.norm(B, axis=0))
    return np.asarray(A.T @ B / np.maximum(lengths, 1e-300))


def _thirds(likeness: Array) -> Levels:
    low, high = np.quantile(likeness[likeness < 1 - 1e-12], [1 / 3, 2 / 3])
    return np.asarray((likeness > low).astype(np.int64) + (likeness > high))
