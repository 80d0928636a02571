"""Modes of deep networks against ODE solvers, quadrature at 30 digits, explicit networks and autograd."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import workbench
from workbench.errors import ConditionError
from workbench.semantics import Hierarchy, singular_modes, task_from_spec
from workbench.theory import mode_strengths
from workbench.theory.influence.gradient_kernel import gradient_kernel, kernel_form
from workbench.theory.modes.balanced import mode_strength_form
from workbench.theory.modes.depth import (
    depth_time_form,
    explicit_time_form,
    null_mode_form,
    shallow_form,
)
from workbench.theory.modes.infinite_depth import infinite_depth_form, infinite_depth_strength
from workbench.theory.modes.rise_time import half_rise_time
from workbench.theory.modes.strength import mode_strength

DEPTHS = (1, 2, 3, 4, 5, 6, 10, 20)


def integrated(times, s, c, a0, depth):
    """a(t) by DOP853 in ln a (in a at depth 1), rtol 1e-11."""
    if depth == 1:
        return solve_ivp(lambda _, a: s - c * a, (0, times[-1]), [a0], "DOP853", times, rtol=1e-11, atol=1e-13).y[0]

    def rate(_, x):
        return depth * np.exp(x * (1 - 2 / depth)) * (s - c * np.exp(x))

    return np.exp(solve_ivp(rate, (0, times[-1]), [np.log(a0)], "DOP853", times, rtol=1e-11, atol=1e-13).y[0])


def checkpoints(s, c, a0, depth):
    """Times from the first moment to four rise times, denser around the rise."""
    lowest = min(a0, abs(s) / c)
    scale = np.log(2 + abs(s) / (c * a0)) / (2 * abs(s)) if depth == 2 else 1 / c if depth == 1 else 0
    rise = scale or 1 / (depth * abs(s) * lowest ** (1 - 2 / depth))
    return rise * np.array([0, 1e-6, 0.01, 0.1, 0.5, 0.9, 0.99, 1, 1.01, 1.1, 1.5, 2, 4])


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "s, c, a0",
    [
        (1.3, 1.0, 0.02),
        (0.33, 0.125, 1e-3),
        (0.05, 2.0, 0.01),
        (0.7, 0.5, 5.0),
        (0.02, 0.5, 40.0),
        (-0.4, 0.3, 0.5),
        (-0.01, 1.0, 3.0),
    ],
)
def test_strength_equals_the_integrated_mode_at_every_depth_above_and_below_the_target(depth, s, c, a0):
    times = checkpoints(s, c, a0, depth)
    expected = integrated(times, s, c, a0, depth)
    # 1e-9 is what the reference resolves at rtol 1e-11.
    np.testing.assert_allclose(mode_strength(times, s, c=c, a0=a0, depth=depth), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "depth, s, a0", [(3, 1.0, 1e-3), (5, 0.4, 0.01), (10, 1.0, 0.1), (4, 0.3, 50.0), (3, -0.5, 2.0)]
)
def test_inverted_time_agrees_with_quadrature_at_thirty_digits(depth, s, a0):
    c = 0.5
    rise = checkpoints(s, c, a0, depth)[7]
    times = rise * np.array([0.1, 0.9, 1.0, 1.2])
    strengths = mode_strength(times, s, c=c, a0=a0, depth=depth)
    with mp.workdps(30):
        for time, strength in zip(times, strengths, strict=True):

            def inverse_rate(x):
                a = mp.exp(x)
                return 1 / (depth * a ** (1 - mp.mpf(2) / depth) * (s - c * a))

            x0, x1 = mp.log(mp.mpf(a0)), mp.log(mp.mpf(strength))
            exact = mp.quad(inverse_rate, mp.linspace(x0, x1, 9))
            # The strength is exact for a time that differs by rounding of t, or rounding of a over its rate.
            allowed = 2e-14 * time + 1e-15 * abs(inverse_rate(x1))
            assert abs(exact - time) < allowed


@pytest.mark.parametrize("depth", (3, 4, 6, 10))
def test_saturation_is_reached_and_kept_to_long_times(depth):
    times = np.array([0, 1e3, 1e4])
    for a0 in (0.01, 1e3):
        strengths = mode_strength(times, 0.3, c=0.125, a0=a0, depth=depth)
        np.testing.assert_allclose(strengths[1:], 2.4, rtol=1e-15)
        assert strengths[0] == a0
    fading = mode_strength(times, -0.3, c=0.125, a0=0.01, depth=depth)
    assert (np.diff(fading) < 0).all() and (fading > 0).all()


@pytest.mark.parametrize("depth", (2, 3, 4, 7))
def test_singular_value_zero_is_the_limit_of_small_ones_of_either_sign(depth):
    times = np.array([0.0, 1.0, 100.0])
    null = mode_strength(times, 0.0, c=0.3, a0=0.5, depth=depth)
    np.testing.assert_allclose(null, null_mode_form(depth)(t=times, c=0.3, a0=0.5), rtol=1e-14)
    differences = [
        np.abs(mode_strength(times, s, c=0.3, a0=0.5, depth=depth) - null).max() for s in (1e-6, -1e-6, 1e-9, -1e-9)
    ]
    # Linear in s: a thousand times smaller s, a thousand times smaller difference.
    np.testing.assert_allclose(differences[0] / differences[2], 1e3, rtol=1e-3)
    np.testing.assert_allclose(differences[1] / differences[3], 1e3, rtol=1e-3)


def test_reversing_the_signs_of_strength_and_singular_value_reverses_the_solution():
    times = np.linspace(0, 20, 7)
    for depth in (1, 2, 3, 5):
        for s, a0 in ((0.7, 0.1), (0.7, -0.1), (-0.2, 0.3)):
            forward = mode_strength(times, s, c=0.5, a0=a0, depth=depth)
            np.testing.assert_allclose(mode_strength(times, -s, c=0.5, a0=-a0, depth=depth), -forward, rtol=1e-14)


def test_arguments_broadcast_and_each_mode_may_have_its_own_input_scale():
    times, s = np.linspace(0, 30, 5)[:, None], np.array([1.0, 0.5, 0.0, -0.3])
    c, a0 = np.array([1.0, 0.25, 0.5, 2.0]), 0.05
    for depth in (1, 2, 3, 6):
        together = mode_strength(times, s, c=c, a0=a0, depth=depth)
        assert together.shape == (5, 4)
        one_by_one = [
            [float(mode_strength(t, x, c=d, a0=a0, depth=depth)) for x, d in zip(s, c, strict=True)]
            for t in times[:, 0]
        ]
        np.testing.assert_allclose(together, one_by_one, rtol=1e-14)


@pytest.mark.parametrize("depth", (2, 3, 4))
def test_a_co_diagonal_network_with_unequal_input_variances_learns_by_its_modes(depth):
    rng = np.random.default_rng(depth)
    n_in, n_out, hidden, K = 4, 5, 6, 3
    V, U = (
        np.linalg.qr(rng.standard_normal((n_in, n_in)))[0],
        np.linalg.qr(rng.standard_normal((n_out, n_out)))[0],
    )
    d, s, a0 = np.array([0.5, 1.0, 2.0, 0.3]), np.array([1.0, 0.6, 0.0]), np.array([0.02, 0.1, 0.05])
    Sxx, Syx = (V * d) @ V.T, (U[:, :K] * s) @ V[:, :K].T
    frames = [V[:, :K]] + [np.linalg.qr(rng.standard_normal((hidden, K)))[0] for _ in range(depth - 1)] + [U[:, :K]]
    layers = [(frames[k + 1] * a0 ** (1 / depth)) @ frames[k].T for k in range(depth)]
    shapes = [layer.shape for layer in layers]
    ends = np.cumsum([layer.size for layer in layers])

    def unpack(y):
        return [part.reshape(shape) for part, shape in zip(np.split(y, ends[:-1]), shapes, strict=True)]

    def slope(_, y):
        W = unpack(y)
        product = np.linalg.multi_dot(W[::-1])
        error = Syx - product @ Sxx
        out = []
        for k in range(depth):
            after, before = np.eye(n_out), np.eye(n_in)
            for later in reversed(W[k + 1 :]):
                after = after @ later
            for earlier in W[:k]:
                before = earlier @ before
            out.append((after.T @ error @ before.T).ravel())
        return np.concatenate(out)

    times = np.linspace(0, 12, 7)
    y0 = np.concatenate([layer.ravel() for layer in layers])
    trained = solve_ivp(slope, (0, 12), y0, "DOP853", times, rtol=1e-11, atol=1e-13).y.T
    strengths = np.stack([U[:, :K].T @ np.linalg.multi_dot(unpack(y)[::-1]) @ V[:, :K] for y in trained])
    expected = np.stack([np.diag(row) for row in mode_strength(times[:, None], s, c=d[:K], a0=a0, depth=depth)])
    np.testing.assert_allclose(strengths, expected, atol=1e-9)


def test_depth_one_and_two_are_the_exponential_and_the_logistic():
    times = np.array([0.0, 1.0, 7.0, 50.0, 2000.0])
    shallow, logistic = (
        shallow_form()(t=times, s=0.4, c=0.5, a0=0.1),
        mode_strength_form()(t=times, s=0.4, c=0.5, a0=0.1),
    )
    np.testing.assert_allclose(mode_strength(times, 0.4, c=0.5, a0=0.1, depth=1), shallow, rtol=1e-14)
    np.testing.assert_allclose(mode_strength(times, 0.4, c=0.5, a0=0.1), logistic, rtol=1e-14)


@pytest.mark.parametrize("depth", DEPTHS)
def test_half_rise_time_is_when_half_of_the_final_strength_is_reached(depth):
    s, c, a0 = np.array([1.0, 0.4, 0.1]), 0.5, 0.01
    half = half_rise_time(s, c=c, a0=a0, depth=depth)
    np.testing.assert_allclose(mode_strength(half, s, c=c, a0=a0, depth=depth), s / (2 * c), rtol=1e-12)


@pytest.mark.parametrize("depth", (3, 4))
def test_elementary_time_functions_equal_the_sum_over_roots(depth):
    s, c, a0 = 0.7, 0.3, 0.02
    phi = explicit_time_form(depth)
    for start, strengths in ((a0, np.array([0.03, 1.0, 2.3])), (5.0, np.array([4.9, 3.0, 2.4]))):
        u, u0 = ((c * x / s) ** (1 / depth) for x in (strengths, start))
        elementary = (s / c) ** (2 / depth - 1) / s * (phi(u=u) - phi(u=u0))
        np.testing.assert_allclose(depth_time_form(depth)(a=strengths, s=s, c=c, a0=start), elementary, rtol=1e-12)


@pytest.mark.parametrize("depth", (3, 5, 8))
def test_time_form_inverts_the_strength_for_either_sign(depth):
    # Not later: at saturation the strength no longer determines the time.
    times = half_rise_time(0.7, c=0.3, a0=0.5, depth=depth) * np.array([0.1, 0.7, 1.3])
    for s in (0.7, -0.7):
        a = mode_strength(times, s, c=0.3, a0=0.5, depth=depth)
        form = depth_time_form(depth, int(np.sign(s)))
        np.testing.assert_allclose(form(a=a, s=0.7, c=0.3, a0=0.5), times, rtol=1e-12)


def test_lambert_solution_obeys_its_equation_and_its_time_form():
    times = np.array([0.0, 5.0, 30.0, 60.0, 500.0])
    for a0 in (0.05, 4.0):
        a = infinite_depth_strength(times, 1.3, c=1.0, a0=a0)
        expected = solve_ivp(lambda _, x: x**2 * (1.3 - x), (0, 500), [a0], "DOP853", times, rtol=1e-12, atol=1e-14).y[
            0
        ]
        np.testing.assert_allclose(a, expected, rtol=1e-9)
        inner = slice(1, 2)
        np.testing.assert_allclose(infinite_depth_form()(a=a[inner], s=1.3, c=1.0, a0=a0), times[inner], rtol=1e-10)
    assert np.isfinite(infinite_depth_strength(1e6, 2.0, c=1.0, a0=1e-6))


def test_infinite_depth_is_approached_to_first_order_with_the_stated_gap():
    s, c, a0 = 1.3, 1.0, 0.02
    times = np.linspace(0, 120, 2001)
    limit = infinite_depth_strength(times, s, c=c, a0=a0)
    depths = np.array([16, 256, 1024, 2048])
    gaps = [np.abs(mode_strength(times / D, s, c=c, a0=a0, depth=int(D)) - limit).max() / (s / c) for D in depths]
    # derived for this project.
    np.testing.assert_allclose(gaps[:2], [0.92, 0.22], atol=0.005)
    order = np.log(gaps[2] / gaps[3]) / np.log(2)
    assert abs(order - 1) < 0.05
    stated = 8 / 27 * abs(1 + np.log(a0)) * s / (c * a0) / depths
    # Leading order in c a0/s = 0.015 and in 1/D.
    np.testing.assert_allclose(gaps[3], stated[3], rtol=0.1)


# Listed depths are checked with the whole catalogue.
@pytest.mark.parametrize(
    "form",
    [
        lambda: null_mode_form(5),
        lambda: depth_time_form(4, -1),
        lambda: depth_time_form(6, 1),
        lambda: depth_time_form(10, -1),
    ],
)
def test_every_step_of_depths_that_are_not_listed_is_verified_by_sympy(form):
    results = form().self_check()
    assert all(result.passed for result in results) and sum(result.checked for result in results) >= 2


def test_starts_and_depths_outside_the_conditions_are_refused():
    with pytest.raises(ConditionError, match="depth >= 1"):
        mode_strength(1.0, 1.0, c=1.0, a0=0.1, depth=0)
    with pytest.raises(ConditionError, match="depth = 2"):
        mode_strength(1.0, 1.0, c=1.0, a0=0.1, depth=3, lam=0.1)
    with pytest.raises(ConditionError, match="t >= 0"):
        mode_strength(-1.0, 1.0, c=1.0, a0=0.1)
    with pytest.raises(ConditionError, match="2 c a0 < s"):
        half_rise_time(1.0, c=1.0, a0=0.6)
    with pytest.raises(ConditionError, match="depth >= 3"):
        depth_time_form(2)


@pytest.mark.parametrize("depth", (1, 2, 3, 4, 6))
def test_kernel_of_an_explicit_aligned_network_by_autograd_equals_the_mode_sum(depth):
    task = Hierarchy((2, 2)).indicator_task()
    modes = singular_modes(task)
    K, P, hidden = modes.rank, task.n_items, 6
    rng = np.random.default_rng(depth)
    a = rng.uniform(0.1, 2.0, K)
    V_in = task.X @ modes.V[:, :K] / np.sqrt(modes.c * P)
    frames = [V_in] + [np.linalg.qr(rng.standard_normal((hidden, K)))[0] for _ in range(depth - 1)] + [modes.U]
    layers = [torch.tensor((frames[k + 1] * a ** (1 / depth)) @ frames[k].T, requires_grad=True) for k in range(depth)]
    gradients = []
    for i in range(P):
        output = torch.tensor(task.X[:, i])
        for layer in layers:
            output = layer @ output
        loss = ((torch.tensor(task.Y[:, i]) - output) ** 2).sum() / 2
        gradients.append(torch.cat([g.ravel() for g in torch.autograd.grad(loss, layers)]).numpy())
    expected = -np.array(gradients) @ np.array(gradients).T
    np.testing.assert_allclose(gradient_kernel(modes, a[None], depth=depth)[0], expected, atol=-1e-12 * expected.min())


@pytest.mark.parametrize(
    "form, values",
    [
        (shallow_form, {"t": -1, "s": 1, "c": 1, "a0": 0.1}),
        (lambda: null_mode_form(3), {"t": 1, "c": 1, "a0": 0}),
        (lambda: depth_time_form(3), {"a": 0.5, "s": 0, "c": 1, "a0": 0.1}),
        (infinite_depth_form, {"a": 2.0, "s": 1, "c": 1, "a0": 0.1}),
        (lambda: kernel_form(3), {"s1": 1, "s2": 0.5, "a1": 0.1, "a2": 0.1, "c": 0}),
    ],
)
def test_forms_refuse_values_outside_their_conditions(form, values):
    with pytest.raises(ConditionError, match="condition not met"):
        form()(**values)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_tiny_mode_is_read_from_weights_beside_modes_that_are_learned(depth):
    """Through the outputs, of size one, a mode of 1e-20 would be read with an error of 1e-16: not even its sign."""
    start = workbench.network(task_from_spec("tree:2,2"), 8, init="balanced:1e-20", depth=depth)
    path = workbench.predict(start, np.linspace(0.0, 200.0, 50))
    np.testing.assert_allclose(path.mode_strengths, mode_strengths(start, path.times), rtol=1e-9)
