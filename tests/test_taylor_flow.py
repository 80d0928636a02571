"""The Taylor series of small layers: its coefficients, its order, and what leave-one-out gains by it."""

import numpy as np
import pytest

from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.theory import leave_one_out, settling_time
from workbench.theory.flow import weighted_flow as flows
from workbench.theory.flow.layer_rates import right_hand_side, weighted_covariances
from workbench.theory.flow.reduction import reduced_flow
from workbench.theory.flow.taylor import ORDER, layer_series, march

TREE = task_from_spec("tree:2,2")


def problem(depth, runs):
    rng = np.random.default_rng(depth)
    flow = reduced_flow(network(TREE, 3, "gaussian:0.6", depth=depth, seed=1))
    omega = rng.random((runs, 4))
    layers = flow.repeated(runs)
    shapes = [W.shape[1:] if runs == 1 else W.shape for W in layers]
    series = layer_series(shapes, *weighted_covariances(flow, omega))
    return series, right_hand_side(flow, omega), np.concatenate([W.ravel() for W in layers])


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_series_solves_the_equation_up_to_its_last_term(depth, runs):
    series, rate, y = problem(depth, runs)
    terms = series(y)
    np.testing.assert_allclose(terms[1], rate(0.0, y), atol=1e-14)
    left = []
    for h in (0.2, 0.1):
        powers = h ** np.arange(ORDER + 1.0)
        moved = np.arange(1, ORDER + 1) * powers[:-1] @ terms[1:]
        left.append(np.abs(moved - rate(0.0, powers @ terms)).max())
    # d/dt of the series and the rate of the series agree up to h^ORDER, unless both are rounding.
    assert left[1] < max(left[0] * 2.0 ** -(ORDER - 2), 1e-14)


def test_a_looser_tolerance_errs_more_and_a_time_between_steps_is_as_good_as_an_end():
    series, _, y = problem(3, 1)
    times = np.array([0.0, 0.7, 3.0, 3.1, 12.0])
    fine = np.array([state for _, state in march(series, 0.0, y, times, rtol=1e-15)])
    errors = [
        np.abs([state for _, state in march(series, 0.0, y, times, rtol=rtol)] - fine).max()
        for rtol in (1e-6, 1e-9, 1e-12)
    ]
    assert errors[0] > 30 * errors[1] > 900 * errors[2] > 0
    assert errors[1] < 1e-8


@pytest.mark.parametrize("task", ["tree", "table:rumelhart"])
def test_leave_one_out_of_four_layers_is_within_1e_9_at_its_default_tolerance(task, monkeypatch):
    net = network(task_from_spec(task), 16, "balanced:0.01", depth=4)
    times = np.linspace(0, settling_time(net), 9)
    ours = leave_one_out(net, times)
    monkeypatch.setattr(flows, "_SHORT", 0)
    by_runge_kutta = leave_one_out(net, times, rtol=1e-13)
    np.testing.assert_allclose(ours, by_runge_kutta, atol=1e-9 * np.abs(by_runge_kutta).max())
