"""One moment of the explorer: all that the panels need to draw it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from workbench.explorer.model import Curves, curves, width
from workbench.explorer.scene import Scene, scene_of
from workbench.explorer.simulate import Simulated
from workbench.explorer.state import ExplorerState
from workbench.theory.modes.groups import ModeGroups

#: How strongly simulated points are drawn: of the picture's own state, and of an earlier one.
FRESH, STALE = 1.0, 0.25


@dataclass(frozen=True, eq=False)
class Kept:
    """Curves kept for comparison, and in which settings they differ from those shown."""

    label: str
    state: ExplorerState
    scene: Scene
    curves: Curves


@dataclass(frozen=True, eq=False)
class Frame:
    """What is drawn.

    Attributes:
        simulated: what simulation found, of this state if ``fresh``, or else of an earlier one.
        kept: other curves beside these.
        measures: the curves of every measure for the state, by name; empty unless they are asked for.
        beside: curves at this frame's side, whose axes and colours have the same ends.
    """

    state: ExplorerState
    scene: Scene
    curves: Curves
    simulated: Simulated | None = None
    fresh: bool = False
    kept: tuple[Kept, ...] = ()
    measures: dict[str, Curves] = field(default_factory=dict)
    beside: Curves | None = None

    @cached_property
    def groups(self) -> ModeGroups:
        """Modes that share a curve."""
        return self.scene.groups(width(self.state, self.scene))

    @cached_property
    def source(self) -> int:
        """Position of the source item."""
        return self.scene.source_index(self.state)

    @cached_property
    def targets(self) -> tuple[int, ...]:
        """Positions of the targets."""
        return self.scene.target_indices(self.state)

    @property
    def time(self) -> float:
        """The time shown."""
        return min(self.state.time, self.curves.end)

    @property
    def in_range(self) -> tuple[Curves, ...]:
        """The curves that axes and colours have room for."""
        return (self.curves,) if self.beside is None else (self.curves, self.beside)

    @property
    def end(self) -> float:
        """Where axes over time end."""
        return max(curves.end for curves in self.in_range)

    @property
    def alpha(self) -> float:
        """How strongly the simulated points are drawn."""
        return FRESH if self.fresh else STALE

    def sides(self) -> tuple[Frame, Frame]:
        """The frame of the curves kept last and this one, side by side; this one twice where that has other items."""
        if not (self.state.beside and self.kept):
            return self, self
        kept = self.kept[-1]
        names = [self.scene.task.items[k] for k in (self.source, *self.targets)]
        if not set(kept.scene.task.items).issuperset(names):
            return self, self
        other = Frame(kept.state.picking(self.state), kept.scene, kept.curves)
        if kept.state.measure != self.state.measure or kept.scene.task.n_items != self.scene.task.n_items:
            return other, self
        return replace(other, beside=self.curves), replace(self, beside=kept.curves)


def kept_curves(state: ExplorerState) -> tuple[Kept, ...]:
    """The curves that a state keeps, each with what differs from the state."""
    made = []
    for query in state.kept:
        kept, scene, predicted = _kept(query, state.table)
        made.append(Kept(kept.differences(state), kept, scene, predicted))
    return tuple(made)


@lru_cache(maxsize=12)
def _kept(query: str, table: str) -> tuple[ExplorerState, Scene, Curves]:
    kept = ExplorerState.from_query(query)
    scene = scene_of(kept)
    return kept, scene, curves(kept, scene)
