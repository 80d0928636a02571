"""Error bars that cover, chains long enough for them, and the local learning coefficient where theory knows it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import t as student

from workbench.errors import ConditionError, SamplingError
from workbench.networks import Network, network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation import Sampling, Schedule, plan, sample_local_posterior, train
from workbench.simulation.sampling import diagnostics
from workbench.simulation.sampling.batch_means import (
    batch_lengths,
    relative_error,
    squared_error,
    student_widening,
    variance_of_mean,
)
from workbench.simulation.sampling.learning_coefficient import (
    gaussian_expectation,
    local_learning_coefficient,
    quadratic_expectation,
)
from workbench.simulation.sampling.moments import BatchMoments, estimate
from workbench.theory.posterior.dense_posterior import hessian
from workbench.theory.posterior.learning_coefficient import learning_coefficient
from workbench.trajectory import Trajectory

TREE = task_from_spec("tree")
SMALL = task_from_spec("tree:2,2")
SMALL_START = network(SMALL, 4, "balanced:0.01")

MIX = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [-0.3, 0.2, 0.9]])


@cache
def trained():
    return train(network(TREE, 8, "balanced:0.01"), Schedule.even(25.0, 6, 5e-3))


@cache
def small_run():
    return train(SMALL_START, Schedule.at([4.0, 400.0], 5e-2))


def autoregressive(seed, chains, draws, phi):
    """``(draws, chains, 3)`` losses with covariance ``MIX MIX^T`` and correlation phi from draw to draw."""
    rng = np.random.default_rng(seed)
    state, out = rng.normal(size=(chains, 3)), np.empty((draws, chains, 3))
    for k in range(draws):
        state = phi * state + np.sqrt(1 - phi**2) * rng.normal(size=state.shape)
        out[k] = state @ MIX.T
    return out


def estimated(draws, chains, batches=40):
    moments = BatchMoments(torch.zeros(draws.shape[1:], dtype=torch.float64), len(draws), batches)
    for row in draws:
        moments.add(torch.tensor(row))
    return estimate(moments, chains)


def copies(trajectory, checkpoint, count):
    """``count`` copies of one checkpoint: as many independent repetitions of its sampling."""
    W1, W2 = (W[checkpoint][None].repeat(count, axis=0) for W in (trajectory.W1, trajectory.W2))
    return Trajectory(trajectory.network, "trained", np.arange(count, dtype=float), (W1, W2), trajectory.eta)


def coverage(z):
    """Share of estimates within 1.96 of their standard errors."""
    return float((np.abs(z) < 1.96).mean())


#: 1000 repetitions: 3 standard errors of a share of 95% are 2%, less over several entries. The standard errors' own
#: noise costs 0.5% of coverage; those of second moments, which rise and fall with the moments, 1%.
REPETITIONS, COVERED = 1000, {"abs": 0.025}


def test_standard_errors_cover_the_truth_in_95_percent_of_repetitions():
    result = estimated(autoregressive(0, REPETITIONS * 4, 500, phi=0.6), 4)
    truth = MIX @ MIX.T
    sd = np.sqrt(np.diag(truth))
    off = ~np.eye(3, dtype=bool)
    scores = {
        "covariance": (result.covariance - truth) / result.stderr,
        "correlation": (result.correlation - truth / np.outer(sd, sd))[:, off] / result.correlation_stderr[:, off],
        "mean": result.mean / result.mean_stderr,
        "mean over items": result.excess / result.excess_stderr,
    }
    for name, z in scores.items():
        assert coverage(z) == pytest.approx(0.95, **COVERED), name
        assert 0.95 < z.std() < 1.1, name


def test_standard_errors_cover_on_the_local_posterior_of_a_network():
    again = copies(small_run(), 0, REPETITIONS)
    sampling = Sampling(sampler="hmc", chains=4, draws=120, burn_in=60, seed=2)
    found = sample_local_posterior(again, n_beta=50.0, gamma=500.0, sampling=sampling).estimate
    # The truth is the mean of the repetitions, whose own error is a thirtieth of each one's.
    off = ~np.eye(SMALL.n_items, dtype=bool)
    for values, stderr in (
        (found.covariance, found.stderr),
        (found.correlation[:, off], found.correlation_stderr[:, off]),
        (found.mean, found.mean_stderr),
        (found.excess, found.excess_stderr),
    ):
        z = (values - values.mean(axis=0)) / stderr
        assert coverage(z) == pytest.approx(0.95, **COVERED)
        assert 0.95 < z.std() < 1.1


@pytest.mark.parametrize(("chains", "draws"), [(1, 100), (2, 100), (4, 60)])
@pytest.mark.parametrize("checkpoint", [0, 1])
def test_few_draws_have_wider_errors_that_cover(checkpoint, chains, draws):
    """Measured with 600 repetitions: 94 to 95% of all entries, 91 to 94% of the variances, whose law is most skewed.

    Without the widening: 91 to 94% and 87 to 93%.
    """
    again = copies(small_run(), checkpoint, 600)
    sampling = Sampling(sampler="hmc", chains=chains, draws=draws, burn_in=60, seed=2, force_short=True)
    found = sample_local_posterior(again, n_beta=50.0, gamma=500.0, sampling=sampling).estimate
    z = (found.covariance - found.covariance.mean(axis=0)) / found.stderr
    # Two standard errors of a share of 600, correlated within a repetition.
    assert 0.93 < coverage(z) < 0.965
    assert coverage(np.diagonal(z, axis1=1, axis2=2)) > 0.89


@pytest.mark.parametrize("df", [3.0, 5.0, 10.0, 100.0])
def test_the_widening_is_that_of_students_law(df):
    found = student_widening(torch.tensor(df, dtype=torch.float64)).item()
    assert found == pytest.approx(student.ppf(0.975, df) / 1.959964, rel=0.01)


def test_errors_of_batches_of_a_known_kurtosis_have_its_degrees_of_freedom():
    rng, lengths = np.random.default_rng(0), batch_lengths(400, 40)
    batch = torch.tensor(rng.exponential(size=(40, 500, 4)))
    ratio = (squared_error(batch.clone(), lengths) / variance_of_mean(batch.clone(), lengths)).sqrt()
    # Exponential: kurtosis 9, of which 160 values show a little less; 27 degrees of freedom.
    assert ratio.mean().item() == pytest.approx(student.ppf(0.975, 2 * 160 / 12) / 1.959964, abs=0.01)
    assert torch.equal(squared_error(torch.zeros(40, 2, 3), lengths), torch.zeros(2))


def test_standard_errors_of_a_mean_are_right_for_the_shortest_chains_that_pass():
    # Autocorrelation time 9: 450 draws are the 50 of them that are asked for. 1000 repetitions know a spread to 2.2%,
    # three of these are 5% with the correlated entries; plain batch means would be 11% short.
    result = estimated(autoregressive(4, 4000, 450, phi=0.8), 4)
    for values, stderr in ((result.mean, result.mean_stderr), (result.excess[:, None], result.excess_stderr[:, None])):
        ratio = values.std(axis=0) / np.sqrt((stderr**2).mean(axis=0))
        np.testing.assert_allclose(ratio, 1.0, atol=0.065)


def test_the_variance_of_a_mean_is_that_of_its_definition():
    # Three chains of unequal batches with neighbours correlated by MA(1): the variance is known exactly.
    rng, lengths, C, T = np.random.default_rng(0), batch_lengths(100, 40), 3, 4000
    noise = rng.normal(size=(41, T, C))
    batch = (noise[1:] + 0.5 * noise[:-1]) / lengths[:, None, None]
    total = lengths.sum() * C
    exact = C * (40 * 1.25 + 2 * 39 * 0.5) / total**2
    found = variance_of_mean(torch.tensor(batch), lengths).numpy()
    assert set(lengths) == {2, 3}
    assert found.mean() == pytest.approx(exact, rel=4 * found.std() / exact / T**0.5)
    assert found.std() / exact == pytest.approx(relative_error(40, C), rel=0.25)


def test_the_draws_of_a_chain_are_cut_into_batches_that_differ_by_one_at_most():
    for draws, batches in ((40, 40), (60, 40), (500, 40), (403, 20)):
        lengths = batch_lengths(draws, batches)
        assert lengths.sum() == draws
        assert lengths.max() - lengths.min() <= 1
        members = np.arange(draws) * batches // draws
        np.testing.assert_array_equal(np.bincount(members), lengths)


@pytest.mark.parametrize(("chains", "groups"), [(8, 8), (20, 8)])
def test_the_parts_of_an_estimate_are_those_of_chains_on_their_own(chains, groups):
    draws = autoregressive(6, chains, 200, phi=0.3)
    parts = estimated(draws, chains).parts[0]
    members = np.array_split(np.arange(chains), groups)
    alone = [estimated(draws[:, group], len(group)).covariance[0] for group in members]
    np.testing.assert_allclose(parts, alone, rtol=1e-12)


@pytest.mark.parametrize("chains", [1, 2, 3, 8, 24])
def test_the_parts_of_an_estimate_scatter_as_independent_ones(chains):
    repetitions = 300
    result = estimated(autoregressive(7, repetitions * chains, 400, phi=0.5), chains)
    G = result.parts.shape[1]
    assert 6 <= G <= 8
    np.testing.assert_allclose(result.parts.mean(axis=1), result.covariance, rtol=2e-2, atol=2e-2)
    within = result.parts.var(axis=1, ddof=1).mean(axis=0) / G
    # 300 repetitions know a variance to 8%, and entries are correlated.
    np.testing.assert_allclose(within / result.covariance.var(axis=0), 1.0, atol=0.35)


def test_too_small_error_bars_would_be_noticed():
    result = estimated(autoregressive(0, REPETITIONS * 4, 500, phi=0.6), 4)
    z = (result.covariance - MIX @ MIX.T) / (0.8 * result.stderr)
    assert coverage(z) < 0.95 - COVERED["abs"]


def test_correlations_are_those_of_the_stored_draws():
    draws = autoregressive(1, 4, 2000, phi=0.3)
    result = estimated(draws, 4)
    plain = np.corrcoef((draws - draws.mean(axis=0)).reshape(-1, 3).T)
    np.testing.assert_allclose(result.correlation[0], plain, atol=2e-3)
    np.testing.assert_allclose(np.diagonal(result.correlation[0]), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(result.correlation_stderr[0]), 0.0, atol=1e-12)


def test_the_mean_loss_over_items_has_the_error_of_a_sum_of_correlated_terms():
    draws = autoregressive(2, 4, 2000, phi=0.3)
    result = estimated(draws, 4)
    assert result.excess[0] == pytest.approx(draws.mean(), abs=1e-12)
    tau = (1 + 0.3) / (1 - 0.3)
    expected = np.sqrt((MIX @ MIX.T).sum() / 9 * tau / 8000)
    # 160 batches: the standard error is known to 10%.
    assert result.excess_stderr[0] == pytest.approx(expected, rel=0.3)


def test_kept_traces_are_diagnosed_by_arviz():
    from arviz_stats.base import array_stats

    sampling = Sampling(chains=3, draws=150, traces=True)
    samples = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling)
    one = samples.traces[4, :, :, 5]
    assert samples.estimate.rhat[4, 5] == pytest.approx(float(array_stats.rhat(one, method="rank")), rel=1e-12)
    assert samples.estimate.ess[4, 5] == pytest.approx(float(array_stats.ess(one, method="mean")), rel=1e-12)
    without = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=replace(sampling, traces=False))
    # Batch means with 120 batches know the effective sample size to 22%.
    assert np.median(without.estimate.ess / samples.estimate.ess) == pytest.approx(1.0, abs=0.25)


def test_the_default_settings_are_long_enough_on_the_default_tree():
    samples = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0)
    planned, default = samples.plan, Sampling()
    assert (default.chains, default.draws) == (4, 500)
    assert default.draws * planned.thin >= diagnostics.LENGTH * planned.autocorrelation
    assert (4 * default.draws / samples.estimate.ess).max() * diagnostics.LENGTH < default.draws


@pytest.mark.parametrize("sampler", ["sgld", "rmsprop", "hmc"])
@pytest.mark.parametrize("draws", [40, 300])
def test_planned_chains_are_long_enough_whatever_the_number_of_draws(sampler, draws):
    planned = plan(trained(), 100.0, 1000.0, Sampling(sampler=sampler, draws=draws))
    assert draws * planned.thin >= diagnostics.LENGTH * planned.autocorrelation


def test_a_chain_too_short_is_refused_before_sampling_with_the_length_it_needs():
    sampling = Sampling(draws=100, thin=3)
    with pytest.raises(SamplingError, match=r"use at least \d+ draws") as refused:
        sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling)
    needed = int(str(refused.value).split("at least ")[1].split()[0])
    tau = plan(trained(), 100.0, 1000.0, sampling).autocorrelation
    assert needed == np.ceil(50 * tau / 3)
    diagnostics.check_planned_length(needed, 3, tau)
    with pytest.raises(SamplingError):
        diagnostics.check_planned_length(needed - 1, 3, tau)


def test_a_short_chain_can_be_forced():
    sampling = Sampling(draws=100, thin=3, force_short=True)
    samples = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling)
    assert np.isfinite(samples.estimate.covariance).all()


def test_a_chain_measured_to_be_too_short_is_refused_with_its_item_and_length():
    # Autocorrelation time 399: 1000 draws are two and a half of them.
    sampling = Sampling(draws=1000)
    found = estimated(autoregressive(3, 4, 1000, phi=0.995), 4)
    named = replace(trained(), times=trained().times[:1], weights=tuple(W[:1] for W in trained().weights))
    with pytest.raises(SamplingError, match=r"of the loss of \w+ at t = 0.*use at least (\d+) draws"):
        diagnostics.check_length(found.ess, sampling, 1, named)
    enough = estimated(autoregressive(3, 4, 1000, phi=0.6), 4)
    diagnostics.check_length(enough.ess, sampling, 1, named)


@pytest.mark.parametrize("thin", [1, 5, 40])
def test_the_autocorrelation_time_in_steps_undoes_the_thinning(thin):
    phi = 0.93
    thinned = phi**thin
    tau = (1 + thinned) / (1 - thinned)
    assert diagnostics.autocorrelation_in_steps(np.array(tau), thin) == pytest.approx((1 + phi) / (1 - phi), rel=1e-6)
    assert diagnostics.autocorrelation_in_steps(np.array(0.7), thin) == 1.0


def test_the_expected_autocorrelation_time_is_that_of_the_slowest_linear_function():
    # n beta = 0 up to rounding: every direction is the slowest, precision gamma.
    step, gamma = 0.002, 50.0
    planned = plan(trained(), 1e-9, gamma, Sampling(step=step))
    phi = 1 - step * gamma / 2
    assert planned.autocorrelation == pytest.approx((1 + phi) / (1 - phi), rel=1e-6)


def at_the_end():
    """The trained small network, all of whose four modes are learned, as the only checkpoint."""
    assert small_run().loss[1] < 1e-25
    return copies(small_run(), 1, 1)


def test_at_a_regular_minimum_lambda_hat_is_the_learning_coefficient():
    # W2 W1 = Y of full rank: Y's 28 entries are 28 regular equations, so lambda = 28 / 2 and the multiplicity is 1.
    truth = learning_coefficient((4, 4, SMALL.n_outputs), rank=4)
    assert truth == (14, 1)
    sampling = Sampling(sampler="hmc", chains=16, draws=500, seed=3)
    samples = sample_local_posterior(at_the_end(), n_beta=1e4, gamma=20.0, sampling=sampling)
    found = local_learning_coefficient(samples.estimate, 1e4)
    # gamma / (n beta h) is below 1% for every curvature h > 0, which the Gaussian value below takes into account.
    assert abs(found.value[0] - 14) < 0.01 * 14 + 4 * found.stderr[0]
    assert found.stderr[0] < 0.1
    gaussian = gaussian_expectation(small_run().at(1), 1e4, 20.0)
    assert 14 * 0.99 < gaussian < 14
    assert abs(found.value[0] - gaussian) < 4 * found.stderr[0]


def test_at_a_minimum_the_gaussian_value_is_half_the_sum_over_curvatures():
    W1, W2 = small_run().W1[1], small_run().W2[1]
    h = np.linalg.eigvalsh(hessian(SMALL.X, SMALL.Y, W1, W2))
    assert (h > 1e-6).sum() == 28
    for n_beta, gamma in ((10.0, 100.0), (1e4, 3.0), (1e6, 1.0)):
        expected = (n_beta * h / (n_beta * h + gamma)).sum() / 2
        # A flat direction's curvature, 0 up to 1e-16, counts by n beta / gamma times that.
        assert gaussian_expectation(small_run().at(1), n_beta, gamma) == pytest.approx(expected, abs=1e-8)
        assert quadratic_expectation(h, n_beta, gamma) == pytest.approx(expected, rel=1e-9)
    assert gaussian_expectation(small_run().at(1), 1e8, 1.0) == pytest.approx(14, rel=1e-6)


def test_the_step_of_sgld_raises_lambda_hat_as_stated():
    end, n_beta, gamma = at_the_end(), 300.0, 300.0
    sampling = Sampling(chains=16, draws=500, seed=3)
    samples = sample_local_posterior(end, n_beta=n_beta, gamma=gamma, sampling=sampling)
    found = local_learning_coefficient(samples.estimate, n_beta)
    h = np.linalg.eigvalsh(hessian(SMALL.X, SMALL.Y, end.W1[0], end.W2[0]))
    exact = sample_local_posterior(
        end, n_beta=n_beta, gamma=gamma, sampling=Sampling(sampler="hmc", chains=32, draws=1000)
    )
    referee = local_learning_coefficient(exact.estimate, n_beta)
    bias = quadratic_expectation(h, n_beta, gamma, samples.plan.step) - quadratic_expectation(h, n_beta, gamma)
    stderr = np.hypot(found.stderr[0], referee.stderr[0])
    assert abs(found.value[0] - referee.value[0] - bias) < 4 * stderr
    assert bias > 0


@pytest.mark.parametrize("sampler", ["sgld", "hmc"])
def test_along_the_way_lambda_hat_is_what_the_gaussian_says_and_no_volume(sampler):
    sampling = Sampling(sampler=sampler, chains=8, draws=500)
    samples = sample_local_posterior(trained(), n_beta=100.0, gamma=1e4, sampling=sampling)
    found = local_learning_coefficient(samples.estimate, 100.0)
    gaussian = [gaussian_expectation(trained().at(k), 100.0, 1e4) for k in range(len(trained().times))]
    # Far-reaching localization: the loss is quadratic within the posterior, up to 1% of its spread; SGLD's bias is 2.6%
    # of the diffusive part, which is below 0.05 here.
    assert (np.abs(found.value - gaussian) < 4 * found.stderr + 0.01 * np.abs(gaussian) + 0.005).all()
    # On the plateau, downhill directions make it negative: no learning coefficient is.
    assert found.value.min() < -10 * found.stderr[found.value.argmin()]


def scalar_product(n_beta, gamma):
    """``E[n beta (w1 w2)^2 / 2]`` under the localised posterior at 0, by quadrature over w1; w2 is integrated out."""

    def density(z):
        w = np.exp(z)
        return w * np.exp(-gamma * w**2 / 2) / np.sqrt(n_beta * w**2 + gamma)

    def weighted(z):
        w = np.exp(z)
        return density(z) * n_beta * w**2 / (n_beta * w**2 + gamma) / 2

    low, high = -0.5 * np.log(n_beta) - 20, 3.0 - 0.5 * np.log(gamma)
    middle = -0.5 * np.log(n_beta / gamma)
    spans = (low, middle), (middle, high)

    def integral(f):
        return sum(quad(f, a, b, limit=500, epsabs=0, epsrel=1e-10)[0] for a, b in spans)

    return integral(weighted) / integral(density)


def test_the_singular_minimum_of_a_product_of_two_weights_is_sampled_exactly():
    # Two equal items of one input and no target: L = (w1 w2)^2 / 2. The task itself must not be all zeros.
    task = SemanticTask("one", ("item", "copy"), ("property",), np.full((1, 2), 1e-9), X=np.ones((1, 2)))
    zero = np.zeros((1, 1, 1))
    start = Network(task, (zero[0], zero[0]))
    singular = Trajectory(start, "trained", np.zeros(1), (zero, zero))
    n_beta, gamma = 100.0, 1.0
    sampling = Sampling(sampler="hmc", chains=64, draws=1000, burn_in=300, force_short=True)
    found = local_learning_coefficient(
        sample_local_posterior(singular, n_beta=n_beta, gamma=gamma, sampling=sampling).estimate, n_beta
    )
    assert found.value[0] == pytest.approx(scalar_product(n_beta, gamma), abs=4 * found.stderr[0])
    assert found.stderr[0] < 0.01


def test_lambda_hat_of_a_singular_minimum_nears_the_learning_coefficient_like_one_over_log_n():
    truth = learning_coefficient((1, 1, 1), rank=0)
    assert (float(truth.value), truth.multiplicity) == (0.5, 2)
    logs = np.array([40.0, 60.0, 80.0])
    found = np.array([scalar_product(float(np.exp(log)), 1.0) for log in logs])
    # lambda_hat = lambda - (m - 1) / (log n + const) + ...: the reciprocal gap is linear in log n, slope 1 / (m - 1).
    slopes = np.diff(1 / (float(truth.value) - found)) / np.diff(logs)
    np.testing.assert_allclose(slopes, 1 / (truth.multiplicity - 1), rtol=1e-3)


def test_a_saddle_deeper_than_the_localization_is_refused():
    with pytest.raises(ConditionError, match="use a larger gamma"):
        quadratic_expectation(np.array([-0.5, 1.0]), 100.0, 40.0)
