"""The exact matrix solution against ODE solvers, high-precision arithmetic and conserved quantities."""

from __future__ import annotations

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench.errors import ConditionError
from workbench.networks import network
from workbench.semantics import Hierarchy, SemanticTask
from workbench.theory.flow.aligned import aligned_trajectory, half_rise_times
from workbench.theory.flow.balanced_starts import balanced_start, reaches_target
from workbench.theory.flow.exact_solution import balance_residual, exact_factors, exact_solution
from workbench.theory.flow.riccati import eigenvalue_form, riccati_form
from workbench.theory.modes.balanced import mode_strength_form

TREE = Hierarchy((2, 2, 2)).indicator_task()


def flow(W1, W2, Syx, Sxx, times):
    """Gradient flow of both layers by DOP853; its error is below 1e-11 of the weights here."""
    n, shape1, shape2 = W1.size, W1.shape, W2.shape

    def slope(_, y):
        A, B = y[:n].reshape(shape1), y[n:].reshape(shape2)
        E = Syx - B @ A @ Sxx
        return np.concatenate([(B.T @ E).ravel(), (E @ A.T).ravel()])

    y0 = np.concatenate([W1.ravel(), W2.ravel()])
    y = solve_ivp(slope, (0, times[-1]), y0, "DOP853", times, rtol=1e-13, atol=1e-15).y.T
    return y[:, :n].reshape(-1, *shape1), y[:, n:].reshape(-1, *shape2)


def gram(W1, W2):
    """``Q Q^T`` with its blocks W1^T W1, W2 W1, W2 W2^T: all that no hidden rotation changes."""
    Q = np.concatenate([np.swapaxes(W1, -1, -2), W2], axis=-2)
    return Q @ np.swapaxes(Q, -1, -2)


def random_task(n_out, n_in, rank, seed, n_inputs=None):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((n_out, rank)) @ rng.standard_normal((rank, n_in))
    X = None if n_inputs is None else 1.3 * np.linalg.qr(rng.standard_normal((n_inputs, n_in)))[0]
    names = tuple(f"i{k}" for k in range(n_in)), tuple(f"p{k}" for k in range(n_out))
    return SemanticTask("random", *names, Y, X)


# outputs, inputs, rank, hidden, lambda
CASES = [
    (5, 4, 4, 6, 0.0),
    (5, 4, 4, 5, 0.7),
    (5, 4, 4, 4, -0.4),
    (4, 6, 2, 3, 0.0),
    (4, 6, 2, 3, 0.5),
    (4, 6, 2, 5, -0.5),
    (5, 5, 5, 2, 0.0),
    (5, 5, 5, 2, 0.3),
    (5, 5, 5, 2, -0.3),
    (6, 3, 3, 1, 0.2),
    (3, 3, 1, 9, 0.0),
]


@pytest.mark.parametrize("n_out, n_in, rank, hidden, lam", CASES)
def test_solution_equals_the_integrated_flow_for_every_width_rank_and_imbalance(n_out, n_in, rank, hidden, lam):
    task = random_task(n_out, n_in, rank, seed=hidden)
    start = balanced_start(task, hidden, lam, seed=3, scale=0.05)
    times = np.linspace(0, 15, 12)
    predicted = exact_solution(start, times, lam=lam)
    expected = gram(*flow(start.W1, start.W2, task.Syx, task.Sxx, times))
    assert np.abs(gram(predicted.W1, predicted.W2) - expected).max() < 1e-10 * np.abs(expected).max()


def test_inputs_that_span_only_a_subspace_leave_the_rest_of_the_first_layer_frozen():
    task = random_task(4, 3, 3, seed=1, n_inputs=5)
    start = balanced_start(task, 3, 0.2, seed=0, scale=0.1)
    rng = np.random.default_rng(0)
    unseen = np.eye(5) - task.Sxx / start.modes.c
    extra = rng.standard_normal((3, 5)) @ unseen
    start = replace(start, task=task, weights=(start.W1 + extra, start.W2))
    times = np.linspace(0, 20, 9)
    predicted = exact_solution(start, times)
    W1, W2 = flow(start.W1, start.W2, task.Syx, task.Sxx, times)
    assert np.abs(predicted.W1 @ unseen - extra).max() < 1e-13
    np.testing.assert_allclose(gram(predicted.W1 @ task.X, predicted.W2), gram(W1 @ task.X, W2), atol=1e-10)


