"""The damped influence function: blocks against a dense solve, its limits, and where its sign can be trusted."""

import numpy as np
import pytest
import torch

from workbench.errors import ConditionError, WorkbenchError
from workbench.influence import MEASURES, predict
from workbench.influence import damped_newton as measured
from workbench.influence import trajectory_derivative as derivative
from workbench.networks import network
from workbench.semantics import Hierarchy, SemanticTask, rumelhart_task, task_from_spec
from workbench.simulation import Schedule, train
from workbench.simulation.influence import damped_newton as newton
from workbench.theory.flow.aligned import aligned_trajectory, mode_strengths
from workbench.theory.influence.damped_newton import (
    damped_newton,
    damped_pair_form,
    default_damping,
    dense_damped_newton,
    item_gradients,
    required_damping,
)
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.posterior.dense_posterior import hessian

TREE = task_from_spec("tree")
TIMES = np.array([0.0, 2.0, 4.0, 7.0, 10.0, 14.0, 25.0])


def repeated_rows():
    Y = np.random.default_rng(0).integers(0, 2, (5, 6)).astype(float)
    Y[:, 5] = Y[:, 0]
    return SemanticTask("repeated", tuple("abcdef"), tuple("uvwxy"), Y)


CASES = {
    "idle hidden units": (TREE, 16),
    "one unit a mode": (TREE, 8),
    "bottleneck": (TREE, 3),
    "table": (rumelhart_task(), 10),
    "repeated rows": (repeated_rows(), 7),
    "no root": (Hierarchy((2, 2, 2)).indicator_task(root=False), 9),
}


def aligned(task, hidden, times=TIMES):
    start = network(task, hidden, "balanced:0.01")
    return start, mode_strengths(start, times), aligned_trajectory(start, times)


def by_blocks(start, a, times=TIMES, **options):
    return damped_newton(start.modes, a, times, hidden=start.hidden, active=start.active, **options)


@pytest.mark.parametrize("case", CASES)
def test_the_mode_blocks_solve_the_same_equations_as_the_dense_hessian(case):
    task, hidden = CASES[case]
    start, a, path = aligned(task, hidden)
    needed = required_damping(start.modes, a, hidden=hidden, active=start.active)
    damping = 1.2 * needed.max()
    blocks = by_blocks(start, a, damping=damping)
    for k, (W1, W2) in enumerate(zip(path.W1, path.W2, strict=True)):
        H, g = hessian(task.X, task.Y, W1, W2), item_gradients(task.X, task.Y, W1, W2)
        values, vectors = np.linalg.eigh(H)
        np.testing.assert_allclose(needed[k], max(-values[0], 0), atol=1e-13)
        seen = vectors.T @ g
        solved = -seen.T @ (seen / (values + damping)[:, None])
        np.testing.assert_allclose(blocks[k], solved, atol=1e-12 * np.abs(solved).max())
    dense = dense_damped_newton(task.X, task.Y, path.W1, path.W2, TIMES, damping=damping)
    np.testing.assert_allclose(blocks, dense, atol=1e-12 * np.abs(dense).max())


def test_the_item_gradients_are_those_of_autograd():
    rng = np.random.default_rng(1)
    W1, W2 = rng.normal(size=(4, 8)), rng.normal(size=(15, 4))
    first, second = torch.tensor(W1, requires_grad=True), torch.tensor(W2, requires_grad=True)
    losses = 0.5 * (torch.tensor(TREE.Y) - second @ first @ torch.tensor(TREE.X)).square().sum(dim=0)
    ours = item_gradients(TREE.X, TREE.Y, W1, W2)
    for i, loss in enumerate(losses):
        parts = torch.autograd.grad(loss, (first, second), retain_graph=True)
        np.testing.assert_allclose(ours[:, i], torch.cat([p.ravel() for p in parts]).numpy(), atol=1e-12)


def test_it_is_the_response_of_a_damped_newton_step_on_the_reweighted_loss():
    """``dl_j/d eps`` of ``w* + argmin_d  g.d + (H + damping) d^2 / 2`` with eps extra weight on item i."""
    rng = np.random.default_rng(2)
    W1, W2, damping, eps = 0.3 * rng.normal(size=(4, 8)), 0.3 * rng.normal(size=(15, 4)), 3.0, 1e-5
    H, g = hessian(TREE.X, TREE.Y, W1, W2), item_gradients(TREE.X, TREE.Y, W1, W2)

    def losses(step):
        V1, V2 = W1 + step[: W1.size].reshape(W1.shape), W2 + step[W1.size :].reshape(W2.shape)
        return 0.5 * ((TREE.Y - V2 @ V1 @ TREE.X) ** 2).sum(axis=0)

    def stepped(i, weight):
        return losses(-np.linalg.solve(H + damping * np.eye(len(H)), weight * g[:, i]))

    numeric = np.stack([(stepped(i, eps) - stepped(i, -eps)) / (2 * eps) for i in range(8)])
    ours = dense_damped_newton(TREE.X, TREE.Y, W1[None], W2[None], np.zeros(1), damping=damping)[0]
    # Central differences of step 1e-5: 1e-10 from the third derivative, 1e-10 from rounding.
    np.testing.assert_allclose(ours, numeric, atol=1e-8 * np.abs(ours).max())


