"""Noise by counter and SGLD in one kernel: on a GPU if there is one, else in Triton's interpreter."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from chain_noise import endless, two_layers

from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.simulation import Place, Sampling, Schedule, sample_local_posterior, train
from workbench.simulation.sampling import chains as sampling_module
from workbench.simulation.sampling import drivers, noise, sgld
from workbench.store import Slot, Store

pytest.importorskip("triton")
fused_sgld, philox = (import_module(f"workbench.simulation.sampling.gpu.{name}") for name in ("fused_sgld", "philox"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TREE = task_from_spec("tree:2,2")
POSTERIOR = {"n_beta": 100.0, "gamma": 2000.0}
#: Relative to the largest number, after a handful of steps.
ROUNDING = {torch.float64: 1e-14, torch.float32: 1e-6}


def philox_4x32_10(counter, key):
    """Salmon et al. (2011), in whole numbers: four from four counters and two keys."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def numbers(seed, places, n, steps, first=0):
    out = torch.full((len(places), steps, n), torch.nan, device=DEVICE)
    philox.fill(out, seed, torch.tensor(places, dtype=torch.int32, device=DEVICE), first)
    return out.cpu().numpy()


def test_the_reference_gives_the_published_numbers():
    # kat_vectors of Random123, philox4x32 with 10 rounds.
    assert philox_4x32_10([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox_4x32_10([2**32 - 1] * 4, [2**32 - 1] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@pytest.mark.parametrize("seed", [0, 1, 2**40 + 17, 2**63 - 1])
def test_the_numbers_are_those_of_philox_and_box_muller(seed):
    found = numbers(seed, [(3, 0), (0, 70000)], n=5, steps=6, first=8)
    for row, (checkpoint, chain) in enumerate([(3, 0), (0, 70000)]):
        for index in range(5):
            expected = []
            for block in (2, 3):
                words = philox_4x32_10([index, block, chain, checkpoint], [seed % 2**32, seed >> 32])
                # Signed, to the size of a 31-bit number, as a fraction.
                u = [(w if w < 2**31 else 2**32 - 1 - w) * 4.6566127342e-10 for w in words]
                for radius, angle in (u[:2], u[2:]):
                    r = np.sqrt(-2 * np.log(max(radius, 1e-7)))
                    expected += [r * np.cos(2 * np.pi * angle), r * np.sin(2 * np.pi * angle)]
            # Rounding the uniform number to 24 bits moves a normal one by up to 6e-8 / (u |log u|^(1/2)).
            np.testing.assert_allclose(found[row, :, index], expected[:6], atol=3e-6, rtol=3e-6)


def test_the_numbers_have_the_moments_of_a_normal_distribution():
    x = numbers(11, [(k, c) for k in range(3) for c in range(2)], n=600, steps=20).astype(np.float64)
    # Variances of x, x^2, x^3, x^4 under N(0, 1): 1, 2, 15, 96.
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - mean) < 4 * (variance / x.size) ** 0.5
    # Neighbours in time, over chains, and between weights of a chain are uncorrelated.
    for a, b in ((x[1:], x[:-1]), (x[:, 1:], x[:, :-1]), (x[:, :, 1:], x[:, :, :-1])):
        assert abs((a * b).mean()) < 4 / a.size**0.5


def test_the_numbers_of_a_chain_do_not_depend_on_the_others_or_on_how_they_are_asked_for():
    whole = numbers(5, [(0, 0), (0, 1), (1, 0)], n=30, steps=12)
    np.testing.assert_array_equal(numbers(5, [(0, 1)], n=7, steps=5, first=4)[0], whole[1, 4:9, :7])
    distinct = [whole, numbers(6, [(0, 0), (0, 1), (1, 0)], n=30, steps=12)]
    assert len(np.unique(np.stack(distinct))) == 2 * whole.size


def problem(dtype, one_hot, chains=3):
    """A network of 5 or 4 inputs, 6 hidden units, 7 outputs and 4 items, and where each chain is."""
    draw = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(shape, generator=draw, dtype=dtype).to(DEVICE)

    inputs = 4 if one_hot else 5
    X = None if one_hot else normal(inputs, 4)
    star1, star2 = 0.4 * normal(chains, 6, inputs), 0.4 * normal(chains, 7, 6)
    target = two_layers(normal(7, 4), X, star1, star2, **POSTERIOR)
    return target, np.stack([np.arange(chains) % 2, np.arange(chains)], axis=1)


@pytest.mark.parametrize(("dtype", "one_hot"), [(torch.float64, True), (torch.float32, False)])
def test_the_kernel_does_the_steps_of_sgld(monkeypatch, dtype, one_hot):
    monkeypatch.setattr(noise, "by_counter", lambda device: True)
    target, places = problem(dtype, one_hot)
    rows = torch.tensor(places, dtype=torch.int32, device=DEVICE)
    eps, burn_in, thin = 1e-4, 3, 2
    state, driven = sgld.SGLDState(target.at_checkpoint(), eps), endless(noise.Noise(target, 9, places))
    fused, losses, expected = target.at_checkpoint(), [], []
    for first, last in ((0, 8), (8, 14)):  # the second ends within four steps
        losses.append(fused_sgld.advance(fused, target, eps, 9, rows, first, last, burn_in, thin))
        for step in range(first, last):
            sgld.update(state, target, *next(driven), step)
            if step >= burn_in and (step - burn_in) % thin == 0:
                expected.append(state.batch.losses())
    for found, wanted in (
        (torch.cat(losses), torch.stack(expected)),
        (fused.w, state.batch.w),
        (fused.error, state.batch.error),
    ):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(
            found.cpu(), wanted.cpu(), rtol=0, atol=4 * ROUNDING[dtype] * float(wanted.abs().max())
        )


def test_scales_are_not_rounded_to_single_precision():
    # Without noise and force a step pulls by eps gamma / 2, here 1/3: float32 would be 1e-8 off.
    target, places = problem(torch.float64, one_hot=True)
    target = replace(target, n_beta=0.0)
    chains = target.at_checkpoint()
    rows = torch.tensor(places, dtype=torch.int32, device=DEVICE)
    chains.w.add_(1.0)
    fused_sgld.advance(chains, replace(target, gamma=2e15 / 3), 1e-15, 0, rows, 0, 1, 0, 1)
    drawn = numbers(0, places, n=66, steps=1)[:, 0].astype(np.float64) * 1e-15**0.5
    np.testing.assert_allclose((chains.w - target.star).cpu().numpy() - drawn, 2 / 3, rtol=1e-14)


@pytest.fixture(scope="module")
def run():
    return train(network(TREE, 6, "balanced:0.01"), Schedule.at([0.0, 9.0], 0.02))


@pytest.fixture
def counted(monkeypatch):
    """Noise by counter on every device."""
    monkeypatch.setattr(noise, "by_counter", lambda device: True)


#: 71 steps: more than one launch of the kernel.
SHORT = {
    "chains": 2,
    "draws": 12,
    "batches": 4,
    "burn_in": 37,
    "thin": 3,
    "place": Place(DEVICE),
    "seed": 5,
    "force_short": True,
}


@pytest.fixture(scope="module")
def whole(run):
    """Chains in the kernel, all at once and uninterrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "by_counter", lambda device: True)
        return sample_local_posterior(run, sampling=Sampling(traces=True, **SHORT), **POSTERIOR)


def test_sampling_in_the_kernel_is_sampling_step_by_step(monkeypatch, counted, run, whole):
    monkeypatch.setattr(drivers, "can_fuse", lambda *_: False)
    stepwise = sample_local_posterior(run, sampling=Sampling(traces=True, **SHORT), **POSTERIOR)
    np.testing.assert_allclose(whole.traces, stepwise.traces, rtol=1e-10)
    np.testing.assert_allclose(whole.estimate.covariance, stepwise.estimate.covariance, rtol=1e-8)
    assert np.ptp(whole.traces) > 0


def test_which_chains_the_kernel_runs(monkeypatch, counted, run):
    target, places = problem(torch.float64, one_hot=True)
    planned = drivers.Plan(1e-4, 0, 1, 0.0)
    assert isinstance(drivers.driver(Sampling(), planned, target, places), drivers.Fused)
    for other in (Sampling(sampler="rmsprop"), Sampling(sampler="hmc"), Sampling(batch_size=2)):
        assert isinstance(drivers.driver(other, planned, target, places), drivers.Stepwise)
    wide, out = (torch.zeros(3, *shape, dtype=torch.float64, device=DEVICE) for shape in ((33, 4), (7, 33)))
    too_wide = two_layers(target.model.Y, None, wide, out, **POSTERIOR)
    assert isinstance(drivers.driver(Sampling(), planned, too_wide, places), drivers.Stepwise)
    monkeypatch.setattr(fused_sgld, "VERSION", (3, 4))
    assert isinstance(drivers.driver(Sampling(), planned, target, places), drivers.Stepwise)
    single, places = problem(torch.float32, one_hot=True)
    assert isinstance(drivers.driver(Sampling(), planned, single, places), drivers.Fused)


@pytest.mark.slow
def test_chains_in_the_kernel_do_not_depend_on_how_they_are_split_bit_by_bit(monkeypatch, counted, run, whole):
    sampling = Sampling(traces=True, **SHORT)
    for fitting in (3, 1):  # one checkpoint at a time, one chain at a time
        monkeypatch.setattr(sampling_module, "_chains_at_once", lambda *_, fitting=fitting: fitting)
        np.testing.assert_array_equal(sample_local_posterior(run, sampling=sampling, **POSTERIOR).traces, whole.traces)


@pytest.mark.slow
def test_chains_in_the_kernel_go_on_bit_by_bit_where_they_were_cut_off(monkeypatch, tmp_path, counted, run, whole):
    class CutOff(Exception):
        pass

    def stop(steps):
        raise CutOff

    monkeypatch.setattr(Slot, "due", lambda self: self.store is not None)
    sampling = Sampling(traces=True, **SHORT)
    store, told = Store.create(tmp_path / "run", {}), []
    keep, where = drivers.Fused.advance, {"sampling": sampling, "slot": Slot(store, "chains"), **POSTERIOR}
    monkeypatch.setattr(drivers.Fused, "advance", lambda self, a, b: keep(self, a, b) if a == 0 else stop(a))
    with pytest.raises(CutOff):
        sample_local_posterior(run, **where)
    monkeypatch.setattr(drivers.Fused, "advance", keep)
    again = sample_local_posterior(run, progress=told.append, **where)
    assert told == [4 * fused_sgld.STEPS, 4 * 7]
    np.testing.assert_array_equal(again.traces, whole.traces)
    np.testing.assert_array_equal(again.estimate.covariance, whole.estimate.covariance)


def test_inputs_that_are_not_one_hot_are_sampled_too(monkeypatch, counted):
    rng = np.random.default_rng(3)
    X = 2 * np.linalg.qr(rng.normal(size=(5, 4)))[0]
    task = SemanticTask("t", tuple("abcd"), tuple("uvwxyz"), rng.normal(size=(6, 4)), X=X)
    run = train(network(task, 5, "gaussian:0.3"), Schedule.at([0.0, 1.0], 0.02))
    sampling = Sampling(traces=True, **SHORT | {"burn_in": 3})
    fused = sample_local_posterior(run, sampling=sampling, **POSTERIOR)
    monkeypatch.setattr(drivers, "can_fuse", lambda *_: False)
    stepwise = sample_local_posterior(run, sampling=sampling, **POSTERIOR)
    np.testing.assert_allclose(fused.traces, stepwise.traces, rtol=1e-10)
