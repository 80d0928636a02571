"""What every cell of a sweep consists of: the variables, their dims and their lengths, the same for all cells.

Cells may differ in the number of items, modes and checkpoints, and in the groups of pairs that there are: every array
has room for the most, and nan where a cell has less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench import dataset
from workbench.agreement import ALL_OTHERS, error_table, event_table, pair_groups
from workbench.comparison import Comparison
from workbench.comparison.settings import Settings
from workbench.errors import WorkbenchError, human_bytes
from workbench.influence.quantities import SIDES
from workbench.semantics import SemanticTask
from workbench.sweeps.plan import Plan, prepared_task

Array = NDArray[np.float64]
Arrays = dict[str, Array]

#: Sign changes of a curve that are kept; more are noise.
_FLIPS = 4
_EVENTS = (*(f"flip {k + 1}" for k in range(_FLIPS)), "most helpful", "most harmful")
_ALL = ("all pairs", "item on itself", ALL_OTHERS)
#: Of a cell: what was chosen for it, and the names of these in the attributes of a comparison.
_CHOSEN = {"eta": "eta", "steps": "steps", "n_beta": "n_beta", "gamma": "gamma"}
#: One cell of more bytes, or a result in memory, is refused.
MOST_BYTES = 2e9
_LONG_NAMES = {
    "time": ("flow time", "flow time t"),
    "event_time": ("when the mean curve of a group of pairs changes sign or peaks", "flow time t"),
    "relative_l2": ("relative difference between the sides", "1"),
    "same_sign": ("share of the predicted influence whose sign is right", "1"),
    "eta": ("learning rate", "flow time / step"),
}


@dataclass(frozen=True)
class Layout:
    """The arrays of a cell.

    Attributes:
        dims: length of every dimension of a cell.
        coords: names along those that have them.
        variables: dims of every variable.
    """

    dims: Mapping[str, int]
    coords: Mapping[str, tuple[str, ...]]
    variables: Mapping[str, tuple[str, ...]]

    def size(self, name: str) -> tuple[int, ...]:
        """Shape of a variable in one cell."""
        return tuple(self.dims[dim] for dim in self.variables[name])

    @property
    def bytes_per_cell(self) -> float:
        """Of all its arrays."""
        return 8.0 * sum(float(np.prod(self.size(name))) for name in self.variables)

    def attrs(self, name: str) -> dict[str, str]:
        """Long name and unit of a variable."""
        known = _LONG_NAMES.get(name)
        return {} if known is None else {"long_name": known[0], "units": known[1]}


def layout_of(plan: Plan) -> Layout:
    """Room for every cell.

    Raises:
        WorkbenchError: if no cell has a task, or one cell would be too large.
    """
    tasks, settings = _tasks(plan)
    P = max(task.n_items for task in tasks)
    names = {task.items for task in tasks}
    pairs = tuple(dict.fromkeys((*_ALL, *(name for task in tasks for name in pair_groups(task)))))
    measures = tuple(measure.name for measure in plan.settings.asked)
    dims = {
        "checkpoint": max(one.checkpoints for one in settings),
        "mode": max(min(task.n_items, task.n_inputs, task.n_outputs) for task in tasks),
        "source": P,
        "target": P,
        "side": len(SIDES),
        "measure": len(measures),
        "pairs": len(pairs),
        "event": len(_EVENTS),
    }
    coords = {"side": SIDES, "measure": measures, "pairs": pairs, "event": _EVENTS}
    if len(names) == 1:
        (items,) = names
        coords |= {"source": items, "target": items}
    layout = Layout(dims, coords, _variables(plan))
    if layout.bytes_per_cell > MOST_BYTES:
        raise WorkbenchError(
            f"one cell of {P} items and {dims['checkpoint']} checkpoints takes {human_bytes(layout.bytes_per_cell)} "
            f"(limit {human_bytes(MOST_BYTES)}); use fewer `checkpoints` or `measures`"
        )
    return layout


def _tasks(plan: Plan) -> tuple[list[SemanticTask], list[Settings]]:
    """The different tasks and settings of the cells; cells that have none fail by themselves."""
    tasks: dict[str, SemanticTask] = {}
    settings: dict[int, Settings] = {}
    failure: WorkbenchError | None = None
    seen: set[tuple[Any, ...]] = set()
    for cell in range(plan.n_cells):
        values = plan.values(cell)
        decisive = ("task", "branching", "flip_probability", "seed", "checkpoints", "centre", "standardise")
        key = tuple(values.get(name) for name in decisive)
        if key in seen:
            continue
        seen.add(key)
        try:
            one = plan.settings_of(cell)
            task = prepared_task(plan, cell, one)
        except WorkbenchError as error:
            failure = error
            seen.discard(key)  # the next cell with these values may have a task
            continue
        tasks[task.digest] = task
        settings[one.checkpoints] = one
    if not tasks:
        raise failure or WorkbenchError("a sweep without cells; give `over` values")
    return list(tasks.values()), list(settings.values())


def _variables(plan: Plan) -> dict[str, tuple[str, ...]]:
    pair = ("checkpoint", "source", "target")
    dims: dict[str, tuple[str, ...]] = {"time": ("checkpoint",), "singular_value": ("mode",)}
    for side in plan.sides:
        dims[f"loss_{side}"] = ("checkpoint",)
        dims[f"mode_strength_{side}"] = ("checkpoint", "mode")
    for measure in plan.settings.asked:
        for side in (side for side in measure.sides if side in plan.sides):
            dims[dataset.variable(measure.name, side)] = pair
            if side == "simulated" and measure.sampled:
                dims[f"{dataset.variable(measure.name, side)}_stderr"] = pair
    dims["event_time"] = ("side", "measure", "pairs", "event")
    if len(plan.sides) == 2:
        dims |= {"relative_l2": ("measure", "pairs"), "same_sign": ("measure", "pairs")}
    fields = {axis.name for axis in plan.axes}  # what is run over is a coordinate
    return dims | {name: () for name in _CHOSEN if name not in fields}


def arrays_of(comparison: Comparison, layout: Layout) -> Arrays:
    """The arrays of one cell."""
    ds = comparison.dataset
    arrays: Arrays = {}
    for name, dims in layout.variables.items():
        room = np.full(layout.size(name), np.nan)
        if name in ds:
            values = np.asarray(ds[name].values, dtype=np.float64)
            room[tuple(slice(n) for n in values.shape)] = values
        elif name in _CHOSEN and dims == ():
            room[()] = float(ds.attrs[_CHOSEN[name]])
        arrays[name] = room
    _fill_tables(arrays, comparison, layout)
    return arrays


def _fill_tables(arrays: Arrays, comparison: Comparison, layout: Layout) -> None:
    """Events, and the differences between the sides."""
    place = {dim: {name: k for k, name in enumerate(names)} for dim, names in layout.coords.items()}
    for row in event_table(comparison.dataset).to_dict("records"):
        if row["event"] not in place["event"]:
            continue
        for k, side in enumerate(SIDES):
            where = (k, *(place[dim][row[dim]] for dim in ("measure", "pairs", "event")))
            arrays["event_time"][where] = row[side]
    for row in error_table(comparison.dataset).to_dict("records") if "relative_l2" in arrays else ():
        for name in {"relative_l2", "same_sign"} & arrays.keys():
            arrays[name][place["measure"][row["measure"]], place["pairs"][row["pairs"]]] = row.get(name, np.nan)
