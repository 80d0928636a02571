"""Training against autograd, the flow, and its own symmetries."""

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.networks import Network, network
from workbench.semantics import SemanticTask, rumelhart_task, task_from_spec
from workbench.simulation import (
    Schedule,
    gradient_kernel,
    leave_one_out_weights,
    retrained_losses,
    train,
    train_networks,
)
from workbench.simulation.running.place import CPU
from workbench.simulation.training.descent import descend
from workbench.simulation.training.output_basis import output_basis
from workbench.simulation.training.recipes import ItemWeights, Recipe
from workbench.simulation.training.steppers import stepper
from workbench.theory import mode_strength
from workbench.theory.flow.aligned import mode_residuals, mode_strengths
from workbench.theory.influence.flips import flip_times
from workbench.theory.modes.spectrum import hierarchy_spectrum
from workbench.theory.modes.step_size import step_size_shift

TREE = task_from_spec("tree")
ALIGNED = network(TREE, 16, "balanced:0.01")


def one_step(X, Y, W1, W2, weights, eta):
    """(W1, W2) after one step."""
    task = SemanticTask("t", tuple("abcde"), tuple("uvwxyz"), Y, X=X)
    return [W[1] for W in recorded(Network(task, (W1, W2)), Schedule(eta, (0, 1)), weights)]


def recorded(net, schedule, weights):
    """Both layers ``(T, ...)`` at every checkpoint of one run with these item weights, in the outputs as they are."""
    recipe, kept = Recipe(schedule), []
    runs = stepper([net], recipe, 1, CPU)

    def record(k):
        kept.append([W[0].numpy().copy() for W in runs.layers])

    descend(runs, recipe, ItemWeights.constant(weights[None]), record)
    return [np.stack(W) for W in zip(*kept, strict=True)]


@pytest.mark.parametrize("one_hot", [True, False])
def test_a_step_is_the_gradient_of_the_weighted_loss_by_autograd(one_hot):
    rng = np.random.default_rng(0)
    X = np.eye(5) if one_hot else rng.normal(size=(4, 5))
    Y, W1, W2 = rng.normal(size=(6, 5)), rng.normal(size=(3, X.shape[0])), rng.normal(size=(6, 3))
    weights = rng.random(5)
    A, B = (torch.tensor(w, requires_grad=True) for w in (W1, W2))
    losses = 0.5 * (torch.tensor(Y) - B @ A @ torch.tensor(X)).square().sum(dim=0)
    (losses @ torch.tensor(weights) / 5).backward()
    first, second = one_step(X, Y, W1, W2, weights, 0.1)
    np.testing.assert_allclose(first, W1 - 0.1 * A.grad.numpy(), atol=1e-14)
    np.testing.assert_allclose(second, W2 - 0.1 * B.grad.numpy(), atol=1e-14)


def test_the_error_against_the_flow_is_the_closed_form_and_the_rest_falls_with_eta_squared():
    errors, rests = [], []
    for eta in (1e-2, 5e-3, 2.5e-3):
        run = train(ALIGNED, Schedule.even(30.0, 40, eta))
        a, e = mode_strengths(ALIGNED, run.times), mode_residuals(ALIGNED, run.times)
        shift = step_size_shift(a, e, eta=run.eta, s=ALIGNED.modes.s, c=ALIGNED.modes.c, a0=0.01)
        errors.append(np.abs(run.mode_strengths - a).max())
        rests.append(np.abs(run.mode_strengths - a - shift).max())
    # Halving eta halves the error and quarters what is left of it; 5% for the next order.
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 2, rtol=0.05)
    np.testing.assert_allclose(np.array(rests[:-1]) / rests[1:], 4, rtol=0.05)


@pytest.mark.parametrize(("a0", "s"), [(0.01, 0.3), (1.0, 0.1), (0.5, 0.5 / 3)])
def test_the_step_size_shift_of_modes_from_below_from_above_and_at_their_end(a0, s):
    c, steps, errors = 1 / 3, 60, []
    for eta in (0.02, 0.01):
        w = np.sqrt(a0)
        for _ in range(round(steps * 0.02 / eta)):
            w += eta * w * (s - c * w**2)
        a = mode_strength(steps * 0.02, s=s, c=c, a0=a0)
        shift = step_size_shift(a, s - c * a, eta=eta, s=s, c=c, a0=a0)
        errors.append(abs(w**2 - a - shift))
    assert np.isfinite(errors).all()
    # What is left is of second order; where nothing moves there is nothing.
    assert errors[1] < 0.3 * errors[0] if s != c * a0 else max(errors) < 1e-12


def test_the_default_learning_rate_keeps_mode_strengths_within_a_thousandth():
    from workbench.comparison.planning import choose_schedules

    chosen = choose_schedules(ALIGNED, 60, None, None)
    run = train(ALIGNED, chosen.training)
    assert np.abs(run.mode_strengths / mode_strengths(ALIGNED, run.times) - 1).max() < 1e-3
    assert chosen.notes == []


