"""Influence between layers of unequal size, and what is left of a flip from rich to lazy."""

import numpy as np
import pytest

from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.theory.influence.damped_newton import damped_newton
from workbench.theory.influence.gradient_kernel import gradient_kernel, gradient_kernel_from_weights
from workbench.theory.influence.unbalanced import (
    harm_over_help,
    unbalanced_kernel,
    unbalanced_newton,
    unbalanced_pair_blocks,
)
from workbench.theory.modes.unbalanced_weights import mode_weights
from workbench.theory.posterior.dense_posterior import hessian


def repeated_rows():
    Y = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=float)
    return SemanticTask("repeated", tuple("abcde"), tuple("wxyz"), Y)


def state(task, lam, t=3.0):
    modes = network(task, 8, "balanced:0.02").modes
    w1, w2 = (w[0] for w in mode_weights(np.array([[t]]), modes.s, c=modes.c, a0=0.02, lam=lam))
    V_in = task.X @ modes.V[:, : modes.rank] / np.sqrt(modes.c * task.n_items)
    R = np.linalg.qr(np.random.default_rng(0).standard_normal((modes.rank, modes.rank)))[0]
    return modes, w1, w2, (R * w1) @ V_in.T, (modes.U * w2) @ R.T


def item_gradients(task, W1, W2):
    R, H = task.Y - W2 @ W1 @ task.X, W1 @ task.X
    first = -np.einsum("hi,ni->ihn", W2.T @ R, task.X).reshape(task.n_items, -1)
    return np.concatenate([first, -np.einsum("oi,hi->ioh", R, H).reshape(task.n_items, -1)], axis=1)


@pytest.mark.parametrize("task", [task_from_spec("tree:2,2"), repeated_rows()], ids=["tree", "null modes"])
@pytest.mark.parametrize("lam", [-0.8, 0.0, 0.4, 6.0])
def test_kernel_and_damped_influence_are_those_of_dense_matrices(task, lam):
    modes, w1, w2, W1, W2 = state(task, lam)
    explicit = gradient_kernel_from_weights(task.X, task.Y, W1[None], W2[None])[0]
    np.testing.assert_allclose(unbalanced_kernel(modes, w1[None], w2[None])[0], explicit, atol=1e-13)
    H, g = hessian(task.X, task.Y, W1, W2), item_gradients(task, W1, W2)
    damping = 0.1 + max(0.0, -float(np.linalg.eigvalsh(H)[0]))
    expected = -g @ np.linalg.solve(H + damping * np.eye(len(H)), g.T)
    np.testing.assert_allclose(unbalanced_newton(modes, w1, w2, damping=damping), expected, atol=1e-11)


@pytest.mark.parametrize("lam", [-0.8, 0.4])
def test_the_blocks_of_the_modes_are_part_of_the_dense_spectrum(lam):
    task = task_from_spec("tree:2,2")
    modes, w1, w2, W1, W2 = state(task, lam)
    dense = np.linalg.eigvalsh(hessian(task.X, task.Y, W1, W2))
    pairs, own = unbalanced_pair_blocks(modes.s, modes.c, w1, w2)
    first, second = np.triu_indices(modes.rank, 1)
    ours = np.concatenate([np.linalg.eigvalsh(pairs[first, second]).ravel(), np.linalg.eigvalsh(own).ravel()])
    rest = np.repeat(modes.c * w1**2, task.n_outputs - modes.rank)
    np.testing.assert_allclose(np.sort(np.concatenate([ours, rest])), dense, atol=1e-13)


def test_without_imbalance_it_is_the_balanced_influence():
    task = task_from_spec("tree")
    modes, w1, w2, *_ = state(task, 0.0)
    a = (w1 * w2)[None]
    np.testing.assert_allclose(unbalanced_kernel(modes, w1[None], w2[None]), gradient_kernel(modes, a), atol=1e-13)
    balanced = damped_newton(modes, a, np.zeros(1), damping=0.9, hidden=8, active=8)[0]
    np.testing.assert_allclose(unbalanced_newton(modes, w1, w2, damping=0.9), balanced, atol=1e-12)


def test_the_cousins_flip_fades_with_the_imbalance_and_never_quite_disappears():
    modes = network(task_from_spec("tree"), 8, "balanced:0.01").modes
    lam = np.array([0.01, 0.3, 1.0, 3.0, 10.0])
    left = harm_over_help(modes, 0, 2, lam, a0=0.01)
    assert (np.diff(left) < 0).all() and (left > 0).all()
