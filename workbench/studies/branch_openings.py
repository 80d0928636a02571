"""When branches of the hidden representation open: by formula, and read off a trained network."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from workbench.semantics import Modes, SemanticTask, singular_modes
from workbench.theory.modes.rise_time import rise_time
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: A branch is open where the distance of its centres has reached this share of its last value.
OPEN = 0.5


def ancestor_levels(task: SemanticTask) -> NDArray[np.int64]:
    """``(P, P)`` levels of common ancestors, of a task that has a tree."""
    levels = task.common_ancestor_level
    assert levels is not None
    return levels


def opening_times(task: SemanticTask, a0: ArrayLike, n_levels: int, share: float = OPEN) -> Array:
    """``(level,)`` when branches under nodes of each level open, for balanced modes that start at a0; see `branching`.

    Modes of level m + 1 are those that tell children of a level-m node apart and are the same within a child; on a tree
    that is not symmetric their mean singular value stands for them.
    """
    modes, levels = _modes_and_levels(task)
    times = []
    for m in range(n_levels):
        s = modes.s[levels == m + 1]
        times.append(float(rise_time(share**2, s.mean(), c=modes.c, a0=a0)) if len(s) else float("nan"))
    return np.array(times)


def _modes_and_levels(task: SemanticTask) -> tuple[Modes, NDArray[np.int64]]:
    """The modes, and ``(K,)`` the level each belongs to: the deepest at which it still differs between siblings."""
    modes = singular_modes(task)
    if modes.level is not None:
        return modes, modes.level[: modes.rank]
    common, V = ancestor_levels(task), modes.V[:, : modes.rank]
    # Share of a mode's variation between items that part at each level.
    gaps = (V[:, None, :] - V[None, :, :]) ** 2
    depth = int(common.max())
    by_level = np.stack([gaps[common == m].mean(axis=0) for m in range(depth)])
    level = np.where(np.ptp(V, axis=0) < 1e-6, 0, 1 + (by_level >= 0.5 * by_level.max(axis=0)).argmax(axis=0))
    if level.size:
        level[0] = 0
    return modes, level


def hidden_representations(run: Trajectory) -> Array:
    """``(T, P, H)`` of all items at all checkpoints."""
    return np.asarray(np.einsum("thn,np->tph", run.weights[0], run.task.X))


def measured_opening(run: Trajectory, level: int) -> float:
    """Mean over the nodes of a level of when the centres of their children are ``OPEN`` of the last distance apart."""
    common, hidden, times = ancestor_levels(run.task), hidden_representations(run), []
    for first in np.unique((common >= level).argmax(axis=1)):
        members = np.flatnonzero(common[first] >= level)
        child = (common[members] >= level + 1).argmax(axis=1)
        centres = np.stack([hidden[:, members[child == c]].mean(axis=1) for c in np.unique(child)])
        apart = np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max(axis=0)
        below = np.flatnonzero(apart >= OPEN * apart[-1])
        if len(centres) > 1 and below[0] > 0:
            roots = CubicSpline(run.times, apart).solve(OPEN * apart[-1], extrapolate=False)
            times += [float(roots[0])] if len(roots) else []
    return float(np.mean(times)) if times else float("nan")