@pytest.mark.parametrize("hidden, lam", [(3, 0.0), (2, 0.0), (3, 0.3), (2, -0.2)])
@pytest.mark.slow
def test_long_times_agree_with_thousand_digit_arithmetic(hidden, lam):
    task = random_task(4, 3, 3, seed=11)
    start = balanced_start(task, hidden, lam, seed=1, scale=1e-3)
    c, n_in = start.modes.c, task.n_inputs
    times = np.array([0.3, 7.0, 31.0, 200.0, 2000.0])
    predicted = exact_solution(start, times, lam=lam)
    # The textbook formula cancels e^{2 mu t} against e^{-2 mu t}: mu t < 4300 here, so 4500 digits do.
    assert np.hypot(start.modes.s[0], c * lam / 2) * times[-1] < 4300
    with mp.workdps(4500):
        Q0 = mp.matrix(np.vstack([start.W1.T, start.W2]).tolist()) * mp.sqrt(c)
        F = mp.matrix(np.block([[np.zeros((n_in, n_in)), task.Syx.T], [task.Syx, np.zeros((4, 4))]]).tolist())
        for k in range(n_in + 4):
            F[k, k] = (-1 if k < n_in else 1) * mp.mpf(c) * mp.mpf(lam) / 2
        mu, Gamma = mp.eigsy(F)
        q = Gamma.T * Q0
        for index, t in enumerate(times):
            growth = [mp.exp(m * mp.mpf(t)) for m in mu]
            # eigsy returns a vanishing eigenvalue (null output at lambda = 0) as rounding error.
            null = [abs(m) < mp.mpf(10) ** -4000 for m in mu]
            phi = [mp.mpf(t) if n else (g**2 - 1) / (2 * m) for n, m, g in zip(null, mu, growth, strict=True)]
            M = mp.eye(hidden) + q.T * mp.diag(phi) * q
            grown = mp.diag(growth) * q
            exact = Gamma * grown * mp.inverse(M) * grown.T * Gamma.T / c
            expected = np.array(exact.tolist(), dtype=float)
            error = np.abs(gram(predicted.W1[index], predicted.W2[index]) - expected).max()
            assert error < 2e-14 * np.abs(expected).max()


def test_flow_is_a_semigroup_and_does_not_depend_on_the_restart_step():
    start = balanced_start(TREE, 12, 0.1, seed=2)
    Syx, c = TREE.Syx, start.modes.c
    times = np.array([0.0, 3.0, 17.0, 60.0])
    whole = gram(*exact_factors(start.W1, start.W2, Syx, c, times, 0.1))
    middle = [W[1] for W in exact_factors(start.W1, start.W2, Syx, c, times, 0.1)]
    later = gram(*exact_factors(*middle, Syx, c, times[1:] - times[1], 0.1))
    finer = gram(*exact_factors(start.W1, start.W2, Syx, c, times, 0.1, restart=0.5))
    # Rounding only; the scale of Q Q^T is 3.
    assert np.abs(later - whole[1:]).max() < 1e-13
    assert np.abs(finer - whole).max() < 1e-13


def test_times_may_come_in_any_order_and_time_zero_returns_the_start():
    start = balanced_start(TREE, 9, -0.0, seed=4)
    times = np.array([5.0, 0.0, 2.0, 5.0])
    shuffled, ordered = exact_solution(start, times), exact_solution(start, np.unique(times))
    np.testing.assert_array_equal(shuffled.W1, ordered.W1[[2, 0, 1, 2]])
    np.testing.assert_allclose(ordered.W1[0], start.W1, atol=1e-15)
    np.testing.assert_allclose(ordered.W2[0], start.W2, atol=1e-15)


def test_imbalance_is_conserved_along_the_solution():
    for lam, hidden in ((0.3, 12), (0.0, 20), (-0.2, 7)):
        start = balanced_start(TREE, hidden, lam, seed=5)
        predicted = exact_solution(start, np.array([0.0, 4.0, 11.0, 90.0]))
        assert max(balance_residual(*W, lam) for W in zip(predicted.W1, predicted.W2, strict=True)) < 1e-13


