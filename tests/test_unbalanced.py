"""Two-layer modes at any imbalance against ODE solvers, limits and conserved quantities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench.errors import ConditionError
from workbench.theory.flow.exact_solution import exact_factors
from workbench.theory.modes.balanced import half_rise_form, mode_strength_form
from workbench.theory.modes.rise_time import half_rise_time
from workbench.theory.modes.strength import mode_strength
from workbench.theory.modes.unbalanced import lazy_limit_form, stable_manifold_form, unbalanced_form
from workbench.theory.modes.unbalanced_weights import initial_pair, mode_weights


def random_problems(count, seed=0):
    """Singular values and starts of both signs and zero, imbalances over six orders of magnitude."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        s = rng.normal() * rng.choice([1.0, 0.1, 0.0])
        yield (
            s,
            rng.uniform(0.1, 3),
            rng.normal() * 10.0 ** rng.uniform(-4, 0.5),
            rng.normal() * 10.0 ** rng.uniform(-5, 0.7),
        )


def integrated(times, s, c, w1, w2):
    def slope(_, w):
        e = s - c * w[0] * w[1]
        return [w[1] * e, w[0] * e]

    return solve_ivp(slope, (0, times[-1]), [w1, w2], "DOP853", times, rtol=1e-12, atol=1e-14).y


def test_both_weights_equal_the_integrated_flow_for_every_sign_and_imbalance():
    times = np.array([0.0, 0.5, 2.0, 8.0, 20.0])
    for s, c, a0, lam in random_problems(120):
        w1, w2 = mode_weights(times, s, c=c, a0=a0, lam=lam)
        expected = integrated(times, s, c, w1[0], w2[0])
        # Error of the reference; the weights are of order 1.
        np.testing.assert_allclose([w1, w2], expected, atol=1e-10)


def test_start_has_the_strength_and_imbalance_asked_for_and_the_imbalance_is_conserved():
    times = np.array([0.0, 1.0, 10.0, 1e4])
    for s, c, a0, lam in random_problems(60, seed=1):
        w1, w2 = mode_weights(times, s, c=c, a0=a0, lam=lam)
        np.testing.assert_allclose(w1[0] * w2[0], a0, rtol=1e-13)
        scale = w1**2 + w2**2
        assert np.all(np.abs(w2**2 - w1**2 - lam) < 1e-13 * scale)


def test_smooth_hyperbolic_form_equals_the_product_of_the_weights():
    times = np.linspace(0, 30, 20)
    for lam in (0.0, 1e-3, -0.1, 0.7):
        form = unbalanced_form()(t=times, s=0.8, c=0.5, a0=0.02, lamda=lam)
        # The form takes a as a difference of Y and lambda^2/Y, of the size of lambda.
        np.testing.assert_allclose(mode_strength(times, 0.8, c=0.5, a0=0.02, lam=lam), form, rtol=1e-12)


def test_small_strengths_keep_their_relative_accuracy_at_large_imbalance():
    s, c, a0, lam = 0.8, 0.5, 1e-9, 2.0
    times = np.array([0.0, 1e-9, 1e-8])
    # To first order in t: da/dt = sqrt(lambda^2 + 4 a^2)(s - c a), relative curvature 1e-8.
    expected = a0 + np.hypot(lam, 2 * a0) * (s - c * a0) * times
    np.testing.assert_allclose(mode_strength(times, s, c=c, a0=a0, lam=lam), expected, rtol=2e-8)


def test_rich_limit_is_the_logistic_to_second_order_in_lambda():
    times = np.linspace(0, 12, 400)
    logistic = mode_strength_form()(t=times, s=1.0, c=1.0, a0=0.01)

    def gap(lam):
        return np.abs(mode_strength(times, 1.0, c=1.0, a0=0.01, lam=lam) - logistic).max()

    # Published sup errors at s = c = 1, a0 = 0.01.
    np.testing.assert_allclose([gap(1e-3), gap(1e-2), gap(0.1)], [1.6e-4, 1.5e-2, 0.28], rtol=0.05)
    order = np.log(gap(1e-3) / gap(1e-4)) / np.log(10)
    assert abs(order - 2) < 0.02
    assert gap(0.0) < 1e-14


