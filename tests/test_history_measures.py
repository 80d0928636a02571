"""The measures through training: two sides of one estimand, with the same shape and labels."""

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.influence import leave_one_out, predict, trajectory_derivative, window_removal
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import Schedule, train

TREE = task_from_spec("tree")
WINDOWS = [(2.0, 5.0), (5.0, 9.0)]


def both_sides(start, eta):
    schedule = Schedule.even(12.0, 5, eta)
    return predict(start, schedule.times), train(start, schedule)


@pytest.mark.parametrize("init", ["balanced:0.01", "gaussian:0.2"])
def test_the_two_sides_of_the_derivative_approach_each_other_linearly_in_eta(init):
    start, errors = network(TREE, 8, init), []
    for eta in (0.02, 0.01):
        predicted, trained = both_sides(start, eta)
        theory, simulation = trajectory_derivative(predicted), trajectory_derivative(trained)
        assert theory.dims == simulation.dims == ("time", "source", "target")
        assert simulation.attrs["eta"] == pytest.approx(eta) and simulation.attrs["side"] == "simulated"
        errors.append(float(np.abs(theory - simulation).max()))
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.1)


@pytest.mark.parametrize("convention", ["unnormalised", "renormalised"])
def test_the_two_sides_of_window_removal_approach_each_other_linearly_in_eta(convention):
    start, errors = network(TREE, 8, "balanced:0.01"), []
    for eta in (0.02, 0.01):
        theory, simulation = (window_removal(side, WINDOWS, convention=convention) for side in both_sides(start, eta))
        assert theory.dims == simulation.dims == ("window", "time", "source", "target")
        assert list(simulation["begin"].values) == [2.0, 5.0] and list(theory["end"].values) == [5.0, 9.0]
        errors.append(float(np.abs(theory - simulation).max()))
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.1)


def test_the_window_over_all_of_training_is_leave_one_out_on_either_side():
    start = network(TREE, 8, "balanced:0.01")
    for side in both_sides(start, 0.02):
        whole = window_removal(side, [(0.0, np.inf)])[0]
        # Predictions are integrated to 1e-9 relative, grown along the way.
        np.testing.assert_allclose(whole, leave_one_out(side), atol=1e-6)


def test_a_schedule_that_misses_the_checkpoints_is_refused():
    _, trained = both_sides(network(TREE, 8, "balanced:0.01"), 0.02)
    finer = Schedule.even(12.0, 5, 0.02).finer(2)
    assert trajectory_derivative(trained, schedule=finer).attrs["eta"] == pytest.approx(0.01)
    for measure in (trajectory_derivative, leave_one_out):
        with pytest.raises(WorkbenchError, match="flow times differ"):
            measure(trained, schedule=Schedule.even(12.0, 6, 0.02))
