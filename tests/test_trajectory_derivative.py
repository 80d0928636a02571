"""The derivative through training: closed form against sensitivity equation, mpmath, finite differences."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench.errors import ConditionError
from workbench.networks import network
from workbench.semantics import SemanticTask, rumelhart_task, singular_modes, task_from_spec
from workbench.theory.flow.aligned import mode_strengths
from workbench.theory.flow.balanced_starts import balanced_start
from workbench.theory.flow.weighted_flow import weighted_flow
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.theory.influence.mode_response import equal_mode_response_form, mode_response_form, tree_derivative_form
from workbench.theory.influence.mode_transport import pair_responses
from workbench.theory.influence.sech_integrals import SechConvolution, SechTransform
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.trajectory_derivative import started_groups, trajectory_derivative
from workbench.theory.influence.turning_points import derivative_curve, extrema, leave_one_out_curve, sign_flips
from workbench.theory.posterior.hessian import curvature_range

TREE = task_from_spec("tree")
TIMES = np.array([0.0, 1.0, 4.0, 9.0, 16.0, 30.0])
GRID = np.linspace(0.1, 40, 300)


def sensitivity_equation(start, times):
    """``S_i' = -H S_i - g_i`` for every weight of an explicit network; ``dl_j/deps_i = g_j . S_i``."""
    X, Y, P = start.task.X, start.task.Y, start.task.n_items
    shapes, cut = (start.W1.shape, start.W2.shape), start.W1.size
    n = start.W1.size + start.W2.size

    def layers(w):
        return w[..., :cut].reshape(*w.shape[:-1], *shapes[0]), w[..., cut:].reshape(*w.shape[:-1], *shapes[1])

    def item_gradients(W1, W2):
        R = Y - W2 @ W1 @ X
        first = -np.einsum("oh,oi,ni->ihn", W2, R, X).reshape(P, -1)
        second = -np.einsum("oi,hn,ni->ioh", R, W1, X).reshape(P, -1)
        return np.concatenate([first, second], axis=1)

    def rate(_, y):
        (W1, W2), (dW1, dW2) = layers(y[:n]), layers(y[n:].reshape(P, n))
        E = (Y - W2 @ W1 @ X) @ X.T / P
        dE = -(dW2 @ W1 + W2 @ dW1) @ (X @ X.T) / P
        minus_HS = np.concatenate(
            [
                (np.swapaxes(dW2, 1, 2) @ E + W2.T @ dE).reshape(P, -1),
                (dE @ W1.T + E @ np.swapaxes(dW1, 1, 2)).reshape(P, -1),
            ],
            axis=1,
        )
        flow = np.concatenate([(W2.T @ E).ravel(), (E @ W1.T).ravel()])
        return np.concatenate([flow, (minus_HS - item_gradients(W1, W2)).ravel()])

    y0 = np.concatenate([start.W1.ravel(), start.W2.ravel(), np.zeros(P * n)])
    y = solve_ivp(rate, (0, times[-1]), y0, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-13).y.T
    return np.stack([(row[n:].reshape(P, n)) @ item_gradients(*layers(row[:n])).T for row in y])


def whitened_task():
    rng = np.random.default_rng(3)
    X = np.linalg.qr(rng.standard_normal((6, 4)))[0] * 2
    return SemanticTask("whitened", tuple("abcd"), tuple("uvwxyz"), rng.standard_normal((6, 4)), X=X)


def repeated_task():
    Y = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=float)
    return SemanticTask("repeated", tuple("abcde"), tuple("wxyz"), Y)


ALIGNED = {
    "tree": (lambda: TREE, 0.01, 8),
    "idle hidden units": (lambda: task_from_spec("tree:3,2"), 1e-3, 9),
    "bottleneck that cuts a level": (lambda: TREE, 0.01, 3),
    "table": (rumelhart_task, 0.01, 8),
    "whitened inputs": (whitened_task, 0.02, 4),
    "null modes": (repeated_task, 0.02, 5),
    "starts above weak modes": (lambda: TREE, 1.5, 8),
}


def aligned(name):
    task, a0, hidden = ALIGNED[name]
    start = network(task(), hidden, f"balanced:{a0}")
    return start, trajectory_derivative(start.modes, TIMES, a0=a0, active=start.active)


@pytest.mark.parametrize("name", ALIGNED)
def test_closed_form_solves_the_sensitivity_equation_of_an_explicit_network(name):
    start, derivative = aligned(name)
    exact = sensitivity_equation(start, TIMES)
    # The equation is integrated at rtol 1e-12 over the unstable stages; the form itself is good to 1e-13.
    np.testing.assert_allclose(derivative, exact, atol=1e-9 * np.abs(exact).max(), rtol=0)


