"""The exact referee, mini-batches, and the order of every sampler's bias in its step size."""

from dataclasses import replace
from functools import cache
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chain_noise import endless, flat, places, two_layers

from workbench.errors import SamplingError, WorkbenchError
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import Sampling, Schedule, plan, sample_local_posterior, train
from workbench.simulation.sampling import chains as sampling_module
from workbench.simulation.sampling import hmc, minibatch, sgld
from workbench.simulation.sampling.noise import Noise
from workbench.simulation.sampling.sampler import Plan
from workbench.theory.posterior.dense_posterior import dense_local_bif

TREE = task_from_spec("tree")
START = network(TREE, 8, "balanced:0.01")
N_BETA, GAMMA = 100.0, 1000.0


@cache
def trained():
    return train(START, Schedule.even(25.0, 6, 5e-3))


def network_target(chains, checkpoint=2, n_beta=N_BETA, gamma=GAMMA):
    W1, W2 = torch.tensor(trained().W1[checkpoint]), torch.tensor(trained().W2[checkpoint])
    Y = torch.tensor(TREE.Y)
    return two_layers(Y, None, W1.repeat(chains, 1, 1), W2.repeat(chains, 1, 1), n_beta, gamma)


def isotropic_target(chains, gamma=50.0):
    """n beta = 0 leaves exactly N(w*, 1/gamma) in each of 27 directions."""
    return two_layers(
        torch.zeros(5, 4, dtype=torch.float64),
        None,
        torch.full((chains, 3, 4), 0.3, dtype=torch.float64),
        torch.full((chains, 5, 3), -0.2, dtype=torch.float64),
        0.0,
        gamma,
    )


class CorrelatedGaussian:
    """``U = (w - m) A (w - m) / 2`` for six weights, with a mean away from where the chains start."""

    def __init__(self, chains):
        rng = np.random.default_rng(4)
        frame = np.linalg.qr(rng.normal(size=(6, 6)))[0]
        self.precision = torch.tensor(frame @ np.diag([1.0, 2.0, 4.0, 9.0, 25.0, 60.0]) @ frame.T)
        self.mean = torch.tensor(rng.normal(size=6))
        self.chains = chains
        self.star, self.n_weights = torch.zeros(chains, 6, dtype=torch.float64), 6

    def at_checkpoint(self):
        return SimpleNamespace(w=self.star.clone(), refresh=lambda: None)

    def gradient(self, batch):
        return (batch.w - self.mean) @ self.precision

    def potential(self, batch):
        deviation = batch.w - self.mean
        return ((deviation @ self.precision) * deviation).sum(dim=1) / 2


def trajectories(target, eps, leapfrogs, steps, warm_up, adapt=True):
    """Yield the state after each of ``steps`` trajectories that follow ``warm_up`` more."""
    generator = torch.Generator().manual_seed(2)
    state = hmc.init(target, Plan(eps, warm_up, 1, 0.0, leapfrogs=leapfrogs), Sampling(step=None if adapt else eps))
    for k in range(warm_up + steps):
        numbers = (
            torch.randn(target.chains, n, generator=generator, dtype=torch.float64) for n in (target.n_weights, 2)
        )
        hmc.update(state, target, *numbers, k)
        if k >= warm_up:
            yield state


def test_hmc_has_the_mean_and_covariance_of_a_correlated_gaussian():
    target = CorrelatedGaussian(chains=400)
    step, leapfrogs, _, tau = hmc.tuned(6, 1.0, 60.0)
    draws = torch.stack([s.batch.w - target.mean for s in trajectories(target, step, leapfrogs, 200, 150)])
    count = draws.shape[0] * draws.shape[1] / tau
    C = torch.linalg.inv(target.precision)
    scale = C.diagonal().sqrt()
    mean = draws.mean(dim=(0, 1)) / scale * count**0.5
    covariance = torch.einsum("sci,scj->ij", draws, draws) / (draws.shape[0] * draws.shape[1])
    error = (covariance - C) / torch.outer(scale, scale) * (count / 2) ** 0.5
    assert mean.abs().max() < 4
    assert error.abs().max() < 4


