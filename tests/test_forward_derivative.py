"""Derivatives through every step of training: autograd, retraining with a little more of an item, the flow."""

from itertools import islice

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation.influence.gradient_kernel import gradient_kernel
from workbench.simulation.influence.leave_one_out import retrained_losses
from workbench.simulation.influence.trajectory_derivative import trajectory_derivative
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.training.descent import train_networks
from workbench.simulation.training.optimizers import Adam, GradientDescent, Momentum
from workbench.simulation.training.recipes import Recipe
from workbench.simulation.training.schedule import Schedule
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.trajectory_derivative import trajectory_derivative as predicted_derivative

TREE = task_from_spec("tree")
ALIGNED = network(TREE, 16, "balanced:0.01")
NET = ALIGNED
RULES = {"descent": GradientDescent(), "momentum": Momentum(0.9), "adam": Adam(floor=1e-3)}


def dense_task():
    """Five items whose inputs are not one-hot."""
    rng = np.random.default_rng(0)
    return SemanticTask("dense", tuple("abcde"), tuple("uvwxyz"), rng.normal(size=(6, 5)), X=rng.normal(size=(4, 5)))


def derivative_by_autograd(network, recipe):
    """``P dl_j / d omega_i`` at the end, through an unrolled graph of all steps with the rules written out."""
    P, rule, eta = network.task.n_items, recipe.optimizer, recipe.schedule.eta
    X, Y = torch.tensor(network.task.X), torch.tensor(network.task.Y)
    phi = {"linear": lambda z: z, "relu": torch.relu, "tanh": torch.tanh}[network.activation]

    def losses(layers):
        h = X
        for W in layers[:-1]:
            h = phi(W @ h)
        return 0.5 * (Y - layers[-1] @ h).square().sum(dim=0)

    def final(omega):
        layers = [torch.tensor(W, requires_grad=True) for W in network.weights]
        m, q = [torch.zeros_like(W) for W in layers], [torch.zeros_like(W) for W in layers]
        for n, items in enumerate(islice(recipe.batches(P), recipe.schedule.total), start=1):
            batch = np.arange(P) if items is None else items
            g = torch.autograd.grad((omega * losses(layers))[batch].mean(), layers, create_graph=True)
            if isinstance(rule, Adam):
                m = [rule.beta1 * a + (1 - rule.beta1) * b for a, b in zip(m, g, strict=True)]
                q = [rule.beta2 * a + (1 - rule.beta2) * b**2 for a, b in zip(q, g, strict=True)]
                g = [
                    # Autograd has no derivative of sqrt at 0, where units are silent.
                    a / (1 - rule.beta1**n) / ((b / (1 - rule.beta2**n) + 1e-200).sqrt() + rule.floor)
                    for a, b in zip(m, q, strict=True)
                ]
            elif isinstance(rule, Momentum):
                m = g = [rule.mu * a + (1 - rule.mu) * b for a, b in zip(m, g, strict=True)]
            layers = [W - eta * change for W, change in zip(layers, g, strict=True)]
        return losses(layers)

    jacobian = torch.autograd.functional.jacobian(final, torch.ones(P, dtype=torch.float64))
    return P * jacobian.numpy().T


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize(("depth", "kind"), [(1, "linear"), (2, "linear"), (3, "linear"), (2, "relu"), (3, "tanh")])
def test_the_derivative_is_that_of_autograd_through_the_unrolled_training(rule, batch_size, depth, kind):
    one_hot = depth == 2
    task = task_from_spec("tree:3") if one_hot else dense_task()
    net = network(task, 4, "gaussian:0.6", depth=depth, activation=kind, seed=1)
    recipe = Recipe(Schedule(0.05, (0, 12)), RULES[rule], batch_size)
    expected = derivative_by_autograd(net, recipe)
    found = trajectory_derivative(net, recipe)[-1]
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("depth", "kind", "rule", "batch_size"),
    [
        (2, "linear", GradientDescent(), None),
        (2, "linear", Momentum(0.9), 3),
        (3, "tanh", GradientDescent(), 3),
        (3, "tanh", Momentum(0.9), None),
        (3, "tanh", Adam(), None),
    ],
)
def test_the_derivative_is_the_response_to_retraining_with_a_little_more_of_an_item(depth, kind, rule, batch_size):
    net = NET if not isinstance(rule, Adam) and depth == 2 else None
    net = net or network(TREE, 10, "gaussian:0.3", depth=depth, activation=kind)
    adam = isinstance(rule, Adam)
    recipe = Recipe(Schedule.even(*((1.0, 3, 1e-3) if adam else (8.0, 4, 1e-2))), rule, batch_size)
    # Central differences err by h^2; Adam divides by gradients near 0, of which 1e-4 is no small part.
    h = 1e-7 if adam else 1e-4
    more, less = (retrained_losses(net, recipe, 1 + sign * h * np.eye(8)) for sign in (1, -1))
    response = 8 * (more - less) / (2 * h)
    found = trajectory_derivative(net, recipe)
    scale = np.abs(found).max(axis=(1, 2), keepdims=True)
    assert np.abs(found - response)[1:].max() > 0
    np.testing.assert_array_less(np.abs(found - response)[1:] / scale[1:], 1e-3 if adam else 2e-7)


