"""Products into fixed buffers, the closed-form step built on them, and the noise that drives it."""

import warnings

import numpy as np
import pytest
import torch
from chain_noise import endless, places, two_layers

from workbench.simulation.running import products
from workbench.simulation.sampling import sgld
from workbench.simulation.sampling.noise import Noise, block_steps


def random(*shape):
    return torch.tensor(np.random.default_rng(sum(shape)).standard_normal(shape))


#: Whether torch multiplies blocks of their own, and below how many multiplications numpy does.
WAYS = [(True, products._THREADED), (False, products._THREADED), (False, 0)]


@pytest.mark.parametrize(("wide", "threaded"), WAYS)
def test_products_of_views_equal_sums_over_the_shared_index(monkeypatch, wide, threaded):
    monkeypatch.setattr(products, "_WIDE", wide)
    monkeypatch.setattr(products, "_THREADED", threaded)
    A, B, X = random(7, 5, 3), random(7, 4, 3), random(3, 6)
    for first, second, by_hand in (
        (A, B.mT, torch.einsum("bik,bjk->bij", A, B)),
        (A.mT, A, torch.einsum("bki,bkj->bij", A, A)),
        (A, X, torch.einsum("bik,kj->bij", A, X)),
    ):
        block, wider = torch.full_like(by_hand, torch.nan), torch.zeros(*by_hand.shape[:2], 9, dtype=by_hand.dtype)
        for out in (block, wider[..., : by_hand.shape[2]]):
            products.run([products.product(first, second, out=out)])
            torch.testing.assert_close(out, by_hand, rtol=1e-14, atol=1e-14)
        assert not wider[..., by_hand.shape[2] :].any()


@pytest.mark.parametrize(("wide", "threaded"), WAYS)
def test_what_was_made_ready_follows_its_factors_and_adds_to_its_total(monkeypatch, wide, threaded):
    monkeypatch.setattr(products, "_WIDE", wide)
    monkeypatch.setattr(products, "_THREADED", threaded)
    first, second, total = random(3, 2, 4), random(3, 4, 5), random(3, 2, 5)
    add, expected = products.add_product(total, first, second, spare=torch.empty_like(total)), total.clone()
    for _ in range(2):
        first.add_(1.0)
        expected += torch.einsum("bik,bkj->bij", first, second)
        products.run(add)
    torch.testing.assert_close(total, expected, rtol=1e-14, atol=1e-14)


