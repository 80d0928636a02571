"""The same numbers in single precision, on a GPU, and however the work is split; GPU tests need a GPU."""

from functools import cache

import numpy as np
import pytest
import torch

from workbench.errors import ConditionError
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import (
    Adam,
    GradientDescent,
    Momentum,
    Place,
    Recipe,
    Sampling,
    Schedule,
    leave_one_out_weights,
    retrained_losses,
    sample_local_posterior,
    train,
    train_networks,
    trajectory_derivative,
    window_removal,
)
from workbench.simulation.sampling import chains as sampling_module
from workbench.simulation.sampling import drivers

TREE = task_from_spec("tree:2,2")
START = network(TREE, 6, "balanced:0.01")
SCHEDULE = Schedule.at([0.0, 4.0, 9.0, 15.0], 0.02)
POSTERIOR = {"n_beta": 100.0, "gamma": 2000.0}

#: Relative errors of a training run of 750 steps: rounding grows with the loss's own time scale, to some hundred ulps.
ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-3}

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
DEVICES = [pytest.param("cpu"), pytest.param("cuda", marks=needs_gpu)]
DTYPES = [torch.float64, torch.float32]


@cache
def trained():
    return train(START, SCHEDULE)


def agree(found, expected, dtype):
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING[dtype] * np.abs(expected).max())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_and_retraining_agree_with_the_cpu_up_to_rounding(device, dtype):
    again = train(START, SCHEDULE, place=Place(device, dtype))
    agree(again.W2 @ again.W1, trained().W2 @ trained().W1, dtype)
    weights = leave_one_out_weights(TREE.n_items, "unnormalised")
    expected = retrained_losses(START, SCHEDULE, weights)
    agree(retrained_losses(START, SCHEDULE, weights, place=Place(device, dtype)), expected, dtype)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", [GradientDescent(), Momentum(0.9), Adam(floor=1e-3)])
def test_networks_of_any_depth_agree_with_the_cpu_up_to_rounding(device, dtype, optimizer):
    net = network(TREE, 5, "gaussian:0.5", depth=3, activation="tanh", seed=1)
    recipe, place = Recipe(Schedule.at([0.0, 2.0], 0.02), optimizer, batch_size=2), Place(device, dtype)
    there = train_networks([net], recipe, place=place)[0]
    agree(there.outputs, train_networks([net], recipe)[0].outputs, dtype)
    weights = leave_one_out_weights(TREE.n_items, "unnormalised")
    agree(retrained_losses(net, recipe, weights, place=place), retrained_losses(net, recipe, weights), dtype)
    agree(trajectory_derivative(net, recipe, place=place), trajectory_derivative(net, recipe), dtype)


@pytest.mark.parametrize("sampler", ["sgld", "rmsprop", "hmc"])
def test_chains_in_single_precision_sample_the_same_posterior(sampler):
    check_samples(sampler, "cpu", torch.float32)


