"""Gradient kernel, sign flips and peaks against explicit gradients and an ODE solver."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench.networks import network
from workbench.semantics import Hierarchy, SemanticTask, rumelhart_task, singular_modes, task_from_spec
from workbench.theory.flow.aligned import aligned_trajectory, mode_strengths
from workbench.theory.influence.flips import flip_limit_form, flip_times, kernel_on_tree, peak_times
from workbench.theory.influence.gradient_kernel import gradient_kernel, gradient_kernel_from_weights
from workbench.theory.modes.spectrum import hierarchy_spectrum

TREE = Hierarchy((2, 2, 2))
LEVELS = hierarchy_spectrum(TREE).singular_values(q0=1, q1=1, q2=1, q3=1)


def explicit_gradients(task, W1, W2):
    """(P, N) gradients of the item losses, by central differences of the losses themselves."""
    w = np.concatenate([W1.ravel(), W2.ravel()])

    def losses(v):
        A, B = v[: W1.size].reshape(W1.shape), v[W1.size :].reshape(W2.shape)
        return 0.5 * ((task.Y - B @ A @ task.X) ** 2).sum(axis=0)

    h = 1e-5
    return np.stack([(losses(w + h * d) - losses(w - h * d)) / (2 * h) for d in np.eye(len(w))], axis=1)


@pytest.mark.parametrize("task", [task_from_spec("tree"), task_from_spec("tree:3,2"), rumelhart_task()], ids=str)
def test_the_mode_form_is_the_gram_matrix_of_explicit_gradients(task):
    start = network(task, 5, "balanced:0.02")
    times = np.array([0.0, 4.0, 9.0])
    kernel = gradient_kernel(start.modes, mode_strengths(start, times))
    path = aligned_trajectory(start, times)
    for k in range(len(times)):
        G = explicit_gradients(task, path.W1[k], path.W2[k])
        # Central differences of a quartic: error h^2 = 1e-10 relative.
        np.testing.assert_allclose(kernel[k], -G @ G.T, atol=1e-7 * np.abs(G @ G.T).max())


def test_the_weights_form_holds_for_any_weights_and_inputs():
    rng = np.random.default_rng(0)
    task = task_from_spec("tree:3,2")
    W1, W2 = rng.normal(size=(1, 4, 6)), rng.normal(size=(1, task.n_outputs, 4))
    G = explicit_gradients(task, W1[0], W2[0])
    np.testing.assert_allclose(gradient_kernel_from_weights(task.X, task.Y, W1, W2)[0], -G @ G.T, rtol=1e-6)


def test_the_kernel_depends_on_the_pair_only_through_the_common_ancestor():
    task = task_from_spec("tree:2,3,2")
    start = network(task, 16, "balanced:0.01")
    kernel = gradient_kernel(start.modes, mode_strengths(start, np.linspace(0, 60, 30)))
    lca = task.common_ancestor_level
    for level in range(4):
        assert np.ptp(kernel[:, lca == level], axis=1).max() < 1e-13 * np.abs(kernel).max()


def test_the_tree_form_equals_the_mode_form():
    task = task_from_spec("tree")
    start = network(task, 16, "balanced:0.01")
    times = np.linspace(0, 30, 50)
    kernel = gradient_kernel(start.modes, mode_strengths(start, times))
    by_level = kernel_on_tree(TREE, LEVELS, times, a0=0.01)
    for m, (i, j) in enumerate([(0, 7), (0, 2), (0, 1)]):
        np.testing.assert_allclose(by_level[m], kernel[:, i, j], atol=1e-14 * np.abs(kernel).max())


def test_flip_times_of_the_default_tree_are_the_published_ones():
    flips = flip_times(TREE, LEVELS, a0=0.01)
    assert [len(f) for f in flips] == [1, 1, 1]
    # Reference values, checked against an ODE with explicit gradients to 1e-6.
    np.testing.assert_allclose(np.concatenate(flips), [5.819262, 7.092165, 10.196517], atol=1e-6)


def test_flip_times_are_zeros_of_the_kernel_of_an_integrated_network():
    task = task_from_spec("tree")
    start = network(task, 8, "balanced:0.01")
    shape = start.W1.shape

    def descent(_, w):
        W1, W2 = w[: start.W1.size].reshape(shape), w[start.W1.size :].reshape(start.W2.shape)
        E = (task.Y - W2 @ W1) / task.n_items
        return np.concatenate([(W2.T @ E).ravel(), (E @ W1.T).ravel()])

    for m, (i, j) in enumerate([(0, 7), (0, 2), (0, 1)]):
        flip = flip_times(TREE, LEVELS, a0=0.01)[m][0]
        path = solve_ivp(
            descent, (0, flip), np.concatenate([start.W1.ravel(), start.W2.ravel()]), "DOP853", rtol=1e-11, atol=1e-13
        )
        W1 = path.y[: start.W1.size, -1].reshape(1, *shape)
        W2 = path.y[start.W1.size :, -1].reshape(1, *start.W2.shape)
        kernel = gradient_kernel_from_weights(task.X, task.Y, W1, W2)[0]
        assert abs(kernel[i, j]) < 1e-7 * -kernel[i, i]


def test_peaks_and_troughs_come_where_a_fine_grid_has_them():
    times = np.linspace(0, 40, 400_001)
    curves = kernel_on_tree(TREE, LEVELS, times, a0=0.01)
    for curve, peaks in zip(curves, peak_times(TREE, LEVELS, a0=0.01), strict=True):
        np.testing.assert_allclose(peaks, [times[curve.argmin()], times[curve.argmax()]], atol=1e-4)


def test_without_the_root_property_the_first_split_has_no_influence_across_it():
    task = TREE.indicator_task(root=False)
    start = network(task, 8, "balanced:0.01")
    kernel = gradient_kernel(start.modes, mode_strengths(start, np.linspace(0, 40, 20)))
    across = task.common_ancestor_level == 0
    assert np.abs(kernel[:, across]).max() < 1e-14 * np.abs(kernel).max()
    levels = hierarchy_spectrum(TREE).singular_values(q0=0, q1=1, q2=1, q3=1)
    flips = flip_times(TREE, levels, a0=0.01)
    assert len(flips[0]) == 0
    np.testing.assert_allclose(flips[1], [8.1445], atol=1e-4)


def test_the_small_start_limit_is_approached_from_above():
    gaps = []
    for a0 in (1e-4, 1e-8, 1e-16):
        exact = flip_times(TREE, LEVELS, a0=a0)[1][0]
        limit = float(flip_limit_form()(s=LEVELS[1], s_next=LEVELS[2], beta=2**0.5, c=1 / 8, a0=a0))
        gaps.append(exact - limit)
    # Reference values: 0.88, 0.009, 1e-5.
    assert gaps[0] > 10 * gaps[1] > 1000 * gaps[2] > 0


def test_flips_do_not_depend_on_how_singular_values_and_inputs_are_scaled_together():
    # L -> k L is t -> t / k: s -> k s, c -> k c.
    scaled = flip_times(TREE, 3 * LEVELS, a0=0.01, c=3 / 8)
    for f, g in zip(flip_times(TREE, LEVELS, a0=0.01), scaled, strict=True):
        np.testing.assert_allclose(g * 3, f, rtol=1e-10)


def test_modes_of_a_table_reproduce_its_covariance():
    for task in (rumelhart_task(), task_from_spec("tree:2,3"), Hierarchy((2, 2)).diffusion_task(0.1, 3, seed=1)):
        modes = singular_modes(task)
        V_in = task.X @ modes.V[:, : modes.rank] / np.sqrt(modes.c * task.n_items)
        np.testing.assert_allclose((modes.U * modes.s) @ V_in.T, task.Syx, atol=1e-14)


@pytest.mark.parametrize(
    "levels", [(0.0, 0.6, 0.3, 0.1), (0.1, 0.6, 0.3, 0.2), (0.5, 0.0, 0.3, 0.1), (0.2, 0.1, 0.5, 0.3)]
)
def test_flips_of_any_spectrum_are_those_of_a_network_that_has_it(levels):
    P, level = TREE.n_items, TREE.indicator_task().common_ancestor_level
    # Level averages: the projector of level k is the average within its nodes minus that of the level above.
    averages = [np.where(level >= k, 1.0 / TREE.cover[k], 0.0) for k in range(4)]
    Y = P * sum(s_k * (A - B) for s_k, A, B in zip(levels, averages, [0 * averages[0], *averages], strict=False))
    names = tuple(f"i{k}" for k in range(P)), tuple(f"p{k}" for k in range(P))
    start = network(SemanticTask("spectrum", *names, Y), P, "balanced:0.01")
    times = np.linspace(0.01, 60.0, 60_000)
    kernel = gradient_kernel(start.modes, mode_strengths(start, times))
    for m, j in enumerate((7, 2, 1)):
        # What other pairs' modes leave behind by rounding has no sign.
        above = np.abs(kernel[:, 0, j]) > 1e-13 * np.abs(kernel).max(axis=(1, 2))
        seen = times[above][1:][np.diff(np.sign(kernel[above, 0, j])) != 0]
        predicted = flip_times(TREE, levels, a0=0.01)[m]
        np.testing.assert_allclose(predicted[predicted < 60], seen, atol=2e-3)