def test_chains_that_diverge_are_not_finite_without_a_warning():
    target = two_layers(random(3, 4), None, random(2, 5, 4), random(2, 3, 5), n_beta=1e3, gamma=1.0)
    state, noise = sgld.SGLDState(target.at_checkpoint(), 1e3), endless(Noise(target, 1, places(2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(40):
            sgld.update(state, target, *next(noise), 0)
    assert not torch.isfinite(state.batch.losses()).any()


@pytest.mark.parametrize("one_hot", [True, False])
def test_a_step_of_sgld_follows_the_gradient_that_autograd_finds(one_hot):
    B, Ni, Nh, No, P, eps = 3, 4, 6, 5, 4, 1e-2
    Y, star1, star2 = random(No, P), random(B, Nh, Ni), random(B, No, Nh)
    X = None if one_hot else random(Ni, P)
    target = two_layers(Y, X, star1, star2, n_beta=7.0, gamma=3.0)
    state = sgld.SGLDState(target.at_checkpoint(), eps)
    for step in range(3):
        W1, W2 = (w.clone().requires_grad_() for w in state.batch.layers)
        outputs = W2 @ W1 if X is None else W2 @ W1 @ X
        distance = (W1 - star1).square().sum() + (W2 - star2).square().sum()
        (7.0 / (2 * P) * (Y - outputs).square().sum() + 1.5 * distance).backward()
        noise = random(B, Nh, Ni) + step, random(B, No, Nh) + step
        sgld.update(state, target, torch.cat([xi.flatten(1) for xi in noise], dim=1), torch.empty(0), step)
        for new, w, xi in zip(state.batch.layers, (W1, W2), noise, strict=True):
            expected = w.detach() - eps / 2 * w.grad + eps**0.5 * xi
            torch.testing.assert_close(new, expected, rtol=1e-12, atol=1e-13)
        first, second = state.batch.layers
        error = second @ (first if X is None else first @ X) - Y
        torch.testing.assert_close(state.batch.error, error, rtol=1e-12, atol=1e-13)


def stiff(chains, gamma=50.0):
    """n beta = 0 leaves exactly N(w*, 1/gamma); 16 x 8 and 15 x 16 weights."""
    return two_layers(
        torch.zeros(15, 8, dtype=torch.float64),
        None,
        random(1, 16, 8).repeat(chains, 1, 1),
        random(1, 15, 16).repeat(chains, 1, 1),
        0.0,
        gamma,
    )


def test_the_noise_in_single_precision_has_the_moments_of_a_normal_distribution():
    target = stiff(40)
    noise = endless(Noise(target, 3, places(40)))
    draws = []
    for _ in range(100):
        xi, _ = next(noise)
        draws.append(xi.double())
    x = torch.stack(draws)
    assert xi.dtype == torch.float32
    n = x.numel()  # 1.5 million
    # Variances of x, x^2, x^3, x^4 under N(0, 1): 1, 2, 15, 96; rounding to 24 bits adds 1e-7.
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((x**power).mean()) - mean) < 4 * (variance / n) ** 0.5
    # Neighbours in time, over chains, and between weights of a chain are uncorrelated.
    for a, b in ((x[1:], x[:-1]), (x[:, 1:], x[:, :-1]), (x[:, :, 1:], x[:, :, :-1])):
        assert abs(float((a * b).mean())) < 4 / a.numel() ** 0.5
    # Normal tails: P(|x| > 4) = 6.33e-5.
    assert float((x.abs() > 4).double().sum()) == pytest.approx(6.334e-5 * n, abs=4 * (6.334e-5 * n) ** 0.5)


def test_single_precision_noise_leaves_mean_and_covariance_of_a_gaussian_target_alone():
    gamma, eps_p, chains, steps, burn_in = 50.0, 0.5, 40, 400, 40
    target = stiff(chains, gamma)
    state, noise = sgld.SGLDState(target.at_checkpoint(), eps_p / gamma), endless(Noise(target, 4, places(chains)))
    kept = []
    for k in range(burn_in + steps):
        sgld.update(state, target, *next(noise), k)
        if k >= burn_in:
            kept.append((state.batch.w - target.star) * gamma**0.5)
    x = torch.stack(kept)
    exact, phi = sgld.variance_inflation(eps_p / gamma, gamma), 1 - eps_p / 2
    # Effective draws of x, and of its products, in chains of correlation phi^k.
    draws, squares = (x.numel() * (1 - q) / (1 + q) for q in (phi, phi**2))
    assert abs(float(x.mean())) < 4 * (exact / draws) ** 0.5
    assert float(x.square().mean()) == pytest.approx(exact, abs=4 * exact * (2 / squares) ** 0.5)
    # Any two different weights of a chain.
    assert abs(float((x[:, :, 1:] * x[:, :, :-1]).mean())) < 4 * exact / squares**0.5


def test_the_noise_of_a_chain_continues_from_block_to_block_and_ignores_its_neighbours():
    alone, among = stiff(1), stiff(3)
    steps = block_steps(alone.n_weights)
    one, three = (endless(noise) for noise in (Noise(alone, 5, places(3)[1:2]), Noise(among, 5, places(3))))
    seen = set()
    for _ in range(2 * steps + 1):
        a, b = next(one), next(three)
        for mine, ours in zip(a, b, strict=True):
            assert torch.equal(mine[0], ours[1])
        assert not torch.equal(b[0][0], b[0][1])
        seen.add(float(a[0][0, 0]))
    assert len(seen) == 2 * steps + 1


def test_a_block_of_noise_is_what_the_generator_of_a_chain_draws_at_once():
    target, extra, seed = stiff(3), 2, 11
    first_steps = Noise(target, seed, places(3), extra).block(5)
    for chain in range(3):
        entropy = np.random.SeedSequence((seed, 0, chain)).generate_state(1, np.uint64)[0]
        stream = torch.Generator().manual_seed(int(entropy) >> 1)
        drawn = torch.empty(5, target.n_weights + extra).normal_(generator=stream)
        for (xi, rest), row in zip(first_steps, drawn, strict=True):
            assert torch.equal(torch.cat([xi[chain], rest[chain]]), row)
