"""Samplers on exact targets, the order of their bias, and honest error bars."""

from functools import cache

import numpy as np
import pytest
import torch
from chain_noise import flat, two_layers

from workbench.errors import ConditionError, SamplingError, WorkbenchError
from workbench.networks import Network, network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation import Sampling, Schedule, plan, sample_local_posterior, train
from workbench.simulation.sampling import chains as sampling_module
from workbench.simulation.sampling import rmsprop, sgld
from workbench.simulation.sampling.convergence import rhat_and_ess
from workbench.simulation.sampling.moments import BatchMoments, estimate
from workbench.simulation.sampling.sampler import Plan
from workbench.theory.posterior.dense_posterior import dense_local_bif
from workbench.trajectory import Trajectory

TREE = task_from_spec("tree")
START = network(TREE, 8, "balanced:0.01")


@cache
def trained():
    return train(START, Schedule.even(25.0, 6, 5e-3))


def gaussian_target(chains, gamma=50.0):
    """n beta = 0 leaves exactly N(w*, 1/gamma) in every direction."""
    generator = torch.Generator().manual_seed(0)
    star1, star2 = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4), (5, 3)))
    return two_layers(
        torch.zeros(5, 4, dtype=torch.float64), None, star1.repeat(chains, 1, 1), star2.repeat(chains, 1, 1), 0.0, gamma
    )


def draw(algorithm, target, eps, steps, burn_in, **kwargs):
    generator = torch.Generator().manual_seed(1)
    state = algorithm.init(target, Plan(eps, 0, 1, 0.0), Sampling())
    for name, value in kwargs.items():
        setattr(state, name, value)
    total = squares = torch.zeros(1, dtype=torch.float64)
    for step in range(burn_in + steps):
        noise = [torch.randn((target.chains, *s), generator=generator, dtype=torch.float64) for s in ((3, 4), (5, 3))]
        algorithm.update(state, target, flat(*noise), torch.empty(0), step)
        if step >= burn_in:
            deviation = state.batch.w - target.star
            total, squares = total + deviation.mean(), squares + deviation.square().mean()
    return float(total / steps), float(squares / steps)


@pytest.mark.parametrize("eps_p", [0.4, 0.8, 1.6])
def test_sgld_has_the_stationary_variance_of_its_step_size(eps_p):
    gamma = 50.0
    mean, variance = draw(sgld, gaussian_target(400), eps_p / gamma, 600, int(40 / eps_p))
    inflation = sgld.variance_inflation(eps_p / gamma, gamma)
    # 400 chains x 27 weights, 600 steps with autocorrelation time of 2 (1 + phi^2)/(1 - phi^2) <= 4 / eps p.
    draws = 400 * 27 * 600 * eps_p / 4
    assert abs(variance * gamma / inflation - 1) < 4 * np.sqrt(2 / draws)
    assert abs(mean) < 4 * np.sqrt(inflation / gamma / draws)
    assert inflation == pytest.approx(1 / (1 - eps_p / 4))


def test_the_bias_of_sgld_falls_linearly_with_the_step():
    gamma, chains, steps = 50.0, 400, 4000
    rates, errors = [], []
    for eps_p in (0.2, 0.4):
        _, variance = draw(sgld, gaussian_target(chains), eps_p / gamma, steps, int(40 / eps_p))
        rates.append((variance * gamma - 1) / eps_p)
        errors.append(np.sqrt(2 / (chains * 27 * steps * eps_p / 4)) / eps_p)
    # Extrapolated to a vanishing step the bias per step is p/4; the next order leaves 0.00125. A bias of second order
    # would leave nothing, a constant one would diverge.
    limit, error = 2 * rates[0] - rates[1], np.hypot(2 * errors[0], errors[1])
    assert abs(limit - 0.25) < 4 * error + 0.00125
    assert error < 0.02


@pytest.mark.parametrize("alpha", [0.9, 0.97])
def test_rmsprop_without_its_gamma_term_is_biased_as_stated(alpha):
    gamma, eps_p = 50.0, 0.2
    eps = eps_p / np.sqrt(gamma)  # RMSProp divides the force by sqrt(gamma)
    _, variance = draw(rmsprop, gaussian_target(300), eps, 1500, 400, alpha=alpha)
    phi = 1 - eps_p / 2
    stated = rmsprop.variance_inflation(alpha, phi) * sgld.variance_inflation(eps_p, 1.0)
    bias, expected = variance * gamma - 1, stated - 1
    # First order in 1 - alpha: the next order is the square of the bias; Monte Carlo error below 0.5%.
    assert abs(bias - expected) < expected**2 + 0.005
    assert bias > 0.3 * expected > 0.02


