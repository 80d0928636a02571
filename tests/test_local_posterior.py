"""The Gaussian prediction of the local BIF: blocks against dense matrices, and dense matrices against autograd."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network, network
from workbench.semantics import Hierarchy, SemanticTask, rumelhart_task, task_from_spec
from workbench.simulation import extreme_curvatures
from workbench.theory.flow.aligned import aligned_trajectory, mode_strengths
from workbench.theory.posterior.dense_posterior import (
    dense_local_bif,
    dense_map,
    hessian,
    item_features,
    sufficient_gamma,
)
from workbench.theory.posterior.hessian import curvature_range, hessian_spectrum, required_gamma
from workbench.theory.posterior.local_posterior import local_bif, localised_map, quartic_variance

TIMES = np.array([0.0, 3.0, 7.0, 10.0, 14.0, 25.0])


def repeated_rows():
    """Six items of which the last repeats the first; more items than properties."""
    Y = np.random.default_rng(0).integers(0, 2, (5, 6)).astype(float)
    Y[:, 5] = Y[:, 0]
    return SemanticTask("repeated", tuple("abcdef"), tuple("uvwxy"), Y)


CASES = {
    "idle hidden units": (task_from_spec("tree"), 16),
    "one unit a mode": (task_from_spec("tree"), 8),
    "bottleneck": (task_from_spec("tree"), 3),
    "table": (rumelhart_task(), 10),
    "repeated rows": (repeated_rows(), 7),
    "repeated rows, bottleneck": (repeated_rows(), 3),
    "no root": (Hierarchy((2, 2, 2)).indicator_task(root=False), 9),
    "ternary": (task_from_spec("tree:3,2"), 8),
}


def losses_of(task, w, shape1, shape2):
    n = shape1[0] * shape1[1]
    W1, W2 = w[:n].reshape(shape1), w[n:].reshape(shape2)
    return 0.5 * (torch.tensor(task.Y) - W2 @ W1 @ torch.tensor(task.X)).square().sum(dim=0)


@pytest.mark.parametrize("case", CASES)
def test_the_spectrum_in_closed_form_is_that_of_the_dense_hessian(case):
    task, hidden = CASES[case]
    start = network(task, hidden, "balanced:0.01")
    a, path = mode_strengths(start, TIMES), aligned_trajectory(start, TIMES)
    spectrum = hessian_spectrum(start.modes, a, hidden, task.n_inputs, task.n_outputs, start.active)
    dense = np.stack([np.linalg.eigvalsh(hessian(task.X, task.Y, *w)) for w in zip(path.W1, path.W2, strict=True)])
    np.testing.assert_allclose(spectrum, dense, atol=1e-13)
    low, high = curvature_range(start.modes, a, hidden, start.active)
    np.testing.assert_allclose(low, dense[:, 0], atol=1e-13)
    np.testing.assert_allclose(high, dense[:, -1], atol=1e-13)


def test_the_smallest_curvature_is_minus_the_largest_residual_with_idle_units():
    task = task_from_spec("tree")
    start = network(task, 16, "balanced:0.01")
    times = np.array([0, 3, 7, 10, 14, 20, 30.0])
    low, _ = curvature_range(start.modes, mode_strengths(start, times), 16, 8)
    # Reference values.
    np.testing.assert_allclose(low, [-0.483, -0.462, -0.238, -0.150, -0.094, -0.050, -0.0065], atol=5e-4)


@pytest.mark.parametrize("case", CASES)
def test_the_blocks_give_the_same_covariance_as_dense_matrices(case):
    task, hidden = CASES[case]
    start = network(task, hidden, "balanced:0.01")
    a, path = mode_strengths(start, TIMES), aligned_trajectory(start, TIMES)
    gamma = required_gamma(start.modes, 100.0)
    blocks = local_bif(
        start.modes, a, TIMES, n_beta=100.0, gamma=gamma, hidden=hidden, n_outputs=task.n_outputs, active=start.active
    )
    dense = dense_local_bif(task.X, task.Y, path.W1, path.W2, TIMES, n_beta=100.0, gamma=gamma)
    scale = np.abs(dense).max(axis=(1, 2), keepdims=True)
    assert (np.abs(blocks - dense) / scale).max() < 1e-12


def test_the_dense_hessian_and_item_forms_are_those_of_autograd():
    rng = np.random.default_rng(1)
    task = task_from_spec("tree:3,2")
    W1, W2 = rng.normal(size=(4, 6)), rng.normal(size=(task.n_outputs, 4))
    w = torch.tensor(np.concatenate([W1.ravel(), W2.ravel()]))

    def loss(v):
        return losses_of(task, v, W1.shape, W2.shape).mean()

    auto = torch.autograd.functional.hessian(loss, w).numpy()
    np.testing.assert_allclose(hessian(task.X, task.Y, W1, W2), auto, atol=1e-12 * np.abs(auto).max())
    n_out, h = W2.shape
    for i, F in enumerate(item_features(task.X, task.Y, W1, W2)):
        f, p, q = F[:n_out], F[n_out : n_out + h], F[n_out + h :]
        form = f.T @ f - p.T @ q - q.T @ p
        item = torch.autograd.functional.hessian(lambda v, i=i: losses_of(task, v, W1.shape, W2.shape)[i], w)
        np.testing.assert_allclose(form, item.numpy(), atol=1e-12 * np.abs(auto).max() * 6)


def test_lanczos_finds_the_extreme_curvatures():
    rng = np.random.default_rng(2)
    task = task_from_spec("tree")
    W1, W2 = rng.normal(size=(16, 8)), rng.normal(size=(15, 16))
    dense = np.linalg.eigvalsh(hessian(task.X, task.Y, W1, W2))
    np.testing.assert_allclose(extreme_curvatures(Network(task, (W1, W2))), dense[[0, -1]], rtol=1e-5)


def test_the_localised_map_is_stationary_and_agrees_with_newton_on_all_weights():
    task = task_from_spec("tree")
    start = network(task, 9, "balanced:0.01")
    path, a = aligned_trajectory(start, [6.0]), mode_strengths(start, [6.0])[0]
    u = localised_map(np.sqrt(a), start.modes.s, start.modes.c, 100.0, 900.0)
    W1, W2 = dense_map(task.X, task.Y, path.W1[0], path.W2[0], 100.0, 900.0)
    strengths = np.einsum("oh,hp,ok,pk->k", W2, W1, start.modes.U, start.modes.V)
    np.testing.assert_allclose(strengths, u**2, rtol=1e-10)


def gaussian_problem(seed):
    """A small network of Gaussian weights, fewer, as many or more hidden units than modes."""
    rng = np.random.default_rng(seed)
    n_in, n_out, P = 5, 6, 7
    hidden = (3, n_in, 8)[seed % 3]
    X, Y = rng.normal(size=(n_in, P)), rng.normal(size=(n_out, P))
    return X, Y, 0.3 * rng.normal(size=(hidden, n_in)), 0.3 * rng.normal(size=(n_out, hidden))


def negative_log_posterior(X, Y, W1, W2, start, n_beta, gamma):
    squares = sum(((a - b) ** 2).sum() for a, b in zip((W1, W2), start, strict=True))
    return n_beta * ((Y - W2 @ W1 @ X) ** 2).sum() / (2 * X.shape[1]) + gamma / 2 * squares


@pytest.mark.parametrize("ratio", [1.0001, 1.02, 1.5])
def test_close_to_its_bound_newton_reaches_the_maximum_downhill_of_the_checkpoint(ratio):
    n_beta = 100.0
    for seed in range(12):
        X, Y, *start = gaussian_problem(seed)
        gamma = -ratio * n_beta * np.linalg.eigvalsh(hessian(X, Y, *start))[0]
        V1, V2 = dense_map(X, Y, *start, n_beta, gamma)
        E = (Y - V2 @ V1 @ X) @ X.T / X.shape[1]
        force = np.concatenate([(-n_beta * V2.T @ E).ravel(), (-n_beta * E @ V1.T).ravel()])
        force += gamma * np.concatenate([(V1 - start[0]).ravel(), (V2 - start[1]).ravel()])
        curvature = n_beta * np.linalg.eigvalsh(hessian(X, Y, V1, V2)) + gamma
        assert curvature[0] > 0 and np.abs(force).max() < 1e-11 * curvature[-1]
        heights = [negative_log_posterior(X, Y, *w, start, n_beta, gamma) for w in ((V1, V2), start)]
        assert heights[0] < heights[1]
        bif = dense_local_bif(X, Y, *(w[None] for w in start), np.zeros(1), n_beta=n_beta, gamma=gamma)[0]
        assert np.linalg.eigvalsh(-bif)[0] > 0


def test_the_maximum_is_the_one_that_a_descent_in_small_steps_reaches():
    X, Y, *start = gaussian_problem(1)
    n_beta, star = 100.0, np.concatenate([w.ravel() for w in start])
    gamma = -1.02 * n_beta * np.linalg.eigvalsh(hessian(X, Y, *start))[0]
    split = start[0].size

    def force(_, w):
        V1, V2 = w[:split].reshape(start[0].shape), w[split:].reshape(start[1].shape)
        E = (Y - V2 @ V1 @ X) @ X.T / X.shape[1]
        return n_beta * np.concatenate([(V2.T @ E).ravel(), (E @ V1.T).ravel()]) - gamma * (w - star)

    end = solve_ivp(force, (0.0, 40 / gamma), star, rtol=1e-9, atol=1e-11, method="LSODA").y[:, -1]
    maximum = np.concatenate([w.ravel() for w in dense_map(X, Y, *start, n_beta, gamma)])
    np.testing.assert_allclose(end, maximum, atol=1e-7)


def test_the_sufficient_gamma_bounds_the_curvature_wherever_the_loss_is_no_larger():
    for seed in range(12):
        X, Y, *start = gaussian_problem(seed)
        low = -sufficient_gamma(X, Y, *start, 1.0)
        for shrink in (1.0, 0.5):
            W1, W2 = (shrink * w for w in start)
            loss = [((Y - B @ A @ X) ** 2).sum() for A, B in ((W1, W2), start)]
            assert loss[0] > loss[1] or np.linalg.eigvalsh(hessian(X, Y, W1, W2))[0] >= low


@pytest.mark.parametrize("hidden", [4, 5])
def test_the_aligned_maximum_has_positive_curvature_however_close_the_bound(hidden):
    rng = np.random.default_rng(hidden)
    for _ in range(20):
        Y = rng.normal(size=(6, 4))
        U, s, Vt = np.linalg.svd(Y / 4, full_matrices=False)
        a = 4 * s * rng.uniform(0.01, 1, 4)
        R = np.linalg.qr(rng.normal(size=(hidden, 4)))[0]

        def layers(u, R=R, U=U, Vt=Vt):
            return (R * u) @ Vt, (U * u) @ R.T

        gamma = -1.0001 * 100 * np.linalg.eigvalsh(hessian(np.eye(4), Y, *layers(np.sqrt(a))))[0]
        u = localised_map(np.sqrt(a), s, 0.25, 100.0, gamma)
        assert 100 * np.linalg.eigvalsh(hessian(np.eye(4), Y, *layers(u)))[0] + gamma > 0
        np.testing.assert_allclose(
            np.linalg.multi_dot(dense_map(np.eye(4), Y, *layers(np.sqrt(a)), 100.0, gamma)[::-1]),
            np.linalg.multi_dot(layers(u)[::-1]),
            atol=1e-9 * a.max(),
        )


def test_for_a_strong_localization_the_covariance_is_the_kernel_over_gamma():
    task = task_from_spec("tree")
    start = network(task, 8, "balanced:0.01")
    from workbench.theory.influence.gradient_kernel import gradient_kernel

    a = mode_strengths(start, [7.0])
    K = gradient_kernel(start.modes, a)[0]
    gaps = []
    for gamma in (1e5, 1e6, 1e7):
        bif = local_bif(start.modes, a, np.array([7.0]), n_beta=10.0, gamma=gamma, hidden=8, n_outputs=15, active=8)[0]
        gaps.append(np.abs(bif * gamma - K).max() / np.abs(K).max())
    # The correction is of order 1/gamma.
    np.testing.assert_allclose(np.array(gaps[:-1]) / gaps[1:], 10, rtol=0.1)


def test_a_posterior_that_does_not_exist_is_refused_with_the_gamma_that_would_do():
    task = task_from_spec("tree")
    start = network(task, 16, "balanced:0.01")
    a, path = mode_strengths(start, TIMES), aligned_trajectory(start, TIMES)
    with pytest.raises(ConditionError, match=r"gamma = 40 at t = 0, where lambda_min = -0\.48.*above 48"):
        local_bif(start.modes, a, TIMES, n_beta=100.0, gamma=40.0, hidden=16, n_outputs=15, active=8)
    with pytest.raises(ConditionError, match="local posterior exists"):
        dense_local_bif(task.X, task.Y, path.W1, path.W2, TIMES, n_beta=100.0, gamma=40.0)


def test_a_dense_hessian_that_is_too_large_is_refused_before_it_is_made():
    X, Y = np.eye(150), np.ones((800, 150))
    with pytest.raises(WorkbenchError, match=r"60800 weights .* GB .*`measures`"):
        dense_local_bif(X, Y, np.zeros((1, 64, 150)), np.zeros((1, 800, 64)), np.zeros(1), n_beta=1.0, gamma=1.0)


def test_default_localization_suits_the_eight_item_trees():
    start = network(task_from_spec("tree"), 16, "balanced:0.01")
    assert required_gamma(start.modes, 100.0) == 1000.0


def test_the_fourth_order_left_out_has_the_variance_stated():
    rng, hidden, n_outputs, gamma = np.random.default_rng(0), 5, 3, 40.0
    first = rng.standard_normal((200_000, hidden)) / gamma**0.5
    second = rng.standard_normal((200_000, n_outputs, hidden)) / gamma**0.5
    loss = (np.einsum("noh,nh->no", second, first) ** 2).sum(axis=1) / 2
    # Standard error of the variance, by 200 batches.
    batches = loss.reshape(200, -1).var(axis=1)
    assert abs(batches.mean() - quartic_variance(hidden, n_outputs, gamma)) < 4 * batches.std() / 200**0.5
