"""Training of any depth, rule and batch against autograd, torch's optimizers, the flow and known stability."""

from itertools import islice, pairwise

import numpy as np
import pytest
import torch

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network, network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation.influence.gradient_kernel import gradient_kernel
from workbench.simulation.influence.leave_one_out import leave_one_out_weights, retrained_losses
from workbench.simulation.network.curvature import hessian_products, largest_curvature
from workbench.simulation.running.place import Place
from workbench.simulation.training.descent import train, train_networks
from workbench.simulation.training.learning_rate import (
    balanced_curvature,
    largest_stable_eta,
    learning_rate,
)
from workbench.simulation.training.optimizers import Adam, GradientDescent, Momentum
from workbench.simulation.training.recipes import ItemWeights, Recipe
from workbench.simulation.training.schedule import Schedule, log_spaced_times, schedule_near, stage_times
from workbench.theory.modes.rise_time import half_rise_time
from workbench.theory.modes.strength import mode_strength

TREE = task_from_spec("tree")
SMALL = task_from_spec("tree:3")
MODES = network(TREE, 16, "balanced:0.01")
KINDS = [(1, "linear"), (2, "linear"), (4, "linear"), (2, "relu"), (3, "relu"), (3, "tanh")]


def dense_task(seed=0):
    """Five items whose inputs are not one-hot."""
    rng = np.random.default_rng(seed)
    names = tuple("abcde")
    return SemanticTask("dense", names, tuple("uvwxyz"), rng.normal(size=(6, 5)), X=rng.normal(size=(4, 5)))


def outputs_by_torch(layers, X, activation):
    phi = {"linear": lambda z: z, "relu": torch.relu, "tanh": torch.tanh}[activation]
    h = torch.tensor(X)
    for W in layers[:-1]:
        h = phi(W @ h)
    return layers[-1] @ h


def item_losses_by_torch(layers, task, activation):
    return 0.5 * (torch.tensor(task.Y) - outputs_by_torch(layers, task.X, activation)).square().sum(dim=0)


def trained_by_torch(network, recipe, weights, make):
    """Final item losses after training with autograd and one of torch's optimizers."""
    layers = [torch.tensor(W, requires_grad=True) for W in network.weights]
    optimizer, P = make(layers), network.task.n_items
    for items in islice(recipe.batches(P), recipe.schedule.total):
        batch = np.arange(P) if items is None else items
        optimizer.zero_grad()
        losses = item_losses_by_torch(layers, network.task, network.activation)
        (losses[batch] * torch.tensor(weights)[batch]).mean().backward()
        optimizer.step()
    return item_losses_by_torch(layers, network.task, network.activation).detach().numpy()


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize(("depth", "kind"), KINDS)
def test_steps_are_those_of_autograd(depth, kind, one_hot, batch_size):
    task = SMALL if one_hot else dense_task()
    net = network(task, 4, "gaussian:0.7", depth=depth, activation=kind, seed=depth)
    weights = np.random.default_rng(1).random((3, task.n_items))
    recipe = Recipe(Schedule(0.05, (0, 7)), batch_size=batch_size)
    found = retrained_losses(net, recipe, weights)[-1]
    for row, omega in zip(found, weights, strict=True):
        expected = trained_by_torch(net, recipe, omega, lambda p: torch.optim.SGD(p, lr=0.05))
        np.testing.assert_allclose(row, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Momentum(0.9), lambda p: torch.optim.SGD(p, lr=0.03 * 0.1, momentum=0.9)),
        (Momentum(0.0), lambda p: torch.optim.SGD(p, lr=0.03)),
        (Adam(), lambda p: torch.optim.Adam(p, lr=0.03)),
        (Adam(0.8, 0.95, 1e-3), lambda p: torch.optim.Adam(p, lr=0.03, betas=(0.8, 0.95), eps=1e-3)),
    ],
)
@pytest.mark.parametrize("batch_size", [None, 3])
def test_rules_are_those_of_torch(ours, theirs, batch_size):
    net = network(dense_task(), (5, 4), "gaussian:0.6", depth=3, activation="tanh")
    recipe = Recipe(Schedule(0.03, (0, 30)), ours, batch_size)
    found = retrained_losses(net, recipe, np.ones((1, 5)))[-1, 0]
    # Thirty steps amplify rounding, most under Adam, which divides by the size of small gradients.
    np.testing.assert_allclose(found, trained_by_torch(net, recipe, np.ones(5), theirs), rtol=1e-9)