def test_aligned_starts_reproduce_the_logistic_modes():
    start = network(TREE, 16, "balanced:0.01")
    times = np.linspace(0, 40, 15)
    exact, aligned = exact_solution(start, times), aligned_trajectory(start, times)
    np.testing.assert_allclose(gram(exact.W1, exact.W2), gram(aligned.W1, aligned.W2), atol=1e-13)


def test_late_weights_of_a_bottleneck_are_the_best_low_rank_map():
    task = random_task(6, 6, 6, seed=8)
    start = balanced_start(task, 3, 0.0, seed=0)
    final = exact_solution(start, np.array([2000.0]))
    U, s, Vt = np.linalg.svd(task.Syx)
    # Eckart-Young; the gap s_3 - s_4 sets the rate, 2000 is more than 100 of its times.
    assert (s[2] - s[3]) * 2000 > 100
    np.testing.assert_allclose(final.W2[0] @ final.W1[0], (U[:, :3] * s[:3]) @ Vt[:3] / start.modes.c, atol=1e-11)


def test_gaussian_starts_are_wrong_by_the_square_of_sigma():
    times = np.linspace(0, 40, 201)
    errors = []
    for sigma in (0.01, 0.005, 0.0025):
        start = network(TREE, 16, f"gaussian:{sigma}", seed=1)
        W1, W2 = flow(start.W1, start.W2, TREE.Syx, TREE.Sxx, times)
        predicted = exact_solution(start, times)
        errors.append(np.linalg.norm(predicted.W2 @ predicted.W1 - W2 @ W1, axis=(1, 2)).max())
        assert balance_residual(start.W1, start.W2, 0.0) > 1e-5
    order = np.diff(np.log(errors)) / np.log(0.5)
    # Next order in sigma; the slope is 2.11 between 0.02 and 0.01 and 2.007 in the first pair here.
    np.testing.assert_allclose(order, 2, atol=0.02)


@pytest.mark.parametrize("hidden", [4, 7])
def test_determinant_decides_whether_a_square_full_rank_task_is_learned(hidden):
    task = random_task(4, 4, 4, seed=2)
    outcomes = []
    for seed in range(12):
        start = balanced_start(task, hidden, 0.0, seed=seed, scale=0.1)
        sign = np.linalg.det(start.W2 @ start.W1) * np.linalg.det(task.Syx) > 0
        # By t = 200 every mode has had its time (s t > 13), but no rounding error has grown to order 1.
        final = exact_solution(start, np.array([5.0, 200.0]))
        product = final.W2 @ final.W1
        assert np.sign(np.linalg.det(product[0])) == np.sign(np.linalg.det(start.W2 @ start.W1))
        learned = np.linalg.norm(task.Syx / start.modes.c - product[-1]) < 1e-4
        assert reaches_target(start) == sign == learned
        outcomes.append(learned)
    assert 0 < sum(outcomes) < 12


def test_determinant_obstruction_needs_lambda_zero_and_a_square_full_rank_task():
    square = random_task(4, 4, 4, seed=2)
    assert all(reaches_target(balanced_start(square, 4, lam, seed)) for lam in (0.3, -0.3) for seed in range(8))
    assert all(reaches_target(balanced_start(TREE, 16, 0.0, seed)) for seed in range(8))
    assert not reaches_target(balanced_start(TREE, 7, 0.0))
    assert reaches_target(network(TREE, 16, "gaussian:0.01"))
    assert reaches_target(network(TREE, 16, "balanced:0.01"))


def test_hidden_rotation_follows_the_flow_to_second_order_in_the_step():
    start = balanced_start(TREE, 10, 0.2, seed=6, scale=0.5)
    t_end = 4.0
    W1, _ = flow(start.W1, start.W2, TREE.Syx, TREE.Sxx, np.array([0.0, t_end]))
    errors = []
    for steps in (8, 16, 32, 64):
        predicted = exact_solution(start, np.linspace(0, t_end, steps + 1))
        errors.append(np.abs(predicted.W1[-1] - W1[-1]).max())
    order = np.diff(np.log(errors)) / np.log(0.5)
    np.testing.assert_allclose(order[-1], 2, atol=0.05)


