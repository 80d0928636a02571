"""Posteriors of one layer: exact Gaussians, against dense matrices, quadratic expansions and chains."""

import itertools

import numpy as np
import pytest

import workbench
from workbench.errors import WorkbenchError
from workbench.influence import local_bif
from workbench.simulation import Sampling, gaussian_expectation, sample_local_posterior
from workbench.simulation.influence.gradient_kernel import item_gradients
from workbench.simulation.network.curvature import hessian_products
from workbench.theory import predict
from workbench.theory.posterior.restricted import restricted_curvatures, restricted_posterior

N_BETA, GAMMA = 40.0, 60.0


@pytest.fixture(scope="module", params=[2, 3])
def path(request):
    task = workbench.Hierarchy((2, 2)).indicator_task()
    network = workbench.network(task, hidden=4, init="balanced:0.05", depth=request.param)
    return predict(network, np.array([3.0, 9.0]))


def dense(path, k, layer):
    """``(covariance, lambda)`` from the Hessian of every item's loss, by quadratic expansion in one layer's weights."""
    at, P = path.at(k), path.task.n_items
    sizes = np.cumsum([0, *(W[0].size for W in path.weights)])
    free = slice(sizes[layer], sizes[layer + 1])
    unit = np.eye(at.n_weights)[free]
    gradients = item_gradients(at)[:, free]
    items = []
    for i in range(P):
        items.append(_item_hessian(at, i, unit)[:, free])
    H = np.array(items)
    C = np.linalg.inv(N_BETA * H.mean(axis=0) + GAMMA * np.eye(H.shape[1]))
    mu = -N_BETA * C @ gradients.mean(axis=0)
    g = gradients + H @ mu
    curved = H @ C
    excess = gradients.mean(axis=0) @ mu + (mu @ H.mean(axis=0) @ mu + np.trace(H.mean(axis=0) @ C)) / 2
    return g @ C @ g.T + np.einsum("iab,jba->ij", curved, curved) / 2, N_BETA * excess


def _item_hessian(network, i, unit):
    """Rows of the Hessian of item i's loss by central differences of its gradient: exact, the loss is of low degree."""
    from dataclasses import replace

    rows, eps = [], 1e-3
    flat = np.concatenate([W.ravel() for W in network.weights])
    for direction in unit:
        ends = []
        for sign in (1, -1):
            moved = flat + sign * eps * direction
            cuts = np.cumsum([W.size for W in network.weights])[:-1]
            weights = tuple(p.reshape(W.shape) for p, W in zip(np.split(moved, cuts), network.weights, strict=True))
            ends.append(item_gradients(replace(network, weights=weights))[i])
        rows.append((ends[0] - ends[1]) / (2 * eps))
    return np.array(rows)


def test_covariance_and_learning_coefficient_are_those_of_dense_matrices(path):
    for layer in range(len(path.weights)):
        closed = restricted_posterior(path, layer, n_beta=N_BETA, gamma=GAMMA)
        for k in range(2):
            covariance, coefficient = dense(path, k, layer)
            np.testing.assert_allclose(closed.covariance[k], covariance, rtol=1e-6, atol=1e-9 * covariance.max())
            assert closed.learning_coefficient[k] == pytest.approx(coefficient, rel=1e-6)


def test_curvatures_of_a_layer_are_those_of_its_block_of_the_hessian(path):
    for layer in range(len(path.weights)):
        sizes = np.cumsum([0, *(W[0].size for W in path.weights)])
        free = slice(sizes[layer], sizes[layer + 1])
        for k, ends in enumerate(restricted_curvatures(path, layer)):
            at = path.at(k)
            values = np.linalg.eigvalsh(hessian_products(at, np.eye(at.n_weights)[free])[:, free])
            np.testing.assert_allclose(ends, values[[0, -1]], atol=1e-9)


def test_of_a_single_layer_both_ways_to_the_gaussian_learning_coefficient_agree():
    """All weights of one layer of them, away from a minimum: by the whole Hessian, and by its two factors."""
    rng = np.random.default_rng(1)
    task = workbench.SemanticTask("four", tuple("abcd"), tuple("xyz"), rng.normal(size=(3, 4)), rng.normal(size=(3, 4)))
    path = predict(workbench.network(task, depth=1, init="gaussian:0.7"), np.array([0.3]))
    closed = restricted_posterior(path, 0, n_beta=N_BETA, gamma=GAMMA)
    assert closed.descent[0] < -0.1
    whole = gaussian_expectation(path.at(0), N_BETA, GAMMA)
    assert whole == pytest.approx(closed.learning_coefficient[0], rel=1e-9)


