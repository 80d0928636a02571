"""The local posterior of deep and nonlinear networks: gradients, agreement with two layers, and between samplers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation import (
    NetworkCheckpoints,
    Recipe,
    Sampling,
    Schedule,
    damped_newton,
    item_gradients,
    network_damped_newton,
    network_kernel,
    plan,
    sample_local_posterior,
    train,
    train_networks,
)
from workbench.simulation.network.backprop import split_layers
from workbench.simulation.sampling.posterior import LocalPosterior
from workbench.simulation.training.descent import CPU
from workbench.simulation.training.learning_rate import largest_curvature

TREE = task_from_spec("tree:2,2")
N_BETA, GAMMA = 50.0, 1000.0


def checkpoints(depth, activation, t=6.0, task=TREE):
    start = network(task, 5, "gaussian:0.5", depth=depth, activation=activation, seed=1)
    trained = train_networks([start], Recipe(Schedule.at([0.0, t], 0.02)))[0]
    return NetworkCheckpoints.of(trained), trained


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize(("depth", "activation"), [(1, "linear"), (2, "tanh"), (3, "relu"), (4, "linear")])
def test_gradients_and_potential_agree_with_autograd(depth, activation, one_hot):
    rng = np.random.default_rng(0)
    X = None if one_hot else rng.normal(size=(3, 4))
    task = SemanticTask("t", tuple("abcd"), tuple("uvwxyz"), rng.normal(size=(6, 4)), X=X)
    points, _ = checkpoints(depth, activation, t=1.0, task=task)
    target = points.target(np.array([0, 1, 1]), 7.0, 3.0, CPU)
    W1, W2 = (star + 0.3 * torch.tensor(rng.normal(size=star.shape)) for star in (target.star1, target.star2))
    W1, W2 = W1.requires_grad_(), W2.requires_grad_()
    x = torch.tensor(task.X)
    values = []
    for chain in range(3):
        flat = torch.cat([W1[chain, 0], W2[chain, 0]])
        h, used = x, 0
        for layer, (rows, columns) in enumerate(target.shapes):
            h = flat[used : used + rows * columns].view(rows, columns) @ h
            used += rows * columns
            if layer < depth - 1:
                h = {"linear": lambda z: z, "relu": torch.relu, "tanh": torch.tanh}[activation](h)
        values.append(7.0 * (torch.tensor(task.Y) - h).square().sum() / (2 * 4))
    distance = (W1 - target.star1).square().sum(dim=(1, 2)) + (W2 - target.star2).square().sum(dim=(1, 2))
    U = torch.stack(values) + 1.5 * distance
    expected = torch.autograd.grad(U.sum(), (W1, W2))
    with torch.no_grad():
        E = target.residual(W1, W2)
        torch.testing.assert_close(target.potential(W1, W2, E), U.detach())
        for ours, theirs in zip(target.gradients(W1, W2, E), expected, strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize(("depth", "activation"), [(1, "linear"), (2, "tanh"), (3, "relu"), (4, "linear")])
def test_the_gauss_newton_diagonal_is_that_of_the_jacobian(depth, activation, one_hot):
    rng = np.random.default_rng(0)
    X = None if one_hot else rng.normal(size=(3, 4))
    task = SemanticTask("t", tuple("abcd"), tuple("uvwxyz"), rng.normal(size=(6, 4)), X=X)
    points, _ = checkpoints(depth, activation, t=1.0, task=task)
    target = points.target(np.array([0, 1]), 7.0, 3.0, CPU)
    found = torch.cat(target.gauss_newton(target.star1, target.star2), dim=2)[:, 0]
    for chain in range(2):
        weights = torch.cat([target.star1, target.star2], dim=2)[chain, 0]
        first = target.star1.shape[2]
        residual = lambda w, f=first: target.residual(w[None, None, :f], w[None, None, f:])[0].flatten()  # noqa: E731
        jacobian = torch.autograd.functional.jacobian(residual, weights)
        torch.testing.assert_close(found[chain], jacobian.square().sum(dim=0) / task.n_items)


def test_the_gauss_newton_diagonal_of_two_layers_is_that_of_general_networks():
    start = network(TREE, 5, "gaussian:0.3")
    two = train(start, Schedule.at([0.0, 6.0], 0.02))
    deep = NetworkCheckpoints.of(train_networks([start], Recipe(Schedule.at([0.0, 6.0], 0.02)))[0])
    general = deep.target(np.array([1]), 1.0, 1.0, CPU)
    special = LocalPosterior(
        torch.tensor(TREE.Y), None, torch.tensor(two.W1[1:]), torch.tensor(two.W2[1:]), n_beta=1.0, gamma=1.0
    )
    pairs = (t.gauss_newton(t.star1, t.star2) for t in (general, special))
    for ours, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(ours.flatten(), theirs.flatten(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"sampler": "hmc"}, {"sampler": "rmsprop"}, {"batch_size": 3}])
def test_two_linear_layers_draw_the_numbers_of_the_two_layer_sampler(options):
    start = network(TREE, 5, "gaussian:0.3")
    schedule = Schedule.at([0.0, 6.0], 0.02)
    two = train(start, schedule)
    deep = NetworkCheckpoints.of(train_networks([start], Recipe(schedule))[0])
    how = Sampling(chains=2, draws=60, seed=4, **options)
    plain = sample_local_posterior(two, n_beta=N_BETA, gamma=GAMMA, sampling=how)
    general = sample_local_posterior(deep, n_beta=N_BETA, gamma=GAMMA, sampling=how)
    assert general.plan.step == pytest.approx(plain.plan.step, rel=1e-6)
    assert general.plan.expected_bias == pytest.approx(plain.plan.expected_bias, rel=1e-5)
    np.testing.assert_allclose(general.estimate.covariance, plain.estimate.covariance, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("depth", "activation"), [(1, "linear"), (2, "relu"), (3, "tanh"), (3, "linear")])
@pytest.mark.parametrize("options", [{}, {"sampler": "rmsprop"}, {"batch_size": 3}])
def test_samplers_agree_with_the_referee_within_their_stated_bias(depth, activation, options):
    points, _ = checkpoints(depth, activation)
    exact = sample_local_posterior(
        points, n_beta=N_BETA, gamma=GAMMA, sampling=Sampling(sampler="hmc", chains=8, draws=400, seed=7)
    ).estimate
    how = Sampling(chains=12, draws=400, seed=1, **options)
    if how.batch_size is not None:  # the noise of the batches adds up to 17% at the step planned, in proportion to it
        how = replace(how, step=plan(points, N_BETA, GAMMA, how).step / 4)
    samples = sample_local_posterior(points, n_beta=N_BETA, gamma=GAMMA, sampling=how)
    variance = np.diagonal(exact.covariance, axis1=1, axis2=2)
    scale = np.sqrt(variance[:, :, None] * variance[:, None, :])
    # Losses are of second order in the weights, so their covariances feel the bias of a variance up to twice.
    bias = (1 + samples.plan.expected_bias) ** 2 - 1
    found, stderr = samples.estimate, np.hypot(exact.stderr, samples.estimate.stderr)
    assert (np.abs(found.covariance - exact.covariance) < bias * scale + 4 * stderr).all()
    assert bias < (0.08 if how.sampler == "rmsprop" else 0.06)
    # The covariances are those of this posterior, known to better than a fifth.
    assert (variance > 5 * np.diagonal(stderr, axis1=1, axis2=2)).all()


def test_the_curvatures_are_those_of_the_hessian():
    points, trained = checkpoints(3, "tanh")
    ends = points.curvatures()
    assert ends[1, 1] == pytest.approx(largest_curvature(trained.at(1)), rel=1e-9)
    assert ends[0, 0] < ends[0, 1]


def test_what_cannot_be_sampled_is_refused_with_what_can():
    points, _ = checkpoints(3, "tanh")
    with pytest.raises(WorkbenchError, match="batch size 5 of 4 items; use 4 or fewer"):
        plan(points, N_BETA, GAMMA, Sampling(batch_size=5))
    with pytest.raises(ConditionError, match="use gamma above"):
        plan(points, N_BETA, 1e-3, Sampling())


@pytest.mark.parametrize(("depth", "activation"), [(1, "linear"), (2, "linear"), (2, "tanh"), (3, "tanh"), (3, "relu")])
def test_item_gradients_have_the_gradient_kernel_and_sum_to_the_gradient(depth, activation):
    _, trained = checkpoints(depth, activation)
    g = item_gradients(trained.at(1))
    np.testing.assert_allclose(g @ g.T, network_kernel(trained)[1], rtol=1e-9, atol=1e-12)
    flat = torch.tensor(trained.at(1).flat, requires_grad=True)
    layers = split_layers(flat, trained.network.shapes)
    phi = {"linear": lambda z: z, "relu": torch.relu, "tanh": torch.tanh}[activation]
    h = torch.tensor(TREE.X)
    for layer, W in enumerate(layers):
        h = W @ h if layer == depth - 1 else phi(W @ h)
    losses = 0.5 * (torch.tensor(TREE.Y) - h).square().sum(dim=0)
    for item, loss in enumerate(losses):
        (gradient,) = torch.autograd.grad(loss, flat, retain_graph=True)
        np.testing.assert_allclose(g[item], gradient.numpy(), rtol=1e-9, atol=1e-12)


def test_damped_newton_is_that_of_two_layers_and_nears_the_kernel_over_a_large_damping():
    start = network(TREE, 5, "gaussian:0.3")
    schedule = Schedule.at([0.0, 6.0], 0.02)
    two, deep = train(start, schedule), train_networks([start], Recipe(schedule))[0]
    expected = damped_newton(TREE.X, TREE.Y, two.W1, two.W2, two.times, damping=2.0)
    np.testing.assert_allclose(network_damped_newton(deep, 2.0), expected, rtol=1e-8, atol=1e-12)
    _, nonlinear = checkpoints(3, "tanh")
    far = network_damped_newton(nonlinear, 1e6) * 1e6
    np.testing.assert_allclose(far, -network_kernel(nonlinear), atol=1e-4)
    with pytest.raises(ConditionError, match="use a damping above"):
        network_damped_newton(nonlinear, 1e-6)