@pytest.mark.parametrize("one_hot", [True, False])
def test_two_linear_layers_train_from_second_moments_as_they_do_from_items(one_hot):
    start = network(TREE if one_hot else dense_task(), 6, "gaussian:0.2")
    schedule, P = Schedule.even(15.0, 6, 0.01), start.task.n_items
    by_items = Recipe(schedule, Momentum(0.0))  # the same rule
    weights = np.vstack([np.ones(P), leave_one_out_weights(P, "renormalised")])
    found = retrained_losses(start, by_items, weights)
    np.testing.assert_allclose(found, retrained_losses(start, schedule, weights), atol=1e-12)
    deep = train(start, by_items)
    shallow = train(start, schedule)
    np.testing.assert_allclose(deep.weights[0], shallow.W1, atol=1e-12)
    np.testing.assert_allclose(deep.item_losses, shallow.item_losses, atol=1e-12)
    np.testing.assert_allclose(deep.outputs, shallow.outputs, atol=1e-12)


@pytest.mark.parametrize("optimizer", [GradientDescent(), Momentum(0.5)])
@pytest.mark.parametrize(("depth", "t_max"), [(1, 20.0), (2, 20.0), (3, 40.0), (4, 60.0)])
def test_aligned_training_approaches_the_flow_of_its_depth_linearly_in_eta(depth, t_max, optimizer):
    net = network(TREE, 10, "balanced:0.05", depth=depth)
    modes = network(TREE, 8, "balanced:0.01").modes
    errors = []
    for eta in (0.04, 0.02, 0.01):
        (run,) = train_networks([net], Recipe(Schedule.even(t_max, 6, eta), optimizer))
        exact = mode_strength(run.times[:, None], modes.s, c=modes.c, a0=0.05, depth=depth)
        errors.append(np.abs(run.mode_strengths - exact).max())
    # The ratio is 2 up to the next order in eta, which is 3 % here.
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 2, rtol=0.06)


def test_balance_between_all_layers_is_conserved_up_to_the_learning_rate():
    net, drift = network(TREE, (9, 7, 8), "gaussian:0.35", depth=4), []
    for eta in (0.02, 0.01):
        (run,) = train_networks([net], Recipe(Schedule.even(20.0, 5, eta)))
        balances = [b.swapaxes(1, 2) @ b - a @ a.swapaxes(1, 2) for a, b in pairwise(run.weights)]
        assert all(np.abs(balance[0]).max() > 0.1 for balance in balances)
        drift.append([np.abs(balance - balance[0]).max() for balance in balances])
    np.testing.assert_allclose(np.array(drift[0]) / drift[1], 2, rtol=0.1)


def test_an_epoch_visits_every_item_once_and_the_order_depends_on_the_seed_alone():
    schedule = Schedule(0.1, (0, 1))
    batches = list(islice(Recipe(schedule, batch_size=3, batch_seed=5).batches(8), 6))
    assert [len(items) for items in batches] == [3, 3, 2] * 2
    for epoch in (batches[:3], batches[3:]):
        assert sorted(np.concatenate(epoch)) == list(range(8))
    again = Recipe(Schedule(0.3, (0, 9)), Adam(), batch_size=3, batch_seed=5).batches(8)
    assert all((a == b).all() for a, b in zip(batches, again, strict=False))
    other = islice(Recipe(schedule, batch_size=3, batch_seed=6).batches(8), 6)
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(batches, other, strict=True))


def test_a_batch_of_all_items_is_full_batch_training():
    net = network(TREE, 5, "gaussian:0.3", activation="relu")
    schedule = Schedule.even(5.0, 4, 0.02)
    full, batched = (retrained_losses(net, Recipe(schedule, batch_size=b), np.ones((1, 8))) for b in (None, 8))
    np.testing.assert_allclose(batched, full, rtol=1e-12)


def test_mini_batch_training_approaches_the_same_flow_linearly_in_eta():
    errors = []
    for eta in (0.01, 0.005, 0.0025):
        (run,) = train_networks([MODES], Recipe(Schedule.even(16.0, 5, eta), batch_size=2))
        modes = network(TREE, 8, "balanced:0.01").modes
        errors.append(np.abs(run.mode_strengths - mode_strength(run.times[:, None], modes.s, c=modes.c, a0=0.01)).max())
    # Every epoch is a sum over all items up to eta^2, but the order of the items is random: halved within a factor.
    assert all(1.4 < a / b < 2.8 for a, b in pairwise(errors))


