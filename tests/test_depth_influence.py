"""Influence against depth: events on one clock, the limit, one formula for four measures, runs in few directions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.agreement.depths import (
    events_by_depth,
    kernel_events_without_bound,
    networks_by_depth,
    spread,
    strength_of_half_rise,
)
from workbench.errors import ConditionError
from workbench.influence import MEASURES, predict
from workbench.networks import network
from workbench.semantics import Hierarchy, SemanticTask, task_from_spec
from workbench.theory import flip_times, half_rise_times, hierarchy_spectrum
from workbench.theory.flow.one_item import one_item_losses
from workbench.theory.flow.weighted_flow import weighted_flow
from workbench.theory.influence.four_operators import pair_through_measures

TREE = task_from_spec("tree")


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return events_by_depth(TREE, (1, 2, 3, 5), measures=["gradient_kernel", "trajectory_derivative", "leave_one_out"])


def test_flips_of_the_kernel_of_two_layers_are_the_roots_of_the_closed_form(events):
    tree = Hierarchy((2, 2, 2))
    roots = flip_times(tree, hierarchy_spectrum(tree).singular_values(q0=1, q1=1, q2=1, q3=1), a0=0.01)
    rows = events[(events.depth == 2) & (events.measure == "gradient_kernel") & (events.event == "flip 1")]
    # Roots of a cubic spline through 120 checkpoints.
    np.testing.assert_allclose(rows.time * rows["first"], [t[0] for t in roots], rtol=1e-4)


def test_at_every_depth_distant_pairs_flip_before_near_ones_by_every_measure(events):
    flips = events[events.event == "flip 1"].pivot_table(index=["depth", "measure"], columns="pairs", values="time")
    assert len(flips) == 9
    assert (np.diff(flips.to_numpy(), axis=1) > 0).all()


def test_the_first_flips_of_the_measures_are_closer_together_in_five_layers_than_in_two(events):
    apart = spread(events)
    assert (apart[5] < 0.7 * apart[2]).all()


def test_items_of_a_single_layer_do_not_influence_each_other(events):
    assert 1 not in set(events.depth)


def test_the_start_that_is_matched_has_the_half_rise_time_asked_for_and_one_layer_has_none():
    nets = networks_by_depth(TREE, (1, 2, 3, 4), match="start")
    assert [net.depth for net in nets] == [2, 3, 4]
    np.testing.assert_allclose([half_rise_times(net)[0] for net in nets], half_rise_times(nets[0])[0], rtol=1e-10)
    assert strength_of_half_rise(nets[0], 1) is None


def test_flips_of_the_kernel_tend_to_those_of_infinite_depth_at_first_order():
    limit = kernel_events_without_bound(TREE, a0=0.4)
    deep = events_by_depth(TREE, (64, 128, 256), measures=["gradient_kernel"], a0=0.4)
    flips, goal = (x[x.event == "flip 1"] for x in (deep, limit))
    for pairs, rows in flips.groupby("pairs"):
        error = np.abs(rows.time.to_numpy() - goal[goal.pairs == pairs].time.item())
        np.testing.assert_allclose(error[:-1] / error[1:], 2, rtol=0.1)
    assert len(flips) == 9


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize(
    ("name", "options"),
    [("gradient_kernel", {}), ("damped_newton", {"damping": 2.0}), ("trajectory_derivative", {})],
)
def test_both_signs_of_a_pair_are_what_it_adds_to_a_measure(depth, name, options):
    net, times = network(task_from_spec("tree:2"), 4, "balanced:0.05", depth=depth), np.array([1.0, 6.0, 15.0])
    terms = pair_through_measures(net, times, (0, 1), damping=2.0, n_beta=1.0, gamma=2.0).terms
    whole = MEASURES[name](predict(net, times), **options).values
    # v_1 = (1, 1)/sqrt 2, v_2 = (1, -1)/sqrt 2: the pair of modes adds to the diagonal what it takes off it.
    pair = (whole[:, 0, 0] - whole[:, 0, 1]) / 2
    np.testing.assert_allclose(-0.5 * terms[name].sum(axis=1), pair, rtol=1e-12, atol=1e-12 * np.abs(pair).max())
    np.testing.assert_allclose(terms["local_bif"], terms["damped_newton"], rtol=1e-12)


def repeated() -> SemanticTask:
    """Rank 3 with 5 items: two items are alike and one has no property."""
    Y = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=float)
    return SemanticTask("repeated", tuple("abcde"), tuple("wxyz"), Y)


@pytest.mark.parametrize(
    ("task", "hidden", "depth"), [(repeated(), 6, 3), (task_from_spec("tree:2,2"), 2, 3), (repeated(), 2, 2)]
)
@pytest.mark.parametrize("weight", [0.0, 2.5])
def test_one_item_is_weighed_in_a_few_directions_as_in_all(task, hidden, depth, weight):
    net, times, P = network(task, hidden, "balanced:0.05", depth=depth), np.array([9.0, 0.0, 3.0, 25.0]), task.n_items
    few = one_item_losses(net, times, weight, window=(2.0, 8.0), rtol=1e-12)
    everything = weighted_flow(net, times, 1 + (weight - 1) * np.eye(P), window=(2.0, 8.0), rtol=1e-12)
    np.testing.assert_allclose(few, everything, atol=1e-10)


def test_one_item_asks_for_an_aligned_start_and_names_what_takes_any():
    with pytest.raises(ConditionError, match="weighted_flow"):
        one_item_losses(network(TREE, 4, "gaussian:0.1"), [1.0])


@pytest.mark.parametrize("depth", [1, 3])
def test_figures_of_a_prediction_are_drawn_at_its_depth(depth):
    from workbench.comparison.prediction import prediction, start_of
    from workbench.figures.validity import curvatures

    ds = prediction(task_from_spec("tree:2,2"), hidden=4, depth=depth, a0=0.02, times=24)
    start = start_of(ds)
    assert (start.depth, start.a0) == (depth, 0.02)
    low, bound = curvatures(ds, ds["time"].values)
    np.testing.assert_allclose(low, ds["lambda_min"].values, atol=1e-12)
    assert (bound <= low + 1e-12).all()