def test_the_default_rmsprop_is_nearly_unbiased():
    gamma, eps_p = 50.0, 0.2
    _, variance = draw(rmsprop, gaussian_target(300), eps_p / np.sqrt(gamma), 1500, 200)
    assert abs(variance * gamma / sgld.variance_inflation(eps_p, 1.0) - 1) < 0.015


def test_rmsprop_starts_with_the_mean_square_force_of_the_posterior():
    gamma = 50.0
    state = rmsprop.init(gaussian_target(2, gamma), Plan(1e-3, 0, 1, 0.0), Sampling())
    assert torch.allclose(state.V, torch.full_like(state.V, gamma))


@pytest.mark.parametrize("sampler", ["sgld", "rmsprop"])
def test_sampled_covariances_agree_with_the_gaussian_prediction(sampler):
    sampling = Sampling(chains=4, draws=400, sampler=sampler, seed=3)
    samples = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling)
    predicted = dense_local_bif(TREE.X, TREE.Y, trained().W1, trained().W2, trained().times, n_beta=100.0, gamma=1000.0)
    z = (-samples.estimate.covariance - predicted) / samples.estimate.stderr
    assert (np.abs(z) < 4).mean() >= 0.99
    # If the standard errors were off by a factor, so would be the spread of z.
    assert 0.8 < z.std() < 1.3


def test_a_gradient_that_is_wrong_would_be_noticed():
    sampling = Sampling(chains=4, draws=400, seed=3)
    samples = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling)
    wrong = dense_local_bif(TREE.X, TREE.Y, trained().W1, trained().W2, trained().times, n_beta=100.0, gamma=700.0)
    z = (-samples.estimate.covariance - wrong) / samples.estimate.stderr
    assert (np.abs(z) < 4).mean() < 0.9


def test_the_same_seed_gives_the_same_draws_however_the_batch_is_split(monkeypatch):
    sampling = Sampling(chains=2, draws=60, seed=5)
    whole = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling).estimate
    monkeypatch.setattr(sampling_module, "_GROUP_WEIGHTS", 1)
    split = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling).estimate
    np.testing.assert_allclose(split.covariance, whole.covariance, rtol=1e-9)
    another = Sampling(chains=2, draws=60, seed=6)
    other = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=another).estimate
    assert np.abs(other.covariance / whole.covariance - 1).max() > 1e-3


def test_repeating_every_item_leaves_the_draws_unchanged():
    # L is a mean over items: the posterior of the doubled table is the same, its losses come in pairs.
    doubled = SemanticTask(
        "doubled",
        TREE.items + tuple(f"{name} again" for name in TREE.items),
        TREE.properties,
        np.hstack([TREE.Y, TREE.Y]),
        X=np.hstack([np.eye(8), np.eye(8)]),
    )
    single = Trajectory(START, "trained", trained().times[2:3], tuple(W[2:3] for W in trained().weights), trained().eta)
    twin_start = Network(doubled, START.weights)
    twin = Trajectory(twin_start, "trained", single.times, single.weights, trained().eta)
    sampling = Sampling(chains=2, draws=60, step=1e-4, burn_in=50, thin=2)
    once = sample_local_posterior(single, n_beta=100.0, gamma=1000.0, sampling=sampling).estimate.covariance[0]
    both = sample_local_posterior(twin, n_beta=100.0, gamma=1000.0, sampling=sampling).estimate.covariance[0]
    np.testing.assert_allclose(both, np.block([[once, once], [once, once]]), rtol=1e-6)


def test_a_diverging_chain_is_named_with_its_checkpoint_and_the_stable_step():
    with pytest.raises(SamplingError, match=r"diverged, the first at checkpoint t = .*steps below .* are stable"):
        sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=Sampling(draws=100, step=0.01))


def test_a_step_just_below_the_stated_limit_is_stable_on_a_gaussian():
    gamma = 50.0
    assert np.isfinite(draw(sgld, gaussian_target(2, gamma), 3.9 / gamma, 3000, 0)[1])
    assert not draw(sgld, gaussian_target(2, gamma), 4.2 / gamma, 3000, 0)[1] < 1e10  # infinite or nan


def test_without_a_local_posterior_sampling_is_refused():
    with pytest.raises(ConditionError, match="use gamma above"):
        plan(trained(), 100.0, 20.0, Sampling())


def test_too_few_draws_for_an_error_bar_are_refused():
    with pytest.raises(WorkbenchError, match="at least 1 chain and 40 draws"):
        Sampling(draws=10)


