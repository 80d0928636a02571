"""Hessian, damped influence and local posterior at any depth against dense matrices by automatic differentiation."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from workbench.errors import ConditionError
from workbench.influence import MEASURES, predict
from workbench.networks import network
from workbench.semantics import SemanticTask, singular_modes, task_from_spec
from workbench.simulation import Sampling, sample_local_posterior
from workbench.theory.flow.aligned import half_rise_times
from workbench.theory.influence.damped_newton import damped_newton, required_damping
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.theory.posterior.dense_depth import dense_bif, dense_newton, item_derivatives
from workbench.theory.posterior.dense_posterior import dense_local_bif
from workbench.theory.posterior.hessian import curvature_range, hessian_spectrum, required_gamma, steepest_descent
from workbench.theory.posterior.local_posterior import local_bif, localised_map, unique_gamma


def repeated_rows():
    """Five items, two of them alike; rank 3, more items than properties."""
    Y = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=float)
    return SemanticTask("repeated", tuple("abcde"), tuple("wxyz"), Y)


#: Task, hidden widths: as wide as the modes, wider, unequal, and a bottleneck.
CASES = {
    "tree, 3 layers": (task_from_spec("tree:2,2"), (4, 4)),
    "tree, idle units, 3 layers": (task_from_spec("tree:2,2"), (6, 5)),
    "tree, idle units, 4 layers": (task_from_spec("tree:2,2"), (5, 4, 6)),
    "tree, bottleneck, 3 layers": (task_from_spec("tree:2,2"), (5, 2)),
    "tree, bottleneck, 4 layers": (task_from_spec("tree:3"), (2, 2, 2)),
    "ternary, 5 layers": (task_from_spec("tree:3"), (3, 4, 3, 3)),
    "repeated rows, 3 layers": (repeated_rows(), (3, 5)),
    "repeated rows, two layers, bottleneck": (repeated_rows(), (2,)),
    "one layer": (repeated_rows(), ()),
}


def network_at(task, widths, weights, seed=0):
    """Layers of an aligned network whose modes have the given weight in every layer, in random hidden frames."""
    modes, rng = singular_modes(task), np.random.default_rng(seed)
    K = min(modes.rank, *widths) if widths else modes.rank
    frames = [np.linalg.qr(rng.standard_normal((n, n)))[0][:, :K] for n in widths]
    V_in = task.X @ modes.V[:, :K] / np.sqrt(modes.c * task.n_items)
    chain = [V_in, *frames, modes.U[:, :K]]
    return [after * weights[:K] @ before.T for before, after in pairwise(chain)], K


def item_losses(task, w, shapes):
    outputs, used = torch.tensor(task.X), 0
    for rows, columns in shapes:
        outputs = w[used : used + rows * columns].reshape(rows, columns) @ outputs
        used += rows * columns
    return 0.5 * (torch.tensor(task.Y) - outputs).square().sum(dim=0)


def dense(task, layers):
    """Item gradients ``(P, N)``, item Hessians ``(P, N, N)`` and the Hessian of the mean loss."""
    shapes, w = [W.shape for W in layers], torch.tensor(np.concatenate([W.ravel() for W in layers]))
    gradients = torch.autograd.functional.jacobian(lambda v: item_losses(task, v, shapes), w).numpy()
    hessians = [
        torch.autograd.functional.hessian(lambda v, i=i: item_losses(task, v, shapes)[i], w, vectorize=True).numpy()
        for i in range(task.n_items)
    ]
    return gradients, np.array(hessians), np.mean(hessians, axis=0)


def strengths(task, widths, kind):
    """Mode strengths (0 without a hidden unit): on the way of learning, or random and unequal within a level."""
    modes = singular_modes(task)
    K = min(modes.rank, *widths) if widths else modes.rank
    learned = modes.s / modes.c * (np.linspace(0.9, 0.1, modes.rank) if kind == "random" else modes.s / modes.s[0])
    if kind == "random":
        learned *= np.random.default_rng(3).uniform(0.5, 1, modes.rank)
    return modes, K, np.where(np.arange(modes.rank) < K, learned, 0.0)


@pytest.mark.parametrize("kind", ["learning", "random"])
@pytest.mark.parametrize("case", CASES)
def test_the_spectrum_is_that_of_the_dense_hessian(case, kind):
    task, widths = CASES[case]
    modes, K, a = strengths(task, widths, kind)
    D = len(widths) + 1
    eigenvalues = np.linalg.eigvalsh(dense(task, network_at(task, widths, a ** (1 / D))[0])[2])
    spectrum = hessian_spectrum(modes, a[None], widths, task.n_inputs, task.n_outputs, K, depth=D)[0]
    np.testing.assert_allclose(spectrum, eigenvalues, atol=1e-13 * np.abs(eigenvalues).max())
    low, high = curvature_range(modes, a[None], widths, K, depth=D)
    np.testing.assert_allclose([low[0], high[0]], eigenvalues[[0, -1]], atol=1e-13 * np.abs(eigenvalues).max())


@pytest.mark.parametrize("kind", ["learning", "random"])
@pytest.mark.parametrize("case", CASES)
def test_the_damped_influence_is_that_of_dense_matrices(case, kind):
    task, widths = CASES[case]
    modes, K, a = strengths(task, widths, kind)
    D = len(widths) + 1
    g, _, H = dense(task, network_at(task, widths, a ** (1 / D))[0])
    damping = 1.1 * float(required_damping(modes, a[None], hidden=widths, active=K, depth=D)[0]) + 0.01
    expected = -g @ np.linalg.solve(H + damping * np.eye(len(H)), g.T)
    blocks = damped_newton(modes, a[None], np.zeros(1), damping=damping, hidden=widths, active=K, depth=D)[0]
    np.testing.assert_allclose(blocks, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["learning", "random"])
@pytest.mark.parametrize("case", CASES)
def test_the_local_posterior_is_that_of_dense_matrices_at_its_maximum(case, kind):
    task, widths = CASES[case]
    modes, K, a = strengths(task, widths, kind)
    D, n_beta = len(widths) + 1, 10.0
    gamma = 2 * n_beta * steepest_descent(modes, D)
    star = a ** (1 / D)
    u = localised_map(star, modes.s, modes.c, n_beta, gamma, depth=D)
    g, item_hessians, H = dense(task, network_at(task, widths, u)[0])
    pulled = np.concatenate(
        [(W - W_star).ravel() for W, W_star in zip(*(network_at(task, widths, w)[0] for w in (u, star)), strict=True)]
    )
    # All weights are stationary there, not only those of the modes.
    np.testing.assert_allclose(n_beta * g.mean(axis=0), -gamma * pulled, atol=1e-12 * gamma)
    C = np.linalg.inv(n_beta * H + gamma * np.eye(len(H)))
    first = g @ C @ g.T
    spread = item_hessians @ C
    second = 0.5 * np.einsum("inm,jmn->ij", spread, spread)
    arguments = {"n_beta": n_beta, "gamma": gamma, "hidden": widths, "n_outputs": task.n_outputs, "active": K}
    blocks = {o: -local_bif(modes, a[None], np.zeros(1), depth=D, order=o, **arguments)[0] for o in (1, 2)}
    np.testing.assert_allclose(blocks[1], first, atol=1e-11 * np.abs(first).max())
    np.testing.assert_allclose(blocks[2], first + second, atol=1e-11 * np.abs(first + second).max())


def test_strong_localisation_and_strong_damping_give_the_kernel_with_an_error_of_first_order():
    task, widths = CASES["tree, idle units, 4 layers"]
    modes, K, a = strengths(task, widths, "learning")
    kernel = gradient_kernel(modes, a[None], depth=4)[0]
    shape = {"hidden": widths, "active": K, "depth": 4}
    sampled = [
        g * local_bif(modes, a[None], np.zeros(1), n_beta=1.0, gamma=g, n_outputs=7, **shape)[0] for g in (1e4, 1e5)
    ]
    damped = [g * damped_newton(modes, a[None], np.zeros(1), damping=g, **shape)[0] for g in (1e3, 1e4)]
    for values in (sampled, damped):
        gaps = [np.abs(v - kernel).max() for v in values]
        np.testing.assert_allclose(gaps[0] / gaps[1], 10, rtol=0.05)


@pytest.mark.parametrize("depth", [3, 4, 6])
def test_the_maximum_is_unique_above_the_stated_gamma_and_need_not_be_below(depth):
    s, c, n_beta = 0.5, 0.125, 100.0
    bound = n_beta * float(unique_gamma(np.array(s), c, depth))
    grid = np.linspace(0, 1.2 * (s / c) ** (1 / depth), 20001)
    force = n_beta * grid ** (depth - 1) * (s - c * grid**depth)
    assert (np.diff(bound * 1.001 * grid - force) > 0).all()
    assert (np.diff(bound * 0.99 * grid - force) < 0).any()
    u_star = 0.05 * grid[-1]
    root = float(localised_map(np.array([u_star]), np.array([s]), c, n_beta, 1.001 * bound, depth=depth)[0])
    assert abs(1.001 * bound * (root - u_star) - n_beta * root ** (depth - 1) * (s - c * root**depth)) < 1e-10 * bound
    with pytest.raises(ConditionError, match="one maximum"):
        localised_map(np.array([1e-3 * grid[-1]]), np.array([s]), c, n_beta, 0.25 * bound, depth=depth)


def test_no_checkpoint_needs_more_than_the_stated_bound():
    modes = singular_modes(task_from_spec("tree"))
    rng = np.random.default_rng(0)
    for depth in (2, 3, 4, 5):
        a = modes.s / modes.c * rng.uniform(0, 1, (200, modes.rank))
        low, _ = curvature_range(modes, a, 9, 8, depth=depth)
        assert (-low < steepest_descent(modes, depth)).all()
        assert required_gamma(modes, 10.0, 1.0, depth=depth) >= 10 * steepest_descent(modes, depth)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_bound_on_downward_curvature_has_its_units(depth):
    """Targets k times as large are learned with weights k^{1/D} times as large, and curvatures k^{2-2/D} times."""
    task = task_from_spec("tree:2,2")
    modes, larger = (singular_modes(SemanticTask("scaled", task.items, task.properties, k * task.Y)) for k in (1, 7))
    assert steepest_descent(larger, depth) == pytest.approx(7 ** (2 - 2 / depth) * steepest_descent(modes, depth))


def test_a_wide_deep_network_of_150_items_needs_no_dense_matrix():
    rng = np.random.default_rng(0)
    Y = rng.integers(0, 2, (40, 150)).astype(float)
    task = SemanticTask("wide", tuple(map(str, range(150))), tuple(f"p{k}" for k in range(40)), Y)
    modes = singular_modes(task)
    a = 0.5 * (modes.s / modes.c)[None]
    gamma = required_gamma(modes, 1.0, depth=4)
    bif = local_bif(modes, a, np.zeros(1), n_beta=1.0, gamma=gamma, hidden=64, n_outputs=40, active=modes.rank, depth=4)
    assert np.isfinite(bif).all() and (np.diagonal(bif[0]) < 0).all()


def test_the_posterior_of_one_layer_has_the_mean_of_ridge_regression_from_any_centre():
    """``(n beta s + gamma u*) / (n beta c + gamma)``, u* = 0 included: nothing holds a mode of one layer at 0."""
    star, s, c = np.array([0.0, 0.01, 0.3]), np.array([0.7, 0.4, 0.2]), 0.25
    u = localised_map(star, s, c, 100.0, 10.0, depth=1)
    np.testing.assert_allclose(u, (100.0 * s + 10.0 * star) / (100.0 * c + 10.0), rtol=1e-13)


@pytest.mark.parametrize("depth", [3, 4])
def test_the_exact_sampler_finds_the_predicted_covariances_within_its_error(depth):
    net = network(task_from_spec("tree:2,2"), 4, "balanced:0.05", depth=depth)
    # When two modes are half learned: gradients and curvature are largest.
    path = predict(net, half_rise_times(net)[:2])
    local = {"n_beta": 100.0, "gamma": required_gamma(net.modes, 100.0, safety=20.0, depth=depth)}
    sampling = Sampling(sampler="hmc", chains=60, draws=1000, seed=3)
    samples = sample_local_posterior(path, sampling=sampling, **local).estimate
    predicted = -MEASURES["local_bif"](path, **local).values
    z = ((samples.covariance - predicted) / samples.stderr)[:, *np.triu_indices(4)]
    # 20 entries, correlated in part.
    assert np.abs(z).max() < 4 and np.sqrt((z**2).mean()) < 1.6
    variances = np.diagonal(samples.covariance / predicted, axis1=1, axis2=2)
    # A third of a percent of chance; the Gaussian prediction itself is good to a percent at this gamma.
    assert abs(variances.mean() - 1) < 0.01


UNALIGNED = network(task_from_spec("tree:2,2"), (4, 3), "gaussian:0.5", depth=3)


def test_item_derivatives_at_any_weights_are_those_by_automatic_differentiation():
    gradients, hessians = item_derivatives(UNALIGNED.task.X, UNALIGNED.task.Y, UNALIGNED.weights)
    g, H_items, _ = dense(UNALIGNED.task, UNALIGNED.weights)
    np.testing.assert_allclose(gradients, g, atol=1e-14)
    np.testing.assert_allclose(hessians, H_items, atol=1e-14)


@pytest.mark.parametrize("depth", [2, 3])
def test_explicit_hessians_give_what_the_blocks_of_modes_give(depth):
    net = network(task_from_spec("tree:2,2"), 5, "balanced:0.1", depth=depth)
    path = predict(net, [0.0, 6.0, 20.0])
    local = {"n_beta": 100.0, "gamma": required_gamma(net.modes, 100.0, depth=depth)}
    X, Y = net.task.X, net.task.Y
    bif, newton = MEASURES["local_bif"](path, **local).values, MEASURES["damped_newton"](path, damping=3.0).values
    np.testing.assert_allclose(dense_bif(X, Y, path.weights, path.times, **local), bif, atol=1e-12 * np.abs(bif).max())
    explicit = dense_newton(X, Y, path.weights, path.times, damping=3.0)
    np.testing.assert_allclose(explicit, newton, atol=1e-12 * np.abs(newton).max())


def test_of_two_unaligned_layers_they_give_what_the_dense_prediction_gives():
    net = network(task_from_spec("tree:2,2"), 5, "gaussian:0.3")
    path, X, Y = predict(net, [0.0, 5.0, 20.0]), net.task.X, net.task.Y
    bif = dense_local_bif(X, Y, path.W1, path.W2, path.times, n_beta=100.0, gamma=300.0)
    np.testing.assert_allclose(
        dense_bif(X, Y, path.weights, path.times, n_beta=100.0, gamma=300.0), bif, atol=1e-12 * np.abs(bif).max()
    )


def test_too_little_gamma_or_damping_is_refused_with_what_would_do_and_too_large_a_network_says_why():
    path, X, Y = predict(UNALIGNED, [3.0]), UNALIGNED.task.X, UNALIGNED.task.Y
    with pytest.raises(ConditionError, match="use gamma above"):
        dense_bif(X, Y, path.weights, path.times, n_beta=100.0, gamma=1.0)
    with pytest.raises(ConditionError, match="use damping above"):
        dense_newton(X, Y, path.weights, path.times, damping=1e-3)
    assert MEASURES["local_bif"].why_unpredicted(UNALIGNED) is None
    large = network(task_from_spec("tree"), 40, "gaussian:0.1", depth=3)
    assert "known for aligned networks" in str(MEASURES["local_bif"].why_unpredicted(large))
