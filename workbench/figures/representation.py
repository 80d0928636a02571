"""How the items move apart inside the network: one map of the hidden representations for all times.

A map made anew at every time would turn and flip between times. Here one projection shows all items at all times.
Distances between items depend on the mode strengths alone, ``|h_i - h_j|^2 = c P sum_k a_k (v_ki - v_kj)^2``
(Saxe et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.comparison.prediction import start_of
from workbench.theory import mode_strengths

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: A branch point: where the distance of two branches has reached this part of its last value.
PARTED = 0.25
#: Of a clustering only this many splits are marked.
MAX_SPLITS = 7


@dataclass(frozen=True, eq=False)
class BranchPoint:
    """Where the paths of ``groups`` part: the time, and the groups' centre on the map then, ``(2,)``."""

    time: float
    groups: tuple[Index, ...]
    centre: Array


@dataclass(frozen=True, eq=False)
class HiddenMap:
    """The joint map.

    Attributes:
        times: ``(T,)``.
        positions: ``(T, P, 2)``.
        source: the item that distances are measured from.
        distances: ``(T, P)`` distances of the hidden representations from it, in all dimensions.
        share: part of the sum of squared distances (of items at the same time) that the map shows.
        branches: where paths part, in order of time.
    """

    times: Array
    positions: Array
    source: int
    distances: Array
    share: float
    branches: tuple[BranchPoint, ...]


def hidden_map(ds: xr.Dataset, times: Array | None = None, source: int = 0) -> HiddenMap:
    """Project all items at all times on one plane, the one on which they are seen to part one split after the other.

    ``positions = hidden @ R^T``, with the orthonormal rows R of the largest ``sum_t tr(target^T hidden_t R^T)``: an
    orthogonal Procrustes fit of all times at once to `layout`. What all items share, which is learned first, points
    up; the first split lies along x, the splits within its branches along y, the next along x again. (Principal axes
    of all times would be arbitrary between branches that are learned together, as those of a symmetric tree are.)
    Lengths on the page are never longer than true ones.
    """
    start, modes = start_of(ds), start_of(ds).modes
    every = np.linspace(0, float(ds["time"].values[-1]), 200)
    t = every if times is None else times

    def activity(at: Array) -> Array:
        # Of the first hidden layer, w_1 = a^{1/D} in every mode.
        scale = np.sqrt(modes.c * modes.n_items * mode_strengths(start, at) ** (2 / start.depth))
        return np.asarray(scale[:, None, :] * modes.V[None, :, : modes.rank])

    hidden = activity(t)
    target = layout(splits(ds), modes.n_items) + (0.0, 1.0)
    left, _, right = np.linalg.svd(target.T @ activity(every).sum(axis=0), full_matrices=False)
    positions = hidden @ (left @ right).T
    positions = positions - positions[0].mean(axis=0)
    distances = np.linalg.norm(hidden - hidden[:, source, None], axis=-1)
    within = positions - positions.mean(axis=1, keepdims=True)
    share = float((within**2).sum() / ((hidden - hidden.mean(axis=1, keepdims=True)) ** 2).sum())
    return HiddenMap(t, positions, source, distances, share, _branches(ds, t, hidden, positions))


def layout(nodes: Sequence[tuple[Index, ...]], n_items: int) -> Array:
    """``(P, 2)`` where the items would stand if every split pulled its groups apart by half of the one before.

    Splits lie along x and y in turn: an H-tree, with the groups of a split evenly spread.
    """
    place, depth = np.zeros((n_items, 2)), np.zeros(n_items, dtype=np.int64)
    # From the root to the leaves: a node's items have been parted as often as they have ancestors.
    for groups in sorted(nodes, key=lambda node: -sum(map(len, node))):
        level = int(depth[groups[0][0]])
        for group, offset in zip(groups, np.linspace(-1, 1, len(groups)), strict=True):
            place[group, level % 2] += offset / 2**level
            depth[group] += 1
    return np.asarray(place - place.mean(axis=0))


def _branches(ds: xr.Dataset, t: Array, hidden: Array, positions: Array) -> tuple[BranchPoint, ...]:
    branches = []
    for groups in splits(ds):
        centres = np.stack([hidden[:, g].mean(axis=1) for g in groups])
        apart = np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max(axis=0)
        if not apart[-1] > 1e-9 * np.abs(hidden).max():
            continue
        k = int(np.argmax(apart >= PARTED * apart[-1]))
        together = np.concatenate(groups)
        branches.append(BranchPoint(float(t[k]), groups, positions[k, together].mean(axis=0)))
    return tuple(sorted(branches, key=lambda branch: branch.time))


def splits(ds: xr.Dataset) -> list[tuple[Index, ...]]:
    """Which groups of items part from each other: the nodes of the tree, or the last joins of a clustering."""
    if "common_ancestor_level" in ds:
        common = ds["common_ancestor_level"].values
        nodes = []
        for level in range(int(common.max())):
            for first in np.unique((common >= level).argmax(axis=1)):
                members = np.flatnonzero(common[first] >= level)
                child = (common[members] >= level + 1).argmax(axis=1)
                nodes.append(tuple(members[child == c] for c in np.unique(child)))
        return [node for node in nodes if len(node) > 1]
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import pdist

    Y = ds["Y"].transpose("property", "item").values
    clusters: list[Index] = [np.array([i]) for i in range(Y.shape[1])]
    joins: list[tuple[Index, ...]] = []
    for one, other, _, _ in linkage(pdist(Y.T), "average"):
        joins.append((clusters[int(one)], clusters[int(other)]))
        clusters.append(np.concatenate(joins[-1]))
    return list(reversed(joins))[:MAX_SPLITS]
