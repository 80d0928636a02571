"""Which pairs of items are averaged together: by level of the common ancestor, or by similarity."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def pair_groups(ds: xr.Dataset) -> dict[str, Mask]:
    """``(P, P)`` masks of the off-diagonal pairs, by name; every pair is in exactly one group.

    With a tree: by the level of the lowest common ancestor (on a task symmetric under the tree all curves of a
    group coincide, by symmetry). Without: thirds of the pairs by the cosine between their property vectors.
    """
    P = ds.sizes["source"]
    off = ~np.eye(P, dtype=bool)
    if "common_ancestor_level" in ds:
        levels = ds["common_ancestor_level"].values
        depth = int(levels.max())
        names = {m: f"ancestor on level {m}" for m in range(depth)}
        names[0] += " (root)"
        names[depth - 1] += " (siblings)" if depth > 1 else ""
        groups = {name: (levels == m) & off for m, name in names.items()}
        return {name: mask for name, mask in groups.items() if mask.any()}
    Y = ds["Y"].values
    length = np.linalg.norm(Y, axis=0)
    cosine = (Y.T @ Y) / np.maximum(np.outer(length, length), 1e-300)
    low, high = np.quantile(cosine[off], [1 / 3, 2 / 3])
    groups = {
        "most alike third": off & (cosine > high),
        "middle third": off & (cosine > low) & (cosine <= high),
        "least alike third": off & (cosine <= low),
    }
    return {name: mask for name, mask in groups.items() if mask.any()}
