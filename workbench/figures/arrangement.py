"""In which order items stand, and which branch of the tree (or of the data's clustering) each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: More clusters than this are not told apart by hue.
MAX_BRANCHES = 6

#: More properties than this are not clustered: their distances in pairs would take over 50 MB.
_MOST_CLUSTERED = 2500


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Where every item stands.

    Attributes:
        order: ``(P,)`` item indices from first to last row.
        branch: ``(P,)`` top branch of each item, numbered in that order.
        place: ``(P,)`` position of each item within its branch, in [0, 1].
        edges: polylines ``(N, 2)`` of the tree: height in [0, 1] (root 1, items 0) and row.
        kind: the task's own tree, or a hierarchical clustering of its items.
    """

    order: Index
    branch: Index
    place: Array
    edges: tuple[Array, ...]
    kind: Literal["tree", "clustering"]


def arrange(ds: xr.Dataset) -> Arrangement:
    """The tree of the task if it has one, otherwise average linkage of the items' property vectors."""
    common = ds["common_ancestor_level"].values if "common_ancestor_level" in ds else None
    return arranged(ds["Y"].transpose("property", "item").values, common)


def arranged(Y: Array, common: Index | None) -> Arrangement:
    """The same from the table ``(N_o, P)``, and for a tree the levels ``(P, P)`` of the common ancestors."""
    return _from_data(Y) if common is None else _from_tree(common.astype(np.int64))


def _from_tree(common: Index) -> Arrangement:
    depth = int(common.max())
    # An item's ancestor on a level, named by the first item it covers.
    ancestor = np.stack([(common >= level).argmax(axis=1) for level in range(depth + 1)])
    order = np.lexsort(ancestor[::-1])
    row = np.empty(len(order))
    row[order] = np.arange(len(order))
    splitting = next(level for level in range(depth + 1) if np.unique(ancestor[level]).size > 1)
    middle = np.stack([[row[level == a].mean() for a in level] for level in ancestor])
    edges = [
        np.array(
            [
                [1 - level / depth, middle[level, i]],
                [1 - level / depth, middle[level + 1, i]],
                [1 - (level + 1) / depth, middle[level + 1, i]],
            ]
        )
        for level in range(depth)
        for i in np.unique(ancestor[level + 1])
    ]
    return _arrangement(order, ancestor[splitting], edges, "tree")


def _from_data(Y: Array) -> Arrangement:
    from scipy.cluster.hierarchy import dendrogram, fcluster, linkage
    from scipy.spatial.distance import pdist

    # From distances: a table that happens to be symmetric with a zero diagonal is no distance matrix.
    joined = linkage(pdist(Y.T), "average", optimal_ordering=Y.shape[1] <= 400)
    drawn = dendrogram(joined, no_plot=True)
    height = joined[:, 2]
    top = height[-1] or 1.0
    # The clearest cut: the largest gap between successive joins, at 2 to MAX_BRANCHES clusters.
    counts = range(2, min(MAX_BRANCHES, len(height)) + 1)
    gaps = [height[-n + 1] - height[-n] for n in counts] or [0.0]
    branch = fcluster(joined, 2 + int(np.argmax(gaps)), criterion="maxclust")
    edges = [
        np.column_stack([np.asarray(d) / top, np.asarray(i) / 10 - 0.5])
        for i, d in zip(drawn["icoord"], drawn["dcoord"], strict=True)
    ]
    return _arrangement(np.array(drawn["leaves"]), branch, edges, "clustering")


def _arrangement(order: Index, label: Index, edges: list[Array], kind: Literal["tree", "clustering"]) -> Arrangement:
    branch, place = np.zeros(len(order), dtype=np.int64), np.zeros(len(order))
    for number, name in enumerate(dict.fromkeys(label[order].tolist())):
        members = order[label[order] == name]
        branch[members] = number
        place[members] = np.linspace(0, 1, len(members)) if len(members) > 1 else 0.4
    return Arrangement(order, branch, place, tuple(edges), kind)


def property_order(ds: xr.Dataset) -> Index:
    """``(N_o,)`` order of the properties: as given on a tree, clustered otherwise so that blocks show.

    Too many to be clustered, which takes their distances in pairs, follow their place in the second mode.
    """
    Y = ds["Y"].transpose("property", "item").values
    if "common_ancestor_level" in ds or Y.shape[0] < 3:
        return np.arange(Y.shape[0])
    if Y.shape[0] > _MOST_CLUSTERED:
        modes = ds["left_mode"].transpose("property", "mode").values
        return np.argsort(modes[:, min(1, modes.shape[1] - 1)], kind="stable").astype(np.int64)
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    return np.asarray(leaves_list(linkage(pdist(Y), "average")), dtype=np.int64)