@pytest.mark.parametrize("h", [0.4, 0.8, 1.2])
def test_hmc_has_no_bias_from_its_step_size(h):
    # Leapfrog alone keeps the variance 1 / (p (1 - h^2 / 4)): high by 4%, 19% and 56%.
    gamma, squares, first = 50.0, [], []
    target = isotropic_target(300, gamma)
    for state in trajectories(target, h / gamma**0.5, max(1, round(1.5 / h)), 250, 200, adapt=False):
        deviation = state.batch.w - target.star
        squares.append(deviation.square().mean(dim=1) * gamma)
        first.append(deviation.mean(dim=1) * gamma**0.5)
    # Chains are independent, so their means have an honest spread.
    for values, truth in ((torch.stack(squares).mean(dim=0), 1.0), (torch.stack(first).mean(dim=0), 0.0)):
        assert abs(values.mean() - truth) < 4 * values.std() / 300**0.5
    assert torch.stack(squares).mean(dim=0).std() / 300**0.5 < 0.005


def test_the_expected_acceptance_is_the_measured_one(monkeypatch):
    monkeypatch.setattr(hmc, "JITTER", 0.0)
    gamma, h = 50.0, 0.6
    leapfrogs = hmc.tuned(27, gamma, gamma, h / gamma**0.5).leapfrogs
    for state in trajectories(isotropic_target(400, gamma), h / gamma**0.5, leapfrogs, 100, 10, adapt=False):
        measured = float(state.acceptance.mean())
    # A quarter turn up to half a leapfrog step, and 27 directions for the normal energy error: about 1%.
    assert measured == pytest.approx(hmc.expected_acceptance(27, h), abs=0.015)
    assert hmc.expected_acceptance(27, h) < 0.9


def test_the_energy_error_falls_with_the_fourth_power_of_the_step():
    # Acceptance = 2 Phi(-sqrt(D/2)), D ~ h^4: 1 - acceptance falls with h^2.
    shortfall = [1 - hmc.expected_acceptance(27, h) for h in (0.02, 0.01)]
    assert shortfall[0] / shortfall[1] == pytest.approx(4, rel=0.01)
    gamma, measured = 50.0, []
    for h in (0.4, 0.2):
        # The same angle in all: leapfrogs doubled as the step is halved.
        target = isotropic_target(300, gamma)
        *_, state = trajectories(target, h / gamma**0.5, round(1.6 / h), 100, 10, adapt=False)
        measured.append(1 - float(state.acceptance.mean()))
    assert measured[0] / measured[1] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("first", [0.05, 1.5])
def test_dual_averaging_reaches_its_target_from_either_side(first):
    # Two leapfrogs: turns stay below half a circle, so acceptance falls with the step and has one root.
    target = isotropic_target(100)
    *_, state = trajectories(target, first / 50.0**0.5, 2, 150, 300)
    # The adapted steps still scatter by 5%, and the scatter is slow to forget the first step.
    assert float(state.acceptance.mean()) == pytest.approx(hmc.TARGET, abs=0.04)
    # The steps stay as they were when the warm-up ended.
    assert torch.equal(state.log_step, state.average)
    assert (state.warmed, state.proposed) == (300, 150)


def test_the_correlation_of_successive_trajectories_is_the_stated_one():
    gamma, h, leapfrogs = 50.0, 0.1, 13
    target = isotropic_target(400, gamma)
    draws = torch.stack(
        [s.batch.w[:, 0].clone() for s in trajectories(target, h / gamma**0.5, leapfrogs, 150, 5, False)]
    )
    x = (draws - target.star[0, 0]) * gamma**0.5
    phi = leapfrogs * hmc.turn(h / gamma**0.5, gamma)
    linear = np.cos(phi) * np.sinc(hmc.JITTER * phi / np.pi)
    square = (1 + np.cos(2 * phi) * np.sinc(2 * hmc.JITTER * phi / np.pi)) / 2
    # 60,000 pairs: standard errors of 0.004 and about twice that for squares.
    assert float((x[1:] * x[:-1]).mean()) == pytest.approx(linear, abs=0.02)
    y = x**2 - 1
    assert float((y[1:] * y[:-1]).mean() / 2) == pytest.approx(square, abs=0.03)
    tau = hmc.autocorrelation(h / gamma**0.5, leapfrogs, gamma, gamma, acceptance=1.0)
    assert tau == pytest.approx((1 + max(linear, square)) / (1 - max(linear, square)))


