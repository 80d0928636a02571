"""Which pairs of items are averaged together: by level of the common ancestor, or by similarity."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.semantics import SemanticTask

Mask = NDArray[np.bool_]

#: All pairs of two items, which are the one group where no pair is more alike than another.
ALL_OTHERS = "all others"
#: Cosines that agree to so many digits are one.
_DIGITS = 9
#: A group of so much more or less than a third of the pairs is no third.
_NEARLY = 0.1


def pair_groups(task: xr.Dataset | SemanticTask) -> dict[str, Mask]:
    """``(P, P)`` masks of the off-diagonal pairs, by name; every pair is in exactly one group.

    With a tree: by the level of the lowest common ancestor (on a task symmetric under the tree all curves of a
    group coincide, by symmetry). Without: thirds of the pairs by the cosine between their property vectors; where
    many have the same one they stay together, and no group is called a third.
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
    return _by_cosine(Y, off)


def _by_cosine(Y: NDArray[np.float64], off: Mask) -> dict[str, Mask]:
    """Three groups of pairs, or fewer where there are fewer cosines."""
    length = np.linalg.norm(Y, axis=0)
    # Equal cosines differ by rounding, and must not be parted by it.
    cosine = np.round((Y.T @ Y) / np.maximum(np.outer(length, length), 1e-300), _DIGITS)
    different = np.unique(cosine[off])
    if len(different) == 1:
        return {ALL_OTHERS: off}
    low, high = np.quantile(cosine[off], [1 / 3, 2 / 3])
    if len(different) == 2:
        low = high = different[0]
    masks = off & (cosine > high), off & (cosine > low) & (cosine <= high), off & (cosine <= low)
    shares = [mask.sum() / off.sum() for mask in masks]
    kind = "third" if all(abs(share - 1 / 3) <= _NEARLY for share in shares) else "pairs"
    groups = {f"{word} {kind}": mask for word, mask in zip(("most alike", "middle", "least alike"), masks, strict=True)}
    return {name: mask for name, mask in groups.items() if mask.any()}
