"""Singular modes of a task: what a linear network learns one after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.task import SemanticTask

Array = NDArray[np.float64]

#: Singular values below this fraction of the largest are rounding, not modes.
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Modes:
    """``Syx = U diag(s) V_in^T`` with ``V_in = X V / sqrt(c P)``; K = rank of the task.

    Attributes:
        U: ``(N_o, K)`` property vectors.
        s: ``(K,)`` singular values of Syx, descending.
        V: ``(P, P)`` orthonormal item vectors; column k < K belongs to mode k, the others span the directions
            in which the items' properties do not differ (repeated or dependent rows).
        level: ``(P,)`` tree level of each column of V if the task is symmetric under its tree, else None.
            Within a level only the projector is identifiable; the basis is the Haar basis of the tree.
        c: input scale, ``x_i . x_j = c P delta_ij`` (1/P for one-hot items).
    """

    U: Array
    s: Array
    V: Array
    level: NDArray[np.int64] | None
    c: float

    @property
    def rank(self) -> int:
        """K, how many modes the data have."""
        return len(self.s)

    @property
    def n_items(self) -> int:
        """P."""
        return int(self.V.shape[0])

    @property
    def learnable_loss(self) -> float:
        """What learning every mode takes from the mean loss of the empty network, ``sum_k s_k^2 / (2 c)``."""
        return float((self.s**2).sum() / (2 * self.c))

    @property
    def s_all(self) -> Array:
        """``(P,)`` singular values with the zeros of the null modes appended."""
        return np.concatenate([self.s, np.zeros(self.n_items - self.rank)])


def haar_basis(hierarchy: Hierarchy) -> tuple[Array, NDArray[np.int64]]:
    """Item vectors of a balanced tree: ``(P, P)`` orthonormal columns, and the ``(P,)`` level of each.

    Level 0 is the constant vector. Level k has, for every node of level k-1, the ``B_k - 1`` Helmert
    contrasts of its children, constant on each child.
    """
    columns = [np.full(hierarchy.n_items, hierarchy.n_items**-0.5)]
    levels = [0]
    for level, b in enumerate(hierarchy.branching, start=1):
        child = hierarchy.ancestor(level)
        for parent in range(hierarchy.nodes[level - 1]):
            place = child - parent * b
            for contrast in range(1, b):
                v = np.where((place >= 0) & (place < contrast), 1.0, 0.0)
                v[place == contrast] = -contrast
                columns.append(v / np.linalg.norm(v))
                levels.append(level)
    return np.column_stack(columns), np.array(levels)


def singular_modes(task: SemanticTask) -> Modes:
    """Modes of a task with orthogonal inputs of equal length (one-hot items are).

    A task that is symmetric under its tree gets the Haar basis of the tree, so that degenerate modes have a
    definite meaning; any other task the singular vectors of Y with a fixed sign.
    """
    c = task.input_scale
    if c is None:
        raise ConditionError(
            "inputs are orthogonal and of equal length (X^T X = c P I)",
            f"X^T X with entries between {(task.X.T @ task.X).min():.3g} and {(task.X.T @ task.X).max():.3g}",
            "use one-hot items (leave X out), whiten the inputs, or start from `init` gaussian:0.1",
        )
    return _modes(task, c)


def nearest_modes(task: SemanticTask) -> Modes:
    """`singular_modes` where the inputs are white; else the modes of the outputs, as if the inputs were.

    Of other inputs they are a guide, no solution: modes are then coupled, and ``c`` is the mean of the squared lengths.
    """
    c = task.input_scale
    return _modes(task, float((task.X**2).sum()) / task.n_items**2 if c is None else c)


def input_stretch(task: SemanticTask) -> tuple[float, float]:
    """Smallest nonzero and largest eigenvalue of ``X^T X / P`` over their mean ``c``: both 1 for white inputs."""
    if task.input_scale is not None:
        return 1.0, 1.0
    eigenvalues = np.linalg.eigvalsh(task.X.T @ task.X)
    kept = eigenvalues[eigenvalues > RANK_TOLERANCE * eigenvalues[-1]] / eigenvalues.mean()
    return float(kept[0]), float(kept[-1])


def _modes(task: SemanticTask, c: float) -> Modes:
    level = None
    if isinstance(task.tree, Hierarchy) and task.tree_symmetric:
        V, level = haar_basis(task.tree)
        s_of_Y = np.linalg.norm(task.Y @ V, axis=0)
    else:
        s_of_Y, V = _right_singular_vectors(task.Y)
        V = V * np.sign(V[np.abs(V).argmax(axis=0), np.arange(task.n_items)])
    order = np.lexsort((np.arange(task.n_items), -np.round(s_of_Y / s_of_Y.max(), 12)))
    s_of_Y, V, level = s_of_Y[order], V[:, order], None if level is None else level[order]
    keep = s_of_Y > RANK_TOLERANCE * s_of_Y[0]
    U = (task.Y @ V[:, keep]) / s_of_Y[keep]
    return Modes(U, s_of_Y[keep] * np.sqrt(c / task.n_items), V, level, c)


def _right_singular_vectors(Y: Array) -> tuple[Array, Array]:
    """``(P,)`` singular values of Y and ``(P, P)`` orthonormal vectors, at the cost of the smaller side of Y.

    The thin decomposition has ``min(N_o, P)`` of them; a complete QR of these adds the others, which Y maps to zero.
    """
    _, s, Vt = np.linalg.svd(Y, full_matrices=False)
    P, K = Y.shape[1], len(s)
    if K == P:
        return s, np.asarray(Vt.T)
    complete = np.linalg.qr(Vt.T, mode="complete")[0]
    return np.concatenate([s, np.zeros(P - K)]), np.column_stack([Vt.T, complete[:, K:]])
