"""What stays while sliders move: the task, its modes in groups of one curve, the places of the items."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.explorer.state import GIVEN, ExplorerState
from workbench.figures.arrangement import Arrangement, arranged
from workbench.semantics import Modes, SemanticTask, singular_modes, task_from_csv_text, task_from_spec
from workbench.semantics.columns import prepared
from workbench.theory.modes.groups import ModeGroups, mode_groups
from workbench.theory.posterior.hessian import ordinary_loss

Array = NDArray[np.float64]

#: More items than this are neither drawn legibly nor computed while a slider moves.
MAX_ITEMS = 40


@dataclass(frozen=True, eq=False)
class Scene:
    """A task, ready for drawing.

    Attributes:
        unit: what a value of 1 in ``task`` stands for in the table as given: 1, or a power of ten that brings a table
            in thousands or thousandths to where the sliders are.
    """

    task: SemanticTask
    modes: Modes
    order: Arrangement
    unit: float = 1.0

    @classmethod
    def of(cls, task: SemanticTask) -> Scene:
        """Prepare a task."""
        if task.n_items > MAX_ITEMS:
            raise WorkbenchError(
                f"{task.n_items} items; the explorer shows up to {MAX_ITEMS}: use `workbench compare` for larger tasks"
            )
        modes = singular_modes(task)
        unit = _unit(modes)
        if unit != 1:
            task = replace(task, Y=task.Y / unit)
            modes = singular_modes(task)
        return cls(task, modes, arranged(task.Y, task.common_ancestor_level), unit)

    def mode_names(self, groups: ModeGroups) -> tuple[str, ...]:
        """Names of groups; "level 2 (1 of 2)" where a narrow layer learns only some modes of a level."""
        whole = self.groups(self.modes.rank)
        parts = [whole.of_mode[first] for first in groups.first]
        return tuple(
            name if size == whole.size[k] else f"{whole.names[k]} ({int(size)} of {int(whole.size[k])})"
            for name, size, k in zip(groups.names, groups.size, parts, strict=True)
        )

    def too_narrow(self, width: int) -> str:
        """What a layer of this width never learns, in one sentence; empty if it learns all."""
        groups = self.groups(width)
        if groups.learned.all():
            return ""
        names = [name for name, learned in zip(self.mode_names(groups), groups.learned, strict=True) if not learned]
        listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        verb = "are" if len(names) > 1 or names[0].startswith("modes") else "is"
        return f"{self.active(width)} units for {self.modes.rank} modes: {listed} {verb} never learned"

    def active(self, width: int) -> int:
        """How many modes a layer of this width can learn."""
        return min(width, self.modes.rank)

    def groups(self, width: int) -> ModeGroups:
        """The groups of a network with this narrowest layer."""
        active = self.active(width)
        if active not in self._groups:
            self._groups[active] = mode_groups(self.modes, active)
        return self._groups[active]

    @cached_property
    def _groups(self) -> dict[int, ModeGroups]:
        return {}

    @property
    def c(self) -> float:
        """Input scale."""
        return self.modes.c

    @cached_property
    def rest_loss(self) -> float:
        """Loss that no linear network removes."""
        whole = float((self.task.Y**2).sum()) / (2 * self.task.n_items)
        return max(0.0, whole - self.modes.learnable_loss)

    def source_index(self, state: ExplorerState) -> int:
        """Position of the source item."""
        return self.task.item_index(state.source) if state.source else 0

    def target_indices(self, state: ExplorerState) -> tuple[int, ...]:
        """Positions of the targets; without any, that of the item most like the source."""
        if state.targets:
            return tuple(dict.fromkeys(self.task.item_index(name) for name in state.targets))
        i = self.source_index(state)
        likeness = self.task.Y.T @ self.task.Y[:, i]
        likeness[i] = -np.inf
        return (int(np.argmax(likeness)),)


def _unit(modes: Modes) -> float:
    return 1.0 if ordinary_loss(modes) else 10.0 ** round(np.log10(modes.learnable_loss / 2) / 2)


def scene_of(state: ExplorerState, given: Scene | None = None) -> Scene:
    """The scene a state asks for; ``given`` is that of the task handed over in Python."""
    if state.task == GIVEN:
        if given is None:
            raise WorkbenchError("this state belongs to a task handed over in Python; call explore(task, state=...)")
        return _given_scene(given, state.prepare)
    return _scene(state.task, state.table, state.prepare)


@lru_cache(maxsize=4)
def _given_scene(given: Scene, prepare: str) -> Scene:
    return Scene.of(_prepared(given.task, prepare)) if prepare else given


@lru_cache(maxsize=16)
def _scene(task: str, table: str, prepare: str) -> Scene:
    kind, _, name = task.partition(":")
    if kind == "csv":
        if not table:
            raise WorkbenchError("no table has been uploaded; choose a CSV file: items down, properties across")
        made = task_from_csv_text(table, name=name or "uploaded table", where=name or "uploaded table")
    else:
        made = task_from_spec(task)  # of a kind that a state may have, none of which opens a file
    return Scene.of(_prepared(made, prepare))


def _prepared(task: SemanticTask, prepare: str) -> SemanticTask:
    return prepared(task, centre=prepare == "centred", standardise=prepare == "standardised")
