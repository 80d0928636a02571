"""Studies that hold measures of influence against each other: one number of each, computed another way."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from workbench.bench.methods.curvature import mean_loss_gauss_newton, mean_loss_hessian
from workbench.bench.methods.segmentwise_unrolling import unrolled
from workbench.bench.run import ChainNetwork, Examples
from workbench.influence import MEASURES
from workbench.networks import network
from workbench.semantics import Hierarchy, rumelhart_task
from workbench.simulation import Schedule, train
from workbench.studies import frozen_input_stages
from workbench.studies.ladders import predicted_rungs, short_memory_flips
from workbench.studies.nearest_tree import ultrametric, with_gram
from workbench.studies.other_networks import concordance_of, turning_time
from workbench.studies.pairs import events_of, groups_far_first
from workbench.theory import flip_times, hierarchy_spectrum, mode_strength, predict, settling_time


def test_the_ladders_of_measures_start_at_the_roots_of_the_kernels_flip_equation():
    tree = Hierarchy((2, 2))
    roots = flip_times(tree, hierarchy_spectrum(tree).singular_values(q0=1, q1=1, q2=1), a0=0.01)
    start = network(tree.indicator_task(), 4, "balanced:0.01")
    path = predict(start, np.linspace(0, settling_time(start), 61)[1:])
    rungs = (("memory", 0.0), ("curvature", np.inf), ("memory", 1 / 128))
    flips = [
        events_of(path.times, one, groups_far_first(start.task)[1])[:, 0] for _, one in predicted_rungs(path, rungs)
    ]
    # A spline of 60 points over the whole of training; a memory of 1/128 adds its square.
    assert np.array(flips) == pytest.approx(np.array([[float(times[0]) for times in roots]] * 3), rel=2e-3)


def test_the_frozen_stage_is_the_derivative_of_singular_value_decompositions():
    task = Hierarchy((2, 2)).indicator_task()
    start, t, h = network(task, 4, "balanced:0.01"), 6.0, 1e-5

    def outputs(eps, i):
        U, s, V = np.linalg.svd(task.Syx + eps * np.outer(task.Y[:, i], task.X[:, i]), full_matrices=False)
        return U * mode_strength(t, s=s, c=start.modes.c, a0=0.01) @ V @ task.X

    residual = task.Y - outputs(0.0, 0)
    numeric = [-(residual * (outputs(h, i) - outputs(-h, i)) / (2 * h)).sum(axis=0) for i in range(4)]
    stages = frozen_input_stages.stages_of(start, np.array([t]))[:, 0]
    assert stages[2] == pytest.approx(np.array(numeric), rel=1e-6)
    assert np.abs(stages[0] / stages[2] - 1).max() > 0.05


@pytest.mark.parametrize(
    "init, begin", [("balanced:0.02", "rotated"), ("balanced:0.02", "kept"), ("gaussian:0.1", "kept")]
)
def test_louder_targets_of_trained_networks_approach_the_flow_as_the_learning_rate_falls(init, begin):
    measure, start = MEASURES["frozen_input_derivative"], network(Hierarchy((2, 2)).indicator_task(), 4, init)
    gaps = []
    for eta in (0.08, 0.04):
        run = train(start, Schedule.even(8, 3, eta))
        gaps.append(np.abs((measure(run, start=begin) - measure(predict(start, run.times), start=begin)).values).max())
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)


def test_one_segment_is_the_linear_equation_with_constant_curvature():
    rng = np.random.default_rng(3)
    root, g = rng.standard_normal((5, 5)), rng.standard_normal((4, 5))
    H, t = root + root.T, 0.7
    moved = solve_ivp(lambda _, S: -(S.reshape(2, 5) @ H + g[:2]).ravel(), (0, t), np.zeros(10), rtol=1e-10, atol=1e-12)
    curvature, gradients = (torch.tensor(np.stack([x, x])) for x in (H, g))
    influence = unrolled(gradients, curvature, np.array([0.0, t]), [0, 1], 2)
    assert influence[-1] == pytest.approx(moved.y[:, -1].reshape(2, 5) @ g.T, rel=1e-7)


def test_the_gauss_newton_matrix_is_the_hessian_where_nothing_is_left_to_learn():
    rng = np.random.default_rng(4)
    net = ChainNetwork([rng.standard_normal((3, 4)), rng.standard_normal((2, 3))], "tanh")
    inputs = torch.tensor(rng.standard_normal((6, 4)))
    learned = Examples(tuple("abcdef"), inputs, net(inputs).detach())
    assert torch.allclose(mean_loss_gauss_newton(net, learned), mean_loss_hessian(net, learned), atol=1e-12)


def test_pairs_of_the_predicted_tree_turn_at_the_roots_of_the_flip_equation_and_in_its_order():
    tree = Hierarchy((2, 2))
    roots = flip_times(tree, hierarchy_spectrum(tree).singular_values(q0=1, q1=1, q2=1), a0=0.01)
    path = predict(network(tree.indicator_task(), 4, "balanced:0.01"), np.linspace(0.05, 14, 280))
    influence, masks = MEASURES["gradient_kernel"](path).values, groups_far_first(path.task)[1]
    turns = [turning_time(path.times, influence[:, mask].mean(axis=1)) for mask in masks]
    # Chords between points 1/20 apart.
    assert turns == pytest.approx([float(times[0]) for times in roots], abs=2e-3)
    assert concordance_of(path.times, influence, masks) == 1
    assert concordance_of(path.times, influence, masks[::-1]) == 0


def test_the_ideal_tree_of_a_tree_is_itself_and_of_a_table_is_ultrametric():
    tree, table = Hierarchy((3, 2)).indicator_task(), rumelhart_task()
    gram = tree.Y.T @ tree.Y
    assert ultrametric(gram) == pytest.approx(gram)
    ideal = ultrametric(table.Y.T @ table.Y)
    # Of every three items the two smallest similarities are equal: s_ij >= min(s_ik, s_kj).
    assert (ideal[:, :, None] >= np.minimum(ideal[:, None, :], ideal[None, :, :]) - 1e-12).all()
    Y = with_gram(table, ideal).Y
    assert pytest.approx(ideal) == Y.T @ Y


def test_a_short_memory_moves_the_flips_of_two_aligned_layers_at_second_order():
    start = network(Hierarchy((2, 2)).indicator_task(), 4, "balanced:0.01")
    path = predict(start, np.linspace(0, settling_time(start), 61)[1:])
    for mask in groups_far_first(start.task)[1]:
        twice, once, none = short_memory_flips(path, mask, (1 / 512, 1 / 1024, 1 / 32768))
        assert (twice - none) / (once - none) == pytest.approx(4, rel=0.1)


def test_branches_are_clusters_where_their_items_are_joined_before_any_other():
    from workbench.studies.tree_in_influence import clades_found, clustered

    level = Hierarchy((2, 2, 2)).common_ancestor_level
    assert clades_found(clustered(level.astype(float)), level) == [1.0, 1.0]
    swapped = level.astype(float)
    swapped[:2, 2:4] = swapped[2:4, :2] = 2.5  # cousins nearer than siblings
    assert clades_found(clustered(swapped), level) == [1.0, 0.5]
    assert clades_found(clustered(np.ones((8, 8))), level)[0] != 1.0
