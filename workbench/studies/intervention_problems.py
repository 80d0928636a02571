"""The problems of the study of interventions: networks, targets, and what weighing each cell is expected to gain."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from workbench import theory
from workbench.influence import MEASURES
from workbench.networks import Network
from workbench.studies.pairs import usual_networks
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


def stated_problems(inquiry: Inquiry) -> dict[str, dict[str, Problem]]:
    """By network: one item as target, with and without its own weight free; half of the items, all weights free.

    Raises:
        WorkbenchError: for tasks that are too small or too large.
    """
    networks = usual_networks(inquiry)
    inquiry.allow(3, _MOST_ITEMS, "it trains every choice of items and windows")
    return {
        name: {
            f"{label}, to {share:.0%}": stated_problem(start, targets, allowed, share)
            for label, (targets, allowed) in _asked(start.task.n_items).items()
            for share in SHARES
        }
        for name, start in networks.items()
    }


def _asked(P: int) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Targets and items that may be weighed, ``(P,)`` each."""
    one, half = np.arange(P) == 0, np.arange(P) < (P + 1) // 2
    every = np.ones(P, dtype=bool)
    return {"one item": (one, every), "one item, by others": (one, ~one), "half of the items": (half, every)}


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
    kernel = np.asarray(MEASURES["gradient_kernel"](theory.predict(start, [T])).values)[0]
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
