"""Shapley values and linear datamodelling scores: axioms, brute force, published definitions."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation.influence.leave_one_out import leave_one_out_weights, retrained_losses
from workbench.simulation.influence.subset_values import (
    SubsetLosses,
    all_subsets,
    lds,
    sampled_subsets,
    shapley_values,
    subset_losses,
)
from workbench.simulation.influence.trajectory_derivative import trajectory_derivative
from workbench.simulation.running.threads import torch_threads
from workbench.simulation.training.optimizers import Adam
from workbench.simulation.training.recipes import Recipe
from workbench.simulation.training.schedule import Schedule

TREE = task_from_spec("tree")
ALIGNED = network(TREE, 8, "balanced:0.01")
RECIPE = Recipe(Schedule.even(15.0, 6, 0.05))


@pytest.fixture(scope="module")
def of_tree():
    """Losses after training on all 256 subsets of the tree's items."""
    return subset_losses(ALIGNED, RECIPE)


def game(P, seed=0):
    """Random losses of all subsets at 2 checkpoints."""
    losses = np.random.default_rng(seed).normal(size=(2, 2**P, P))
    return SubsetLosses(np.arange(2.0), all_subsets(P), losses)


@pytest.mark.parametrize("P", [2, 3, 5])
def test_values_are_the_mean_over_all_orders_of_what_an_item_adds(P):
    found, expected = game(P), np.zeros((2, P, P))
    orders = list(permutations(range(P)))
    for order in orders:
        before = 0
        for i in order:
            after = before | (1 << i)
            expected[:, i] += (found.losses[:, after] - found.losses[:, before]) / len(orders)
            before = after
    np.testing.assert_allclose(shapley_values(found), expected, atol=1e-13)


def test_values_of_training_add_up_to_what_all_items_together_do(of_tree):
    values = shapley_values(of_tree)
    np.testing.assert_allclose(values.sum(axis=1), of_tree.losses[:, -1] - of_tree.losses[:, 0], atol=1e-12)
    assert not values[0].any() and values[-1].any()


def test_an_item_that_changes_nothing_has_no_value_and_equal_items_have_equal_values():
    found = game(4)
    # Item 2 is ignored, and items 0 and 3 may be exchanged.
    subsets = found.subsets.copy()
    subsets[:, 2] = False
    subsets[:, 0], subsets[:, 3] = subsets[:, 0] | subsets[:, 3], subsets[:, 0] & subsets[:, 3]
    rows = subsets @ (1 << np.arange(4))
    values = shapley_values(SubsetLosses(found.times, found.subsets, found.losses[:, rows]))
    np.testing.assert_allclose(values[:, 2], 0, atol=1e-14)
    np.testing.assert_allclose(values[:, 0], values[:, 3], atol=1e-14)
    assert np.abs(values[:, 1]).min() > 1e-6


def test_values_depend_on_the_tree_alone(of_tree):
    values, levels = shapley_values(of_tree), TREE.common_ancestor_level
    for level in range(4):
        among = values[:, levels == level]
        np.testing.assert_allclose(among, np.repeat(among[:, :1], among.shape[1], axis=1), atol=1e-10)


@pytest.mark.parametrize("convention", ["unnormalised", "renormalised"])
def test_subsets_of_all_but_one_item_are_leave_one_out(convention):
    net = network(TREE, 5, "gaussian:0.4", depth=3, activation="relu")
    recipe = Recipe(Schedule.even(2.0, 3, 0.05), Adam(), batch_size=3)
    subsets = ~np.eye(8, dtype=bool)
    found = subset_losses(net, recipe, subsets, convention=convention)
    expected = retrained_losses(net, recipe, leave_one_out_weights(8, convention))
    np.testing.assert_array_equal(found.losses, expected)


def test_the_empty_subset_leaves_the_network_as_it_was(of_tree):
    np.testing.assert_allclose(of_tree.losses[:, 0], np.repeat(of_tree.losses[:1, 0], 6, axis=0), rtol=1e-14)
    renormalised = subset_losses(ALIGNED, RECIPE, all_subsets(8)[:2], convention="renormalised")
    np.testing.assert_allclose(renormalised.losses[:, 0], of_tree.losses[:, 0], rtol=1e-14)


def test_losses_do_not_depend_on_how_the_subsets_are_split(of_tree):
    split = subset_losses(ALIGNED, RECIPE, memory=4e5)
    np.testing.assert_array_equal(split.losses, of_tree.losses)
    with torch_threads(2):
        shared = subset_losses(ALIGNED, RECIPE)
    np.testing.assert_array_equal(shared.losses, of_tree.losses)


