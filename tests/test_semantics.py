"""Trees, tasks and their modes: identities of the hierarchy, its spectra, and what is refused."""

from __future__ import annotations

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workbench.errors import ConditionError, WorkbenchError
from workbench.semantics import (
    Hierarchy,
    SemanticTask,
    haar_basis,
    rumelhart_task,
    singular_modes,
    task_from_spec,
)

#: Sums of a few dozen numbers of order one, in double precision.
ROUNDING = 1e-12

branchings = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple).filter(lambda b: 2 <= prod(b) <= 24)
few = settings(max_examples=15, deadline=None)

TREES = [(2,), (5,), (2, 2, 2), (3, 2), (2, 3, 2), (4, 2), (2, 4, 3), (2, 2, 2, 2), (1, 3), (2, 1, 2)]


def leaf_paths(branching):
    """The path from the root to every leaf, written out."""
    return list(itertools.product(*(range(b) for b in branching)))


def common_prefix(one, other):
    return next((k for k, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))


def task(Y, X=None, **more):
    Y = np.asarray(Y, dtype=float)
    items = tuple(f"i{k}" for k in range(Y.shape[1]))
    return SemanticTask("t", items, tuple(f"p{k}" for k in range(Y.shape[0])), Y, X=X, **more)


def whitened_inputs(n_inputs, n_items, c=1.0, seed=0):
    """Inputs that are orthogonal and of equal length, but not one-hot: ``X^T X = c P I``."""
    rng = np.random.default_rng(seed)
    return np.linalg.qr(rng.standard_normal((n_inputs, n_items)))[0] * np.sqrt(c * n_items)


# --- the tree ---------------------------------------------------------------------------------------------------


@few
@given(branchings)
def test_every_level_partitions_the_items_into_nodes_of_equal_size(branching):
    tree = Hierarchy(branching)
    for level in range(tree.depth + 1):
        member = tree.membership(level)
        assert member.shape == (tree.nodes[level], tree.n_items)
        assert (member.sum(axis=0) == 1).all()
        assert (member.sum(axis=1) == tree.cover[level]).all()
        assert (member.argmax(axis=0) == tree.ancestor(level)).all()
        assert tree.nodes[level] * tree.cover[level] == tree.n_items


@few
@given(branchings)
def test_each_node_lies_in_one_node_of_the_level_above(branching):
    tree = Hierarchy(branching)
    for level in range(1, tree.depth + 1):
        shared = tree.membership(level) @ tree.membership(level - 1).T
        assert ((shared > 0).sum(axis=1) == 1).all()
        assert (shared.max(axis=1) == tree.cover[level]).all()


@few
@given(branchings)
def test_common_ancestor_level_is_the_length_of_the_common_path(branching):
    paths = leaf_paths(branching)
    expected = [[common_prefix(p, q) for q in paths] for p in paths]
    np.testing.assert_array_equal(Hierarchy(branching).common_ancestor_level, expected)


@few
@given(branchings)
def test_names_are_unique_on_every_level(branching):
    tree = Hierarchy(branching)
    assert [len(set(names)) for names in tree.node_names] == list(tree.nodes)
    assert len(set(tree.item_names)) == tree.n_items


@few
@given(branchings)
def test_haar_basis_is_orthonormal_and_constant_on_the_nodes_of_its_level(branching):
    tree = Hierarchy(branching)
    V, levels = haar_basis(tree)
    np.testing.assert_allclose(V.T @ V, np.eye(tree.n_items), atol=ROUNDING)
    for k in range(tree.depth + 1):
        columns = V[:, levels == k]
        assert columns.shape[1] == (1 if k == 0 else tree.nodes[k] - tree.nodes[k - 1])
        mean_on_nodes = tree.membership(k).T @ (tree.membership(k) @ columns) / tree.cover[k]
        np.testing.assert_allclose(columns, mean_on_nodes, atol=ROUNDING)
        if k:
            np.testing.assert_allclose(tree.membership(k - 1) @ columns, 0, atol=ROUNDING)


