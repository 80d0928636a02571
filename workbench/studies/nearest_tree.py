"""The ideal tree nearest to a table: its inner products, and a task that has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from workbench.semantics import SemanticTask

Array = NDArray[np.float64]


def ultrametric(gram: Array) -> Array:
    """The inner products at which average linkage joins two items, ``(P, P)``; a diagonal no less than its row."""
    P = len(gram)
    distance = gram.max() - gram
    np.fill_diagonal(distance, 0.0)
    joined = gram.max() - squareform(cophenet(linkage(squareform(distance, checks=False), method="average")))
    off = np.where(np.eye(P, dtype=bool), -np.inf, joined)
    ideal = np.where(np.eye(P, dtype=bool), 0.0, joined)
    np.fill_diagonal(ideal, np.maximum(np.diag(gram), off.max(axis=1)))
    return np.asarray(ideal)


def with_gram(task: SemanticTask, gram: Array) -> SemanticTask:
    """A task on the same inputs whose items have these inner products; negative eigenvalues count as 0."""
    values, vectors = np.linalg.eigh(gram)
    Y = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    properties = tuple(f"direction {k + 1}" for k in range(len(Y)))
    return SemanticTask(f"{task.name}, ideal tree", task.items, properties, Y, X=task.X)
