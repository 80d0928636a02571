"""One block of cells, from plan to arrays: seeds are trained side by side, everything else cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.comparison import compare
from workbench.comparison.planning import Schedules, planned_schedules
from workbench.comparison.training import init_of, initial_network, recipe_of
from workbench.errors import WorkbenchError
from workbench.parallel import on_one_core
from workbench.sweeps.layout import Arrays, Layout, arrays_of
from workbench.sweeps.plan import Plan, prepared_task, shared_schedules, trains_together
from workbench.trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class Cell:
    """What came of a cell.

    Attributes:
        number: see `Plan`.
        arrays: by variable; None if it failed.
        message: why it failed; empty if it did not.
    """

    number: int
    arrays: Arrays | None
    message: str = ""


def computed(plan: Plan, layout: Layout, block: Sequence[int]) -> Iterator[Cell]:
    """The cells of a block, one after the other; a cell that fails says why, and the others go on."""
    from workbench.simulation.running.threads import torch_threads

    with on_one_core(), torch_threads(1):
        try:
            schedules = shared_schedules(plan, block[0])
        except Exception as error:
            schedules, trained = None, {}
            if len(block) == 1:
                yield Cell(block[0], None, _message(error))
                return
        else:
            trained = _trained(plan, block, schedules)
        for number in block:
            try:
                comparison = compare(
                    plan.task_of(number),
                    plan.settings_of(number),
                    sides=plan.sides,
                    schedules=schedules,
                    trained=trained.get(number),
                    curved=False,
                )
                cell = Cell(number, arrays_of(comparison, layout))
            except Exception as error:
                cell = Cell(number, None, _message(error))
            yield cell


def _trained(plan: Plan, block: Sequence[int], schedules: Schedules | None) -> dict[int, Trajectory]:
    """The networks of a block trained side by side, by cell; none where that cannot be, or fails for one of them."""
    if len(block) < 2 or not trains_together(plan, block[0]):
        return {}
    from workbench.simulation import Place, train_networks

    try:
        settings = [plan.settings_of(number) for number in block]
        first, task = settings[0], prepared_task(plan, block[0], settings[0])
        starts = [initial_network(task, one, init_of(task, one)) for one in settings]
        recipe = recipe_of(first, (schedules or planned_schedules(starts[0], first)).training)
        runs = train_networks(starts, recipe, place=Place(first.resolve_device()))
    except WorkbenchError:
        return {}  # each of them is then trained by itself, and says what is wrong with it
    return dict(zip(block, runs, strict=True))


def _message(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {words}"