def test_the_sign_flips_of_the_trained_kernel_are_the_predicted_ones():
    from workbench.agreement import sign_flips

    run = train(ALIGNED, Schedule.even(30.0, 60, 1e-3))
    kernel = gradient_kernel(run)
    levels = hierarchy_spectrum(TREE.tree).singular_values(q0=1, q1=1, q2=1, q3=1)
    for pair, flips in zip([(0, 7), (0, 2), (0, 1)], flip_times(TREE.tree, levels, a0=0.01), strict=True):
        seen = sign_flips(run.times, kernel[:, pair[0], pair[1]], 1e-9)
        np.testing.assert_allclose(seen, flips, rtol=5e-3)


def test_the_kernel_from_gram_matrices_is_that_of_autograd():
    run = train(network(TREE, 6, "gaussian:0.3"), Schedule.even(10.0, 5, 0.01))
    A, B = torch.tensor(run.W1[3], requires_grad=True), torch.tensor(run.W2[3], requires_grad=True)
    rows = []
    for i in range(8):
        loss = 0.5 * (torch.tensor(TREE.Y)[:, i] - (B @ A)[:, i]).square().sum()
        rows.append(torch.cat([g.ravel() for g in torch.autograd.grad(loss, [A, B])]).numpy())
    G = np.stack(rows)
    np.testing.assert_allclose(gradient_kernel(run)[3], -G @ G.T, atol=1e-13)


def test_balance_is_conserved_up_to_the_learning_rate():
    drift = []
    for eta in (1e-2, 5e-3):
        run = train(network(TREE, 7, "gaussian:0.2"), Schedule.even(20.0, 5, eta))
        balance = run.W2.swapaxes(1, 2) @ run.W2 - run.W1 @ run.W1.swapaxes(1, 2)
        drift.append(np.abs(balance - balance[0]).max())
    np.testing.assert_allclose(drift[0] / drift[1], 2, rtol=0.1)


def test_seeds_in_a_batch_train_as_they_do_alone():
    starts = [network(TREE, 5, "gaussian:0.1", seed=seed) for seed in range(3)]
    schedule = Schedule.even(5.0, 4, 0.01)
    together = train_networks(starts, schedule)
    for start, run in zip(starts, together, strict=True):
        # Batched and single matrix products may round differently.
        np.testing.assert_allclose(run.W1, train(start, schedule).W1, atol=1e-13)


def test_training_commutes_with_a_rotation_of_the_hidden_units():
    other = network(TREE, 16, "balanced:0.01", seed=9)
    schedule = Schedule.even(15.0, 6, 5e-3)
    np.testing.assert_allclose(train(other, schedule).item_losses, train(ALIGNED, schedule).item_losses, atol=1e-10)


def test_training_in_the_smallest_output_space_changes_nothing():
    task = rumelhart_task()
    start = network(task, 4, "gaussian:0.1", seed=2)
    basis = output_basis([start], Recipe(Schedule(0.01, (0, 500))))
    assert basis.shape == (36, 12)  # 8 items and 4 hidden units
    run = train(start, Schedule(0.01, (0, 500)))
    for ours, theirs in zip(run.weights, recorded(start, Schedule(0.01, (0, 500)), np.ones(8)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_leaving_an_item_out_equals_training_a_smaller_task():
    schedule = Schedule.even(12.0, 5, 5e-3)
    kept = [0, 1, 2, 4, 5, 6, 7]
    smaller = SemanticTask(
        "without 3", tuple(TREE.items[k] for k in kept), TREE.properties, TREE.Y[:, kept], X=np.eye(8)[:, kept]
    )
    losses = retrained_losses(ALIGNED, schedule, leave_one_out_weights(8, "renormalised"))[:, 3]
    W1, W2 = recorded(Network(smaller, ALIGNED.weights), schedule, np.ones(7))
    expected = 0.5 * ((TREE.Y - W2 @ W1) ** 2).sum(axis=1)
    np.testing.assert_allclose(losses, expected, atol=1e-12)


def test_renormalised_weights_only_speed_up_time():
    plain = Schedule.even(16.0, 5, 1e-3)
    faster = Schedule(plain.eta * 7 / 8, plain.steps)
    unnormalised = retrained_losses(ALIGNED, plain, leave_one_out_weights(8, "unnormalised"))
    renormalised = retrained_losses(ALIGNED, faster, leave_one_out_weights(8, "renormalised"))
    # eta x weight is the same number up to its last bit in both runs.
    np.testing.assert_allclose(renormalised, unnormalised, atol=1e-11)


def test_a_learning_rate_that_diverges_is_reported_with_the_stable_one():
    with pytest.raises(WorkbenchError, match=r"diverged before t = .* use a smaller `eta`"):
        train(ALIGNED, Schedule.even(4000.0, 5, 20.0))


def test_schedules_hit_their_times_exactly():
    schedule = Schedule.even(30.0, 60, 7e-4)
    np.testing.assert_allclose(schedule.times, np.linspace(0, 30, 60), rtol=1e-12)
    assert schedule.eta <= 7e-4 and schedule.total == schedule.steps[-1]
    np.testing.assert_allclose(schedule.finer(3).times, schedule.times, rtol=1e-12)
    with pytest.raises(WorkbenchError, match="too coarse"):
        Schedule.at([0.0, 0.001, 1.0], 0.1)
