"""`workbench explore --export`: the analytic side as one file that needs no server and no network.

Every curve is computed beforehand on a grid of depths and initial strengths. Sliders, filters and JavaScript of the
page are Bokeh's: a slider's value is linked to the filter that keeps the rows it picks; no JavaScript is written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.explorer.model import SLOW_ITEMS, Curves, curves
from workbench.explorer.scene import Scene
from workbench.explorer.state import RANGES, ExplorerState
from workbench.influence import MEASURES, gradient_kernel, leave_one_out

Array = NDArray[np.float64]

DEPTHS = (1, 2, 3, 4)
#: Initial strengths as shares of the weakest mode's final strength: small starts learn in stages, large ones do not.
STARTS = (0.0005, 0.002, 0.01, 0.05, 0.2)
#: Points of a curve, and moments of the matrix.
POINTS, MOMENTS = 61, 31
#: Rows of pairs times measures that keep the file below 5 MB.
MOST_ROWS = 4000


@dataclass(frozen=True, eq=False)
class Cell:
    """One depth and one initial strength.

    Attributes:
        names: of the G groups of modes. times, loss: ``(T,)``. strengths: ``(T, G)``.
        influence: ``(T, P, P)`` time, source, target, by measure.
    """

    depth: int
    a0: float
    names: tuple[str, ...]
    times: Array
    strengths: Array
    loss: Array
    influence: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Grid:
    """All cells of a task, and the items whose pairs are in them."""

    scene: Scene
    items: tuple[str, ...]
    starts: tuple[float, ...]
    measures: tuple[str, ...]
    cells: tuple[Cell, ...]


def grid(state: ExplorerState, scene: Scene, advance: Callable[[int], Any] = lambda done: None) -> Grid:
    """Compute the curves of every depth and initial strength; ``advance`` is called with 1 after each."""
    final = scene.modes.s / scene.c
    # Modes that are weaker than any start on the slider are not waited for.
    weakest = max(float(final.min()), RANGES["a0"][0] / STARTS[0])
    starts = tuple(float(f"{share * weakest:.1g}") for share in STARTS)
    slow = scene.task.n_items > SLOW_ITEMS
    measures = (gradient_kernel.name,) if slow else (gradient_kernel.name, leave_one_out.name)
    if not (final > 0).all():
        raise WorkbenchError("the task has a mode of strength 0, which is never learned; leave it out of the table")
    cells = []
    for depth in DEPTHS:
        for a0 in starts:
            at = replace(state, depth=depth, a0=a0, lam=0.0)
            cells.append(_cell(at, scene, measures))
            advance(1)
    room = int(np.sqrt(MOST_ROWS / (len(cells) * len(measures))))
    kept = scene.task.items if len(scene.task.items) <= room else _spread(scene, room)
    return Grid(scene, kept, starts, measures, tuple(cells))


def n_cells() -> int:
    """How many steps `grid` reports."""
    return len(DEPTHS) * len(STARTS)


def _spread(scene: Scene, room: int) -> tuple[str, ...]:
    """As many items as there is room for, evenly along the order in which the figures show them."""
    order = np.asarray(scene.order.order)
    chosen = order[np.unique(np.linspace(0, len(order) - 1, room).round().astype(int))]
    return tuple(scene.task.items[k] for k in chosen)


def _cell(state: ExplorerState, scene: Scene, measures: tuple[str, ...]) -> Cell:
    by_measure: dict[str, Curves] = {name: curves(replace(state, measure=name), scene) for name in measures}
    first = by_measure[measures[0]]
    times = np.linspace(0.0, first.end, POINTS)
    groups = scene.groups(scene.modes.rank if state.depth == 1 else state.hidden)

    def along(at: Array, values: Array) -> Array:
        flat = values.reshape(len(at), -1)
        columns = [np.interp(times, at, column) for column in flat.T]
        return np.stack(columns, axis=1).reshape(POINTS, *values.shape[1:])

    return Cell(
        state.depth,
        state.a0,
        scene.mode_names(groups),
        times,
        along(first.times, first.strengths),
        along(first.times, first.loss),
        {name: along(one.influence_times, one.influence) for name, one in by_measure.items()},
    )


def title_of(name: str) -> str:
    """What a measure is called on the page."""
    return MEASURES[name].short
