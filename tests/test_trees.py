"""Trees of any shape: what comes from a graph, a Newick text or a clustering is the same tree."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from workbench.errors import WorkbenchError
from workbench.semantics import SPEC_HELP, Hierarchy, Tree, singular_modes, specs, task_from_spec
from workbench.semantics.kinds.kind import TaskKind


@st.composite
def arborescences(draw) -> nx.DiGraph:
    """A random rooted tree with at least 2 leaves."""
    parents = [draw(st.integers(0, node - 1)) for node in range(1, draw(st.integers(3, 14)))]
    graph = nx.DiGraph([(parent, node) for node, parent in enumerate(parents, start=1)])
    return graph if sum(graph.out_degree(node) == 0 for node in graph) > 1 else nx.DiGraph([(0, 1), (0, 2)])


@given(arborescences())
@settings(max_examples=40)
def test_the_level_of_a_common_ancestor_is_its_distance_from_the_root(graph):
    tree = Tree.from_networkx(graph)
    distance = nx.shortest_path_length(graph, 0)
    nodes = [int(name) for name in tree.item_names]
    for i, a in enumerate(nodes):
        for j, b in enumerate(nodes):
            expected = max(distance.values()) if a == b else distance[nx.lowest_common_ancestor(graph, a, b)]
            assert tree.common_ancestor_level[i, j] == expected


@given(arborescences())
@settings(max_examples=40)
def test_modes_of_any_tree_rebuild_its_table(graph):
    task = Tree.from_networkx(graph).indicator_task()
    modes = singular_modes(task)
    P, K = task.n_items, modes.rank
    np.testing.assert_allclose(modes.U * modes.s @ modes.V[:, :K].T, task.Syx, atol=1e-12)
    np.testing.assert_allclose(modes.V.T @ modes.V, np.eye(P), atol=1e-12)
    # Each node says of two items whether both are below it.
    descendants = [{*nx.descendants(graph, node), node} for node in graph]
    items = [int(name) for name in task.items]
    shared = [[sum(a in below and b in below for below in descendants) for a in items] for b in items]
    np.testing.assert_allclose(task.Y.T @ task.Y, shared)


@pytest.mark.parametrize(("branching", "height"), [(2, 3), (3, 2)])
def test_a_balanced_graph_is_the_hierarchy_and_keeps_its_own_names(branching, height):
    graph = nx.balanced_tree(branching, height, create_using=nx.DiGraph)
    task = Tree.from_networkx(graph).indicator_task()
    expected = Hierarchy((branching,) * height).indicator_task()
    assert task.tree == expected.tree
    assert task.tree_symmetric
    np.testing.assert_allclose(task.Y.T @ task.Y, expected.Y.T @ expected.Y)
    assert set(task.items) == {str(node) for node in graph if graph.out_degree(node) == 0}


def test_an_undirected_graph_hangs_from_the_root_that_is_named():
    graph = nx.Graph([("r", "a"), ("r", "b"), ("b", "c"), ("b", "d")])
    assert sorted(Tree.from_networkx(graph, root="r").item_names) == ["a", "c", "d"]
    assert sorted(Tree.from_networkx(graph, root="b").item_names) == ["a", "c", "d"]
    assert Tree.from_networkx(graph, root="b").depth == 2


@pytest.mark.parametrize(
    ("graph", "root", "fault"),
    [
        (nx.cycle_graph(3), 0, "is no tree"),
        (nx.path_graph(4), None, "name the node"),
        (nx.DiGraph([(0, 2), (1, 2)]), None, "2 nodes have no parent"),
        (nx.Graph([(0, 1), (1, 2), (2, 0), (3, 4)]), 0, "is no tree|cannot be reached"),
        (nx.path_graph(3), 0, "1 leaf"),
        (nx.Graph(), 0, "is no tree"),
    ],
)
def test_a_graph_that_is_no_tree_is_refused(graph, root, fault):
    with pytest.raises(WorkbenchError, match=fault):
        Tree.from_networkx(graph, root=root)


@pytest.mark.parametrize("method", ["average", "complete", "single"])
def test_a_clustering_keeps_who_is_nearer_to_whom(method):
    points = np.random.default_rng(3).normal(size=(9, 4))
    Z = linkage(points, method)
    tree = Tree.from_linkage(Z, names=[f"p{k}" for k in range(9)])
    order = [int(name[1:]) for name in tree.item_names]
    height, level = squareform(cophenet(Z))[np.ix_(order, order)], tree.common_ancestor_level
    for i in range(9):
        others = [j for j in range(9) if j != i]
        for j in others:
            for k in others:
                assert (height[i, j] < height[i, k]) == (level[i, j] > level[i, k])


def test_merges_at_one_height_are_one_node():
    hierarchy = Hierarchy((3, 2))
    distance = 2.0 - hierarchy.common_ancestor_level
    Z = linkage(squareform(distance), "average")
    assert Tree.from_linkage(Z).balanced() == hierarchy


@pytest.mark.parametrize(
    ("text", "items", "depth"),
    [
        ("((a,b),c);", ("a", "b", "c"), 2),
        ("((a:0.1,b:2e-3)95:1,c:.5)root:0;", ("a", "b", "c"), 2),
        ("( 'it''s, one' , [remark] b_c )\n", ("it's, one", "b c"), 1),
        ("(,(,));", ("item 1", "item 2", "item 3"), 2),
        ("(a,a);", ("a", "a (2)"), 1),
    ],
)
def test_newick_is_read_as_it_is_written(text, items, depth):
    tree = Tree.from_newick(text)
    assert tree.item_names == items
    assert tree.depth == depth


def test_inner_nodes_are_named_by_their_label_or_their_items():
    tree = Tree.from_newick("(((a,b)birds,c,d),e)99;")
    assert tree.node_names == ("root", "a to d", "birds", "a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1 leaf"),
        ("a;", "1 leaf"),
        ("((a,b);", r"1 '\(' without '\)'"),
        ("(a,b));", "character 6: '\\)' outside of any group"),
        ("(a,b); (c,d);", "character 8: text after the semicolon"),
        ("(a b,c);", "character 4: 'b' follows 'a'"),
        ("(a,b)(c,d);", "character 6: '\\(' after a name"),
        ("(a:,b);", "character 4: a length is missing"),
        ("(a:x,b);", "'x' is no length of a branch"),
        ("('a,b);", "character 2: a quote or a comment that is opened here is never closed"),
        ("(a,b[c);", "never closed"),
        ("(" * 5000, "without"),
        ("(a," * 4096 + "b" + ")" * 4096, "4097 leaves"),
    ],
)
def test_what_is_no_newick_tree_is_refused_with_its_place(text, fault):
    with pytest.raises(WorkbenchError, match=fault):
        Tree.from_newick(text)


@given(st.text(alphabet="(),:;'[]ab1_ \n.", max_size=40))
def test_whatever_the_text_there_is_a_tree_or_one_line(text):
    try:
        tree = Tree.from_newick(text)
    except WorkbenchError as error:
        assert "\n" not in str(error)
    else:
        tree.indicator_task()


def test_a_newick_file_is_a_task_like_its_text(tmp_path):
    (tmp_path / "birds.nwk").write_text("((robin,eagle)bird,trout);")
    by_file, by_text = task_from_spec(str(tmp_path / "birds.nwk")), task_from_spec("newick:((robin,eagle)bird,trout);")
    assert by_file.digest == by_text.digest
    assert by_file.name == "birds"


def test_a_kind_of_task_is_one_line_in_the_registry(monkeypatch):
    chain = TaskKind("chain", "chain:4", lambda rest, seed: Hierarchy((1,) * 2 + (int(rest or 2),)).indicator_task())
    monkeypatch.setattr(specs, "KINDS", (*specs.KINDS, chain))
    assert specs.task_from_spec("chain:4").n_items == 4
    assert all(kind.help in SPEC_HELP for kind in specs.KINDS if kind is not chain)


def test_a_tree_of_too_many_levels_is_refused_at_once():
    with pytest.raises(WorkbenchError, match="500 levels is too deep; the limit is 32"):
        task_from_spec("tree:" + "1," * 499 + "2")
