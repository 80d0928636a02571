"""Studies of when influence acts: one number of each, computed another way."""

import numpy as np
import pytest

from workbench.networks import network
from workbench.semantics import Hierarchy
from workbench.studies.gram_perturbation import kernel_slope
from workbench.studies.influence_on_quantity import margin_readout
from workbench.studies.intervention_problems import WINDOWS, stated_problem
from workbench.studies.reweighted import derivative_by_retraining, reweighted
from workbench.theory import (
    gradient_kernel,
    layerwise_flow,
    mode_strengths,
    product_responses,
    stage_time_responses,
    trajectory_derivative,
    weighted_flow,
    window_removal,
)


@pytest.fixture(scope="module")
def start():
    return network(Hierarchy((2, 2)).indicator_task(), 4, "balanced:0.01")


def test_a_weighted_item_is_an_item_of_another_size(start):
    weights = np.array([1.3, 1.0, 0.2, 1.0])
    other = layerwise_flow(reweighted(start, weights), [6.0])
    assert other[0] == pytest.approx(layerwise_flow(start, [6.0], item_weights=weights)[0], abs=1e-9)


def test_the_margin_answers_to_a_weight_as_the_sum_over_modes_says(start):
    p, z = margin_readout(start.task)
    X = product_responses(start, [5.0])[0, 0]
    modes = start.modes
    predicted = (p @ modes.U) @ X @ (modes.V.T @ z / np.sqrt(modes.c * modes.n_items))
    h, margins = 1e-4, []
    for sign in (1, -1):
        W1, W2 = layerwise_flow(start, [5.0], item_weights=1 + sign * h * np.eye(4)[0], rtol=1e-12)
        margins.append(p @ (W2 @ W1)[0] @ z)
    assert predicted == pytest.approx((margins[0] - margins[1]) * 4 / (2 * h), rel=1e-6)


def test_weighing_every_item_more_ends_every_stage_earlier_by_its_own_time(start):
    from workbench.theory import half_rise_times

    assert stage_time_responses(start).sum(axis=0) == pytest.approx(-4 * half_rise_times(start), rel=1e-12)


def test_retraining_differs_from_the_response_by_the_first_order_of_the_learning_rate(start):
    from workbench.simulation import Schedule

    modes, coarse = start.modes, Schedule.even(6.0, 3, 0.05)
    errors = []
    for schedule in (coarse, coarse.finer(2)):
        dW = derivative_by_retraining(start, schedule)[1][:, -1]
        seen = np.einsum("oa,ioj,jb->iab", modes.U, dW, modes.V)
        errors.append(np.abs(seen - product_responses(start, [6.0])[0]).max())
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


def test_the_expected_gain_of_a_cell_is_what_its_weight_saves(start):
    targets = np.arange(4) == 0
    problem = stated_problem(start, targets, targets | True, 0.3)
    window, item, h = WINDOWS // 2, 1, 1e-3
    edges = np.linspace(0, problem.time, WINDOWS + 1)
    losses = weighted_flow(
        start, np.array([problem.time]), 1 + h * np.array([[0.0] * 4, np.eye(4)[item], -np.eye(4)[item]]),
        window=(edges[window], edges[window + 1]), rtol=1e-11,
    )[0, :, 0]  # fmt: skip
    at = problem.time + 1e-4 * np.array([-1, 1])
    slope = np.diff(weighted_flow(start, at, np.ones((1, 4)), rtol=1e-12)[:, 0, 0])[0] / 2e-4
    # The slope is that of a monotone interpolation on 2000 points.
    assert problem.value[window, item] == pytest.approx((losses[1] - losses[2]) / (2 * h) / slope, rel=1e-3)


def test_a_window_that_opens_after_the_first_time_is_felt_afterwards(start):
    """It was 0 at all times unless t = 0 was among them."""
    late, with_start = (
        trajectory_derivative(start.modes, times, a0=0.01, window=(6.0, 7.0))[-1]
        for times in ([5.0, 9.0], [0.0, 5.0, 9.0])
    )
    assert np.abs(late).max() > 0 and late == pytest.approx(with_start, rel=1e-12)


def test_the_effect_of_a_short_window_is_first_order_theory_to_the_second_order_of_its_length(start):
    errors = []
    for length in (0.04, 0.02):
        first, whole = (
            window_removal(start, [9.0], [(6.0, 6.0 + length)], method=m) for m in ("first_order", "finite")
        )
        errors.append(np.abs(first - whole).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_perturbed_modes_of_a_level_split_the_kernel_as_the_difference_of_two_tasks_says(start):
    from workbench.studies.symmetry_breaking import _from_gram

    gram, times = start.task.Y.T @ start.task.Y, np.array([3.0, 6.0])
    noise = np.random.default_rng(0).standard_normal((4, 4))
    direction, h, kernels = noise + noise.T, 1e-4, []
    for sign in (1, -1):
        one = _from_gram(gram + sign * h * direction)
        kernels.append(gradient_kernel(one.modes, mode_strengths(one, times)))
    slope = (kernels[0] - kernels[1]) / (2 * h)
    assert kernel_slope(gram, direction, times) == pytest.approx(slope, abs=1e-5 * np.abs(slope).max())


def test_exact_stages_of_an_aligned_start_are_its_half_rise_times(start):
    from workbench.studies.stages_from_data import _levels, exact_stages
    from workbench.theory import half_rise_times

    levels = _levels(start)
    rises = half_rise_times(start)
    stages = exact_stages(start, np.linspace(0, 1.5 * rises.max(), 301), levels)
    assert [len(members) for members in levels] == [1, 1, 2]
    assert stages == pytest.approx(np.unique(np.round(rises, 9)), rel=1e-6)  # a spline of 300 points


def test_branches_of_an_aligned_network_open_when_the_formula_says(start):
    from workbench.studies.branch_openings import OPEN, measured_opening, opening_times
    from workbench.theory import predict, settling_time

    path = predict(start, np.linspace(0, 3 * settling_time(start), 1200))
    # A spline of 1200 points; the last distance is reached to 1e-4 or better.
    opened = [measured_opening(path, level) for level in range(2)]
    assert opening_times(start.task, 0.01, 2, OPEN) == pytest.approx(opened, rel=1e-3)


def test_windows_weigh_an_item_alike_in_theory_and_retraining_and_leaving_it_out_is_window_removal(start):
    from workbench.studies.window_effects import CHANGES, retrained_effects, weighed_effects

    times, windows = np.array([4.0, 9.0]), [(1.0, 3.0), (6.0, 8.0)]
    predicted = np.stack([weighed_effects(start, times, windows, weight) for weight in CHANGES.values()])
    assert predicted[0] == pytest.approx(window_removal(start, times, windows), abs=1e-12)
    other = weighted_flow(start, times, np.array([[1.0] * 4, [1.0, 2.0, 1.0, 1.0]]), window=windows[1], rtol=1e-11)
    assert predicted[1, 1, :, 1] == pytest.approx(other[:, 1] - other[:, 0], abs=1e-7)
    seen = retrained_effects(start, times, windows)
    # First order of a learning rate of a fiftieth of the largest stable one, and windows on whole steps.
    assert seen == pytest.approx(predicted, abs=0.06 * np.abs(predicted).max()) and np.abs(predicted[1]).max() > 0
    # Nothing happens before a window opens.
    assert np.abs(seen[:, 1, 0]).max() == 0 == np.abs(predicted[:, 1, 0]).max()