def test_gradients_and_potential_agree_with_autograd():
    task = task_from_spec("tree")
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.normal(size=(5, task.n_items)))
    W1, W2, star1, star2 = (
        torch.tensor(rng.normal(size=shape), requires_grad=k < 2)
        for k, shape in enumerate(((3, 4, 5), (3, 15, 4), (3, 4, 5), (3, 15, 4)))
    )
    target = two_layers(torch.tensor(task.Y), X, star1, star2, 7.0, 3.0)
    E = torch.tensor(task.Y) - W2 @ W1 @ X
    U = 7.0 * E.square().sum(dim=(1, 2)) / (2 * task.n_items)
    U = U + 1.5 * ((W1 - star1).square().sum(dim=(1, 2)) + (W2 - star2).square().sum(dim=(1, 2)))
    expected = torch.autograd.grad(U.sum(), (W1, W2))
    with torch.no_grad():
        batch = target.model.batch(flat(W1, W2))
        batch.refresh()
        torch.testing.assert_close(target.potential(batch), U.detach())
        torch.testing.assert_close(target.gradient(batch), flat(*expected))


@pytest.fixture(scope="module")
def referee():
    sampling = Sampling(sampler="hmc", chains=8, draws=1000, seed=7)
    return sample_local_posterior(trained(), n_beta=N_BETA, gamma=GAMMA, sampling=sampling)


def test_the_gaussian_prediction_agrees_with_the_referee(referee):
    predicted = dense_local_bif(TREE.X, TREE.Y, trained().W1, trained().W2, trained().times, n_beta=N_BETA, gamma=GAMMA)
    found, stderr = -referee.estimate.covariance, referee.estimate.stderr
    # Within about 1% where gradients matter, 5% at the end, plus Monte Carlo error.
    scale = np.sqrt(np.einsum("tii,tjj->tij", predicted, predicted))
    assert (np.abs(found - predicted) < 0.01 * scale + 4 * stderr).all()
    scale_of_all = (found * predicted).sum() / (predicted**2).sum()
    assert scale_of_all == pytest.approx(1.0, abs=0.02)
    assert 0.8 < ((found - predicted) / stderr).std() < 1.25
    assert referee.estimate.rhat.max() < 1.02
    assert referee.acceptance.shape == (6, 8)
    # The posterior is no Gaussian and the adaptation random: the target is met within some percent.
    assert np.abs(referee.acceptance - hmc.TARGET).max() < 0.1


@pytest.mark.parametrize("batch_size", [None, 4])
def test_sgld_agrees_with_the_referee_within_its_stated_bias(referee, batch_size):
    sampling = Sampling(chains=8, draws=400, seed=1, batch_size=batch_size)
    samples = sample_local_posterior(trained(), n_beta=N_BETA, gamma=GAMMA, sampling=sampling)
    exact, found = referee.estimate, samples.estimate
    variance = np.diagonal(exact.covariance, axis1=1, axis2=2)
    scale = np.sqrt(variance[:, :, None] * variance[:, None, :])
    # Losses are of second order in the weights, so their covariances feel the bias of a variance up to twice.
    bias = (1 + samples.plan.expected_bias) ** 2 - 1
    stderr = np.hypot(exact.stderr, found.stderr)
    assert (np.abs(found.covariance - exact.covariance) < bias * scale + 4 * stderr).all()
    assert bias < 0.15


def test_hmc_gives_the_same_numbers_however_the_batch_is_split(monkeypatch):
    sampling = Sampling(sampler="hmc", chains=2, draws=40, burn_in=20, seed=5)
    whole = sample_local_posterior(trained(), n_beta=N_BETA, gamma=GAMMA, sampling=sampling)
    monkeypatch.setattr(sampling_module, "_GROUP_WEIGHTS", 1)
    split = sample_local_posterior(trained(), n_beta=N_BETA, gamma=GAMMA, sampling=sampling)
    np.testing.assert_allclose(split.estimate.covariance, whole.estimate.covariance, rtol=1e-9)
    np.testing.assert_allclose(split.acceptance, whole.acceptance, rtol=1e-9)


def test_the_plan_of_hmc_is_a_quarter_turn_at_the_target_acceptance():
    planned = plan(trained(), N_BETA, GAMMA, Sampling(sampler="hmc"))
    precision = N_BETA * planned.lambda_min.min() + GAMMA
    angle = planned.leapfrogs * hmc.turn(planned.step, precision)
    assert angle == pytest.approx(np.pi / 2, abs=hmc.turn(planned.step, precision) / 2)
    assert planned.expected_bias == 0
    assert planned.expected_acceptance == pytest.approx(hmc.TARGET, abs=1e-9)


