"""The problems of the study of interventions: networks, targets, and what weighing each cell is expected to gain."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from workbench import theory
from workbench.errors import WorkbenchError
from workbench.networks import Network, network
from workbench.studies.pairs import enough
from workbench.studies.study import Inquiry

Array = NDArray[np.float64]

#: Of training up to the time at which the targets reach their loss.
WINDOWS = 8
#: Loss of the targets at the end of the intervention, as a share of the first: early, in the middle, late.
SHARES = (0.6, 0.3, 0.1)
_MOST_ITEMS = 40


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, the items whose loss counts, and the cells that may be weighed.

    Attributes:
        start: the network.
        targets: ``(P,)`` whose mean loss counts.
        allowed: ``(P,)`` which items may be weighed.
        share: target loss over the first loss.
        time: T, when it is reached without intervention, by theory.
        value: ``(window, P)`` expected gain of time per unit of extra weight on a cell.
        kernel: ``(P,)`` end-point influence of every item on the targets.
    """

    start: Network
    targets: NDArray[np.bool_]
    allowed: NDArray[np.bool_]
    share: float
    time: float
    value: Array
    kernel: Array


def stated_problems(inquiry: Inquiry) -> dict[str, Problem]:
    """One item as target, with and without its own weight free; the first half of the items, with all weights free."""
    task = inquiry.task_or("tree")
    if not 3 <= task.n_items <= _MOST_ITEMS:
        raise WorkbenchError(f"interventions take a task of 3 to {_MOST_ITEMS} items; {task.name!r} has {task.n_items}")
    start = network(task, enough(task), "auto", seed=inquiry.seed)
    one, half = np.arange(task.n_items) == 0, np.arange(task.n_items) < (task.n_items + 1) // 2
    name = task.items[0]
    asked = {
        name: (one, ~one & False | True),
        f"{name}, by others": (one, ~one),
        "half of the items": (half, half | True),
    }
    return {
        f"{label}, to {share:.0%}": stated_problem(start, targets, allowed, share)
        for label, (targets, allowed) in asked.items()
        for share in SHARES
    }


def stated_problem(start: Network, targets: NDArray[np.bool_], allowed: NDArray[np.bool_], share: float) -> Problem:
    """What theory says of bringing the targets to a share of their first loss."""
    grid = np.linspace(0, theory.settling_time(start), 2001)
    loss = theory.predict(start, grid).item_losses[:, targets].mean(axis=1)
    T = time_reached(grid, loss, share * loss[0])
    slope = float(PchipInterpolator(grid, loss)(T, 1))
    assert start.a0 is not None
    edges = np.linspace(0, T, WINDOWS + 1)
    restricted = [
        theory.trajectory_derivative(
            start.modes, [T], a0=start.a0, active=start.active, depth=start.depth, window=(float(b), float(e))
        )[0]
        for b, e in pairwise(edges)
    ]
    # An extra weight w on item i is eps_i = w / P.
    change = np.stack(restricted)[:, :, targets].mean(axis=2) / start.task.n_items
    kernel = theory.gradient_kernel(start.modes, theory.mode_strengths(start, [T]))[0]
    return Problem(start, targets, allowed, share, T, change / slope, kernel[:, targets].mean(axis=1))


def time_reached(times: Array, losses: Array, goal: float) -> float:
    """The first time at which the loss is at the goal, by monotone interpolation; infinite if never."""
    below = np.flatnonzero(losses <= goal)
    if not below.size or below[0] == 0:
        return float("inf") if not below.size else float(times[0])
    k = int(below[0])
    part = slice(max(0, k - 3), k + 3)
    roots = PchipInterpolator(times[part], losses[part]).solve(goal, extrapolate=False)
    return float(roots[0])
