"""What a click in the picture means: another pair, another time."""

from __future__ import annotations

from dataclasses import replace

from workbench.explorer.model import Curves
from workbench.explorer.panels import Panels
from workbench.explorer.state import ExplorerState


def picked(
    panels: Panels, state: ExplorerState, curves: Curves, ax: object, x: float, y: float, shift: bool
) -> ExplorerState:
    """The state after a click at a place in one of the axes.

    A cell of the matrix is a pair; a curve is a target at a time; an item of the tree is a target, or with shift the
    source; a place in another panel over time is a time.
    """
    names = panels.scene.task.items
    time = min(max(x, 0.0), curves.end)
    if ax is panels.matrix.ax:
        i, j = panels.matrix.pair_at(x, y)
        return replace(state, source=names[i], targets=(names[j],))
    if ax is panels.tree.ax:
        item = names[panels.tree.item_at[min(max(round(y), 0), len(names) - 1)]]
        return replace(state, source=item) if shift else replace(state, targets=(item,))
    if ax is panels.influence:
        j = panels.nearest_curve(curves, panels.scene.source_index(state), time, y)
        return replace(state, targets=(names[j],), time=time)
    return replace(state, time=time) if ax in panels.time_axes else state
