"""`Hierarchy`: a balanced tree, and the two ways to hang properties on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from numbers import Integral
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError, human_bytes
from workbench.semantics.task import MOST_ITEMS, SemanticTask

Array = NDArray[np.float64]
Coding = Literal["01", "pm1"]

#: Levels of a tree; with two children a node 12 levels reach the largest number of leaves.
_DEEPEST = 32
#: Sampled properties beyond this many bytes are refused.
_SAMPLE_LIMIT = 5e8

#: Names for the default (2, 2, 2) tree, level by level, so that figures read as sentences.
_LIVING_THINGS = (
    ("living thing",),
    ("animal", "plant"),
    ("mammal", "bird", "tree", "flower"),
    ("dog", "cat", "sparrow", "robin", "oak", "pine", "rose", "daisy"),
)


@dataclass(frozen=True)
class Hierarchy:
    """A balanced tree: every node of level l-1 has ``branching[l-1]`` children.

    Notation of Saxe et al. (2019): P items are the leaves, level l has ``N_l = B_1 ... B_l`` nodes and each
    covers ``M_l = B_{l+1} ... B_D`` items. Level 0 is the root, level D (the depth) the items.

    >>> Hierarchy((2, 2, 2)).cover
    (8, 4, 2, 1)
    """

    branching: tuple[int, ...]

    def __post_init__(self) -> None:
        given = tuple(self.branching)
        whole = all(isinstance(b, Integral) and b >= 1 for b in given)
        if not whole or prod(given) < 2:
            raise WorkbenchError(
                f"branching {','.join(map(str, given)) or '(empty)'} is no tree; "
                "give whole numbers >= 1 with at least 2 leaves, such as 2,2,2"
            )
        if len(given) > _DEEPEST:
            raise WorkbenchError(f"a tree of {len(given)} levels is too deep; the limit is {_DEEPEST}")
        branching = tuple(int(b) for b in given)
        object.__setattr__(self, "branching", branching)
        if prod(branching) > MOST_ITEMS:
            leaves = prod(branching) if prod(branching) < 1e9 else "over 10^9"
            raise WorkbenchError(f"a tree with {leaves} leaves is too large; the limit is {MOST_ITEMS}")

    @property
    def depth(self) -> int:
        """D, the number of levels below the root."""
        return len(self.branching)

    @property
    def n_items(self) -> int:
        """P, the number of leaves."""
        return prod(self.branching)

    @property
    def nodes(self) -> tuple[int, ...]:
        """``N_l`` for l = 0..D: how many nodes level l has."""
        return tuple(prod(self.branching[:level]) for level in range(self.depth + 1))

    @property
    def cover(self) -> tuple[int, ...]:
        """``M_l`` for l = 0..D: how many items a node of level l covers."""
        return tuple(prod(self.branching[level:]) for level in range(self.depth + 1))

    def ancestor(self, level: int) -> NDArray[np.int64]:
        """``(P,)`` index of each item's ancestor among the nodes of ``level``."""
        return np.asarray(np.arange(self.n_items) // self.cover[level])

    def membership(self, level: int) -> Array:
        """``(N_l, P)`` 0/1 matrix: which node of ``level`` covers which item."""
        return np.asarray(self.ancestor(level)[None, :] == np.arange(self.nodes[level])[:, None], dtype=float)

    @cached_property
    def common_ancestor_level(self) -> NDArray[np.int64]:
        """``(P, P)`` level of the lowest common ancestor; D on the diagonal."""
        above = [self.ancestor(level) for level in range(1, self.depth + 1)]
        return np.asarray(np.sum([a[:, None] == a[None, :] for a in above], axis=0), dtype=np.int64)

    @cached_property
    def node_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the nodes, level by level; words for (2, 2, 2), paths such as ``2.1`` otherwise."""
        if self.branching == (2, 2, 2):
            return _LIVING_THINGS
        levels: list[tuple[str, ...]] = [("root",)]
        for level, b in enumerate(self.branching, start=1):
            parents = [""] if level == 1 else [f"{name}." for name in levels[-1]]
            levels.append(tuple(f"{parent}{child}" for parent in parents for child in range(1, b + 1)))
        return tuple(levels)

    @cached_property
    def item_names(self) -> tuple[str, ...]:
        """Names of the leaves."""
        leaves = self.node_names[-1]
        return leaves if self.branching == (2, 2, 2) else tuple(f"item {name}" for name in leaves)

    def indicator_task(
        self, copies: int | Sequence[int] = 1, *, root: bool = True, coding: Coding = "01"
    ) -> SemanticTask:
        """Each node of the tree is a property, true of the items it covers.

        Args:
            copies: how many times each level's properties are repeated; one number, or one per level 0..D.
            root: whether the property that every item has is included. Without it the mean mode and the
                first split are learned together (theory: nu_0 = nu_1) and influence across the first split
                is exactly 0.
            coding: ``"01"`` (has it or not) or ``"pm1"`` (+1 or -1).
        """
        given = np.ravel(copies).tolist() * (self.depth + 1 if np.ndim(copies) == 0 else 1)
        if len(given) != self.depth + 1 or not all(isinstance(q, int) and q >= 0 for q in given):
            raise WorkbenchError(
                f"copies {copies} for a tree of depth {self.depth}; "
                f"give one whole number >= 0, or {self.depth + 1} of them"
            )
        per_level: list[int] = given
        if coding not in ("01", "pm1"):
            raise WorkbenchError(f"coding {coding!r} is unknown; use '01' or 'pm1'")
        if not root:
            per_level[0] = 0
        rows, names = [], []
        for level, q in enumerate(per_level):
            for copy in range(q):
                rows.append(self.membership(level))
                suffix = "" if q == 1 else f" ({copy + 1})"
                names += [f"is {name}{suffix}" for name in self.node_names[level]]
        if not rows:
            raise WorkbenchError("no property is left: give copies >= 1 on at least one level")
        Y = np.vstack(rows)
        label = ",".join(map(str, self.branching)) + ("" if root else ", no root property")
        return SemanticTask(
            name=f"tree {label}" + ("" if coding == "01" else ", +-1"),
            items=self.item_names,
            properties=tuple(names),
            Y=Y if coding == "01" else 2 * Y - 1,
            tree=self,
            source="node-indicator properties on a balanced tree (Saxe et al. 2019)",
        )

    def diffusion_covariance(self, flip: float | Sequence[float]) -> Array:
        """``(P, P)`` covariance of one branching-diffusion property: ``C_ij = rho_m``, m the common level.

        A property starts as +-1 at the root and flips with probability ``flip`` on every edge (one number, or
        one per level 1..D); ``rho_m`` is the product of ``(1 - 2 flip_l)^2`` over the levels l below m.
        Source: Saxe et al. (2019).
        """
        eps = self.flip_probabilities(flip)
        keep = (1 - 2 * np.asarray(eps)) ** 2
        rho = np.array([np.prod(keep[level:]) for level in range(self.depth + 1)])
        return np.asarray(rho[self.common_ancestor_level])

    def flip_probabilities(self, flip: float | Sequence[float]) -> tuple[float, ...]:
        """Validated flip probabilities, one per level 1..D."""
        eps = np.ravel(flip).tolist() * (self.depth if np.ndim(flip) == 0 else 1)
        if len(eps) != self.depth or not all(0 < e < 0.5 for e in eps):
            raise WorkbenchError(
                f"flip probability {flip}; give one number, or {self.depth}, strictly between 0 and 0.5"
            )
        return tuple(eps)

    def diffusion_task(
        self, flip: float | Sequence[float] = 0.1, n_properties: int | None = None, *, seed: int = 0
    ) -> SemanticTask:
        """Properties that drift down the tree, flipping now and then (Saxe et al. 2019).

        Args:
            flip: probability of a flip on an edge, in (0, 0.5); one number or one per level.
            n_properties: N sampled properties; ``None`` is the exact limit of infinitely many, in which
                ``Y^T Y`` equals the covariance.
            seed: for the samples.

        Both carry the factor ``1/sqrt(N)``, so ``Y^T Y`` of a finite task estimates that of the infinite one
        (with an error of order ``1/sqrt(N)``) and their flow times are the same.
        """
        eps = self.flip_probabilities(flip)
        flips = ",".join(f"{e:g}" for e in (eps if len(set(eps)) > 1 else eps[:1]))
        label = ",".join(map(str, self.branching)) + ":" + flips
        source = "branching diffusion on a balanced tree (Saxe et al. 2019)"
        if n_properties is None:
            # The symmetric square root: a P-property task whose Gram matrix is the covariance exactly.
            values, vectors = np.linalg.eigh(self.diffusion_covariance(flip))
            Y = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
            names = tuple(f"diffuse {name}" for name in self.item_names)
            return SemanticTask(f"diffusion {label}", self.item_names, names, Y, tree=self, source=source)
        if n_properties < 1:
            raise WorkbenchError(f"{n_properties} properties; give at least 1, or None for infinitely many")
        needed = 8.0 * n_properties * self.n_items
        if needed > _SAMPLE_LIMIT:
            raise WorkbenchError(
                f"{n_properties} properties of {self.n_items} items take {human_bytes(needed)} "
                f"(limit {human_bytes(_SAMPLE_LIMIT)}); give fewer, or None for infinitely many"
            )
        rng = np.random.default_rng(seed)
        state = rng.choice([-1.0, 1.0], size=(n_properties, 1))
        for b, e in zip(self.branching, eps, strict=True):
            state = np.repeat(state, b, axis=1)
            state = np.where(rng.random(state.shape) < e, -state, state)
        return SemanticTask(
            f"diffusion {label}, {n_properties} properties",
            self.item_names,
            tuple(f"property {k + 1}" for k in range(n_properties)),
            state / np.sqrt(n_properties),
            tree=self,
            source=source,
        )