def test_a_chain_of_hmc_that_never_accepts_is_refused():
    sampling = Sampling(sampler="hmc", chains=1, draws=40, step=0.08, burn_in=5, thin=1)
    with pytest.raises(SamplingError, match=r"accepts 0.0% of its trajectories: step 0.08 is too large"):
        sample_local_posterior(trained(), n_beta=N_BETA, gamma=GAMMA, sampling=sampling)


def test_the_bias_of_sgld_is_linear_in_its_step():
    # The exact Ornstein-Uhlenbeck chain with the same noise and the same correlation is the control: what both share of
    # the Monte Carlo error cancels.
    gamma, target, found = 50.0, isotropic_target(50), []
    for eps_p in (0.2, 0.1, 0.05):
        eps, phi = eps_p / gamma, 1 - eps_p / 2
        state, noise = sgld.SGLDState(target.at_checkpoint(), eps), endless(Noise(target, 1, places(50)))
        exact, squares = torch.zeros_like(target.star), torch.zeros(2, dtype=torch.float64)
        for k in range(1500):
            xi, extra = next(noise)
            exact = phi * exact + ((1 - phi**2) / gamma) ** 0.5 * xi
            sgld.update(state, target, xi, extra, k)
            if k >= 300:
                squares += torch.stack([(state.batch.w - target.star).square().sum(), exact.square().sum()])
        found.append(float(squares[0] / squares[1]) - 1)
    slopes = np.log2(np.array(found[:-1]) / found[1:])
    # 1 / (1 - eps p / 4) - 1 is eps p / 4 to first order; the next order is 5% at eps p = 0.2.
    np.testing.assert_allclose(slopes, 1.0, atol=0.06)
    np.testing.assert_allclose(found, [0.05, 0.025, 0.0125], rtol=0.06)


def all_subsets(P, m):
    """Factors of every subset of m items."""
    factors = np.zeros((len(list(combinations(range(P), m))), P))
    for row, chosen in zip(factors, combinations(range(P), m), strict=True):
        row[list(chosen)] = P / m
    return torch.tensor(factors)


def test_mini_batches_are_uniform_subsets_of_the_stated_size():
    numbers = torch.randn(40000, 6, generator=torch.Generator().manual_seed(0))
    weights = minibatch.item_weights(numbers, 2)
    assert torch.equal(weights > 0, numbers.argsort(dim=1).argsort(dim=1) < 2)
    assert set(weights.unique().tolist()) == {0.0, 3.0}
    assert (weights.sum(dim=1) == 6).all()
    patterns, counts = (weights > 0).unique(dim=0, return_counts=True)
    assert len(patterns) == 15
    chi_squared = float(((counts - 40000 / 15) ** 2 / (40000 / 15)).sum())
    assert chi_squared < 36  # 14 degrees of freedom: exceeded once in 1000


@pytest.mark.parametrize("m", [1, 3, 7])
def test_mini_batch_gradients_are_unbiased_with_the_stated_covariance(m):
    target = network_target(1)
    batch = target.at_checkpoint()

    def gradient(factors):
        return N_BETA / 8 * batch.gradient(factors[None]).numpy().ravel()

    # At the checkpoint the localization exerts no force.
    gradients = np.stack([gradient(factors) for factors in all_subsets(8, m)])
    np.testing.assert_allclose(gradients.mean(axis=0), gradient(torch.ones(8, dtype=torch.float64)), atol=1e-10)
    Sigma = np.cov(gradients.T, bias=True)
    far_too_local = 1e18  # draws of the weights stay at the checkpoint
    options = {"n_beta": N_BETA, "gamma": far_too_local, "batch_size": m}
    one = replace(trained(), times=trained().times[2:3], weights=tuple(W[2:3] for W in trained().weights))
    found = minibatch.gradient_noise(one, **options)
    assert found == pytest.approx(np.linalg.eigvalsh(Sigma)[-1], rel=1e-6)