def correlated_draws(seed, T=2, C=4, n=400, P=3, phi=0.6):
    """AR(1) losses with a known covariance; returns draws (n, T*C, P) and that covariance."""
    rng = np.random.default_rng(seed)
    mix = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [-0.3, 0.2, 0.9]])[:P, :P]
    state = rng.normal(size=(T * C, P))
    out = np.empty((n, T * C, P))
    for k in range(n):
        state = phi * state + np.sqrt(1 - phi**2) * rng.normal(size=state.shape)
        out[k] = state @ mix.T
    return out, mix @ mix.T


def moments_of(draws, batches=40):
    moments = BatchMoments(torch.zeros(draws.shape[1], draws.shape[2], dtype=torch.float64), len(draws), batches)
    for row in draws:
        moments.add(torch.tensor(row))
    return moments


def test_standard_errors_cover_the_truth_and_the_estimate_is_unbiased():
    scores = []
    for seed in range(60):
        draws, truth = correlated_draws(seed)
        result = estimate(moments_of(draws), 4)
        scores.append((result.covariance - truth) / result.stderr)
    z = np.concatenate(scores)  # 120 independent estimates of 9 entries
    assert 0.85 < z.std() < 1.2
    assert abs(z.mean()) < 4 / np.sqrt(120)
    assert 0.92 < (np.abs(z) < 2).mean() < 0.98


def test_what_a_chains_own_mean_hides_of_a_covariance_is_made_up_for():
    """Chains of 80 draws hide 3 / 80 of it at phi = .5; 2000 of them know it to .6%."""
    draws, truth = correlated_draws(0, T=1, C=2000, n=80, phi=0.5)
    result = estimate(moments_of(draws, batches=10), 2000)
    np.testing.assert_allclose(np.diag(result.covariance[0]), np.diag(truth), rtol=0.02)


def test_online_moments_equal_those_of_the_stored_draws():
    draws, _ = correlated_draws(0, T=1, n=403)
    result = estimate(moments_of(draws), 4)
    chains = draws.transpose(1, 0, 2)
    plain = np.mean([np.cov(chain.T, bias=True) for chain in chains], axis=0)
    # The estimate adds the covariance of a chain's mean, of order 1/403 of it.
    np.testing.assert_allclose(result.covariance[0], plain, atol=0.03 * np.abs(plain).max())
    np.testing.assert_allclose(result.mean[0], chains.mean(axis=(0, 1)), atol=1e-12)


def test_rhat_and_ess_agree_with_arviz():
    from arviz_stats.base import array_stats

    draws, _ = correlated_draws(1, T=1, n=2000)
    result = estimate(moments_of(draws), 4)
    for item in range(3):
        chains = draws[:, :, item].T
        rhat = array_stats.rhat(chains, chain_axis=0, draw_axis=1, method="split")
        assert result.rhat[0, item] == pytest.approx(float(rhat), abs=2e-3)
        # 160 batches: a standard error of sqrt(6/160) = 19% on the variance of the mean.
        ess = array_stats.ess(chains, chain_axis=0, draw_axis=1, method="mean")
        assert result.ess[0, item] == pytest.approx(float(ess), rel=0.6)


@pytest.mark.parametrize(("chains", "draws"), [(1, 4), (2, 5), (4, 10), (3, 37), (12, 60)])
def test_rank_normalised_rhat_and_ess_are_those_of_arviz(chains, draws):
    """All lengths of the last pair, alternating and slow chains; they agree in every digit but rounding."""
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(draws)
    traces = rng.standard_normal((3, chains, draws, 2))
    for memory, part in zip((-0.7, 0.5, 0.97), traces, strict=True):
        for t in range(1, draws):
            part[:, t] += memory * part[:, t - 1]
    rows = np.ascontiguousarray(traces.transpose(0, 3, 1, 2))
    rhat, ess = rhat_and_ess(traces)
    np.testing.assert_allclose(rhat, array_stats.rhat(rows, chain_axis=-2, draw_axis=-1, method="rank"), rtol=1e-12)
    np.testing.assert_allclose(ess, array_stats.ess(rows, chain_axis=-2, draw_axis=-1, method="mean"), rtol=1e-12)


def test_chains_that_disagree_raise_rhat():
    draws, _ = correlated_draws(2, T=1)
    draws[:, 0] += 3.0
    assert estimate(moments_of(draws), 4).rhat.min() > 1.3


def test_traces_hold_every_draw_when_asked_for():
    sampling = Sampling(chains=2, draws=60, traces=True)
    samples = sample_local_posterior(trained(), n_beta=100.0, gamma=1000.0, sampling=sampling)
    assert samples.traces.shape == (6, 2, 60, 8)
    np.testing.assert_allclose(samples.traces.mean(axis=(1, 2)), samples.estimate.mean, rtol=1e-12)
