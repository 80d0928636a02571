"""Modes that share a curve, as one group: the one place that decides when two modes are equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import RANK_TOLERANCE, Modes

Array = NDArray[np.float64]

#: Singular values nearer than this fraction of the largest are one: where the rank takes a singular value for 0.
EQUAL = RANK_TOLERANCE


@dataclass(frozen=True, eq=False)
class ModeGroups:
    """Modes of equal singular value that have all, or all lack, a hidden unit: nothing tells their curves apart.

    Attributes:
        s: ``(G,)`` singular values, descending.
        learned: ``(G,)`` whether there are hidden units for them.
        of_mode: group of each mode, ``(K,)``, or ``(P,)`` with null modes.
        projectors: ``(G, P, P)``, ``sum over the group of v_ai v_aj``.
        size: ``(G,)`` how many modes.
        names: ``(G,)`` such as ``level 1``, ``mode 3``, ``modes 4-7``.
    """

    s: Array
    learned: NDArray[np.bool_]
    of_mode: NDArray[np.intp]
    projectors: Array
    size: Array
    names: tuple[str, ...]

    @property
    def first(self) -> NDArray[np.intp]:
        """``(G,)`` index of the first mode of each group."""
        return np.unique(self.of_mode, return_index=True)[1]


def mode_groups(
    modes: Modes, active: int | None = None, *, null: bool = False, apart: Array | None = None
) -> ModeGroups:
    """The groups of modes in a network whose ``active`` strongest have a hidden unit (all unless given).

    ``null`` counts the directions without signal as modes of singular value 0 too. ``apart`` ``(T, modes)`` are
    strengths that must agree in a group as well, for networks whose equal modes did not start alike.
    """
    active = modes.rank if active is None else active
    if not 0 <= active <= modes.rank:
        raise ConditionError(
            f"0 <= active <= {modes.rank}", f"active = {active}", "use the number of modes that have a hidden unit"
        )
    s = modes.s_all if null else modes.s
    learned = np.arange(len(s)) < active
    # Modes are sorted by strength, so a group is a run of neighbours.
    new = (-np.diff(s) > EQUAL * s[0]) | (np.diff(learned.astype(int)) != 0)
    if apart is not None and apart.size:
        new |= np.abs(np.diff(apart, axis=1)).max(axis=0) > EQUAL * np.abs(apart).max()
    of_mode = np.concatenate([[0], np.cumsum(new)]).astype(np.intp)
    members = np.split(np.arange(len(s)), np.flatnonzero(new) + 1)
    return ModeGroups(
        s=np.array([s[g[0]] for g in members]),
        learned=np.array([learned[g[0]] for g in members]),
        of_mode=of_mode,
        projectors=np.stack([modes.V[:, g] @ modes.V[:, g].T for g in members]),
        size=np.bincount(of_mode).astype(np.float64),
        names=tuple(_name(modes, g) for g in members),
    )


def _name(modes: Modes, members: NDArray[np.intp]) -> str:
    if modes.level is not None:
        return "level " + "+".join(map(str, sorted({int(modes.level[k]) for k in members})))
    if len(members) == 1:
        return f"mode {members[0] + 1}"
    return f"modes {members[0] + 1}–{members[-1] + 1}"