def test_sampled_subsets_are_distinct_of_the_size_asked_for_and_of_their_seed():
    subsets = sampled_subsets(20, 300, fraction=0.4, seed=3)
    assert (subsets.sum(axis=1) == 8).all() and len(np.unique(subsets, axis=0)) == 300
    np.testing.assert_array_equal(subsets, sampled_subsets(20, 300, fraction=0.4, seed=3))
    np.testing.assert_array_equal(subsets[:50], sampled_subsets(20, 50, fraction=0.4, seed=3))
    assert (subsets != sampled_subsets(20, 300, fraction=0.4, seed=4)).any()
    # Every item is drawn with probability 0.4: a standard error of 8.5 of 120, at most 4 of them.
    assert np.abs(subsets.sum(axis=0) - 120).max() < 34


def test_a_game_that_is_additive_is_predicted_perfectly_and_its_opposite_perfectly_wrong():
    found = game(6)
    influence = np.random.default_rng(1).normal(size=(2, 6, 6))
    additive = SubsetLosses(found.times, found.subsets, 5 + 0.1 * found.subsets.astype(float) @ influence)
    np.testing.assert_allclose(lds(influence, additive), 1.0, rtol=1e-12)
    np.testing.assert_allclose(lds(-3 * influence, additive), -1.0, rtol=1e-12)


def test_the_score_is_spearmans_rank_correlation_of_predicted_and_actual_losses():
    found, influence = game(5), np.round(np.random.default_rng(2).normal(size=(2, 5, 5)))
    score = lds(influence, found)
    for k in range(2):
        for j in range(5):
            predicted = found.subsets.astype(float) @ influence[k, :, j]
            assert score[k, j] == pytest.approx(spearmanr(predicted, found.losses[k, :, j]).statistic, abs=1e-12)


def test_losses_that_differ_by_rounding_are_ties(of_tree):
    derivative = trajectory_derivative(ALIGNED, RECIPE)
    noise = 1 + 1e-13 * np.random.default_rng(0).normal(size=of_tree.losses.shape)
    disturbed = SubsetLosses(of_tree.times, of_tree.subsets, of_tree.losses * noise)
    score = lds(derivative, of_tree)
    np.testing.assert_allclose(lds(derivative, disturbed)[1:], score[1:], atol=1e-12)
    # At t = 0 nothing has been learned from any subset.
    assert np.isnan(score[0]).all() and not np.isnan(score[1:]).any()
    # The tree cannot tell its items apart.
    np.testing.assert_allclose(score[1:], np.repeat(score[1:, :1], 8, axis=1), atol=1e-9)


def test_shapley_values_predict_subset_losses_better_than_the_wrong_item(of_tree):
    values = shapley_values(of_tree)
    right, wrong = lds(values, of_tree)[1:], lds(np.roll(values, 3, axis=1), of_tree)[1:]
    assert (right > 0.5).all() and (right > wrong + 0.2).all()


def test_what_cannot_be_enumerated_is_refused_with_a_remedy():
    large = task_from_spec("tree:13")
    net = network(large, 3, "gaussian:0.1")
    recipe = Recipe(Schedule(0.05, (0, 4)))
    with pytest.raises(ConditionError, match="found 13 items; give a sample: sampled_subsets"):
        subset_losses(net, recipe)
    sample = subset_losses(net, recipe, sampled_subsets(13, 20))
    assert sample.losses.shape == (2, 20, 13) and not sample.exhaustive
    with pytest.raises(ConditionError, match=r"found 20 of 2\^13"):
        shapley_values(sample)
    with pytest.raises(WorkbenchError, match="at most half as many"):
        sampled_subsets(5, 8)
    with pytest.raises(WorkbenchError, match=r"expected \(2, 13, 13\)"):
        lds(np.zeros((13, 13)), sample)


def test_membership_of_the_target_fools_the_score_unless_it_is_given():
    """Minus the identity knows that an item helps itself, and nothing else."""
    tree = task_from_spec("tree")
    start = network(tree, init="balanced:0.01")
    losses = subset_losses(start, Recipe(Schedule.even(12.0, 4, 0.1)), sampled_subsets(8, 32))
    identity = np.broadcast_to(-np.eye(8), (4, 8, 8))
    assert lds(identity, losses)[1:].mean() > 0.7
    assert np.isnan(lds(identity, losses, given_target=True)).all()


def test_given_the_target_an_estimate_is_ranked_among_subsets_that_agree_on_it():
    """Against scipy, subset by subset, for one target."""
    rng = np.random.default_rng(0)
    subsets, influence = rng.random((40, 5)) < 0.5, rng.standard_normal((1, 5, 6))
    found = SubsetLosses(np.zeros(1), subsets, rng.standard_normal((1, 40, 6)))
    predicted = subsets @ influence[0]
    for j, groups in ((2, (subsets[:, 2], ~subsets[:, 2])), (5, (np.ones(40, dtype=bool),))):
        expected = np.mean([spearmanr(predicted[g, j], found.losses[0, g, j]).statistic for g in groups])
        assert lds(influence, found, given_target=True)[0, j] == pytest.approx(expected, abs=1e-6)
