"""Window removal by retraining: plain loops, leave-one-out, and the flow's own windows."""

from itertools import islice

import numpy as np
import pytest

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation.influence.leave_one_out import leave_one_out_weights, retrained_losses
from workbench.simulation.influence.window_removal import window_removal, window_steps, window_weights
from workbench.simulation.training.optimizers import Adam, Momentum
from workbench.simulation.training.recipes import Recipe
from workbench.simulation.training.schedule import Schedule
from workbench.theory.influence.window_removal import window_removal as predicted_removal

TREE, SMALL = task_from_spec("tree"), task_from_spec("tree:3")
ALIGNED = network(TREE, 8, "balanced:0.01")
CONVENTIONS = ["unnormalised", "renormalised"]


def plain_loop(network, recipe, item, window, kept_weight):
    """Losses at every checkpoint of two linear layers, one run at a time."""
    (W1, W2), Y, P = network.weights, network.task.Y, network.task.n_items
    losses, done, batches = [], 0, recipe.batches(P)
    for wanted in recipe.schedule.steps:
        for n, items in enumerate(islice(batches, wanted - done), start=done):
            omega = np.ones(P)
            if window[0] <= n * recipe.schedule.eta < window[1]:
                omega[:], omega[item] = kept_weight, 0.0
            chosen = np.zeros(P)
            chosen[items if items is not None else slice(None)] = 1.0
            E = (Y - W2 @ W1) * omega * chosen / chosen.sum()
            W1, W2 = W1 + recipe.schedule.eta * W2.T @ E, W2 + recipe.schedule.eta * E @ W1.T
        losses.append(0.5 * ((Y - W2 @ W1) ** 2).sum(axis=0))
        done = wanted
    return np.array(losses)


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_removal_equals_a_plain_loop_over_windows_and_items(convention, batch_size):
    net = network(SMALL, 3, "gaussian:0.5")
    # Windows within training, past its end, from the start, and touching one another.
    windows = [(0.375, 1.25), (1.25, 99.0), (0.0, 0.375), (0.125, 0.25)]
    recipe = Recipe(Schedule(0.125, (0, 3, 7, 16)), batch_size=batch_size)
    removal = window_removal(net, recipe, windows, convention=convention)
    together = plain_loop(net, recipe, 0, (0, 0), 1.0)
    for k, window in enumerate(windows):
        for i in range(3):
            without = plain_loop(net, recipe, i, window, 1.0 if convention == "unnormalised" else 1.5)
            np.testing.assert_allclose(removal[k, :, i], together - without, atol=1e-13)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_window_over_all_of_training_is_leave_one_out(convention):
    schedule = Schedule.even(12.0, 5, 0.01)
    weights = np.vstack([np.ones(8), leave_one_out_weights(8, convention)])
    losses = retrained_losses(ALIGNED, schedule, weights)
    removal = window_removal(ALIGNED, Recipe(schedule), [(0.0, np.inf)], convention=convention)
    np.testing.assert_allclose(removal[0], losses[:, :1] - losses[:, 1:], atol=1e-11)


@pytest.mark.parametrize("rule", [Momentum(0.9), Adam()])
def test_nothing_happens_before_a_window_opens_or_if_it_is_empty(rule):
    net = network(TREE, 6, "gaussian:0.3", depth=3, activation="tanh")
    recipe = Recipe(Schedule.even(2.0, 5, 0.05), rule, batch_size=3)
    removal = window_removal(net, recipe, [(1.0, 1.5), (0.7, 0.7)])
    assert not removal[0, :3].any() and not removal[1].any() and removal[0, 3:].any()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_removal_approaches_that_of_the_flow_linearly_in_eta(convention):
    windows, errors = [(2.0, 5.0), (6.0, 11.0)], []
    for eta in (0.02, 0.01):
        schedule = Schedule.even(16.0, 5, eta)
        exact = predicted_removal(ALIGNED, schedule.times, windows, convention=convention)
        found = window_removal(ALIGNED, Recipe(schedule), windows, convention=convention)
        errors.append(np.abs(found - exact).max())
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.1)


def test_many_windows_in_one_batch_are_what_they_are_alone():
    net = network(TREE, 5, "gaussian:0.3")
    recipe = Recipe(Schedule.even(3.0, 4, 0.02), batch_size=4)
    windows = [(0.2 * k, 0.2 * k + 0.9) for k in range(8)]
    together = window_removal(net, recipe, windows, memory=2e5)
    alone = np.concatenate([window_removal(net, recipe, [w]) for w in windows])
    np.testing.assert_allclose(together, alone, atol=1e-13)
    assert retrained_losses(net, recipe, window_weights(8, window_steps(recipe.schedule, windows))).shape == (
        4,
        65,
        8,
    )


def test_windows_that_are_none_are_refused():
    network, recipe = ALIGNED, Recipe(Schedule(0.1, (0, 3)))
    with pytest.raises(ConditionError, match=r"found \(2, 1\); give the earlier time first"):
        window_removal(network, recipe, [(2.0, 1.0)])
    with pytest.raises(WorkbenchError, match="convention 'both' is unknown"):
        window_removal(network, recipe, [(0.0, 1.0)], convention="both")