@pytest.mark.parametrize(
    "branching",
    [(), (1,), (1, 1), (0, 2), (-2, 2), (2.5, 2), ("2", "2"), "22", (np.nan, 2), (2,) * 13, (5000,)],
)
def test_what_is_no_tree_is_refused_in_one_line(branching):
    with pytest.raises(WorkbenchError, match=r"is no tree|too large") as caught:
        Hierarchy(branching)
    assert "\n" not in str(caught.value)


# --- indicator tasks --------------------------------------------------------------------------------------------


def level_eigenvalues(tree, nu):
    """Eigenvalues with their multiplicities, ascending."""
    multiplicity = [1] + [tree.nodes[k] - tree.nodes[k - 1] for k in range(1, tree.depth + 1)]
    return np.sort(np.repeat(nu, multiplicity))


@pytest.mark.parametrize("branching", TREES)
@pytest.mark.parametrize("repeat", [1, 3, "by level"])
def test_indicator_spectrum_is_the_sum_of_covers_from_its_level_down(branching, repeat):
    tree = Hierarchy(branching)
    q = [2 + k % 3 for k in range(tree.depth + 1)] if repeat == "by level" else [repeat] * (tree.depth + 1)
    Y = tree.indicator_task(q if repeat == "by level" else repeat).Y
    nu = [sum(q[m] * tree.cover[m] for m in range(k, tree.depth + 1)) for k in range(tree.depth + 1)]
    np.testing.assert_allclose(np.linalg.eigvalsh(Y.T @ Y), level_eigenvalues(tree, nu), rtol=1e-10)
    assert Y.shape[0] == sum(count * nodes for count, nodes in zip(q, tree.nodes, strict=True))


@pytest.mark.parametrize("branching", TREES)
def test_signed_coding_has_four_times_the_spectrum_except_for_the_mean(branching):
    tree = Hierarchy(branching)
    Y = tree.indicator_task(coding="pm1").Y
    assert set(np.unique(Y)) <= {-1.0, 1.0}
    levels = range(tree.depth + 1)
    nu = [4 * sum(tree.cover[m] for m in levels if m >= k) for k in levels]
    nu[0] = sum(4 * tree.cover[m] + (tree.nodes[m] - 4) * tree.n_items for m in levels)
    np.testing.assert_allclose(np.linalg.eigvalsh(Y.T @ Y), level_eigenvalues(tree, nu), rtol=1e-10)


@pytest.mark.parametrize("branching", [(2,), (2, 2, 2), (3, 2), (2, 3, 2)])
def test_without_the_root_property_the_mean_and_the_first_split_are_degenerate(branching):
    tree = Hierarchy(branching)
    modes = singular_modes(tree.indicator_task(root=False))
    of_level = [modes.s_all[modes.level == k] for k in (0, 1)]
    np.testing.assert_allclose(of_level[0][0], of_level[1], rtol=ROUNDING)


def test_default_tree_has_the_published_spectrum():
    # Reference values: nu = 15, 7, 3, 1 with multiplicities 1, 1, 2, 4.
    Y = Hierarchy((2, 2, 2)).indicator_task().Y
    np.testing.assert_allclose(np.linalg.eigvalsh(Y.T @ Y), [1, 1, 1, 1, 3, 3, 7, 15], rtol=ROUNDING)
    s = singular_modes(task_from_spec("tree")).s
    np.testing.assert_allclose(s[[0, 1, 2, 4]], [0.4841, 0.3307, 0.2165, 0.125], atol=5e-5)


def test_copies_repeat_the_properties_of_a_level_under_their_own_names():
    tree = Hierarchy((2, 2))
    given_ = tree.indicator_task([1, 0, np.int64(2)])
    assert given_.n_outputs == 1 + 0 + 8
    np.testing.assert_array_equal(given_.Y[1:5], given_.Y[5:9])
    np.testing.assert_array_equal(tree.indicator_task(np.int64(2)).Y, tree.indicator_task(2).Y)