@pytest.mark.parametrize("name", ["tree", "bottleneck that cuts a level", "null modes"])
def test_linearised_flow_from_the_start_agrees_with_the_closed_form(name):
    start, derivative = aligned(name)
    numeric = trajectory_derivative_from_start(start, TIMES, rtol=1e-11)
    np.testing.assert_allclose(numeric, derivative, atol=1e-9 * np.abs(derivative).max(), rtol=0)


UNALIGNED = {
    "balanced": lambda: balanced_start(task_from_spec("tree:2,2"), 5, lam=0.0),
    "lambda-balanced, positive": lambda: balanced_start(task_from_spec("tree:2,2"), 4, lam=0.4),
    "lambda-balanced, negative": lambda: balanced_start(task_from_spec("tree:2,2"), 3, lam=-0.3),
    "gaussian": lambda: network(task_from_spec("tree:2,2"), 3, "gaussian:0.3"),
    "gaussian, whitened inputs": lambda: network(whitened_task(), 4, "gaussian:0.2"),
}


@pytest.mark.parametrize("name", UNALIGNED)
def test_linearised_flow_from_any_start_solves_the_sensitivity_equation(name):
    start = UNALIGNED[name]()
    exact = sensitivity_equation(start, TIMES)
    derivative = trajectory_derivative_from_start(start, TIMES, rtol=1e-11)
    np.testing.assert_allclose(derivative, exact, atol=1e-9 * np.abs(exact).max(), rtol=0)


@pytest.mark.parametrize("name", ["lambda-balanced, positive", "gaussian"])
def test_difference_quotients_of_the_reweighted_flow_approach_the_derivative_at_first_order(name):
    start = UNALIGNED[name]()
    P, derivative = start.task.n_items, trajectory_derivative_from_start(start, TIMES, rtol=1e-12)
    base = weighted_flow(start, TIMES, np.ones(P), rtol=1e-12)
    errors = []
    for x in (1e-2, 1e-3, 1e-4):
        moved = weighted_flow(start, TIMES, 1 + x * np.eye(P), rtol=1e-12)
        # A weight 1 + x is eps = x / P.
        errors.append(np.abs((moved - base) * P / x - derivative).max())
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 10, rtol=0.1)


def test_early_on_the_derivative_is_minus_t_times_the_gradient_kernel_with_error_of_second_order():
    start = network(TREE, 8, "balanced:0.01")
    kernel = gradient_kernel(start.modes, mode_strengths(start, [0.0]))[0]
    steps = np.array([1e-2, 1e-3])
    derivative = trajectory_derivative(start.modes, steps, a0=0.01)
    error = np.abs(derivative - steps[:, None, None] * kernel).max(axis=(1, 2))
    assert error[1] < 0.011 * error[0] and error[0] < 0.02 * steps[0] * np.abs(kernel).max()


@pytest.mark.parametrize(
    ("pair", "published"), [((0, 1), (10.85, 17.97)), ((0, 2), (7.67, 11.87)), ((0, 4), (6.31, 8.89))]
)
def test_derivative_flips_at_the_published_times(pair, published):
    curve = derivative_curve(singular_modes(TREE), *pair, a0=0.01)
    np.testing.assert_allclose(sign_flips(curve, GRID), published, atol=0.0051)


@pytest.mark.parametrize(("pair", "published"), [((0, 1), (13.76,)), ((0, 2), (8.58, 14.69)), ((0, 4), (6.69, 10.02))])
def test_leave_one_out_flips_at_the_published_times(pair, published):
    start = network(TREE, 8, "balanced:0.01")
    np.testing.assert_allclose(sign_flips(leave_one_out_curve(start, *pair), GRID[::6]), published, atol=0.0051)


def test_extrema_are_where_the_slope_of_the_curve_vanishes():
    curve = derivative_curve(singular_modes(TREE), 0, 2, a0=0.01)
    times, values = extrema(curve, GRID)
    h = 1e-5
    slope = (curve(times + h) - curve(times - h)) / (2 * h)
    # Times are known to about 1e-7, where the slope of a curve of size 1 is of that order.
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    np.testing.assert_allclose(values, curve(times), rtol=1e-12)
    assert np.array_equal(np.sign(values), [-1, 1, -1])


def test_every_step_of_the_derivations_on_another_tree_is_verified_by_sympy():
    for m in range(3):
        assert [step for step in tree_derivative_form((6, 2, 1), m).self_check() if not step.passed] == []


def test_sech_integrals_equal_gauss_functions():
    t, s_a, s_b, kappa = 3.0, 0.7, 0.45, 40.0
    x0, x1 = -np.log(kappa) / 2, s_a * t - np.log(kappa) / 2

    def antiderivative(x, p):
        r = (1 + p) / 2
        return 2 * mpmath.exp((1 + p) * x) / (1 + p) * mpmath.hyp2f1(1, r, 1 + r, -mpmath.exp(2 * x))

    for function, p in ((SechConvolution, s_b / s_a), (SechTransform, -s_b / s_a)):
        integral = (antiderivative(x1, p) - antiderivative(x0, p)) / s_a
        # e^{s_b u} = e^{p (x - x0)}, and the convolution carries e^{-s_b t} besides.
        expected = integral * mpmath.exp(-p * x0) * (mpmath.exp(-s_b * t) if p > 0 else 1)
        assert float(function._imp_(t, s_a, s_b, kappa)) == pytest.approx(float(expected), rel=1e-13)


