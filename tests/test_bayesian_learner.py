"""The exactly solvable Bayesian learner and the mode-coupled covariance, against independent computations."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import ndtr

from workbench.errors import ConditionError, WorkbenchError
from workbench.semantics import Hierarchy, Modes, SemanticTask, singular_modes
from workbench.theory.posterior.bayesian_learner import bayesian_learner
from workbench.theory.posterior.coexistence import coexistence_strength_form
from workbench.theory.posterior.coupled_posterior import (
    coupled_covariance,
    coupled_covariance_by_level,
    coupled_flips,
    level_projector_values,
    threshold_distance,
)
from workbench.theory.posterior.dense_posterior import hessian
from workbench.theory.posterior.mode_prior import ModePrior, log_bessel_k, prior_spread_form
from workbench.theory.posterior.phases import (
    low_temperature_variance_form,
    total_covariance_form,
)
from workbench.theory.posterior.scalar_posterior import phase_boundary, posterior_nodes, scalar_posterior

TREE = Hierarchy((2, 2, 2))
S_LEVELS = np.sqrt([15.0, 7.0, 3.0, 1.0]) / 8


# ---- prior of a mode ----


@pytest.mark.parametrize(
    ("order", "x"),
    [
        (0, 1e-30),
        (0, 3.0),
        (0, 5e8),
        (0, 1e12),
        (0.5, 2.0),
        (3.5, 1e-120),
        (15, 1e-30),
        (60, 0.5),
        (200, 3.0),
    ],
)
def test_log_bessel_function_is_finite_and_right_where_scipy_overflows_or_is_nan(order, x):
    exact = float(mpmath.log(mpmath.besselk(order, mpmath.mpf(x))))
    # Next to a value of size 1e12 double precision leaves 1e-4 absolute: the error is relative.
    assert log_bessel_k(order, np.array(x)) == pytest.approx(exact, rel=3e-15, abs=1e-11)


@pytest.mark.parametrize("depth", [2, 3, 4, 7])
def test_prior_of_a_deep_mode_is_the_meijer_g_function(depth):
    """``p(a) = (gamma / 2 pi)^(D/2) G^{D,0}_{0,D}(gamma^D a^2 / 2^D | 0..0)`` (Springer & Thompson 1970)."""
    gamma = 7.0
    a = np.array([1e-6, 1e-2, 0.3, 5.0, 40.0])
    exact = [
        mpmath.log(
            mpmath.meijerg([[], []], [[0] * depth, []], mpmath.mpf(gamma) ** depth * mpmath.mpf(x) ** 2 / 2**depth)
            * (gamma / (2 * mpmath.pi)) ** (mpmath.mpf(depth) / 2)
        )
        for x in a
    ]
    prior = ModePrior(gamma, depth)
    np.testing.assert_allclose(prior.log_density(a), np.array(exact, dtype=float), atol=1e-12, rtol=1e-13)
    np.testing.assert_array_equal(prior.log_density(-a), prior.log_density(a))


@pytest.mark.parametrize(
    "prior",
    [
        ModePrior(2.0),
        ModePrior(300.0),
        ModePrior(2.0, hidden=2),
        ModePrior(50.0, hidden=16),
        ModePrior(2.0, depth=3),
        ModePrior(100.0, depth=5),
        ModePrior(2.0, depth=1),
        ModePrior(4.0, location=(0.3, -0.9)),
        ModePrior(1e5, location=(0.5, 0.5)),
    ],
    ids=str,
)
def test_every_prior_is_normalised_and_has_the_moments_of_its_gaussian_weights(prior):
    """At n beta = 0 the evidence is 1; E[a] and E[a^2] follow from independent normal weights."""
    a, p, log_evidence = posterior_nodes(prior, 1.0, 1.0, 0.0, 0.5)
    assert log_evidence == pytest.approx(0.0, abs=1e-9)
    w, v = prior.location or (0.0, 0.0)
    assert p @ a == pytest.approx(w * v, abs=1e-9)
    second = prior.hidden * prior.gamma**-prior.depth
    if prior.location:
        second = (w**2 + 1 / prior.gamma) * (v**2 + 1 / prior.gamma)
    assert p @ a**2 == pytest.approx(second, rel=1e-9)


def test_prior_spread_form_is_the_moment_of_sampled_weights():
    rng = np.random.default_rng(1)
    w, v = rng.standard_normal((2, 400_000, 5)) / np.sqrt(3.0)
    squares = (w * v).sum(axis=1) ** 2
    standard_error = squares.std() / np.sqrt(len(squares))
    assert float(prior_spread_form()(gamma=3.0, hidden=5)) == pytest.approx(squares.mean(), abs=4 * standard_error)


def test_localised_at_zero_is_the_unlocalised_prior():
    a = np.array([-2.0, -1e-3, 0.1, 5.0])
    np.testing.assert_allclose(
        ModePrior(3.0, location=(0.0, 0.0)).log_density(a), ModePrior(3.0).log_density(a), atol=1e-13
    )


# ---- posterior of one mode ----


def brute_force(gamma, s, c, n_beta, cut, location=(0.0, 0.0), span=7.0, points=2400):
    """E[q], Var q, E[a] and P(a < cut) without ever using the density of a.

    Moments: sums over a grid of both weights, which converge faster than any power for smooth decaying
    integrands. Mass: given w the other weight is normal, so the step at the cut is an error function.
    """
    x = np.linspace(-span, span, points)
    w, v = np.meshgrid(x, x, indexing="ij")
    a = w * v
    log_p = -gamma / 2 * ((w - location[0]) ** 2 + (v - location[1]) ** 2) - n_beta * (s - c * a) ** 2 / (2 * c)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    q = (s - c * a) ** 2 / (2 * c)
    mean = (p * q).sum()
    precision = gamma + n_beta * c * x**2
    centre = (gamma * location[1] + n_beta * s * x) / precision
    log_w = -gamma / 2 * (x - location[0]) ** 2 + precision * centre**2 / 2 - np.log(precision) / 2
    w_mass = np.exp(log_w - log_w.max())
    below = ndtr(np.sign(x) * (cut / x - centre) * np.sqrt(precision))
    return mean, (p * (q - mean) ** 2).sum(), (p * a).sum(), w_mass @ below / w_mass.sum()


@pytest.mark.parametrize(
    ("gamma", "s", "c", "n_beta", "location"),
    [
        (4.0, 1.0, 1.0, 2.0, None),
        (4.0, 1.0, 1.0, 12.0, None),
        (10.0, 0.5, 0.125, 30.0, None),
        (4.0, 1.0, 1.0, 5.0, (0.3, 0.9)),
        (8.0, 1.0, 0.5, 20.0, (0.7, -0.4)),
    ],
)
def test_one_dimensional_posterior_agrees_with_brute_force_over_both_weights(gamma, s, c, n_beta, location):
    cut = 0.37 * s / c
    mean, variance, strength, mass = brute_force(gamma, s, c, n_beta, cut, location or (0.0, 0.0))
    found = scalar_posterior(s, c, n_beta, ModePrior(gamma, location=location), cut=cut)
    assert found.mean[0] == pytest.approx(mean, rel=1e-10)
    assert found.variance[0] == pytest.approx(variance, rel=1e-10)
    assert found.strength[0] == pytest.approx(strength, rel=1e-10)
    assert found.mass_unlearned[0] == pytest.approx(mass, abs=1e-9)


def test_several_hidden_units_agree_with_sampled_weights():
    """Self-normalised importance sampling from the prior: 4 standard errors."""
    rng = np.random.default_rng(2)
    gamma, s, c, n_beta, hidden = 6.0, 0.8, 0.5, 4.0, 4
    w, v = rng.standard_normal((2, 400_000, hidden)) / np.sqrt(gamma)
    q = (s - c * (w * v).sum(axis=1)) ** 2 / (2 * c)
    weight = np.exp(-n_beta * q)
    weight /= weight.mean()
    found = scalar_posterior(s, c, n_beta, ModePrior(gamma, hidden=hidden))
    mean = (weight * q).mean()
    error = (weight * (q - mean)).std() / np.sqrt(len(q))
    assert found.mean[0] == pytest.approx(mean, abs=4 * error)
    spread = weight * ((q - mean) ** 2 - (weight * (q - mean) ** 2).mean())
    variance_error = spread.std() / np.sqrt(len(q))
    assert found.variance[0] == pytest.approx((weight * (q - mean) ** 2).mean(), abs=4 * variance_error)


@pytest.mark.parametrize("prior", [ModePrior(20.0), ModePrior(20.0, depth=3), ModePrior(20.0, hidden=8)], ids=str)
def test_mean_and_variance_of_the_loss_are_derivatives_of_the_log_evidence(prior):
    """``E[q] = -P d log Z / d(n beta)``, ``Var q = -P dE[q] / d(n beta)``, differences of order 4."""
    n_beta, h, P = 45.0, 0.05, 8
    grid = n_beta + h * np.array([-2, -1, 0, 1, 2])
    found = scalar_posterior(1.0, 1.0, grid, prior, n_items=P)
    slope = np.array([1, -8, 0, 8, -1]) / (12 * h)
    assert found.mean[2] == pytest.approx(-P * slope @ found.log_evidence, rel=1e-8)
    assert found.variance[2] == pytest.approx(-P * slope @ found.mean, rel=1e-8)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_within_and_between_phase_parts_close_the_law_of_total_covariance(depth):
    n_beta = np.geomspace(1e-2, 1e6, 40)
    found = scalar_posterior(1.0, 1.0, n_beta, ModePrior(30.0, depth))
    np.testing.assert_allclose(found.between + found.within, found.variance, rtol=1e-12)
    np.testing.assert_allclose(found.mass_unlearned + found.mass_learned, 1.0, rtol=1e-13)
    by_form = total_covariance_form()(
        pi_U=np.clip(found.mass_unlearned, 0, 1),
        Cov_U=found.variance_unlearned,
        Cov_V=found.variance_learned,
        mu_iU=found.mean_unlearned,
        mu_iV=found.mean_learned,
        mu_jU=found.mean_unlearned,
        mu_jV=found.mean_learned,
    )
    np.testing.assert_allclose(by_form, found.variance, rtol=1e-10)


def test_one_layer_is_the_gaussian_posterior():
    gamma, s, c, n_beta = 3.0, 0.7, 0.4, 11.0
    precision = gamma + n_beta * c
    mean, variance = n_beta * s / precision, 1 / precision
    e = s - c * mean
    found = scalar_posterior(s, c, n_beta, ModePrior(gamma, depth=1))
    assert found.strength[0] == pytest.approx(mean, rel=1e-12)
    assert found.mean[0] == pytest.approx((e**2 + c**2 * variance) / (2 * c), rel=1e-12)
    assert found.variance[0] == pytest.approx(e**2 * variance + c**2 * variance**2 / 2, rel=1e-11)


def test_low_temperature_variance_is_approached_like_one_over_gamma():
    ratios = []
    for gamma in (1e3, 2e3, 4e3, 8e3):
        exact = scalar_posterior(1.0, 1.0, 2 * gamma, ModePrior(gamma)).variance[0]
        ratios.append(exact / low_temperature_variance_form()(n_beta=2 * gamma, gamma=gamma, s=1.0, c=1.0, P=1.0))
    excess = np.array(ratios) - 1
    assert 0 < excess[0] < 5e-3
    np.testing.assert_allclose(excess[:-1] / excess[1:], 2.0, atol=0.02)


@pytest.mark.parametrize("n_beta", [1e6, 1e9, 1e12, 1e14])
def test_posterior_stays_regular_when_it_is_a_needle(n_beta):
    """``Var a -> 1 / (n beta c)``, so ``E[q] -> e^2/2c + 1/(2 n beta)``, ``e = gamma / n beta``, P = 1.

    The next term is smaller by the slope of the prior, of relative order gamma / n beta and 1 / (n beta c a).
    """
    gamma = 1e3
    found = scalar_posterior(1.0, 1.0, n_beta, ModePrior(gamma))
    assert found.mean[0] == pytest.approx(gamma**2 / (2 * n_beta**2) + 1 / (2 * n_beta), rel=3e-3)
    assert found.mass_learned[0] == pytest.approx(1.0, abs=1e-12)


def test_arguments_beyond_the_range_of_scipys_bessel_function_are_handled():
    found = scalar_posterior(1.0, 1.0, 3e10, ModePrior(1e10))
    assert found.strength[0] == pytest.approx(2 / 3, rel=1e-8)


@pytest.mark.parametrize("depth", [3, 4])
def test_below_and_above_coexistence_one_phase_has_all_the_mass(depth):
    gamma = 300.0
    n_c = gamma * (depth - 1) * ((depth - 2) / (depth - 1)) ** (2 / depth - 1)
    found = scalar_posterior(1.0, 1.0, [0.9 * n_c, n_c, 1.1 * n_c], ModePrior(gamma, depth))
    assert found.mass_learned[0] < 1e-3 < 0.02 < found.mass_learned[1] < 0.98 and found.mass_learned[2] > 0.999
    # Just after the transition the learned phase has jumped to its coexistence strength or above.
    assert found.strength[2] > float(coexistence_strength_form()(D=depth, s=1.0, c=1.0))


# ---- independent modes of a hierarchy ----


def scalar_modes(*s):
    """Modes that share one item pattern, so that the covariance is the sum of Var q."""
    K = len(s)
    return Modes(U=np.eye(K), s=np.array(s), V=np.eye(K), level=None, c=1.0)


def total_variance_peaks(depth, gamma, low, high):
    n_beta = gamma * np.geomspace(low, high, 400)
    variance = bayesian_learner(scalar_modes(1.0, 0.4), n_beta, gamma=gamma, depth=depth).per_mode("variance").sum(1)
    inside = 1 + np.flatnonzero((variance[1:-1] > variance[:-2]) & (variance[1:-1] > variance[2:]))
    return n_beta[inside] / gamma


def test_two_modes_in_two_layers_have_a_second_maximum_only_for_strong_localization():
    # Grid spacing 0.6%; published 1.14 and 2.86 at gamma = 300, a shoulder at 100.
    np.testing.assert_allclose(total_variance_peaks(2, 300.0, 0.7, 6.0), [1.14, 2.86], rtol=1e-2)
    assert len(total_variance_peaks(2, 100.0, 0.7, 6.0)) == 1


def test_two_modes_in_three_layers_peak_at_their_own_coexistence():
    np.testing.assert_allclose(total_variance_peaks(3, 100.0, 1.5, 14.0), [2.52, 8.52], rtol=1e-2)


@pytest.fixture(scope="module")
def tree_modes():
    return singular_modes(TREE.indicator_task())


def test_learner_on_a_tree_is_the_sum_over_its_modes(tree_modes):
    n_beta = np.array([150.0, 400.0])
    learner = bayesian_learner(tree_modes, n_beta, gamma=100.0)
    V2 = tree_modes.V**2
    expected_mean, expected = np.zeros((2, 8)), np.zeros((2, 8, 8))
    for k, s in enumerate(tree_modes.s):
        cut = phase_boundary(2, float(s), tree_modes.c)
        one = scalar_posterior(float(s), tree_modes.c, n_beta, ModePrior(100.0), n_items=8, cut=cut)
        expected_mean += one.mean[:, None] * V2[:, k]
        expected += one.variance[:, None, None] * np.outer(V2[:, k], V2[:, k])
    np.testing.assert_allclose(learner.mean_loss, expected_mean, rtol=1e-12)
    np.testing.assert_allclose(learner.covariance, expected, rtol=1e-12)
    np.testing.assert_allclose(learner.between + learner.within, learner.covariance, rtol=1e-12)
    assert learner.mass_unlearned.shape == (2, 8)
    np.testing.assert_allclose(learner.mass_unlearned + learner.mass_learned, 1.0, rtol=1e-12)


def test_losses_of_the_learner_are_those_of_the_task(tree_modes):
    """Under a needle prior every strength is 0 and l_i is half the squared length of the property vector."""
    learner = bayesian_learner(tree_modes, [1e-3], gamma=1e9)
    Y = TREE.indicator_task().Y
    np.testing.assert_allclose(learner.mean_loss[0], (Y**2).sum(axis=0) / 2, rtol=1e-6)


def test_independent_modes_never_make_a_covariance_negative(tree_modes):
    learner = bayesian_learner(tree_modes, np.geomspace(10, 1e5, 25), gamma=100.0)
    assert (learner.covariance >= 0).all()


def test_modes_are_learned_in_the_order_of_their_singular_values(tree_modes):
    n_beta = np.geomspace(10, 1e5, 60)
    for depth in (2, 3):
        masses = bayesian_learner(tree_modes, n_beta, gamma=100.0, depth=depth).mass_learned
        when = (masses > 0.5).argmax(axis=0)
        assert (np.diff(when) >= 0).all() and when[0] < when[-1]


def test_localising_at_the_learned_weights_makes_a_mode_learned_from_the_start(tree_modes):
    weights = np.sqrt(tree_modes.s / tree_modes.c)
    learner = bayesian_learner(tree_modes, [1e-3], gamma=1e4, locations=np.column_stack([weights, weights]))
    assert (learner.mass_learned > 0.999).all()


# ---- modes coupled through the hidden layer ----


def dense_laplace(task, modes, n_beta, gamma, hidden):
    """``G^T A^+ G`` with the explicit Hessian and gradients at the maximum (maximum itself asserted)."""
    K, e = min(hidden, modes.rank), gamma / n_beta
    a = np.clip(modes.s[:K] - e, 0, None) / modes.c
    R = np.linalg.qr(np.random.default_rng(0).standard_normal((hidden, hidden)))[0][:, :K]
    X, Y, P = task.X, task.Y, task.n_items
    V_in = X @ modes.V[:, :K] / np.sqrt(modes.c * P)
    W1, W2 = (R * np.sqrt(a)) @ V_in.T, (modes.U[:, :K] * np.sqrt(a)) @ R.T
    residual = Y - W2 @ W1 @ X
    G = np.array(
        [
            -np.r_[
                np.outer(W2.T @ residual[:, i], X[:, i]).ravel(),
                np.outer(residual[:, i], W1 @ X[:, i]).ravel(),
            ]
            for i in range(P)
        ]
    )
    force = n_beta * G.mean(axis=0) + gamma * np.r_[W1.ravel(), W2.ravel()]
    assert np.abs(force).max() < 1e-9 * gamma
    A = n_beta * hessian(X, Y, W1, W2)
    A[np.diag_indices_from(A)] += gamma
    return G @ np.linalg.pinv(A, rcond=1e-10, hermitian=True) @ G.T


@pytest.mark.parametrize("hidden", [8, 12])
@pytest.mark.parametrize("ratio", [1.5, 2.3, 2.6, 3.8, 6.0, 10.0])
def test_coupled_covariance_is_the_laplace_approximation_with_the_explicit_hessian(tree_modes, ratio, hidden):
    gamma = 1e4
    dense = dense_laplace(TREE.indicator_task(), tree_modes, ratio * gamma, gamma, hidden)
    found = coupled_covariance(tree_modes, ratio * gamma, gamma)[0]
    np.testing.assert_allclose(found, dense, atol=1e-12 * max(np.abs(dense).max(), 1e-4))


def test_coupled_covariance_counts_item_directions_without_a_mode():
    """Two items with the same properties leave a direction with s = 0, which still couples."""
    Y = np.array([[1.0, 1, 0, 1], [2.0, 2, 0, 0], [0.0, 0, 1, 0.5], [0.3, 0.3, 0.3, 0]])
    task = SemanticTask("twins", tuple("abcd"), tuple("wxyz"), Y)
    modes = singular_modes(task)
    assert modes.rank == 3
    gamma = 1e4
    for learned in (1, 2):
        n_beta = gamma / np.sqrt(modes.s[learned - 1] * modes.s[learned])
        dense = dense_laplace(task, modes, n_beta, gamma, hidden=5)
        found = coupled_covariance(modes, n_beta, gamma)[0]
        np.testing.assert_allclose(found, dense, atol=1e-12 * np.abs(dense).max())


def test_coupled_covariance_on_a_tree_depends_on_the_common_ancestor_alone(tree_modes):
    n_beta = 1e4 * np.array([2.3, 3.8, 6.0])
    full = coupled_covariance(tree_modes, n_beta, 1e4)
    by_level = coupled_covariance_by_level(TREE, S_LEVELS, n_beta, 1e4)
    np.testing.assert_allclose(full, by_level[TREE.common_ancestor_level].transpose(2, 0, 1), atol=1e-16)


@pytest.mark.parametrize("branching", [(2, 2, 2), (3, 2), (2, 1, 3), (5,)])
def test_projector_values_are_those_of_the_haar_basis(branching):
    from workbench.semantics import haar_basis

    tree = Hierarchy(branching)
    V, level = haar_basis(tree)
    H = level_projector_values(tree)
    for k in range(tree.depth + 1):
        projector = V[:, level == k] @ V[:, level == k].T
        np.testing.assert_allclose(H[tree.common_ancestor_level, k], projector, atol=1e-14)


@pytest.mark.parametrize(
    ("ratio", "sampled"),
    [
        (2.3, (1.616, 0.902, 0.687, 0.316)),
        (2.6, (1.911, 0.879, 0.541, -0.051)),
        (3.8, (1.914, 0.625, -0.108, 0.0)),
        (6.0, (1.226, -0.040, 0.0, 0.0)),
        (7.0, (0.944, -0.193, 0.0, 0.0)),
    ],
)
def test_coupled_covariance_agrees_with_exact_sampling_at_gamma_ten_thousand(ratio, sampled):
    """Hamiltonian Monte Carlo values (8-8-15): Monte Carlo and 1/gamma error, 0.02."""
    found = 1e4 * coupled_covariance_by_level(TREE, S_LEVELS, ratio * 1e4, 1e4)[::-1, 0]
    np.testing.assert_allclose(found, sampled, atol=0.02)


def test_coupled_covariance_changes_sign_once_per_level_in_the_published_order():
    flips = coupled_flips(TREE, S_LEVELS)
    assert {m: len(times) for m, times in flips.items()} == {0: 1, 1: 1, 2: 1}
    np.testing.assert_allclose([flips[m][0] for m in range(3)], [2.540, 3.618, 5.848], atol=5e-4)
    for m, times in flips.items():
        before, after = coupled_covariance_by_level(TREE, S_LEVELS, 1e6 * times[0] * np.array([0.99, 1.01]), 1e6)[m]
        assert before > 0 > after


def test_pairs_are_unrelated_once_the_modes_that_tell_them_apart_are_learned():
    thresholds = 1 / S_LEVELS
    for m in range(3):
        beyond = 1e6 * thresholds[m + 1] * np.array([1.05, 1.3])
        assert np.abs(coupled_covariance_by_level(TREE, S_LEVELS, beyond, 1e6)[m]).max() < 1e-20


def test_nothing_is_learned_below_the_first_threshold():
    assert not coupled_covariance_by_level(TREE, S_LEVELS, [1.9e6], 1e6).any()


def test_coupled_covariance_is_positive_semidefinite(tree_modes):
    for covariance in coupled_covariance(tree_modes, 1e4 * np.array([2.3, 2.6, 3.8, 6.0]), 1e4):
        assert np.linalg.eigvalsh(covariance).min() > -1e-12 * np.abs(covariance).max()


def test_the_neighbourhood_of_a_threshold_is_refused_or_left_out(tree_modes):
    gamma = 1e4
    at = gamma / tree_modes.s[0]
    assert threshold_distance(tree_modes.s, tree_modes.c, at, gamma)[0] < 1e-9
    with pytest.raises(ConditionError, match="move n beta, raise gamma"):
        coupled_covariance(tree_modes, [2.3 * gamma, at * 1.001], gamma)
    found = coupled_covariance(tree_modes, [2.3 * gamma, at * 1.001], gamma, near_threshold="nan")
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()
    assert np.isfinite(coupled_covariance(tree_modes, at * 1.001, gamma, near_threshold="ignore")).all()
    # At gamma = 100 the same ratio is within the critical region (the notes find 5-40% there).
    with pytest.raises(ConditionError):
        coupled_covariance(tree_modes, 230.0, 100.0)


def test_impossible_requests_are_refused_before_any_work(tree_modes):
    with pytest.raises(ConditionError, match="hidden=1 or depth=2"):
        bayesian_learner(tree_modes, [1.0], gamma=1.0, depth=3, hidden=2)
    with pytest.raises(ConditionError, match="leave location out"):
        ModePrior(1.0, depth=3, location=(0.1, 0.1))
    with pytest.raises(ConditionError, match="gamma > 0"):
        bayesian_learner(tree_modes, [1.0], gamma=0.0)
    with pytest.raises(ConditionError, match="n beta >= 0"):
        bayesian_learner(tree_modes, [-1.0], gamma=1.0)
    with pytest.raises(ConditionError, match=r"give shape \(8, 2\)"):
        bayesian_learner(tree_modes, [1.0], gamma=1.0, locations=[[0.1, 0.1]])
    with pytest.raises(ConditionError, match="n beta > 0"):
        coupled_covariance(tree_modes, [0.0], 1.0)
    with pytest.raises(WorkbenchError, match=r"per level 0\.\.3"):
        coupled_flips(TREE, [1.0, 0.5])