def test_a_rectifier_responds_by_its_derivative_only_until_a_unit_switches():
    net = network(TREE, 10, "gaussian:0.3", depth=3, activation="relu")
    recipe = Recipe(Schedule.even(3.0, 4, 1e-2))
    found, errors = trajectory_derivative(net, recipe), []
    for h in (1e-4, 1e-6):
        more, less = (retrained_losses(net, recipe, 1 + sign * h * np.eye(8)) for sign in (1, -1))
        errors.append(np.abs(found - 8 * (more - less) / (2 * h)).max() / np.abs(found).max())
    assert errors[0] > 0.1 and errors[1] < 1e-7


@pytest.mark.parametrize("optimizer", [GradientDescent(), Momentum(0.5)])
def test_the_derivative_approaches_the_closed_form_linearly_in_eta(optimizer):
    errors = []
    for eta in (0.04, 0.02, 0.01):
        recipe = Recipe(Schedule.even(24.0, 7, eta), optimizer)
        exact = predicted_derivative(ALIGNED.modes, recipe.schedule.times, a0=0.01, active=8)
        errors.append(np.abs(trajectory_derivative(NET, recipe) - exact).max() / np.abs(exact).max())
    # Up to the next order in eta, which is 5 % at the coarsest.
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 2, rtol=0.1)
    assert errors[-1] < 0.02


def test_from_an_unaligned_start_it_approaches_the_linearised_flow_linearly_in_eta():
    start, errors = network(TREE, 6, "gaussian:0.3"), []
    for eta in (0.02, 0.01):
        recipe = Recipe(Schedule.even(12.0, 5, eta))
        exact = trajectory_derivative_from_start(start, recipe.schedule.times)
        errors.append(np.abs(trajectory_derivative(start, recipe) - exact).max())
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.05)


@pytest.mark.parametrize("kind", ["linear", "relu", "tanh"])
def test_the_first_step_is_the_gradient_kernel(kind):
    net = network(dense_task(), 5, "gaussian:0.6", depth=3, activation=kind)
    eta = 1e-9
    recipe = Recipe(Schedule(eta, (0, 1)))
    (run,) = train_networks([net], recipe)
    found, kernel = trajectory_derivative(net, recipe), gradient_kernel(run)[0]
    assert not found[0].any()
    # g_j is taken after the step: a relative error of eta times the curvature, about 100 at most.
    np.testing.assert_allclose(found[1] / eta, kernel, atol=1e-6 * np.abs(kernel).max())


