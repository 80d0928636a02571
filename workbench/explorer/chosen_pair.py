"""Which two items a lecture shows, and the two factors of the kernel between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.agreement.events import visible_flips
from workbench.errors import WorkbenchError
from workbench.explorer.model import curves
from workbench.explorer.scene import Scene
from workbench.explorer.state import ExplorerState
from workbench.figures.anatomy import Anatomy
from workbench.theory import mode_weights
from workbench.theory.roots import sign_changes

Array = NDArray[np.float64]


def pair_anatomy(scene: Scene, i: int, j: int, *, a0: float, lam: float = 0.0) -> Anatomy:
    """The factors of the kernel of items i != j in a two-layer network that learns every mode.

    At imbalance lambda the squared first-layer weight ``w1^2`` of a mode takes the place of a; at 0 they are equal.
    """
    hidden = scene.modes.rank
    predicted = curves(ExplorerState(a0=a0, lam=lam, hidden=hidden), scene)
    groups = scene.groups(hidden)
    shared = groups.projectors[:, i, j]

    def factors(t: Array) -> tuple[Array, Array]:
        w1, w2 = mode_weights(t[..., None], groups.s, c=scene.c, a0=a0, lam=lam)
        return (groups.s - scene.c * w1 * w2) ** 2, w1**2

    def product(t: Array) -> Array:
        e2, inner = factors(np.asarray(t))
        # e^2 decays by many orders of magnitude: without its size only the sign is left, and no root is lost.
        return np.asarray((e2 @ shared) / (e2 @ np.abs(shared)) * (inner @ shared))

    e2, inner = factors(predicted.times)
    error, hidden_likeness = e2 @ shared, inner @ shared
    flips = sign_changes(product, predicted.times) if np.abs(shared).max() > 1e-12 else np.array([])
    influence = -(scene.task.n_items**2) * error * hidden_likeness
    return Anatomy(
        predicted.times,
        hidden_likeness,
        error,
        e2 * shared,
        influence,
        visible_flips(flips, predicted.times, influence),
    )


def chosen_pair(
    scene: Scene, source: str | None, target: str | None, *, a0: float, lam: float = 0.0
) -> tuple[int, int]:
    """Positions of two different items; those not named: the first, and the one whose sign changes most clearly.

    The clearest change: the smaller of the largest help and the largest harm over time is largest.
    """
    task = scene.task
    if source is not None and source == target:
        raise WorkbenchError(f"source and target are both {source!r}; give two different items")
    if target is not None and source is None:
        j = task.item_index(target)
        return int(j == 0), j
    i = task.item_index(source) if source is not None else 0
    if target is not None:
        return i, task.item_index(target)
    influence = curves(ExplorerState(a0=a0, lam=lam, hidden=scene.modes.rank), scene).influence[:, i]
    clear = np.minimum(-influence.min(axis=0), influence.max(axis=0))
    clear[i] = -np.inf
    # Equal by symmetry up to rounding: the first of them.
    return i, int(np.flatnonzero(clear >= clear.max() - 1e-9 * abs(clear.max()))[0])
