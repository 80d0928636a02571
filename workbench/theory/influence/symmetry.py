"""Which pairs of items must have the same influence curve, by symmetry of the task alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.semantics import SemanticTask

Labels = NDArray[np.int64]

#: Entries of Y^T Y that differ by less than this fraction of the largest are equal up to rounding.
_TOLERANCE = 1e-10


def influence_classes(task: SemanticTask) -> Labels:
    """``(P, P)`` class of every ordered pair (source, target); pairs of one class have equal influence.

    On a task that is symmetric under its tree the class is the level of the common ancestor (0 = root, D =
    the item itself). On any other task classes are numbered from 0 in order of first appearance, row by row.

    A permutation of the items that leaves ``Y^T Y`` and ``X^T X`` unchanged leaves every measure unchanged,
    from an aligned start with a hidden unit for every mode (or for none) of each strength. So influence is
    constant on the orbits of ordered pairs. The orbits are found by colour refinement of pairs (Weisfeiler &
    Leman): start from the entries of the two matrices, then split pairs (i, j) that see different colours
    ``(i, k), (k, j)`` until nothing changes.

    The classes are never finer than the orbits, and merge two of them only for highly regular tables (some
    strongly regular graphs with 16 or more items). Influence is equal on the classes even then: it is built
    from Y^T Y by matrix and entrywise products, and both respect the refined colours.
    """
    if task.tree_symmetric and task.input_scale is not None:
        levels = task.common_ancestor_level
        assert levels is not None
        return levels.copy()
    P = task.n_items
    colours = np.eye(P, dtype=np.int64)
    for gram in (task.Y.T @ task.Y, task.X.T @ task.X):
        colours = _relabel(np.stack([colours, _equal_values(gram)], axis=-1).reshape(P * P, -1), P)
    while True:
        refined = _refine(colours)
        if refined.max() == colours.max():
            return refined
        colours = refined


def _equal_values(matrix: NDArray[np.float64]) -> Labels:
    """Label the entries so that equal ones, up to rounding, share a label."""
    flat = matrix.ravel()
    order = np.argsort(flat)
    jump = np.diff(flat[order]) > _TOLERANCE * np.abs(flat).max()
    labels = np.empty(len(flat), dtype=np.int64)
    labels[order] = np.concatenate([[0], np.cumsum(jump)])
    return labels.reshape(matrix.shape)


def _relabel(rows: Labels, P: int) -> Labels:
    """Number equal rows alike, in order of first appearance, as a ``(P, P)`` matrix."""
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse].reshape(P, P)


def _refine(colours: Labels) -> Labels:
    """Split classes by the multiset of colours ``(i, k), (k, j)`` over k that a pair (i, j) sees."""
    P = len(colours)
    n = int(colours.max()) + 1
    seen = np.empty((P * P, P + 2), dtype=np.int64)
    for i in range(P):
        rows = slice(i * P, (i + 1) * P)
        seen[rows, :2] = np.stack([colours[i], colours[:, i]], axis=1)
        seen[rows, 2:] = np.sort(colours[i][None, :] * n + colours.T, axis=1)
    return _relabel(seen, P)