@pytest.mark.parametrize("copies", [-1, 1.5, [1, 1], [1, 1, 1, 1], [1, -1, 1], [0.5, 1, 1], 0])
def test_bad_copies_are_refused(copies):
    with pytest.raises(WorkbenchError, match=r"copies"):
        Hierarchy((2, 2)).indicator_task(copies)


def test_unknown_coding_is_refused():
    with pytest.raises(WorkbenchError, match=r"coding 'x'.*'01' or 'pm1'"):
        Hierarchy((2, 2)).indicator_task(coding="x")


# --- branching diffusion ----------------------------------------------------------------------------------------


def diffusion_covariance_by_enumeration(branching, flips):
    """``E[y_i y_j]``: the product of ``1 - 2 flip`` over the edges between two leaves."""
    paths = leaf_paths(branching)
    C = np.empty((len(paths), len(paths)))
    for (i, p), (j, q) in itertools.product(enumerate(paths), repeat=2):
        m = common_prefix(p, q)
        C[i, j] = prod((1 - 2 * e) ** 2 for e in flips[m:])
    return C


@few
@given(branchings, st.floats(0.01, 0.49))
def test_diffusion_covariance_is_the_product_over_the_edges_between_two_items(branching, flip):
    tree = Hierarchy(branching)
    flips = [flip * (k + 1) / (k + 2) for k in range(tree.depth)]
    expected = diffusion_covariance_by_enumeration(branching, flips)
    np.testing.assert_allclose(tree.diffusion_covariance(flips), expected, rtol=ROUNDING)


@few
@given(branchings, st.floats(0.01, 0.49))
def test_gram_matrix_of_infinitely_many_properties_is_the_covariance(branching, flip):
    tree = Hierarchy(branching)
    task_ = tree.diffusion_task(flip)
    np.testing.assert_allclose(task_.Y.T @ task_.Y, tree.diffusion_covariance(flip), atol=ROUNDING)
    assert task_.tree_symmetric


def test_diffusion_on_the_default_tree_has_the_published_spectrum():
    # Reference values: flip probability 0.1.
    nu = np.linalg.eigvalsh(Hierarchy((2, 2, 2)).diffusion_covariance(0.1))
    np.testing.assert_allclose(nu[[7, 6, 5, 0]], [3.5078, 1.4106, 0.8208, 0.36], atol=5e-5)


def test_sampled_diffusion_approaches_the_covariance_as_one_over_root_n():
    tree, flip, seeds = Hierarchy((2, 2, 2)), 0.1, range(40)
    C = tree.diffusion_covariance(flip)

    def mean_square_error(N):
        errors = (tree.diffusion_task(flip, N, seed=seed).Y for seed in seeds)
        return np.mean([((Y.T @ Y - C) ** 2).sum() for Y in errors])

    # y_i y_j is +-1 with mean C_ij, so its mean over N properties has variance (1 - C_ij^2) / N. The mean over 40
    # seeds scatters by about 8%; 30% is beyond 3 standard deviations, and 16 N must gain a factor of 16.
    for N in (100, 1600):
        assert mean_square_error(N) == pytest.approx((1 - C**2).sum() / N, rel=0.3)