def test_runs_do_not_depend_on_the_runs_beside_them_or_on_the_memory():
    net = network(TREE, 7, "gaussian:0.3", depth=3, activation="tanh")
    recipe = Recipe(Schedule.even(3.0, 4, 0.02), Adam(), batch_size=3)
    weights = np.random.default_rng(0).random((23, 8))
    together, seen = retrained_losses(net, recipe, weights), []
    split = retrained_losses(net, recipe, weights, memory=1e5, progress=seen.append)
    np.testing.assert_array_equal(split, together)
    assert sum(seen) == recipe.schedule.total and len(seen) > 4
    with pytest.raises(ConditionError, match="memory for at least one run"):
        retrained_losses(net, recipe, weights, memory=1e3)


def test_seeds_in_a_batch_train_as_they_do_alone():
    networks = [network(TREE, 6, "gaussian:0.3", depth=3, activation="relu", seed=k) for k in range(4)]
    recipe = Recipe(Schedule.even(4.0, 3, 0.02), Momentum(0.9), batch_size=4)
    for net, run in zip(networks, train_networks(networks, recipe), strict=True):
        (alone,) = train_networks([net], recipe)
        for a, b in zip(run.weights, alone.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-13)


def test_weights_that_change_on_the_way_hold_from_their_step_on():
    net = network(SMALL, 3, "gaussian:0.5")
    phases = np.random.default_rng(2).random((3, 2, 3))
    recipe = Recipe(Schedule(0.1, (0, 6, 12)), Momentum(0.7), batch_size=2)
    found = retrained_losses(net, recipe, ItemWeights((0, 4, 9), phases))
    for r in range(2):
        layers = [torch.tensor(W, requires_grad=True) for W in net.weights]
        optimizer = torch.optim.SGD(layers, lr=0.1 * 0.3, momentum=0.7)
        for n, items in enumerate(islice(recipe.batches(3), 12)):
            omega = phases[0 if n < 4 else 1 if n < 9 else 2, r]
            optimizer.zero_grad()
            losses = item_losses_by_torch(layers, SMALL, "linear")
            (losses[items] * torch.tensor(omega)[items]).mean().backward()
            optimizer.step()
        expected = item_losses_by_torch(layers, SMALL, "linear").detach().numpy()
        np.testing.assert_allclose(found[-1, r], expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer", [GradientDescent(), Momentum(0.6)])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_largest_stable_learning_rate_separates_returning_to_the_minimum_from_leaving_it(depth, optimizer):
    net = network(SMALL, 4, "balanced:0.5", depth=depth)
    (run,) = train_networks([net], Recipe(Schedule(learning_rate(net, 0.3), (0, 3000))))
    rng = np.random.default_rng(0)
    near = Network(SMALL, tuple(W + 1e-4 * rng.normal(size=W.shape) for W in run.at(-1).weights))
    change = []
    for fraction in (0.98, 1.02):
        recipe = Recipe(Schedule(learning_rate(net, fraction, optimizer), (0, 400)), optimizer)
        (moved,) = train_networks([near], recipe)
        change.append(moved.loss[-1] / moved.loss[0])
    # The residual of the strongest mode changes by a factor of 0.96 or 1.04 a step, 0.97 or 1.02 with momentum.
    assert change[0] < 1e-6 and change[1] > 1e3, change


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_curvature_at_convergence_is_the_known_one_and_no_minimum_is_flatter(depth):
    net = network(SMALL, 4, "balanced:0.5", depth=depth)
    modes = network(SMALL, 4, "balanced:0.01").modes
    known = balanced_curvature(float(modes.s[0]), modes.c, depth)
    (run,) = train_networks([net], Recipe(Schedule(learning_rate(net, 0.3), (0, 4000))))
    # What is left of the slowest mode after 4000 steps is below 1e-9.
    np.testing.assert_allclose(largest_curvature(run.at(-1)), known, rtol=1e-8)
    rng = np.random.default_rng(depth)
    for _ in range(20 * (depth > 1)):
        # Put any invertible matrix and its inverse between two layers: the same product, another minimum.
        layers = list(run.at(-1).weights)
        for low in range(depth - 1):
            G = np.eye(4) + 0.4 * rng.normal(size=(4, 4))
            layers[low], layers[low + 1] = G @ layers[low], layers[low + 1] @ np.linalg.inv(G)
        assert largest_curvature(Network(SMALL, tuple(layers))) >= known * (1 - 1e-8)


@pytest.mark.parametrize(("depth", "kind"), KINDS)
def test_hessian_products_are_those_of_autograd(depth, kind):
    net = network(dense_task(), 3, "gaussian:0.7", depth=depth, activation=kind)

    def loss(flat):
        parts = torch.split(flat, [a * b for a, b in net.shapes])
        layers = [part.view(shape) for part, shape in zip(parts, net.shapes, strict=True)]
        return item_losses_by_torch(layers, net.task, kind).mean()

    H = torch.autograd.functional.hessian(loss, torch.tensor(net.flat)).numpy()
    np.testing.assert_allclose(hessian_products(net, np.eye(len(H))), H, atol=1e-13)
    np.testing.assert_allclose(largest_curvature(net), np.linalg.eigvalsh(H)[-1], rtol=1e-10)


def test_the_largest_curvature_of_many_weights_is_that_of_the_dense_hessian():
    net = network(TREE, 14, "gaussian:0.3", depth=3, activation="tanh")
    H = hessian_products(net, np.eye(net.n_weights))
    # Lanczos iteration to a relative tolerance of 1e-6.
    np.testing.assert_allclose(largest_curvature(net), np.linalg.eigvalsh(H)[-1], rtol=1e-5)


@pytest.mark.parametrize(("depth", "kind"), KINDS)
def test_the_kernel_of_any_network_is_that_of_autograd(depth, kind):
    net = network(dense_task(), 3, "gaussian:0.7", depth=depth, activation=kind)
    (run,) = train_networks([net], Recipe(Schedule(0.05, (0, 5))))
    layers = [torch.tensor(W, requires_grad=True) for W in run.at(1).weights]
    losses = item_losses_by_torch(layers, net.task, kind)
    rows = [torch.cat([g.ravel() for g in torch.autograd.grad(l, layers, retain_graph=True)]) for l in losses]
    G = torch.stack(rows)
    np.testing.assert_allclose(gradient_kernel(run)[1], -G @ G.T, atol=1e-12)


def test_checkpoints_are_log_spaced_or_where_the_stages_are():
    times = log_spaced_times(0.1, 10.0, 6)
    np.testing.assert_allclose(times, [0, *10 ** np.array([-1, -0.5, 0, 0.5, 1])])
    assert schedule_near(times, 0.25).steps == (0, 1, 4, 13, 40)
    modes = network(TREE, 8, "balanced:0.01").modes
    rises = half_rise_time(modes.s, c=modes.c, a0=0.01, depth=3)
    stages = stage_times(rises, t_max=1.2 * rises.max(), between=3)
    # Eight modes in four levels: four stages, five gaps.
    assert len(stages) == 1 + 5 * 4 and (np.diff(stages) > 0).all()
    assert all(np.isclose(stages, rise, rtol=1e-8).any() for rise in rises)
    np.testing.assert_allclose(stage_times([np.inf, 50.0], 10.0, 1), [0, 5, 10])


def test_single_precision_agrees_within_its_rounding():
    net = network(TREE, 8, "gaussian:0.4", depth=3, activation="tanh")
    recipe = Recipe(Schedule.even(5.0, 3, 0.02), Momentum(0.9))
    double = retrained_losses(net, recipe, np.ones((2, 8)))
    single = retrained_losses(net, recipe, np.ones((2, 8)), place=Place(dtype=torch.float32))
    # 250 steps, each with a rounding error of 6e-8.
    np.testing.assert_allclose(single, double, rtol=1e-4)
    assert np.abs(single - double).max() > 1e-12


def test_what_cannot_be_trained_is_refused_with_a_remedy():
    schedule = Schedule(0.1, (0, 5))
    with pytest.raises(WorkbenchError, match="activation 'gelu' is unknown; use linear, relu or tanh"):
        network(TREE, 3, "gaussian:0.1", activation="gelu")
    with pytest.raises(WorkbenchError, match="do not lead from 8 inputs to 15 outputs"):
        Network(TREE, (np.zeros((3, 8)), np.zeros((15, 4))))
    with pytest.raises(WorkbenchError, match="give one width >= 1, or 2 of them"):
        network(TREE, (4,), "balanced:0.1", depth=3)
    with pytest.raises(WorkbenchError, match="batch size 9 for 8 items; give 1 to 8"):
        retrained_losses(MODES, Recipe(schedule, batch_size=9), np.ones((1, 8)))
    with pytest.raises(WorkbenchError, match="item weights for 7 items; the task has 8"):
        retrained_losses(MODES, Recipe(schedule), np.ones((1, 7)))
    with pytest.raises(WorkbenchError, match="share task, layer sizes and activation"):
        train_networks([MODES, network(TREE, 9, "balanced:0.01")], Recipe(schedule))
    with pytest.raises(WorkbenchError, match=r"diverged before t = .* use a smaller `eta`"):
        train_networks([MODES], Recipe(Schedule(50.0, (0, 400))))
    with pytest.raises(ConditionError, match="found relu hidden layers"):
        learning_rate(network(TREE, 3, "gaussian:0.1", activation="relu"), 0.5)
    with pytest.raises(ConditionError, match="found Adam"):
        largest_stable_eta(1.0, Adam())
