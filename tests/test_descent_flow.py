"""The first-order effect of the learning rate from any start: what is left falls with its square."""

import numpy as np
import pytest

from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import Schedule, leave_one_out_weights, retrained_losses, train
from workbench.theory import mode_residuals, mode_strengths, predict
from workbench.theory.flow.descent_flow import descent_loss_shift, descent_trajectory
from workbench.theory.flow.weighted_flow import weighted_flow
from workbench.theory.modes.step_size import step_size_shift

TREE = task_from_spec("tree:2,2")


@pytest.mark.parametrize(("init", "depth"), [("gaussian:0.3", 2), ("gaussian:0.5", 3), ("unequal:0.05:0.4", 2)])
def test_what_is_left_of_a_trained_run_falls_with_the_square_of_the_learning_rate(init, depth):
    start, left = network(TREE, 5, init, depth=depth), []
    for eta in (0.04, 0.02):
        run = train(start, Schedule.even(8.0, 5, eta))
        left.append(np.abs(run.outputs - descent_trajectory(start, run.times, run.eta).outputs).max())
        assert left[-1] < 0.1 * np.abs(run.outputs - predict(start, run.times).outputs).max()
    assert left[0] / left[1] == pytest.approx(4, rel=0.15)


def test_the_losses_of_held_out_runs_are_met_up_to_second_order():
    start, left = network(TREE, 5, "gaussian:0.3"), []
    without = leave_one_out_weights(4, "unnormalised")
    for eta in (0.04, 0.02):
        schedule = Schedule.even(8.0, 3, eta)
        times = schedule.times
        shift = descent_loss_shift(start, times, without)
        flow = weighted_flow(start, times, without)
        left.append(np.abs(retrained_losses(start, schedule, without) - flow - schedule.eta * shift).max())
    assert left[0] / left[1] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_of_an_aligned_start_it_is_the_closed_form_at_any_depth(depth):
    start, times, eta = network(TREE, 5, "balanced:0.1", depth=depth), np.array([0.0, 2.0, 6.0, 11.0]), 1e-4
    a, e = mode_strengths(start, times), mode_residuals(start, times)
    shift = step_size_shift(a, e, eta=eta, s=start.modes.s, c=start.modes.c, a0=0.1, depth=depth)
    moved = descent_trajectory(start, times, eta, rtol=1e-11).mode_strengths - a
    # The product of moved layers is of second order in eta too.
    np.testing.assert_allclose(moved, shift, rtol=0, atol=1e-3 * np.abs(shift).max())