def test_the_form_of_a_pair_of_modes_is_what_the_tree_adds_up_to():
    """``-sum_{k<=k'} H_k H_k' c_kk'`` over the levels of the tree, and what idle modes add, off the diagonal."""
    start, a, _ = aligned(TREE, 8, np.array([6.0]))
    damping, modes = 0.9, start.modes
    levels = [np.flatnonzero(modes.level == k) for k in range(4)]
    strength, residual = (
        np.array([x[0] for x in (y[levels[k]] for k in range(4))]) for y in (a[0], modes.s - modes.c * a[0])
    )
    H = [modes.V[:, members] @ modes.V[:, members].T for members in levels]
    total = np.zeros((8, 8))
    for k in range(4):
        for j in range(k, 4):
            pair = damped_pair_form()(
                a_a=strength[k], a_b=strength[j], e_a=residual[k], e_b=residual[j], c=modes.c, d=damping, P=8
            )
            total -= H[k] * H[j] * pair * (1 if j > k else 0.5)
    blocks = by_blocks(start, a, np.array([6.0]), damping=damping)[0]
    np.testing.assert_allclose(total, blocks, atol=1e-13 * np.abs(blocks).max())


def test_for_strong_damping_it_is_the_kernel_over_the_damping_with_an_error_of_first_order():
    start, a, _ = aligned(TREE, 16)
    K = gradient_kernel(start.modes, a)
    gaps = [np.abs(d * by_blocks(start, a, damping=d) - K).max() / np.abs(K).max() for d in (1e2, 1e3, 1e4)]
    np.testing.assert_allclose(np.array(gaps[:-1]) / gaps[1:], 10, rtol=0.1)


def test_it_is_symmetric_and_no_item_harms_itself():
    start, a, _ = aligned(rumelhart_task(), 12)
    influence = by_blocks(start, a, damping=default_damping(start.modes))
    np.testing.assert_allclose(influence, influence.swapaxes(1, 2), atol=1e-14 * np.abs(influence).max())
    assert (np.diagonal(influence, axis1=1, axis2=2) < 0).all()


def test_on_the_first_plateau_it_has_the_wrong_sign_until_the_damping_exceeds_minus_lambda_min():
    times = np.array([2.0, 4.0])
    start, a, _ = aligned(TREE, 16, times)
    truth = trajectory_derivative(start.modes, times, a0=0.01, active=8)
    needed = required_damping(start.modes, a, hidden=16, active=8).max()

    def correlation(damping):
        found = by_blocks(start, a, times, damping=damping, indefinite=True)
        return [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(found, truth, strict=True)]

    # Attribution libraries on the same network: about -.97 and -.91 below, .99 well above.
    assert max(correlation(1e-3)) < -0.85
    assert min(correlation(1.2 * needed)) > 0.98
    assert min(correlation(default_damping(start.modes))) > 0.995
    undamped = by_blocks(start, a, times, damping=1e-3, indefinite=True)
    assert (np.diagonal(undamped, axis1=1, axis2=2) > 0).all()


@pytest.mark.parametrize("init", ["balanced:0.01", "gaussian:0.05"])
def test_the_measure_agrees_on_both_sides_up_to_the_learning_rate(init):
    start = network(TREE, 8, init)
    trained = train(start, Schedule.even(20.0, 5, 2e-3))
    simulated, analytic = MEASURES["damped_newton"](trained), measured(predict(start, trained.times))
    assert simulated.attrs["damping"] == analytic.attrs["damping"] == default_damping(start.modes)
    assert simulated.dims == ("time", "source", "target") and analytic.attrs["units"] == "loss"
    # eta = 2e-3 shifts mode strengths by 5e-4; imbalance of the Gaussian start by sigma^2 = 2.5e-3.
    assert np.abs(simulated - analytic).max() < 5e-3 * np.abs(analytic).max()


def test_conjugate_gradients_and_factorisation_give_the_same(monkeypatch):
    _, _, path = aligned(TREE, 9)
    factorised = newton.damped_newton(path, 0.6)
    monkeypatch.setattr(newton, "_DENSE", 0)
    iterated = newton.damped_newton(path, 0.6)
    # Conjugate gradients stop at a relative residual of 1e-10; the condition number is below 30.
    np.testing.assert_allclose(iterated, factorised, atol=3e-9 * np.abs(factorised).max())
    with pytest.raises(ConditionError, match=r"damping = 0\.2 at t = 0, where lambda_min = -0\.48"):
        newton.damped_newton(path, 0.2)


def test_the_trajectory_derivative_of_a_prediction_is_the_closed_form():
    start = network(TREE, 8, "balanced:0.01")
    predicted = derivative(predict(start, [0.0, 5.0]))
    np.testing.assert_array_equal(predicted[1], trajectory_derivative(start.modes, [0.0, 5.0], a0=0.01)[1])


def test_too_little_damping_is_refused_with_the_damping_that_would_do():
    start, a, path = aligned(TREE, 16)
    with pytest.raises(ConditionError, match=r"damping = 0\.3 at t = 0, which needs more than 0\.48.*above 0\.48"):
        by_blocks(start, a, damping=0.3)
    with pytest.raises(ConditionError, match=r"H \+ damping is positive definite"):
        dense_damped_newton(TREE.X, TREE.Y, path.W1, path.W2, TIMES, damping=0.3)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ConditionError, match="damping"):
            by_blocks(start, a, damping=bad)


def test_a_dense_hessian_that_is_too_large_is_refused_before_it_is_made():
    with pytest.raises(WorkbenchError, match=r"60800 weights takes .* GB .*damped_newton"):
        dense_damped_newton(
            np.eye(150), np.ones((800, 150)), np.zeros((1, 64, 150)), np.zeros((1, 800, 64)), np.zeros(1), damping=1.0
        )