def test_a_susceptibility_is_minus_the_covariance_of_the_mean_loss_with_an_items_own_part():
    """Against draws of the last layer from its Gaussian, row by row of its weights."""
    rng = np.random.default_rng(0)
    task = workbench.SemanticTask("four", tuple("abcd"), tuple("xyz"), rng.normal(size=(3, 4)))
    path = predict(workbench.network(task, hidden=3, init="gaussian:0.7"), np.array([1.0]))
    closed = restricted_posterior(path, 1, n_beta=N_BETA, gamma=GAMMA).susceptibility[0]
    z, last = path.W1[0] @ task.X, path.W2[0]
    precision = N_BETA * z @ z.T / 4 + GAMMA * np.eye(3)
    mean = (N_BETA * task.Y @ z.T / 4 + GAMMA * last) @ np.linalg.inv(precision)
    drawn = mean + rng.normal(size=(100_000, 3, 3)) @ np.linalg.inv(np.linalg.cholesky(precision))
    losses = ((task.Y - drawn @ z) ** 2).sum(axis=1) / 2
    whole = losses.mean(axis=1)
    found = -((whole - whole.mean()) @ (losses - whole[:, None])) / len(whole)
    # Draws leave an error of a root of 2 / 100,000 of the variances: 1% of the largest of these differences.
    np.testing.assert_allclose(closed, found, atol=0.03 * np.abs(found).max())
    assert closed.sum() == pytest.approx(0, abs=1e-12) and np.abs(closed).max() > 0.1 * whole.var()


@pytest.mark.parametrize("sampler", ["sgld", "rmsprop", "hmc"])
def test_chains_of_one_layer_have_its_covariance_and_move_no_other(path, sampler):
    if len(path.weights) > 2:
        pytest.skip("two layers are enough")
    closed = restricted_posterior(path, 0, n_beta=N_BETA, gamma=GAMMA).covariance
    sampling = Sampling(chains=4, draws=400, sampler=sampler, layer=0, force_short=True)
    ends = restricted_curvatures(path, 0)
    from workbench.simulation import plan

    planned = plan(path, N_BETA, GAMMA, sampling, curvatures=ends)
    parts = sample_local_posterior(path, n_beta=N_BETA, gamma=GAMMA, sampling=sampling, planned=planned).estimate.parts
    for k in range(2):
        slopes = (parts[k] * closed[k]).sum(axis=(1, 2)) / (closed[k] ** 2).sum()
        error = slopes.std(ddof=1) / len(slopes) ** 0.5
        assert abs(slopes.mean() - 1) < 5 * error + 0.03  # 7 degrees of freedom, and the bias of the step
        assert error < 0.1


def test_both_sides_of_the_measure_take_restrict_and_refuse_a_layer_that_is_not_there(path):
    if len(path.weights) > 2:
        pytest.skip("two layers are enough")
    bif = local_bif(path, n_beta=N_BETA, gamma=GAMMA, restrict="W2")
    closed = restricted_posterior(path, 1, n_beta=N_BETA, gamma=GAMMA)
    np.testing.assert_array_equal(bif.values, -closed.covariance)
    with pytest.raises(WorkbenchError, match="W1 to W2"):
        local_bif(path, n_beta=N_BETA, gamma=GAMMA, restrict="W3")


@pytest.mark.parametrize("depth", [2, 3])
def test_the_limits_of_the_study_are_ranks_of_the_hessian(depth):
    from workbench.studies.complexity_parts import limits

    task = workbench.Hierarchy((2, 2)).indicator_task()
    start = workbench.network(task, hidden=6, init="balanced:0.05", depth=depth)
    end = predict(start, np.array([200.0])).at(0)
    H = hessian_products(end, np.eye(end.n_weights))
    cuts = np.cumsum([0, *(W.size for W in start.weights)])
    blocks = [H[a:b, a:b] for a, b in itertools.pairwise(cuts)]
    assert limits(start).tolist() == [np.linalg.matrix_rank(block, tol=1e-6) / 2 for block in blocks]