def test_formula_of_a_pair_of_modes_agrees_with_the_evaluation_of_all_pairs_at_once():
    s, c, a0 = np.array([0.5, 0.3, 0.1]), 0.125, 0.01
    t = np.array([0.0, 0.5, 5.0, 20.0, 300.0])
    m = c * pair_responses(s, np.full(3, a0), t, c=c)[0]
    for a in range(3):
        equal = equal_mode_response_form()(t=t, s=s[a], c=c, a0=a0)
        np.testing.assert_allclose(m[:, a, a], equal, rtol=1e-11, atol=1e-15)
        for b in range(3):
            if a != b:
                # Including the pole of the antiderivative at s_b = 5 s_a.
                formula = mode_response_form()(t=t, s_a=s[a], s_b=s[b], c=c, a0=a0)
                np.testing.assert_allclose(m[:, a, b], formula, rtol=1e-11, atol=1e-15)


def test_tree_form_evaluates_to_the_entries_of_the_full_derivative():
    start, derivative = aligned("tree")
    groups, strengths = started_groups(start.modes, 0.01)
    x, e = pair_responses(groups.s, strengths, TIMES, c=start.modes.c)
    m = start.modes.c * x
    values = {f"e_{k}": e[:, k] for k in range(4)} | {f"m_{k}{j}": m[:, k, j] for k in range(4) for j in range(4)}
    for level, target in ((0, 4), (1, 2), (2, 1), (3, 0)):
        by_level = tree_derivative_form(TREE.tree.cover, level)(c=start.modes.c, **values)
        np.testing.assert_allclose(derivative[:, 0, target], by_level, atol=1e-12)


def test_derivative_stays_finite_and_vanishes_at_very_long_times():
    modes = singular_modes(TREE)
    late = trajectory_derivative(modes, [1e3, 1e5], a0=1e-12)
    assert np.isfinite(late).all() and np.abs(late).max() < 1e-20


def test_modes_without_a_hidden_unit_keep_a_bounded_response_at_very_long_times():
    start = network(TREE, 2, "balanced:0.01")
    late = trajectory_derivative(start.modes, [2e3, 4e3, 1e5], a0=0.01, active=2)
    # The network has converged on a minimum for its width: only its position depends on the weights.
    assert curvature_range(start.modes, mode_strengths(start, [1e5]), 2, 2)[0] > -1e-12
    np.testing.assert_allclose(late[1:], late[:1].repeat(2, axis=0), rtol=1e-9, atol=1e-12)


def test_windows_add_up_to_the_whole_history():
    modes = singular_modes(rumelhart_task())
    whole = trajectory_derivative(modes, TIMES, a0=0.01)
    parts = [trajectory_derivative(modes, TIMES, a0=0.01, window=w) for w in ((0, 3), (3, 11), (11, np.inf))]
    np.testing.assert_allclose(sum(parts), whole, atol=1e-12 * np.abs(whole).max())


def test_a_window_acts_as_in_the_linearised_flow_and_not_before_it_opens():
    start, _ = aligned("tree")
    closed = trajectory_derivative(start.modes, TIMES, a0=0.01, window=(4.0, 10.0))
    numeric = trajectory_derivative_from_start(start, TIMES, window=(4.0, 10.0), rtol=1e-11)
    assert not closed[:3].any() and not numeric[:3].any()
    np.testing.assert_allclose(numeric, closed, atol=1e-9 * np.abs(closed).max(), rtol=0)


def test_the_order_of_the_times_does_not_matter():
    modes, order = singular_modes(TREE), [4, 0, 5, 2, 2]
    shuffled = trajectory_derivative(modes, TIMES[order], a0=0.01)
    np.testing.assert_allclose(shuffled, trajectory_derivative(modes, TIMES, a0=0.01)[order], atol=1e-13)


def test_requests_outside_the_conditions_are_refused():
    modes = singular_modes(TREE)
    with pytest.raises(ConditionError, match="a0 > 0"):
        trajectory_derivative(modes, TIMES, a0=0.0)
    with pytest.raises(ConditionError, match="times finite"):
        trajectory_derivative(modes, [np.nan], a0=0.01)
    with pytest.raises(ConditionError, match="0 <= t0 <= t1"):
        trajectory_derivative(modes, TIMES, a0=0.01, window=(5.0, 2.0))
    with pytest.raises(ConditionError, match="s_a != s_b"):
        mode_response_form()(t=1.0, s_a=0.3, s_b=0.3, c=0.125, a0=0.01)
