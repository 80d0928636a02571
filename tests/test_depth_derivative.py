"""Trajectory derivative and leave-one-out at any depth against an explicit flow of every layer."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench.errors import ConditionError
from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.theory.flow.aligned import mode_residuals, mode_strengths, settling_time
from workbench.theory.flow.end_to_end import end_to_end_flow
from workbench.theory.flow.weighted_flow import weighted_flow
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.theory.influence.leave_one_out import leave_one_out
from workbench.theory.influence.mode_transport import pair_responses, transport_rates
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.influence.window_removal import window_removal
from workbench.theory.modes.rise_time import half_rise_time
from workbench.theory.modes.strength import mode_strength


def repeated_rows():
    Y = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=float)
    return SemanticTask("repeated", tuple("abcde"), tuple("wxyz"), Y)


STARTS = {
    "one layer": lambda: network(task_from_spec("tree:2,2"), depth=1, init="balanced:0.05"),
    "three layers": lambda: network(task_from_spec("tree:2,2"), 5, "balanced:0.05", depth=3),
    "four layers": lambda: network(task_from_spec("tree:2,2"), 4, "balanced:0.1", depth=4),
    "five layers": lambda: network(task_from_spec("tree:2,2"), 4, "balanced:0.2", depth=5),
    "three layers, bottleneck": lambda: network(task_from_spec("tree:2,2"), (5, 2), "balanced:0.05", depth=3),
    "three layers, null modes": lambda: network(repeated_rows(), 4, "balanced:0.05", depth=3),
    "four layers, ternary tree": lambda: network(task_from_spec("tree:3,2"), 6, "balanced:0.1", depth=4),
}
TIMES = np.array([0.0, 4.0, 12.0, 25.0])


def explicit_losses(net, times, omega):
    """``(T, P)`` losses along the flow of all layers; complex item weights carry derivatives."""
    task, sizes = net.task, np.cumsum([0, *(W.size for W in net.weights)])

    def layers(w):
        return [w[i:j].reshape(W.shape) for i, j, W in zip(sizes[:-1], sizes[1:], net.weights, strict=True)]

    def rate(_, w):
        hidden, out = [task.X], []
        for W in layers(w):
            hidden.append(W @ hidden[-1])
        back = (task.Y - hidden[-1]) * omega / task.n_items
        for W, h in zip(layers(w)[::-1], hidden[-2::-1], strict=True):
            out.append((back @ h.T).ravel())
            back = W.T @ back
        return np.concatenate(out[::-1])

    y0 = net.flat.astype(np.result_type(omega, float))
    y = solve_ivp(rate, (0, times[-1]), y0, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-15).y
    losses = []
    for w in y.T:
        outputs = task.X
        for W in layers(w):
            outputs = W @ outputs
        losses.append(0.5 * ((task.Y - outputs) ** 2).sum(axis=0))
    return np.array(losses)


def explicit_derivative(net, times):
    P, h = net.task.n_items, 1e-30
    runs = [explicit_losses(net, times, 1 + 1j * h * P * row) for row in np.eye(P)]
    return np.stack(runs, axis=1).imag / h


def derivative_of(net, times):
    return trajectory_derivative(net.modes, times, a0=net.a0, active=net.active, depth=net.depth)


@pytest.mark.parametrize("name", STARTS)
def test_the_derivative_is_that_of_the_explicit_flow(name):
    net = STARTS[name]()
    exact = explicit_derivative(net, TIMES)
    np.testing.assert_allclose(derivative_of(net, TIMES), exact, atol=1e-9 * np.abs(exact).max())


@pytest.mark.parametrize("name", ["three layers", "four layers", "five layers", "three layers, bottleneck"])
def test_leave_one_out_is_that_of_the_explicit_flow_own_loss_included(name):
    net = STARTS[name]()
    P = net.task.n_items
    everything = explicit_losses(net, TIMES, np.ones(P))
    for convention, factor in (("unnormalised", 1.0), ("renormalised", P / (P - 1))):
        without = [explicit_losses(net, TIMES, factor * (1 - row)) for row in np.eye(P)]
        exact = everything[:, None] - np.stack(without, axis=1)
        ours = leave_one_out(net, TIMES, convention=convention, rtol=1e-11)
        np.testing.assert_allclose(ours, exact, atol=1e-9 * np.abs(exact).max())


def test_short_windows_of_a_deep_network_approach_the_derivative_in_the_window():
    net = STARTS["four layers"]()
    gaps = []
    for width in (0.2, 0.1):
        window = (6.0, 6.0 + width)
        finite = window_removal(net, [15.0], [window], rtol=1e-12)[0, 0]
        first = window_removal(net, [15.0], [window], method="first_order")[0, 0]
        gaps.append(np.abs(finite - first).max() / np.abs(first).max())
    np.testing.assert_allclose(gaps[0] / gaps[1], 2, rtol=0.1)


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_early_on_the_derivative_is_minus_t_times_the_kernel(depth):
    net = network(task_from_spec("tree:2,2"), 4, "balanced:0.1", depth=depth)
    kernel = gradient_kernel(net.modes, mode_strengths(net, [0.0]), depth=depth)[0]
    gaps = [np.abs(derivative_of(net, [t])[0] / t - kernel).max() for t in (1e-3, 1e-4)]
    np.testing.assert_allclose(gaps[0] / gaps[1], 10, rtol=0.1)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_pairs_are_stable_from_tiny_starts_and_continuous_at_equal_strengths(depth):
    s, c, a0 = np.array([0.5, 0.5 - 1e-9, 0.2]), 0.125, 1e-8
    t = np.array([0.5, 1.0, 1.1]) * float(half_rise_time(0.2, c=c, a0=a0, depth=depth))
    x, e = pair_responses(s, np.full(3, a0), t, c=c, depth=depth)
    assert np.isfinite(x).all() and np.isfinite(e).all()
    np.testing.assert_allclose(x[:, 0, 1], x[:, 0, 0], rtol=1e-5)
    # A mode with itself: x_aa = a' t.
    a = mode_strength(t, 0.2, c=c, a0=a0, depth=depth)
    np.testing.assert_allclose(x[:, 2, 2], depth * a ** (2 - 2 / depth) * e[:, 2] * t, rtol=1e-10)


def test_the_rates_of_a_pair_are_those_of_its_strengths():
    """``r_+-`` as logarithmic derivatives: ``(a_a' -+ a_b')/(a_a -+ a_b) - (s_a -+ s_b) P/(a_a -+ a_b)``."""
    rng = np.random.default_rng(0)
    s, c = np.array([0.5, 0.3]), 0.125
    for depth in (1, 2, 3, 4, 5):
        a = rng.uniform(0.2, 2, (5, 2))
        e = s - c * a
        plus, minus, P = transport_rates(a, e, c, depth)
        speed = depth * a ** (2 - 2 / depth) * e
        for rates, sign in ((plus, -1), (minus, 1)):
            expected = (speed[:, 0] + sign * speed[:, 1] - (s[0] + sign * s[1]) * P[:, 0, 1]) / (
                a[:, 0] + sign * a[:, 1]
            )
            np.testing.assert_allclose(rates[:, 0, 1], expected, rtol=1e-9)


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_residuals_and_settling_time_follow_the_depth(depth):
    net = network(task_from_spec("tree:2,2"), 4, "balanced:0.05", depth=depth)
    a, e = mode_strengths(net, TIMES), mode_residuals(net, TIMES)
    np.testing.assert_allclose(e, net.modes.s - net.modes.c * a, atol=1e-14)
    end = settling_time(net, 0.005)
    left = mode_residuals(net, [end / 1.25])[0]
    np.testing.assert_allclose((left**2).sum() / (net.modes.s**2).sum(), 0.005, rtol=1e-6)


def end_to_end_starts():
    yield from (STARTS[name]() for name in ("three layers", "five layers", "three layers, bottleneck"))


def test_the_product_of_balanced_layers_moves_by_itself_whatever_the_items_weigh_and_when():
    for net in end_to_end_starts():
        omega = np.vstack([1 - np.eye(4), np.random.default_rng(0).uniform(0, 3, 4)])
        for window in ((0.0, np.inf), (5.0, 9.0)):
            by_layers = weighted_flow(net, TIMES, omega, window=window, rtol=1e-11)
            product = end_to_end_flow(net, TIMES, omega, window=window, rtol=1e-11)
            np.testing.assert_allclose(product, by_layers, atol=1e-9)


def test_a_start_that_is_not_balanced_is_refused_by_the_end_to_end_flow():
    with pytest.raises(ConditionError, match="use weighted_flow"):
        end_to_end_flow(network(task_from_spec("tree:2,2"), 4, "gaussian:0.3", depth=3), TIMES, np.ones(4))


def leftover(depth, goal, s=(0.5, 0.31), c=0.125):
    """Share of a polynomial in two weights that no Laurent polynomial's derivative along the modes makes up."""
    grid = range(-6, 13)
    columns = []
    for i in grid:
        for j in grid:
            image = {}
            for exponents, factor in (
                ((i + depth - 2, j), s[0] * i),
                ((i + 2 * depth - 2, j), -c * i),
                ((i, j + depth - 2), s[1] * j),
                ((i, j + 2 * depth - 2), -c * j),
            ):
                image[exponents] = image.get(exponents, 0) + factor
            columns.append(image)
    # Logarithms of one mode's weight and residual: w^{D-2} (s - c w^D) and w^{2D-2}.
    for k in (0, 1):
        exponents = [(n, 0) if k == 0 else (0, n) for n in (depth - 2, 2 * depth - 2)]
        columns += [{exponents[0]: 1.0}, {exponents[1]: 1.0}]
    rows = sorted({e for column in (*columns, goal) for e in column})
    matrix = np.array([[column.get(e, 0.0) for column in columns] for e in rows])
    target = np.array([goal.get(e, 0.0) for e in rows])
    solution = np.linalg.lstsq(matrix, target, rcond=1e-12)[0]
    return np.linalg.norm(matrix @ solution - target) / np.linalg.norm(target)


def test_only_the_difference_of_four_layers_has_an_elementary_transport_among_laurent_polynomials():
    c, (s_a, s_b) = 0.125, (0.5, 0.31)
    assert leftover(4, {(2, 0): 1.0, (0, 2): 1.0}) < 1e-12
    # Three layers, difference, after ln(w_a + w_b).
    three = {(1, 0): s_b, (0, 1): s_a, (4, 0): c, (3, 1): -c, (2, 2): c, (1, 3): -c, (0, 4): c}
    assert leftover(3, three) > 1e-3
    # Four layers, sum, after ln(w_a^2 + w_b^2).
    total = s_a + s_b
    four = {(2, 0): total, (0, 2): total, (6, 0): -2 * c, (2, 4): -2 * c, (4, 2): -2 * c, (0, 6): -2 * c}
    assert leftover(4, four) > 1e-3