@pytest.mark.parametrize("rule", [GradientDescent(), Momentum(0.7)])
def test_more_of_every_item_at_once_is_a_larger_learning_rate(rule):
    net = network(TREE, 6, "gaussian:0.4", depth=3, activation="tanh")
    steps, eta, h = (0, 40, 90), 0.05, 1e-5
    total = trajectory_derivative(net, Recipe(Schedule(eta, steps), rule)).sum(axis=1)
    up, down = (retrained_losses(net, Recipe(Schedule(eta * (1 + x), steps), rule), np.ones((1, 8))) for x in (h, -h))
    np.testing.assert_allclose(total, 8 * (up - down)[:, 0] / (2 * h), atol=1e-7)


def test_under_adam_more_of_every_item_at_once_changes_nothing_but_the_floor():
    net = network(TREE, 6, "gaussian:0.4")
    derivative = [
        trajectory_derivative(net, Recipe(Schedule(0.01, (0, 40)), Adam(floor=floor)))[-1] for floor in (1e-6, 1e-9)
    ]
    totals = [np.abs(d.sum(axis=0)).max() / np.abs(d).max() for d in derivative]
    assert totals[1] < 1e-4 and totals[1] < 0.01 * totals[0]


@pytest.mark.parametrize("rule", RULES)
def test_windows_that_adjoin_add_up(rule):
    net = network(TREE, 6, "gaussian:0.4", activation="tanh")
    recipe = Recipe(Schedule.even(4.0, 5, 0.02), RULES[rule], batch_size=3)
    parts = [trajectory_derivative(net, recipe, window=w) for w in ((0.0, 1.3), (1.3, 2.9), (2.9, np.inf))]
    assert not parts[2][:3].any() and parts[2][3].any()
    whole = trajectory_derivative(net, recipe)
    np.testing.assert_allclose(sum(parts), whole, atol=1e-12 * np.abs(whole).max())


def test_the_derivative_in_a_window_approaches_the_closed_form_linearly_in_eta():
    errors, window = [], (4.0, 9.0)
    for eta in (0.02, 0.01):
        recipe = Recipe(Schedule.even(20.0, 6, eta))
        exact = predicted_derivative(ALIGNED.modes, recipe.schedule.times, a0=0.01, active=8, window=window)
        errors.append(np.abs(trajectory_derivative(NET, recipe, window=window) - exact).max())
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.1)


def test_the_derivative_does_not_depend_on_how_the_items_are_split():
    net = network(TREE, 7, "gaussian:0.3", depth=3, activation="tanh")
    recipe, seen = Recipe(Schedule.even(2.0, 3, 0.02), Adam(), batch_size=3), []
    together = trajectory_derivative(net, recipe)
    split = trajectory_derivative(net, recipe, memory=1e5, progress=seen.append)
    # Single and batched matrix products may round differently.
    np.testing.assert_allclose(split, together, atol=1e-12 * np.abs(together).max())
    assert sum(seen) == recipe.schedule.total and len(seen) > 3


def test_dropping_the_outputs_that_never_move_changes_nothing():
    start = network(TREE, 4, "gaussian:0.3")
    recipe = Recipe(Schedule.even(6.0, 3, 0.02))
    few = trajectory_derivative(start, recipe)
    # Momentum 0 is the same rule, and so is Adam's refusal to rotate: compare with outputs in another order.
    order = np.random.default_rng(0).permutation(TREE.n_outputs)
    turned = SemanticTask("turned", TREE.items, tuple(TREE.properties[k] for k in order), TREE.Y[order])
    net = start
    other = type(net)(turned, (start.W1, start.W2[order]))
    np.testing.assert_allclose(trajectory_derivative(other, recipe), few, atol=1e-11)
    assert NetworkModel.of(other).trajectory(tuple(W[None] for W in other.weights)).error.shape == (1, 15, 8)


def test_what_has_no_derivative_is_refused():
    with pytest.raises(WorkbenchError, match="give 0 <= t0 <= t1"):
        trajectory_derivative(NET, Recipe(Schedule(0.1, (0, 3))), window=(2.0, 1.0))
    with pytest.raises(WorkbenchError, match="diverged before t"):
        trajectory_derivative(NET, Recipe(Schedule(40.0, (0, 400))))
