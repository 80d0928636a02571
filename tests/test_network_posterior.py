"""The local posterior of deep and nonlinear networks: gradients, agreement with two layers, and between samplers."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation import (
    Recipe,
    Sampling,
    Schedule,
    damped_newton,
    extreme_curvatures,
    gradient_kernel,
    item_gradients,
    plan,
    sample_local_posterior,
    train_networks,
)
from workbench.simulation.network.backprop import split_layers
from workbench.simulation.network.curvature import largest_curvature
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.sampling.posterior import LocalPosterior

TREE = task_from_spec("tree:2,2")
N_BETA, GAMMA = 50.0, 1000.0


def checkpoints(depth, activation, t=6.0, task=TREE):
    start = network(task, 5, "gaussian:0.5", depth=depth, activation=activation, seed=1)
    trained = train_networks([start], Recipe(Schedule.at([0.0, t], 0.02)))[0]
    return trained, trained


def random_task(one_hot):
    rng = np.random.default_rng(0)
    X = None if one_hot else rng.normal(size=(3, 4))
    return SemanticTask("t", tuple("abcd"), tuple("uvwxyz"), rng.normal(size=(6, 4)), X=X)


def outputs(w, net):
    """``(N_o, P)`` outputs of weights ``(N,)``, written out."""
    h, layers = torch.tensor(net.task.X), split_layers(w, net.shapes)
    phi = {"linear": lambda z: z, "relu": torch.relu, "tanh": torch.tanh}[net.activation]
    for W in layers[:-1]:
        h = phi(W @ h)
    return layers[-1] @ h


NETWORKS = pytest.mark.parametrize(
    ("depth", "activation"), [(1, "linear"), (2, "linear"), (2, "tanh"), (3, "relu"), (4, "linear"), (4, "tanh")]
)


@pytest.mark.parametrize("one_hot", [True, False])
@NETWORKS
def test_gradients_and_potential_agree_with_autograd(depth, activation, one_hot):
    net = network(random_task(one_hot), 5, "gaussian:0.5", depth=depth, activation=activation)
    rng, P = np.random.default_rng(1), 4
    star = torch.tensor(rng.normal(size=(3, net.n_weights)))
    target = LocalPosterior(NetworkModel.of(net), star, 7.0, 3.0)
    w = (star + 0.3 * torch.tensor(rng.normal(size=star.shape))).requires_grad_()
    omega = torch.tensor(rng.uniform(size=(3, P)))
    losses = torch.stack([(torch.tensor(net.task.Y) - outputs(v, net)).square().sum(dim=0) / 2 for v in w])
    U = 7.0 * losses.mean(dim=1) + 1.5 * (w - star).square().sum(dim=1)
    expected, weighted = (torch.autograd.grad(f, w, retain_graph=True)[0] for f in (U.sum(), (omega * losses).sum()))
    batch = target.model.batch(w.detach())
    batch.refresh()
    torch.testing.assert_close(batch.losses(), losses.detach())
    torch.testing.assert_close(target.potential(batch), U.detach())
    torch.testing.assert_close(target.gradient(batch), expected)
    torch.testing.assert_close(batch.gradient(omega), weighted)


@pytest.mark.parametrize("one_hot", [True, False])
@NETWORKS
def test_the_gauss_newton_diagonal_is_that_of_the_jacobian(depth, activation, one_hot):
    net = network(random_task(one_hot), 5, "gaussian:0.5", depth=depth, activation=activation)
    w = torch.tensor(np.random.default_rng(2).normal(size=(2, net.n_weights)))
    batch = NetworkModel.of(net).batch(w)
    batch.refresh()
    for row, found in zip(w, batch.gauss_newton(), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: outputs(v, net).flatten(), row)
        torch.testing.assert_close(found, jacobian.square().sum(dim=0) / 4)


@cache
def referee(depth, activation):
    """Chains without a bias from their steps, the same for every sampler that is held against them."""
    points, _ = checkpoints(depth, activation)
    return sample_local_posterior(
        points, n_beta=N_BETA, gamma=GAMMA, sampling=Sampling(sampler="hmc", chains=8, draws=400, seed=7)
    ).estimate


@pytest.mark.parametrize(("depth", "activation"), [(1, "linear"), (2, "relu"), (3, "tanh"), (3, "linear")])
@pytest.mark.parametrize("options", [{}, {"sampler": "rmsprop"}, {"batch_size": 3}])
@pytest.mark.slow
def test_samplers_agree_with_the_referee_within_their_stated_bias(depth, activation, options):
    points, _ = checkpoints(depth, activation)
    exact = referee(depth, activation)
    sampling = Sampling(chains=12, draws=400, seed=1, **options)
    if (
        sampling.batch_size is not None
    ):  # the noise of the batches adds up to 17% at the step planned, in proportion to it
        sampling = replace(sampling, step=plan(points, N_BETA, GAMMA, sampling).step / 4)
    samples = sample_local_posterior(points, n_beta=N_BETA, gamma=GAMMA, sampling=sampling)
    variance = np.diagonal(exact.covariance, axis1=1, axis2=2)
    scale = np.sqrt(variance[:, :, None] * variance[:, None, :])
    # Losses are of second order in the weights, so their covariances feel the bias of a variance up to twice.
    bias = (1 + samples.plan.expected_bias) ** 2 - 1
    found, stderr = samples.estimate, np.hypot(exact.stderr, samples.estimate.stderr)
    assert (np.abs(found.covariance - exact.covariance) < bias * scale + 4 * stderr).all()
    assert bias < (0.08 if sampling.sampler == "rmsprop" else 0.06)
    # The covariances are those of this posterior, known to better than a fifth.
    assert (variance > 5 * np.diagonal(stderr, axis1=1, axis2=2)).all()


def test_the_curvatures_are_those_of_the_hessian():
    points, trained = checkpoints(3, "tanh")
    ends = np.array([extreme_curvatures(points.at(k)) for k in range(2)])
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
    np.testing.assert_allclose(-g @ g.T, gradient_kernel(trained)[1], rtol=1e-9, atol=1e-12)
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


def test_damped_newton_nears_the_kernel_over_a_large_damping():
    nonlinear, _ = checkpoints(3, "tanh")
    far = damped_newton(nonlinear, 1e6) * 1e6
    np.testing.assert_allclose(far, gradient_kernel(nonlinear), atol=1e-4)
    with pytest.raises(ConditionError, match="use a damping above"):
        damped_newton(nonlinear, 1e-6)


def test_damped_newton_of_any_network_is_that_of_its_dense_hessian():
    for depth, activation in ((2, "linear"), (3, "tanh"), (4, "linear")):
        points, _ = checkpoints(depth, activation)
        net = points.at(1)
        w = torch.tensor(net.flat)
        loss = lambda v, net=net: (torch.tensor(TREE.Y) - outputs(v, net)).square().sum() / 8  # noqa: E731
        H = torch.autograd.functional.hessian(loss, w).numpy() + 4.0 * np.eye(len(w))
        g = item_gradients(net)
        np.testing.assert_allclose(damped_newton(points, 4.0)[1], -g @ np.linalg.solve(H, g.T), rtol=1e-8, atol=1e-12)