def test_lazy_limit_is_exponential_to_second_order_in_one_over_lambda():
    def gap(lam):
        times = np.linspace(0, 12 / lam, 400)
        lazy = lazy_limit_form()(t=times, s=1.0, c=1.0, a0=0.01, lamda=lam)
        return np.abs(mode_strength(times, 1.0, c=1.0, a0=0.01, lam=lam) - lazy).max()

    np.testing.assert_allclose([gap(1.0), gap(10.0), gap(100.0)], [0.125, 2e-3, 2e-5], rtol=0.1)
    order = np.log(gap(100.0) / gap(1000.0)) / np.log(10)
    assert abs(order - 2) < 0.02


def test_wrong_sign_at_balance_stays_on_the_stable_manifold_and_any_imbalance_leaves_it():
    times = np.array([0.0, 1.0, 10.0, 1000.0])
    stuck = mode_strength(times, 0.9, c=0.5, a0=-0.3)
    np.testing.assert_allclose(stuck, stable_manifold_form()(t=times, s=0.9, c=0.5, b0=0.3), rtol=1e-13)
    assert (stuck <= 0).all() and stuck[-1] == 0
    for lam in (1e-12, -1e-6):
        freed = mode_strength(times, 0.9, c=0.5, a0=-0.3, lam=lam)
        np.testing.assert_allclose(freed[-1], 0.9 / 0.5, rtol=1e-14)


def test_near_the_stable_manifold_the_crossing_is_delayed_by_the_logarithm_of_lambda():
    # w1 + w2 starts as |lambda|/(2 sqrt b0) and grows as e^{st}: a tenfold smaller lambda costs ln(10)/s.
    times = np.linspace(0, 60, 60001)
    s = 0.9
    crossings = [times[np.argmax(mode_strength(times, s, c=0.5, a0=-0.3, lam=lam) > 0)] for lam in (1e-9, 1e-10, 1e-11)]
    np.testing.assert_allclose(np.diff(crossings), np.log(10) / (2 * s), atol=2e-3)


def test_long_times_do_not_overflow_and_reach_the_target_from_every_start():
    for s, c, a0, lam in random_problems(60, seed=2):
        if abs(s) > 1e-3:
            final = mode_strength(np.array([1e6]), s, c=c, a0=a0, lam=lam)
            np.testing.assert_allclose(final, s / c, rtol=1e-13)
    assert mode_strength(1e6, 1.0, c=1.0, a0=0.0) == 0


def test_one_mode_is_the_one_unit_case_of_the_exact_matrix_solution():
    times = np.array([0.0, 0.7, 3.0, 50.0])
    for s, c, a0, lam in random_problems(30, seed=3):
        w1, w2 = (float(w) for w in initial_pair(a0, lam))
        W1, W2 = exact_factors(np.array([[w1]]), np.array([[w2]]), np.array([[s]]), c, times, lam)
        np.testing.assert_allclose(
            mode_strength(times, s, c=c, a0=a0, lam=lam), (W2 @ W1).ravel(), atol=1e-13, rtol=1e-12
        )


@pytest.mark.parametrize("lam", [0.0, 1e-6, -0.05, 0.5, 30.0, 1e6])
def test_half_rise_time_holds_at_every_imbalance(lam):
    s, c = np.array([1.0, 0.3]), 0.5
    half = half_rise_time(s, c=c, a0=0.01, lam=lam)
    np.testing.assert_allclose(mode_strength(half, s, c=c, a0=0.01, lam=lam), s / (2 * c), rtol=1e-12)
    if lam == 0:
        np.testing.assert_allclose(half, half_rise_form()(s=s, c=c, a0=0.01), rtol=1e-13)


def test_half_rise_time_counts_from_negative_starts_off_balance():
    half = half_rise_time(1.0, c=0.5, a0=-0.4, lam=1e-3)
    np.testing.assert_allclose(mode_strength(half, 1.0, c=0.5, a0=-0.4, lam=1e-3), 1.0, rtol=1e-11)
    with pytest.raises(ConditionError, match="a start that grows"):
        half_rise_time(1.0, c=0.5, a0=-0.4)


@pytest.mark.parametrize(
    "form, values",
    [
        (unbalanced_form, {"t": 1, "s": 0, "c": 1, "a0": 0.1, "lamda": 0.1}),
        (unbalanced_form, {"t": 1, "s": 1, "c": 1, "a0": -0.1, "lamda": 0}),
        (lazy_limit_form, {"t": -1, "s": 1, "c": 1, "a0": 0.1, "lamda": 10}),
        (stable_manifold_form, {"t": 1, "s": 1, "c": 1, "b0": -0.1}),
    ],
)
def test_forms_refuse_values_outside_their_conditions(form, values):
    with pytest.raises(ConditionError, match="condition not met"):
        form()(**values)
