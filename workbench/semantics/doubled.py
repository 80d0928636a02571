"""A task in which every item stands twice, the second time with doubled targets: how targets are made a little louder.

A run with the targets of item i multiplied by 1 + h is a run on this task in which the item counts 1 - h and its double
h: gradients of squared losses are linear in the targets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.semantics.task import SemanticTask


def doubled_targets(task: SemanticTask) -> SemanticTask:
    """The P items, then P more with the same inputs and twice the targets."""
    names = task.items + tuple(f"{name}, doubled" for name in task.items)
    Y, X = np.hstack([task.Y, 2 * task.Y]), np.hstack([task.X, task.X])
    return SemanticTask(task.name, names, task.properties, Y, X=X)


def louder(n_items: int, change: complex) -> NDArray[np.complex128]:
    """``(P, 2P)`` item weights for `doubled_targets`: run i learns the targets of item i times ``1 + change``."""
    share = change * np.eye(n_items)
    return np.asarray(2 * np.hstack([1 - share, share]))