@pytest.mark.parametrize("lam, hidden", [(0.0, 20), (0.4, 15), (-0.4, 8), (1e-6, 10)])
def test_balanced_start_is_balanced_and_as_strong_as_asked(lam, hidden):
    start = balanced_start(TREE, hidden, lam, seed=9, scale=0.03)
    assert balance_residual(start.W1, start.W2, lam) < 3e-15
    assert np.isclose(np.linalg.norm(start.W2 @ start.W1, 2), 0.03, rtol=1e-12)
    assert start.W1.shape == (hidden, 8) and start.W2.shape == (15, hidden)


def test_starts_outside_the_conditions_are_refused_with_a_remedy():
    with pytest.raises(ConditionError, match=r"lambda > 0.*at most 15"):
        balanced_start(TREE, 16, 0.1)
    with pytest.raises(ConditionError, match=r"lambda < 0.*at most 8"):
        balanced_start(TREE, 9, -0.1)
    start = balanced_start(TREE, 8, 0.1)
    with pytest.raises(ConditionError, match=r"balance.*balanced_start"):
        exact_solution(start, [1.0], lam=0.2)
    lopsided = replace(start, weights=(start.W1, start.W2 * np.linspace(1, 2, 8)))
    with pytest.raises(ConditionError, match="balance"):
        exact_solution(lopsided, [1.0])
    with pytest.raises(ConditionError, match="times"):
        exact_solution(start, [-1.0])


def test_scalar_form_is_the_growing_part_of_the_numeric_solution_and_of_the_logistic():
    s, lam, w1, w2 = 0.8, 0.3, 0.1, np.sqrt(0.31)
    times = np.array([0.0, 1.0, 5.0, 30.0, 2000.0])
    W1, W2 = exact_factors(np.array([[w1]]), np.array([[w2]]), np.array([[s]]), 1.0, times, lam)
    mu, theta = eigenvalue_form()(s=s, lamda=lam), np.arctan2(2 * s, -lam) / 2
    up, down = np.array([np.cos(theta), np.sin(theta)]), np.array([-np.sin(theta), np.cos(theta)])
    growing = riccati_form()(t=times, mu=mu, q_plus=up @ [w1, w2], q_minus=down @ [w1, w2])
    np.testing.assert_allclose(up @ gram(W1, W2) @ up, growing, rtol=1e-13)
    # Balanced: X_++ = 2 a, since the decaying component is zero.
    logistic = mode_strength_form()(t=times, s=s, c=1.0, a0=0.01)
    np.testing.assert_allclose(riccati_form()(t=times, mu=s, q_plus=np.sqrt(0.02), q_minus=0), 2 * logistic, rtol=1e-13)


@pytest.mark.parametrize(
    "form, values",
    [(riccati_form, {"t": -1, "mu": 1, "q_plus": 1, "q_minus": 0}), (eigenvalue_form, {"s": -1, "lamda": 0})],
)
def test_forms_refuse_values_outside_their_conditions(form, values):
    with pytest.raises(ConditionError, match="condition not met"):
        form()(**values)


@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
def test_half_rise_times_of_unaligned_starts_are_those_of_the_exact_solution_up_to_a_log(kind):
    task = Hierarchy((2, 2, 2)).indicator_task()
    gaussian = network(task, 16, "gaussian:0.01", seed=0)
    start = gaussian if kind == "gaussian" else balanced_start(task, 16, scale=0.01)
    times, modes = np.linspace(0.0, 60.0, 1201), start.modes
    run = exact_solution(start, times)
    inputs = task.X @ modes.V / np.sqrt(modes.c * task.n_items)
    a = np.einsum("oa,toh,thi,ia->ta", modes.U, run.W2, run.W1, inputs)
    seen = times[np.argmax(a >= modes.s / modes.c / 2, axis=0)]
    # A mode that shares its hidden direction with stronger ones loses a factor of its start: late by ln(factor)/(2 s).
    late = (seen - half_rise_times(start)) * 2 * modes.s
    assert (late > -0.1).all() and (late < np.log(4.0)).all()
    assert abs(late[0]) < 0.15
