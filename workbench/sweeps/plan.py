"""The cells of a sweep: which task and which settings each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from workbench.comparison.ensemble import shared_schedules as schedules_of_starts
from workbench.comparison.planning import Schedules
from workbench.comparison.settings import Settings
from workbench.comparison.training import init_of, initial_network, why_unpredicted
from workbench.errors import WorkbenchError
from workbench.influence.quantities import SIDES, Side
from workbench.semantics import SemanticTask, prepared, task_from_spec
from workbench.sweeps.axes import START, TASK, Axis, axes_of

#: Seeds that are trained side by side.
_SEEDS_TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sweep is asked for; cells are numbered in the order of `numpy.ravel_multi_index`, the last axis fastest.

    Attributes:
        task: a task, or its text as on the command line.
        settings: of every cell, but for what the axes change.
        axes: see `Axis`.
        sides: which are computed.
    """

    task: SemanticTask | str
    settings: Settings
    axes: tuple[Axis, ...]
    sides: tuple[Side, ...] = SIDES

    @property
    def shape(self) -> tuple[int, ...]:
        """Values of every axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return int(np.prod(self.shape))

    def position(self, cell: int) -> tuple[int, ...]:
        """Where a cell is on every axis."""
        return tuple(int(k) for k in np.unravel_index(cell, self.shape))

    def values(self, cell: int) -> dict[str, Any]:
        """The values of the fields in a cell."""
        return {axis.name: axis.values[k] for axis, k in zip(self.axes, self.position(cell), strict=True)}

    def words(self, cell: int) -> str:
        """``depth 3, seed 1``: which cell it is."""
        places = zip(self.axes, self.position(cell), strict=True)
        return ", ".join(f"{axis.name} {axis.labels[k]}" for axis, k in places)

    def task_of(self, cell: int) -> SemanticTask:
        """The task of a cell."""
        values = self.values(cell)
        if isinstance(self.task, SemanticTask):
            return self.task
        return _task(spec_of(self.task, values), values.get("seed", self.settings.seed))

    def settings_of(self, cell: int) -> Settings:
        """The settings of a cell, without what its `family` shares."""
        values = self.values(cell)
        changes = {name: value for name, value in values.items() if name not in (*START, *TASK)}
        for name, kind in START.items():
            if name in values:
                changes["init"] = f"{kind}:{values[name]!r}"
        spec = None if isinstance(self.task, SemanticTask) else spec_of(self.task, values)
        return replace(self.settings, task=spec, **changes)

    def family(self, cell: int) -> list[int]:
        """The cells that differ from one in the seed alone, itself among them."""
        axis = next((k for k, axis in enumerate(self.axes) if axis.name == "seed"), None)
        if axis is None:
            return [cell]
        place = list(self.position(cell))
        cells = []
        for k in range(self.shape[axis]):
            place[axis] = k
            cells.append(int(np.ravel_multi_index(tuple(place), self.shape)))
        return cells

    def blocks(self) -> list[tuple[int, ...]]:
        """The cells in the portions in which they are computed: seeds together where only training takes time."""
        if not quick(self):
            return [(cell,) for cell in range(self.n_cells)]
        families = {min(family): family for family in map(self.family, range(self.n_cells))}
        return [
            tuple(family[first : first + _SEEDS_TOGETHER])
            for family in families.values()
            for first in range(0, len(family), _SEEDS_TOGETHER)
        ]

    @property
    def record(self) -> dict[str, Any]:
        """As plain data."""
        over = {axis.name: [list(v) if isinstance(v, tuple) else v for v in axis.values] for axis in self.axes}
        return {"settings": self.settings.record(), "over": over, "sides": list(self.sides)}


def plan_of(
    task: SemanticTask | str,
    settings: Settings | None,
    over: Mapping[str, Iterable[Any]],
    sides: Sequence[Side] = SIDES,
) -> Plan:
    """A checked `Plan`; what is wrong with single cells is found when they are computed."""
    plan = Plan(task, settings or Settings(), axes_of(over), tuple(side for side in SIDES if side in sides))
    if plan.settings.seeds > 1:
        raise WorkbenchError(f"`seeds` {plan.settings.seeds}; a sweep has them as an axis: give `over` seed=0:20")
    ofs = [axis.name for axis in plan.axes if axis.name in TASK]
    if isinstance(task, SemanticTask) and ofs:
        raise WorkbenchError(
            f"`over` {ofs[0]} needs the task as text, such as 'tree' or 'diffusion:2,2,2:0.1', which each cell changes"
        )
    if not plan.sides:
        raise WorkbenchError("a sweep of no side; give analytic, simulated or both")
    reason = why_unpredicted(plan.settings)
    if reason and "simulated" not in plan.sides and not any(a.name in ("activation", "optimizer") for a in plan.axes):
        raise WorkbenchError(f"the analytic side alone was asked for, and {reason}; ask for the simulated side too")
    return plan


def shared_schedules(plan: Plan, cell: int) -> Schedules | None:
    """What all seeds of a cell's family have in place of schedules of their own; None where those are the same."""
    own, family = plan.settings_of(cell), plan.family(cell)
    random = init_of(prepared_task(plan, cell, own), own).kind == "gaussian"
    if len(family) == 1 or not random:
        return None
    starts = []
    for other in family:
        settings = plan.settings_of(other)
        task = prepared_task(plan, other, settings)
        starts.append(initial_network(task, settings, init_of(task, settings)))
    return schedules_of_starts(starts, own)


def spec_of(spec: str, values: Mapping[str, Any]) -> str:
    """The text of a cell's task.

    >>> spec_of("tree", {"branching": (3, 2), "flip_probability": 0.1})
    'diffusion:3,2:0.1'
    """
    spec = values.get("task", spec)
    changed = [name for name in ("branching", "flip_probability") if name in values]
    if not changed:
        return str(spec)
    kind, _, rest = str(spec).partition(":")
    if kind not in ("tree", "diffusion"):
        raise WorkbenchError(f"`over` {changed[0]} for task {spec!r}; only tree and diffusion tasks have that field")
    branching, *more = rest.split(":") if rest else ["2,2,2"]
    if "branching" in values:
        branching = ",".join(map(str, values["branching"]))
    if "flip_probability" in values:
        kind, more = "diffusion", [repr(float(values["flip_probability"])), *more[1:]]
    return ":".join([kind, branching, *more])


def _task(spec: str, seed: int) -> SemanticTask:
    """The same object for the same data: properties are drawn by a seed only where there is a number of them."""
    drawn = spec.startswith("diffusion:") and spec.count(":") == 3
    return _made(spec, max(seed, 0) if drawn else 0)


@lru_cache(maxsize=256)
def _made(spec: str, seed: int) -> SemanticTask:
    return task_from_spec(spec, seed=seed)


def prepared_task(plan: Plan, cell: int, settings: Settings) -> SemanticTask:
    """The task of a cell with its columns as the settings say."""
    return prepared(plan.task_of(cell), centre=settings.centre, standardise=settings.standardise)


def quick(plan: Plan) -> bool:
    """Whether nothing but training, if that, takes time in a cell."""
    return "simulated" not in plan.sides or not any(
        measure.retrains or measure.sampled for measure in plan.settings.asked
    )


def trains_together(plan: Plan, cell: int) -> bool:
    """Whether the networks of a cell's family differ in their initial weights alone."""
    settings = plan.settings_of(cell)
    if settings.train_batch is not None or settings.centre or settings.standardise:
        return False
    tasks = {id(plan.task_of(other)) for other in plan.family(cell)}
    return "simulated" in plan.sides and quick(plan) and len(tasks) == 1