@needs_gpu
@pytest.mark.parametrize("sampler", ["sgld", "rmsprop", "hmc"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_chains_on_a_gpu_sample_the_same_posterior(sampler, dtype):
    check_samples(sampler, "cuda", dtype)


def check_samples(sampler, device, dtype):
    # Other seeds than the reference: rounding alone must not be what makes them agree.
    options = {"sampler": sampler, "chains": 8, "draws": 200}
    expected = sample_local_posterior(trained(), sampling=Sampling(seed=1, **options), **POSTERIOR).estimate
    found = sample_local_posterior(
        trained(), sampling=Sampling(seed=2, place=Place(device, dtype), **options), **POSTERIOR
    )
    z = (found.estimate.covariance - expected.covariance) / np.hypot(found.estimate.stderr, expected.stderr)
    assert (np.abs(z) < 4).mean() >= 0.98
    assert 0.7 < z.std() < 1.4


@needs_gpu
@pytest.mark.parametrize("options", [{}, {"sampler": "rmsprop"}, {"batch_size": 2}], ids=["sgld", "rmsprop", "few"])
@pytest.mark.parametrize("deep", [False, True])
def test_steps_in_a_graph_are_the_steps_one_by_one(monkeypatch, options, deep):
    net = network(TREE, 5, "gaussian:0.5", depth=3, activation="tanh", seed=1)
    recipe = Recipe(Schedule.at([0.0, 2.0], 0.02))
    points = train_networks([net], recipe)[0] if deep else trained()
    sampling = Sampling(
        chains=3, draws=100, burn_in=10, thin=3, place=Place("cuda"), traces=True, force_short=True, **options
    )
    monkeypatch.setattr(drivers, "can_fuse", lambda *_: False)
    graphs = sample_local_posterior(points, sampling=sampling, **POSTERIOR)
    monkeypatch.setattr(drivers.Stepwise, "_replay", None)
    with pytest.raises(TypeError):
        sample_local_posterior(points, sampling=sampling, **POSTERIOR)
    init = drivers.Stepwise.__init__

    def without_graphs(self, *arguments):
        init(self, *arguments)
        self._captures = False

    monkeypatch.setattr(drivers.Stepwise, "__init__", without_graphs)
    one_by_one = sample_local_posterior(points, sampling=sampling, **POSTERIOR)
    np.testing.assert_array_equal(graphs.traces, one_by_one.traces)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sampler", ["sgld", "hmc"])
def test_deep_networks_are_sampled_the_same_on_every_device(device, sampler):
    net = network(TREE, 5, "gaussian:0.5", depth=3, activation="tanh", seed=1)
    points = train_networks([net], Recipe(Schedule.at([0.0, 2.0], 0.02)))[0]
    options = {"sampler": sampler, "chains": 8, "draws": 100}
    expected = sample_local_posterior(points, sampling=Sampling(seed=1, **options), **POSTERIOR).estimate
    found = sample_local_posterior(
        points, sampling=Sampling(seed=2, place=Place(device), **options), **POSTERIOR
    ).estimate
    z = (found.covariance - expected.covariance) / np.hypot(found.stderr, expected.stderr)
    assert (np.abs(z) < 4).mean() >= 0.96


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sampler", ["sgld", "rmsprop", "hmc"])
def test_chains_do_not_depend_on_how_little_memory_there_is(monkeypatch, device, sampler):
    short = {"burn_in": 20, "thin": 2, "force_short": True}
    sampling = Sampling(sampler=sampler, chains=3, draws=40, seed=5, place=Place(device), traces=True, **short)
    whole = sample_local_posterior(trained(), sampling=sampling, **POSTERIOR)
    # Four checkpoints of three chains: two checkpoints at a time, two chains of one, and chains one by one.
    for fitting in (7, 2, 1):
        monkeypatch.setattr(sampling_module, "_chains_at_once", lambda *_, fitting=fitting: fitting)
        split = sample_local_posterior(trained(), sampling=sampling, **POSTERIOR)
        # Products of one chain may round otherwise than those of many side by side.
        np.testing.assert_allclose(split.estimate.covariance, whole.estimate.covariance, rtol=1e-9)
        np.testing.assert_allclose(split.estimate.stderr, whole.estimate.stderr, rtol=1e-7)
        np.testing.assert_allclose(split.traces, whole.traces, rtol=1e-9)
        if sampler == "hmc":
            np.testing.assert_allclose(split.acceptance, whole.acceptance, rtol=1e-7)


def test_the_chains_that_fit_are_counted_by_their_bytes(monkeypatch):
    sampling = Sampling(chains=5, draws=60)
    monkeypatch.setattr(sampling_module, "_GROUP_WEIGHTS", 1e9)
    monkeypatch.setattr(sampling_module, "_GROUP_BYTES", 1e6)
    some = sampling_module._chains_at_once(trained(), sampling)
    monkeypatch.setattr(sampling_module, "_GROUP_BYTES", 4e6)
    assert 1 < some < sampling_module._chains_at_once(trained(), sampling) <= 4 * some + 4
    monkeypatch.setattr(sampling_module, "_GROUP_BYTES", 1)
    assert sampling_module._chains_at_once(trained(), sampling) == 1


@pytest.mark.parametrize("device", DEVICES)
def test_training_does_not_depend_on_how_little_memory_there_is(device):
    starts = [network(TREE, 6, "gaussian:0.1", seed=seed) for seed in range(5)]
    whole, steps = train_networks(starts, SCHEDULE, place=Place(device)), []
    split = train_networks(starts, SCHEDULE, place=Place(device), memory=8e3, progress=steps.append)
    assert sum(steps) == SCHEDULE.total
    for run, again in zip(whole, split, strict=True):
        # The outputs that can move are those of the starts of one batch: another basis, other rounding.
        agree(again.W2 @ again.W1, run.W2 @ run.W1, torch.float64)
    networks = [network(TREE, 5, "gaussian:0.4", depth=3, seed=seed) for seed in range(5)]
    recipe, steps = Recipe(Schedule.at([0.0, 4.0], 0.02), Momentum(0.5)), []
    deep = train_networks(networks, recipe, place=Place(device))
    apart = train_networks(networks, recipe, place=Place(device), memory=2e4, progress=steps.append)
    assert sum(steps) == recipe.schedule.total
    for run, again in zip(deep, apart, strict=True):
        assert again.network is run.network
        np.testing.assert_allclose(again.outputs, run.outputs, rtol=1e-12, atol=1e-15)
    with pytest.raises(ConditionError, match="memory for at least one run"):
        train_networks(networks, recipe, place=Place(device), memory=100)


@pytest.mark.parametrize("device", DEVICES)
def test_item_weights_that_change_on_the_way_agree_with_the_cpu_up_to_rounding(device):
    # On a GPU stretches of 64 steps are one graph: its item weights must be those of the moment.
    recipe = Recipe(Schedule.at([0.0, 3.0, 8.0], 0.02), Momentum(0.3))
    windows = [(0.5, 2.62), (2.0, 7.9)]
    there = window_removal(START, recipe, windows, place=Place(device))
    assert np.abs(there).max() > 0.01
    np.testing.assert_allclose(there, window_removal(START, recipe, windows), atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_retraining_does_not_depend_on_how_little_memory_there_is(device):
    network, recipe = START, Recipe(Schedule.at([0.0, 4.0], 0.02))
    weights, place = leave_one_out_weights(TREE.n_items, "unnormalised"), Place(device)
    whole = retrained_losses(network, recipe, weights, place=place)
    split = retrained_losses(network, recipe, weights, place=place, memory=5e3)
    np.testing.assert_allclose(split, whole, rtol=1e-12, atol=1e-15)