def test_a_mini_batch_of_all_items_is_the_full_batch():
    target, numbers = network_target(3), torch.Generator().manual_seed(0)
    full, batch = (sgld.SGLDState(target.at_checkpoint(), 1e-4, m) for m in (0, 8))
    for step in range(5):
        xi, extra = (torch.randn(3, n, generator=numbers, dtype=torch.float64) for n in (target.n_weights, 8))
        sgld.update(full, target, xi, extra, step)
        sgld.update(batch, target, xi, extra, step)
    torch.testing.assert_close(batch.batch.w, full.batch.w, rtol=1e-12, atol=1e-14)
    options = {"n_beta": N_BETA, "gamma": GAMMA, "batch_size": 8}
    assert minibatch.gradient_noise(trained(), **options) == 0.0


#: n beta times the curvatures is below 2% of gamma: every precision is gamma, and the weights stay at the checkpoint.
STIFF = {"n_beta": 3000.0, "gamma": 1e5}


def excess_variance(eps, m, steps=1500, chains=130):
    """Total variance of the first layer with mini-batches minus without, driven by the same noise, and its error."""
    target = network_target(chains, **STIFF)
    full, batch = (sgld.SGLDState(target.at_checkpoint(), eps, size) for size in (0, m))
    noise = endless(Noise(target, 9, places(chains), extra=8))
    burn_in = int(20 / (eps * STIFF["gamma"]))
    excess = torch.zeros(chains, dtype=torch.float64)
    first = target.star[:, : target.model.shapes[0][0] * target.model.shapes[0][1]]
    means = torch.zeros(2, *first.shape, dtype=torch.float64)
    for k in range(steps):
        xi, extra = next(noise)
        sgld.update(full, target, xi, extra, k)
        sgld.update(batch, target, xi, extra, k)
        if k >= burn_in:
            for sign, mean, state in ((1, means[0], batch), (-1, means[1], full)):
                deviation = state.batch.w[:, : first.shape[1]] - first
                excess += sign * deviation.square().sum(dim=1)
                mean += deviation
    counted = steps - burn_in
    squared_means = (means.mean(dim=1) / counted).square().sum(dim=1)
    per_chain = excess.numpy() / counted - float(squared_means[0] - squared_means[1])
    return per_chain.mean(), per_chain.std() / chains**0.5


def test_the_bias_of_mini_batches_is_linear_in_the_step_and_falls_with_their_size_as_stated():
    gamma, P = STIFF["gamma"], 8
    target = network_target(1, **STIFF)
    batch, size = target.at_checkpoint(), trained().W1[0].size
    first = [STIFF["n_beta"] / P * batch.gradient(f[None])[0, :size].numpy() for f in all_subsets(P, 1)]
    sigma_squared = np.cov(np.array(first).T, bias=True).trace()  # of batches of one item

    def stated(eps, m):
        fraction = (P - m) / (m * (P - 1))
        return fraction * sigma_squared * eps / 4 / (gamma * (1 - eps * gamma / 4))

    for eps, m in ((0.2 / gamma, 1), (0.1 / gamma, 1), (0.1 / gamma, 2), (0.1 / gamma, 4)):
        found, stderr = excess_variance(eps, m)
        # The item gradients fluctuate with the weights and precisions differ from gamma, by some percent.
        assert abs(found - stated(eps, m)) < 0.04 * stated(eps, m) + 4 * stderr
        assert stderr < 0.08 * stated(eps, m)


def test_the_plan_states_the_extra_bias_of_mini_batches():
    full = plan(trained(), N_BETA, GAMMA, Sampling()).expected_bias
    biases = [plan(trained(), N_BETA, GAMMA, Sampling(batch_size=m)).expected_bias for m in (1, 2, 4, 8)]
    assert biases[-1] == pytest.approx(full)
    extra = (np.array(biases) + 1) / (full + 1) - 1
    np.testing.assert_allclose(extra[:3] / extra[0], [1, 3 / 7, 1 / 7], rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "nuts"}, "use sgld, rmsprop or hmc"),
        ({"sampler": "hmc", "batch_size": 2}, "go with sgld"),
        ({"batch_size": 0}, "1 item or more"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_would(settings, message):
    with pytest.raises(WorkbenchError, match=message):
        Sampling(**settings)


def test_a_mini_batch_of_more_items_than_there_are_is_refused():
    with pytest.raises(WorkbenchError, match="use 8 or fewer"):
        plan(trained(), N_BETA, GAMMA, Sampling(batch_size=9))
