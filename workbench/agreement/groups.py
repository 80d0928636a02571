"""Which pairs of items are averaged together: by level of the common ancestor, or by similarity."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.semantics import SemanticTask

Mask = NDArray[np.bool_]


def pair_groups(task: xr.Dataset | SemanticTask) -> dict[str, Mask]:
    """``(P, P)`` masks of the off-diagonal pairs, by name; every pair is in exactly one group.

    With a tree: by the level of the lowest common ancestor (on a task symmetric under the tree all curves of a
    group coincide, by symmetry). Without: thirds of the pairs by the cosine between their property vectors.
    """
    if isinstance(task, SemanticTask):
        Y, levels = task.Y, task.common_ancestor_level
    else:
        Y = task["Y"].values
        levels = task["common_ancestor_level"].values if "common_ancestor_level" in task else None
    off = ~np.eye(Y.shape[1], dtype=bool)
    if levels is not None:
        depth = int(levels.max())
        names = {m: f"ancestor on level {m}" for m in range(depth)}
        names[0] += " (root)"
        names[depth - 1] += " (siblings)" if depth > 1 else ""
        groups = {name: (levels == m) & off for m, name in names.items()}
        return {name: mask for name, mask in groups.items() if mask.any()}
    length = np.linalg.norm(Y, axis=0)
    cosine = (Y.T @ Y) / np.maximum(np.outer(length, length), 1e-300)
    low, high = np.quantile(cosine[off], [1 / 3, 2 / 3])
    groups = {
        "most alike third": off & (cosine > high),
        "middle third": off & (cosine > low) & (cosine <= high),
        "least alike third": off & (cosine <= low),
    }
    return {name: mask for name, mask in groups.items() if mask.any()}
