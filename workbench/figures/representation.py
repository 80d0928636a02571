"""How the items move apart inside the network: one map of the hidden representations for all times.

A map made anew at every time would turn and flip between times. Here the representations of all items at all
times are one cloud of points, which classical multidimensional scaling (Torgerson 1952; Cox & Cox 2000) maps at once:
their squared distances, double centred, are the Gram matrix of its coordinates. Distances between items depend on the
mode strengths alone, ``|h_i - h_j|^2 = c P sum_k a_k (v_ki - v_kj)^2`` (Saxe et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from workbench.comparison.prediction import start_of
from workbench.figures.arrangement import Arrangement, arrange
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
        positions: ``(T, P, 2)`` seen from the side that shows all branches.
        first: the item that distances are measured from, the first in the order of the tree.
        distances: ``(T, P)`` distances of the hidden representations from it, in all dimensions.
        share: part of the sum of squared distances (of items at the same time) that the map shows.
        branches: where paths part, in order of time.
    """

    times: Array
    positions: Array
    first: int
    distances: Array
    share: float
    branches: tuple[BranchPoint, ...]


def classical_scaling(points: Array) -> Array:
    """``(N, d)`` classical-scaling coordinates of ``(N, d)`` points, largest extent first.

    The Gram matrix of the double-centred squared distances is that of the centred points; its eigenvectors
    follow from the ``(d, d)`` scatter matrix, which is far smaller here.
    """
    centred = points - points.mean(axis=0)
    extent, directions = scipy.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ directions[:, ::-1][:, : int((extent > 1e-12 * extent[-1]).sum())])


def hidden_map(ds: xr.Dataset, times: Array | None = None) -> HiddenMap:
    """Scale all items at all times at once, and look at the result from where all branches are seen.

    A tree spans more dimensions than a page has. The coordinates of classical scaling are therefore looked at
    like any solid body: along the orthogonal projection that brings the items at the last time closest to a
    circle in the order of the tree (orthogonal Procrustes). Lengths on the page are never longer than true ones.
    """
    start, modes = start_of(ds), start_of(ds).modes
    t = np.linspace(0, float(ds["time"].values[-1]), 200) if times is None else times
    scale = np.sqrt(modes.c * modes.n_items * mode_strengths(start, t))
    hidden = scale[:, None, :] * modes.V[None, :, : modes.rank]
    T, P, K = hidden.shape
    coordinates = classical_scaling(hidden.reshape(T * P, K)).reshape(T, P, -1)
    order = arrange(ds)
    angle = np.empty(P)
    angle[order.order] = 2 * np.pi * (np.arange(P) + 0.5) / P
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    last = coordinates[-1] - coordinates[-1].mean(axis=0)
    left, _, right = np.linalg.svd(circle.T @ last, full_matrices=False)
    positions = coordinates @ (left @ right).T
    positions = positions - positions[0].mean(axis=0)
    first = int(order.order[0])
    distances = np.linalg.norm(hidden - hidden[:, first, None], axis=-1)
    within = positions - positions.mean(axis=1, keepdims=True)
    whole = hidden - hidden.mean(axis=1, keepdims=True)
    branches = _branches(ds, order, t, hidden, positions)
    return HiddenMap(t, positions, first, distances, float((within**2).sum() / (whole**2).sum()), branches)


def _branches(ds: xr.Dataset, order: Arrangement, t: Array, hidden: Array, positions: Array) -> tuple[BranchPoint, ...]:
    found = []
    for groups in splits(ds):
        centres = np.stack([hidden[:, g].mean(axis=1) for g in groups])
        apart = np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max(axis=0)
        if not apart[-1] > 1e-9 * np.abs(hidden).max():
            continue
        k = int(np.argmax(apart >= PARTED * apart[-1]))
        together = np.concatenate(groups)
        found.append(BranchPoint(float(t[k]), groups, positions[k, together].mean(axis=0)))
    return tuple(sorted(found, key=lambda branch: branch.time))


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