def test_sampled_diffusion_is_reproduced_by_its_seed():
    tree = Hierarchy((2, 2))
    one, same, other = (tree.diffusion_task(0.2, 7, seed=seed).Y for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("flip", [0, 0.5, -0.1, 0.7, float("nan"), [0.1], [0.1, 0.1, 0.1], [0.1, 0.6]])
def test_flip_probabilities_outside_zero_to_a_half_are_refused(flip):
    with pytest.raises(WorkbenchError, match=r"flip probability .* between 0 and 0\.5"):
        Hierarchy((2, 2)).diffusion_task(flip)


@pytest.mark.parametrize("count", [0, -3])
def test_diffusion_without_properties_is_refused(count):
    with pytest.raises(WorkbenchError, match="at least 1"):
        Hierarchy((2, 2)).diffusion_task(0.1, count)


def test_more_diffusion_properties_than_memory_are_refused_with_their_bytes():
    with pytest.raises(WorkbenchError, match=r"8 GB \(limit 500 MB\)"):
        Hierarchy((2,)).diffusion_task(0.1, 500_000_000)


def test_different_flip_probabilities_give_tasks_of_different_names():
    tree = Hierarchy((2, 2, 2))
    flips = [0.1, (0.1, 0.2, 0.1), (0.1, 0.2, 0.2), (0.1, 0.1, 0.2)]
    assert len({tree.diffusion_task(flip).name for flip in flips}) == len(flips)


# --- tasks ------------------------------------------------------------------------------------------------------

GOOD = {"name": "t", "items": ("a", "b"), "properties": ("p", "q"), "Y": [[1.0, 0.0], [1.0, 1.0]]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Y": [1.0, 2.0]}, "Y has 1 dimensions"),
        ({"Y": [[1.0], [2.0]], "items": ("a",)}, "1 item; influence between items needs at least 2"),
        ({"Y": np.empty((0, 2)), "properties": ()}, "no property"),
        ({"Y": [[1.0, 2.0], [3.0]]}, "Y is no matrix of numbers"),
        ({"Y": [["x", 1], [1, 1]]}, "Y is no matrix of numbers"),
        ({"items": ("a", "b", "c")}, "3 item names for a task with 2"),
        ({"properties": ("p",)}, "1 property names for a task with 2"),
        ({"items": ("a", "a")}, "item name 'a' occurs twice .* 1 and 2"),
        ({"properties": ("p", "p")}, "property name 'p' occurs twice"),
        ({"items": ("a", "  ")}, "item 2 has an empty name"),
        ({"properties": ("", "q")}, "property 1 has an empty name"),
        ({"items": (1, 2)}, "item 1 is named 1, which is no text"),
        ({"items": ("a", "b\0")}, "cannot be shown"),
        ({"items": ("a", "b\udcff")}, "cannot be shown"),
        ({"Y": [[1, 0], [np.nan, 1]]}, r"Y\[1, 0\] is nan"),
        ({"Y": [[1, np.inf], [0, 1]]}, r"Y\[0, 1\] is inf"),
        ({"X": [[1, 0], [0, np.nan]]}, r"X\[1, 1\] is nan"),
        ({"Y": [[1, -2e9], [0, 1]]}, r"Y holds 2e\+09; rescale it to values of at most 1e\+09"),
        ({"Y": [[1e-200, 0], [0, 1e-200]]}, "Y holds no value above 1e-200; rescale it to values of at least 1e-20"),
        ({"Y": np.zeros((2, 2))}, "nothing to learn"),
        ({"X": np.eye(3)}, r"X has shape \(3, 3\); expected \(inputs, 2\)"),
        ({"X": np.ones(2)}, r"X has shape \(2,\)"),
        ({"tree": Hierarchy((2, 2))}, "the tree has 4 leaves but the task 2 items"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused_in_one_line(change, message):
    with pytest.raises(WorkbenchError, match=message) as caught:
        SemanticTask(**(GOOD | change))
    assert "\n" not in str(caught.value)


def test_a_task_owns_its_matrices_and_nobody_can_change_them():
    Y = np.array(GOOD["Y"])
    made = SemanticTask(**(GOOD | {"Y": Y}))
    Y[0, 0] = 7
    assert made.Y[0, 0] == 1
    for matrix in (made.Y, made.X):
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 7


def test_digest_tells_tasks_apart_by_every_part_of_their_data():
    changes = [
        {},
        {"Y": [[1, 0], [1, 2]]},
        {"X": 2 * np.eye(2)},
        {"items": ("a", "c")},
        {"properties": ("p", "r")},
        {"items": ("q", "b"), "properties": ("p", "a")},
    ]
    digests = [SemanticTask(**(GOOD | change)).digest for change in changes]
    assert len(set(digests)) == len(changes)
    assert digests[0] == SemanticTask(**(GOOD | {"name": "another name"})).digest
    assert all(len(d) == 12 for d in digests)


@pytest.mark.parametrize("c", [1.0, 0.25, 3.0])
@pytest.mark.parametrize("n_inputs", [4, 7])
def test_input_scale_recovers_c_from_white_inputs(c, n_inputs):
    made = task(np.eye(4), X=whitened_inputs(n_inputs, 4, c))
    assert made.input_scale == pytest.approx(c, rel=ROUNDING)
    assert not made.one_hot
    # Sxx is c times a projector onto the P inputs that occur.
    np.testing.assert_allclose(made.Sxx @ made.Sxx, c * made.Sxx, atol=ROUNDING)


def test_one_hot_inputs_have_scale_one_over_p():
    made = task(np.eye(5))
    assert made.one_hot
    assert made.input_scale == pytest.approx(1 / 5, rel=ROUNDING)
    np.testing.assert_allclose(made.Sxx, np.eye(5) / 5)


@pytest.mark.parametrize("X", [np.ones((3, 3)), np.diag([1.0, 1.0, 2.0]), np.eye(3)[:2], np.zeros((3, 3)), np.tri(3)])
def test_modes_of_inputs_that_are_not_white_are_refused_in_one_line(X):
    made = task(np.eye(3), X=X)
    assert made.input_scale is None
    with pytest.raises(ConditionError, match=r"orthogonal and of equal length.*whiten") as caught:
        singular_modes(made)
    assert "\n" not in str(caught.value)


def test_tree_symmetry_holds_for_tree_tasks_and_breaks_with_one_exception():
    tree = Hierarchy((2, 2, 2))
    symmetric = tree.indicator_task()
    assert symmetric.tree_symmetric
    assert tree.diffusion_task(0.1).tree_symmetric
    assert not tree.diffusion_task(0.1, 20).tree_symmetric
    assert not rumelhart_task().tree_symmetric
    assert not task(np.eye(4)).tree_symmetric
    Y = symmetric.Y.copy()
    Y[-1, -1] += 1e-6
    assert not task(Y, tree=tree).tree_symmetric


def test_an_unknown_item_is_refused_with_the_nearest_names():
    with pytest.raises(WorkbenchError, match=r"no item is called 'dgo'; did you mean dog"):
        task_from_spec("tree").item_index("dgo")
    assert task_from_spec("tree").item_index("robin") == 3


# --- modes ------------------------------------------------------------------------------------------------------

rng = np.random.default_rng(5)
TASKS = {
    "default tree": task_from_spec("tree"),
    "uneven tree": task_from_spec("tree:2,3"),
    "tree without a split": task_from_spec("tree:2,1,2"),
    "signed tree": Hierarchy((2, 2, 2)).indicator_task(coding="pm1"),
    "leaves only": Hierarchy((3, 2)).indicator_task([0, 0, 1]),
    "categories only": Hierarchy((3, 2)).indicator_task([1, 1, 0]),
    "diffusion": task_from_spec("diffusion"),
    "sampled diffusion": task_from_spec("diffusion:2,2,2:0.1:30"),
    "8-item table": rumelhart_task(),
    "repeated items": task([[1, 1, 0], [1, 1, 2], [0, 0, 1], [3, 3, 0]]),
    "an item without properties": task([[1, 0, 1], [1, 0, 0]]),
    "one property": task([[1, -2, 0.5, 0]]),
    "more items than properties": task(rng.standard_normal((3, 7))),
    "more properties than items": task(rng.standard_normal((9, 4))),
    "white inputs": task(rng.standard_normal((5, 4)), X=whitened_inputs(6, 4, 1.0)),
    "white inputs, tree": task(
        Hierarchy((2, 2)).indicator_task().Y, X=whitened_inputs(4, 4, 0.3), tree=Hierarchy((2, 2))
    ),
}


def check_modes(made):
    modes = singular_modes(made)
    P, K = made.n_items, modes.rank
    V_in = made.X @ modes.V / np.sqrt(modes.c * P)
    scale = np.abs(made.Syx).max()
    np.testing.assert_allclose((modes.U * modes.s) @ V_in[:, :K].T, made.Syx, atol=ROUNDING * scale)
    np.testing.assert_allclose(modes.U.T @ modes.U, np.eye(K), atol=1e-10)
    np.testing.assert_allclose(modes.V.T @ modes.V, np.eye(P), atol=ROUNDING)
    np.testing.assert_allclose(made.Syx @ V_in[:, K:], 0, atol=1e-10 * scale)
    reference = np.linalg.svd(made.Syx, compute_uv=False)
    reference = reference[reference > 1e-10 * reference[0]]
    np.testing.assert_allclose(modes.s, reference, rtol=1e-10)
    assert len(modes.s_all) == P
    assert (modes.s_all[K:] == 0).all()
    return modes


@pytest.mark.parametrize("name", TASKS)
def test_modes_rebuild_the_input_output_covariance(name):
    check_modes(TASKS[name])


@few
@given(
    arrays(
        float,
        st.tuples(st.integers(1, 6), st.integers(2, 6)),
        elements=st.integers(-2, 2).map(float),
    ).filter(lambda Y: Y.any())
)
def test_modes_rebuild_the_covariance_of_any_small_table(Y):
    check_modes(task(Y))


@pytest.mark.parametrize("name", ["default tree", "uneven tree", "signed tree", "diffusion", "white inputs, tree"])
def test_modes_of_one_tree_level_share_a_singular_value_and_the_haar_projector(name):
    made = TASKS[name]
    modes = singular_modes(made)
    V, levels = haar_basis(made.tree)
    for k in range(made.tree.depth + 1):
        np.testing.assert_allclose(np.ptp(modes.s_all[modes.level == k]), 0, atol=ROUNDING)
        mine, haar = modes.V[:, modes.level == k], V[:, levels == k]
        np.testing.assert_allclose(mine @ mine.T, haar @ haar.T, atol=ROUNDING)


@pytest.mark.parametrize("name", ["8-item table", "more properties than items"])
def test_item_vectors_do_not_depend_on_the_basis_of_the_properties(name):
    # Distinct singular values: rotating the outputs changes U only, and the sign convention sees V alone.
    made = TASKS[name]
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((made.n_outputs,) * 2))[0]
    V = singular_modes(made).V[:, : singular_modes(made).rank]
    turned = singular_modes(task(rotation @ made.Y)).V[:, : V.shape[1]]
    np.testing.assert_allclose(turned, V, atol=1e-9)


def test_rank_counts_the_directions_in_which_items_differ():
    ranks = {name: singular_modes(TASKS[name]).rank for name in TASKS}
    assert ranks["repeated items"] == 2
    assert ranks["an item without properties"] == 2
    assert ranks["one property"] == 1
    assert ranks["more items than properties"] == 3
    assert ranks["categories only"] == 3
    assert ranks["tree without a split"] == 4


# --- the bundled table ------------------------------------------------------------------------------------------


def test_the_eight_item_table_has_the_published_facts_and_singular_values():
    made = rumelhart_task()
    assert (made.n_items, made.n_outputs) == (8, 36)
    assert made.Y.sum() == 93
    assert set(np.unique(made.Y)) == {0.0, 1.0}
    s = np.linalg.svd(made.Y, compute_uv=False)
    np.testing.assert_allclose(s, [6.81, 4.47, 3.04, 3.00, 2.04, 1.38, 1.14, 1.00], atol=5e-3)


def test_specifications_name_the_tasks_that_they_say():
    assert task_from_spec("tree").digest == Hierarchy((2, 2, 2)).indicator_task().digest
    assert task_from_spec("tree:3,2").items == Hierarchy((3, 2)).item_names
    assert task_from_spec("diffusion").digest == Hierarchy((2, 2, 2)).diffusion_task(0.1).digest
    sampled = Hierarchy((2, 2)).diffusion_task(0.2, 9, seed=3)
    assert task_from_spec("diffusion:2,2:0.2:9", seed=3).digest == sampled.digest
    assert task_from_spec("table:rumelhart").digest == rumelhart_task().digest
