"""`Tree`: a rooted tree of any shape, as it comes from a graph, a Newick text or a clustering."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError, counted
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.names import tidy
from workbench.semantics.task import MOST_ITEMS, SemanticTask

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """A rooted tree; its leaves are the items, in the order in which a walk from the root meets them.

    Attributes:
        parents: of every node, the index of its parent, which comes before it; -1 for the root, node 0.
        labels: of every node; an empty one is filled in from the leaves below it.

    >>> Tree.from_newick("((robin,eagle)bird,trout);").common_ancestor_level.tolist()
    [[2, 1, 0], [1, 2, 0], [0, 0, 2]]
    """

    parents: tuple[int, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.parents or self.parents[0] != -1 or len(self.labels) != len(self.parents):
            raise WorkbenchError("a tree needs a root as its first node, and one label a node")
        if any(not 0 <= parent < node for node, parent in enumerate(self.parents[1:], start=1)):
            raise WorkbenchError("the parent of a node must come before it; list the nodes from the root down")
        if not 2 <= self.n_items <= MOST_ITEMS:
            raise WorkbenchError(
                f"a tree with {counted(self.n_items, 'leaf', 'leaves')}; give one with 2 to {MOST_ITEMS}"
            )

    @classmethod
    def from_newick(cls, text: str, *, where: str = "the tree") -> Tree:
        """From Newick text such as ``((robin,eagle)bird,trout);``; lengths of branches are left aside.

        Labels of inner nodes that are numbers are support values by convention, and no names.
        """
        from workbench.semantics.newick import parse_newick

        return cls._walked(*parse_newick(text, where))

    @classmethod
    def from_networkx(cls, graph: Any, root: Hashable | None = None) -> Tree:
        """From a networkx tree: directed from its root down, or undirected with ``root``; nodes give the names."""
        nodes, edges = list(graph.nodes), list(graph.edges)
        if not nodes or len(edges) != len(nodes) - 1:
            raise WorkbenchError(f"a graph of {len(nodes)} nodes and {len(edges)} edges is no tree; remove cycles")
        if graph.is_directed():
            roots = [node for node in nodes if graph.in_degree(node) == 0]
            if len(roots) != 1:
                raise WorkbenchError(f"{len(roots)} nodes have no parent; a tree has one root, with edges away from it")
            root = roots[0]
        elif root is None or root not in graph:
            raise WorkbenchError(f"root {root!r} is no node of the graph; name the node that the tree hangs from")
        index = {node: k for k, node in enumerate(nodes)}
        children: list[list[int]] = [[] for _ in nodes]
        order, seen = [root], {root}
        for node in order:
            below = [child for child in graph.neighbors(node) if child not in seen]
            seen.update(below)
            order += below
            children[index[node]] = [index[child] for child in below]
        if len(order) != len(nodes):
            raise WorkbenchError(f"{len(nodes) - len(order)} nodes cannot be reached from {root!r}; connect them")
        return cls._walked(children, [str(node) for node in nodes], index[root])

    @classmethod
    def from_linkage(cls, Z: ArrayLike, names: Sequence[str] | None = None) -> Tree:
        """From a scipy linkage ``(P - 1, 4)``; merges at one height are one node with more than two children."""
        from scipy.cluster.hierarchy import is_valid_linkage

        merges = np.asarray(Z, dtype=float)
        if not is_valid_linkage(merges):
            raise WorkbenchError("Z is no linkage; give what scipy.cluster.hierarchy.linkage returns")
        P = len(merges) + 1
        if names is not None and len(names) != P:
            raise WorkbenchError(f"{len(names)} names for a linkage of {P} items; give exactly one name each")
        height = np.concatenate([np.zeros(P), merges[:, 2]])
        children: list[list[int]] = [[] for _ in range(2 * P - 1)]
        for k, (left, right) in enumerate(merges[:, :2].astype(int), start=P):
            for child in (left, right):
                same = child >= P and height[k] - height[child] <= 1e-9 * height[-1]
                children[k] += children[child] if same else [int(child)]
        labels = list(names) if names is not None else [f"item {k + 1}" for k in range(P)]
        return cls._walked(children, labels + [""] * (P - 1), 2 * P - 2)

    @classmethod
    def _walked(cls, children: Sequence[Sequence[int]], labels: Sequence[str], root: int) -> Tree:
        """The tree in the order of a walk from the root that finishes each branch before the next."""
        parents: list[int] = []
        names: list[str] = []
        waiting = [(root, -1)]
        while waiting:
            node, parent = waiting.pop()
            waiting += [(child, len(parents)) for child in reversed(children[node])]
            parents.append(parent)
            names.append(tidy(labels[node]))
        return cls(tuple(parents), tuple(names))

    @property
    def branching(self) -> None:
        """No numbers describe a tree of any shape; see `balanced`."""
        return

    @cached_property
    def levels(self) -> NDArray[np.int64]:
        """Level of every node: 0 for the root, one more than its parent's for any other."""
        level = np.zeros(len(self.parents), dtype=np.int64)
        for node, parent in enumerate(self.parents[1:], start=1):
            level[node] = level[parent] + 1
        return level

    @cached_property
    def leaves(self) -> NDArray[np.int64]:
        """``(P,)`` nodes without children: the items."""
        return np.setdiff1d(np.arange(len(self.parents)), self.parents)

    @property
    def n_items(self) -> int:
        """P, the number of leaves."""
        return len(self.leaves)

    @property
    def depth(self) -> int:
        """D, the level of the deepest item."""
        return int(self.levels.max())

    @cached_property
    def membership(self) -> Array:
        """``(nodes, P)`` 0/1 matrix: which node covers which item."""
        covers = np.zeros((len(self.parents), self.n_items))
        covers[self.leaves, np.arange(self.n_items)] = 1
        for node in range(len(self.parents) - 1, 0, -1):
            covers[self.parents[node]] += covers[node]
        return covers

    @cached_property
    def common_ancestor_level(self) -> NDArray[np.int64]:
        """``(P, P)`` level of the lowest common ancestor; D on the diagonal, which no pair of two items reaches."""
        inner = self.membership[1:]
        shared = np.asarray(inner.T @ inner, dtype=np.int64)  # nodes below the root that cover both
        np.fill_diagonal(shared, self.depth)
        return shared

    @cached_property
    def node_names(self) -> tuple[str, ...]:
        """A name for every node: its label, or the items below it; a repeated one is numbered."""
        given = [self.labels[leaf] or f"item {k + 1}" for k, leaf in enumerate(self.leaves)]
        names: list[str] = []
        for node, label in enumerate(self.labels):
            below = [given[k] for k in np.flatnonzero(self.membership[node])]
            group = "root" if node == 0 else " and ".join(below) if len(below) <= 2 else f"{below[0]} to {below[-1]}"
            names.append(label or group)
        return tuple(_numbered(names))

    @property
    def item_names(self) -> tuple[str, ...]:
        """Names of the leaves."""
        return tuple(self.node_names[leaf] for leaf in self.leaves)

    def balanced(self) -> Hierarchy | None:
        """The same tree as a `Hierarchy`, if all nodes of a level have as many children."""
        count = np.bincount(np.asarray(self.parents[1:]), minlength=len(self.parents))
        per_level = [set(count[self.levels == level].tolist()) for level in range(self.depth)]
        if any(len(counts) > 1 or counts == {0} for counts in per_level):
            return None
        return Hierarchy(tuple(counts.pop() for counts in per_level))

    def indicator_task(self, *, name: str = "tree", root: bool = True) -> SemanticTask:
        """Each node of the tree is a property, true of the items it covers.

        On a balanced tree the task is that of `Hierarchy.indicator_task` with names of its own, and the closed forms
        on trees hold; on any other the modes are the singular vectors of the table.

        Args:
            name: of the task.
            root: whether the property that every item has is included.
        """
        first = 0 if root else 1
        return SemanticTask(
            name=name,
            items=self.item_names,
            properties=tuple(f"is {node}" for node in self.node_names[first:]),
            Y=self.membership[first:],
            tree=self.balanced() or self,
            source="node-indicator properties on a tree",
        )


def _numbered(names: Iterable[str]) -> list[str]:
    """Each name once: the second of its kind gets " (2)" behind it."""
    seen: set[str] = set()
    unique: list[str] = []
    for name in names:
        count, candidate = 1, name
        while candidate in seen:
            count += 1
            candidate = f"{name} ({count})"
        seen.add(candidate)
        unique.append(candidate)
    return unique
