"""The two-phase picture: closed forms, and where it holds (depth >= 3) and where it does not (depth 2)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from workbench.errors import ConditionError
from workbench.theory.posterior.coexistence import coexistence_strength_form, coexistence_temperature_form
from workbench.theory.posterior.mode_prior import prior_spread_form
from workbench.theory.posterior.phase_comparison import phase_comparison, transition_temperature
from workbench.theory.posterior.phases import (
    learned_strength_form,
    low_temperature_variance_form,
    penalty_form,
    total_covariance_form,
)
from workbench.theory.posterior.scalar_posterior import phase_boundary

FORMS = [
    total_covariance_form,
    penalty_form,
    learned_strength_form,
    low_temperature_variance_form,
    coexistence_strength_form,
    coexistence_temperature_form,
    prior_spread_form,
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_wrong_step_would_be_noticed(form):
    """The residuals are not trivially zero: spoiling one by a constant makes the check fail."""
    steps = [step for step in form().steps if step.residual is not None]
    spoiled = [type(step)(step.statement, step.expression, step.residual + 1) for step in steps]
    assert not any(step.verify() for step in spoiled)


def test_total_covariance_is_that_of_an_explicit_mixture():
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((40, 2)), rng.standard_normal((60, 2)) + [2.0, -1.0]
    value = total_covariance_form()(
        pi_U=0.4,
        Cov_U=np.cov(U.T, bias=True)[0, 1],
        Cov_V=np.cov(V.T, bias=True)[0, 1],
        mu_iU=U[:, 0].mean(),
        mu_iV=V[:, 0].mean(),
        mu_jU=U[:, 1].mean(),
        mu_jV=V[:, 1].mean(),
    )
    assert value == pytest.approx(np.cov(np.vstack([U, V]).T, bias=True)[0, 1], abs=1e-14)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_penalty_is_the_constrained_minimum_found_numerically(depth):
    gamma, a = 3.0, 0.37

    def charge(logs):
        w = np.exp(np.append(logs, np.log(a) - logs.sum()))
        return gamma / 2 * (w**2).sum()

    found = minimize(charge, np.linspace(-1, 1, depth - 1), method="BFGS", options={"gtol": 1e-9})
    assert penalty_form()(a=a, gamma=gamma, D=depth) == pytest.approx(found.fun, rel=1e-10)


def potential(a, depth, gamma, s, c, n_beta):
    return n_beta * (s - c * a) ** 2 / (2 * c) + depth * gamma / 2 * a ** (2 / depth)


@pytest.mark.parametrize("depth", [3, 4, 7])
def test_at_coexistence_the_learned_minimum_is_as_deep_as_the_origin(depth):
    gamma, s, c = 13.0, 0.7, 0.3
    n_beta = transition_temperature(depth, gamma, s, c)
    a = float(coexistence_strength_form()(D=depth, s=s, c=c))
    grid = np.linspace(phase_boundary(depth, s, c), s / c, 200001)
    values = potential(grid, depth, gamma, s, c, n_beta)
    assert grid[values.argmin()] == pytest.approx(a, abs=2 * (grid[1] - grid[0]))
    # The minimum is quadratic: a grid of spacing 1e-5 finds its depth to about 1e-10.
    assert values.min() == pytest.approx(potential(0.0, depth, gamma, s, c, n_beta), rel=1e-8)


@pytest.mark.parametrize("depth", [3, 4, 7])
def test_the_phase_boundary_is_the_top_of_the_barrier_at_coexistence(depth):
    gamma, s, c = 13.0, 0.7, 0.3
    n_beta = transition_temperature(depth, gamma, s, c)
    grid = np.linspace(1e-6, float(coexistence_strength_form()(D=depth, s=s, c=c)), 200001)
    top = grid[potential(grid, depth, gamma, s, c, n_beta).argmax()]
    assert phase_boundary(depth, s, c) == pytest.approx(top, abs=2 * (grid[1] - grid[0]))


def test_coexistence_temperatures_published_in_the_theory_notes():
    assert transition_temperature(3, 1.0, 1.0, 1.0) == pytest.approx(2.520, abs=5e-4)
    assert transition_temperature(4, 1.0, 1.0, 1.0) == pytest.approx(3.674, abs=5e-4)
    assert transition_temperature(3, 1.0, 0.4, 1.0) == pytest.approx(8.55, abs=5e-3)


def test_towards_two_layers_the_transition_becomes_the_continuous_threshold():
    """``n_c beta -> gamma / s``: read off the compiled formula, whose condition D >= 3 is for the physics."""
    form = coexistence_temperature_form()
    value = form.function(2 + 1e-9, 5.0, 0.7, 0.3)
    assert value == pytest.approx(transition_temperature(2, 5.0, 0.7, 0.3), rel=1e-7)


@pytest.mark.parametrize(
    ("gamma", "peak", "balance"),
    [(5, 1.43, 2.42), (10, 1.50, 2.22), (30, 1.37, 2.07), (100, 1.23, 2.02), (300, 1.14, 2.01)],
)
def test_two_layers_the_covariance_does_not_peak_where_the_phases_balance(gamma, peak, balance):
    # The published values have three digits; 1.50 is 1.506.
    result = phase_comparison(2, gamma)
    assert result.peak * result.s / gamma == pytest.approx(peak, abs=7e-3)
    assert result.equal_mass * result.s / gamma == pytest.approx(balance, abs=5e-3)


def test_two_layers_the_comparison_depends_on_gamma_s_over_c_alone():
    first, second = phase_comparison(2, 30.0), phase_comparison(2, 30.0 * 0.125 / 0.4, s=0.4, c=0.125)
    assert second.peak / second.transition == pytest.approx(first.peak / first.transition, rel=1e-6)
    assert second.equal_mass / second.transition == pytest.approx(first.equal_mass / first.transition, rel=1e-9)


def test_two_layers_with_a_weak_prior_have_no_interior_peak():
    result = phase_comparison(2, 2.0)
    assert result.peak is None and result.between_share is None


def test_two_layers_the_between_phase_share_at_the_peak_vanishes_as_gamma_grows():
    shares = [phase_comparison(2, gamma).between_share for gamma in (5, 30, 300)]
    assert shares[0] > 0.3 and shares[1] < shares[0] and shares[2] < 1e-8


@pytest.mark.parametrize(
    ("depth", "gamma", "peak", "balance"),
    [
        (3, 10, 1.05, 1.19),
        (3, 30, 1.01, 1.07),
        (3, 100, 1.00, 1.02),
        (4, 10, 1.01, 1.04),
        (4, 30, 1.00, 1.00),
    ],
)
def test_published_ratios_with_the_cut_at_half_of_the_final_strength(depth, gamma, peak, balance):
    # Published with two decimals; (3, 30) peaks at 1.002.
    result = phase_comparison(depth, gamma, cut=0.5)
    assert result.peak / result.transition == pytest.approx(peak, abs=9e-3)
    assert result.equal_mass / result.transition == pytest.approx(balance, abs=6e-3)


@pytest.mark.parametrize("depth", [3, 4])
def test_three_layers_or_more_the_peak_approaches_the_balance_of_phases_as_gamma_grows(depth):
    """With the cut on the barrier the two-phase law holds: one location, all of Var q between phases."""
    results = [phase_comparison(depth, gamma) for gamma in (10.0, 30.0, 100.0, 300.0)]
    gaps = np.array([r.peak / r.equal_mass - 1 for r in results])
    shares = np.array([r.between_share for r in results])
    assert (gaps > 0).all() and (np.diff(gaps) < 0).all() and gaps[-1] < 2e-4
    assert (np.diff(shares) > 0).all() and shares[-1] > 0.99
    assert abs(results[-1].equal_mass / results[-1].transition - 1) < 2e-3


def test_three_layers_a_cut_at_half_runs_through_the_learned_phase():
    """At D = 3 half of the final strength is the learned phase's own place at coexistence."""
    assert float(coexistence_strength_form()(D=3, s=1.0, c=1.0)) == 0.5
    on_barrier, at_half = phase_comparison(3, 100.0), phase_comparison(3, 100.0, cut=0.5)
    assert on_barrier.peak == pytest.approx(at_half.peak, rel=1e-7)
    assert on_barrier.between_share > 0.95 > 0.5 > at_half.between_share


def test_learned_strength_is_the_root_of_the_force():
    gamma, s, c, n_beta = 3.0, 0.7, 0.3, 9.0
    root = brentq(lambda a: n_beta * (s - c * a) - gamma, 0, s / c)
    assert learned_strength_form()(n_beta=n_beta, gamma=gamma, s=s, c=c) == pytest.approx(root, rel=1e-12)


def test_conditions_name_what_would_work():
    with pytest.raises(ConditionError, match="raise n beta"):
        learned_strength_form()(n_beta=1.0, gamma=3.0, s=0.7, c=0.3)
    with pytest.raises(ConditionError, match="learned_strength_form"):
        coexistence_temperature_form()(D=2, gamma=1.0, s=1.0, c=1.0)
    with pytest.raises(ConditionError, match="depth=2"):
        phase_comparison(1, 10.0)
