"""Symmetry of the task decides which influence curves coincide."""

from itertools import permutations

import numpy as np
import pytest

from workbench.networks import network
from workbench.semantics import SemanticTask, rumelhart_task, singular_modes, task_from_spec
from workbench.theory.flow.aligned import mode_strengths
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.theory.influence.leave_one_out import leave_one_out
from workbench.theory.influence.symmetry import influence_classes
from workbench.theory.influence.trajectory_derivative import trajectory_derivative

TIMES = np.array([1.0, 6.0, 12.0])


def table(Y):
    Y = np.asarray(Y, dtype=float)
    return SemanticTask("table", tuple(f"item {k}" for k in range(Y.shape[1])), tuple(map(str, range(len(Y)))), Y)


def ring(P=6):
    return table(np.eye(P) + np.roll(np.eye(P), 1, axis=0) + np.ones((1, P)))


def with_gram(gram):
    values, vectors = np.linalg.eigh(gram)
    return table((vectors * np.sqrt(np.clip(values, 0, None))).T)


def shrikhande():
    """Strongly regular, 16 vertices; its automorphisms split the non-neighbours, the colours cannot."""
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    nodes = [(a, b) for a in range(4) for b in range(4)]
    A = np.array([[((a - x) % 4, (b - y) % 4) in steps for x, y in nodes] for a, b in nodes], dtype=float)
    return with_gram(A + 4 * np.eye(16)), A


def orbits(gram):
    """Orbits of ordered pairs by trying every permutation of the items."""
    P = len(gram)
    kept = [np.array(p) for p in permutations(range(P)) if np.allclose(gram[np.ix_(p, p)], gram)]
    return np.array([[min(int(p[i] * P + p[j]) for p in kept) for j in range(P)] for i in range(P)])


def same_partition(first, second):
    return (
        len(np.unique(np.stack([first.ravel(), second.ravel()]), axis=1).T)
        == len(np.unique(first))
        == len(np.unique(second))
    )


def spread_within_classes(curves, classes):
    return max(float(np.ptp(curves[:, classes == label], axis=1).max()) for label in np.unique(classes))


def test_on_a_symmetric_tree_the_class_is_the_level_of_the_common_ancestor():
    task = task_from_spec("tree:2,3")
    assert np.array_equal(influence_classes(task), task.tree.common_ancestor_level)


@pytest.mark.parametrize("seed", range(12))
def test_classes_of_small_tables_are_the_orbits_of_all_permutations(seed):
    rng = np.random.default_rng(seed)
    P = int(rng.integers(3, 7))
    task = table(np.vstack([rng.integers(0, 2, (2, P)), np.ones((1, P))]))
    assert same_partition(influence_classes(task), orbits(task.Y.T @ task.Y))


@pytest.mark.parametrize("P", [5, 6])
def test_classes_of_a_ring_are_its_distances(P):
    step = np.abs(np.subtract.outer(np.arange(P), np.arange(P)))
    assert same_partition(influence_classes(ring(P)), np.minimum(step, P - step))
    assert same_partition(influence_classes(ring(P)), orbits(ring(P).Y.T @ ring(P).Y))


def test_a_tree_without_its_tree_has_the_same_classes():
    task = task_from_spec("tree")
    assert same_partition(influence_classes(table(task.Y)), influence_classes(task))


def test_identical_items_are_exchangeable_but_not_the_same_item():
    classes = influence_classes(table([[1, 1, 0], [0, 0, 1]]))
    assert classes[0, 0] == classes[1, 1] != classes[0, 1] == classes[1, 0]
    assert classes[0, 2] == classes[1, 2] != classes[2, 0]


def test_a_table_with_exceptions_has_no_symmetry():
    assert len(np.unique(influence_classes(rumelhart_task()))) == 64


@pytest.mark.parametrize(
    "task",
    [
        task_from_spec("tree"),
        task_from_spec("tree:3,2"),
        ring(),
        table(np.eye(3).repeat(2, axis=1)),
        shrikhande()[0],
    ],
    ids=["tree", "tree 3,2", "ring", "pairs of twins", "Shrikhande graph"],
)
def test_the_measures_of_the_theory_are_equal_on_the_classes(task):
    classes, modes = influence_classes(task), singular_modes(task)
    start = network(task, modes.rank, "balanced:0.01")
    kernel = gradient_kernel(modes, mode_strengths(start, TIMES))
    derivative = trajectory_derivative(modes, TIMES, a0=0.01)
    for curves in (kernel, derivative):
        # Rounding of sums over P^2 terms.
        assert spread_within_classes(curves, classes) < 1e-12 * np.abs(curves).max()
    removal = leave_one_out(start, TIMES, rtol=1e-11)
    # The integrator's tolerance.
    assert spread_within_classes(removal, classes) < 1e-8 * np.abs(removal).max()


def test_influence_differs_between_the_classes_of_a_ring():
    classes = influence_classes(ring())
    derivative = trajectory_derivative(singular_modes(ring()), TIMES, a0=0.01)
    means = np.array([derivative[:, classes == label].mean(axis=1) for label in np.unique(classes)])
    assert (np.abs(means[:, None] - means[None])[np.triu_indices(len(means), 1)].max(axis=1) > 1e-3).all()
