"""What several studies share: the networks they ask, and the events of the mean curves of groups of pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.agreement.events import curve_events, event_floor
from workbench.agreement.groups import pair_groups
from workbench.networks import Network, network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.studies.study import Inquiry

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: What is read off a curve, in this order.
EVENTS = ("flip 1", "flip 2", "most helpful", "most harmful")


def usual_networks(inquiry: Inquiry) -> dict[str, Network]:
    """By name: the default tree and the 8-item table in two layers, the tree in three; a task of the user's in both."""
    if inquiry.task is not None:
        tasks = {"two layers": (inquiry.task, 2), "three layers": (inquiry.task, 3)}
    else:
        tree, table = (task_from_spec(spec, seed=inquiry.seed) for spec in ("tree", "table:rumelhart"))
        tasks = {"tree": (tree, 2), "table": (table, 2), "tree, three layers": (tree, 3)}
    return {
        name: network(task, hidden=enough(task), init="auto", depth=depth, seed=inquiry.seed)
        for name, (task, depth) in tasks.items()
    }


def enough(task: SemanticTask) -> int:
    """Hidden units: one for every mode, and at least 16."""
    return max(16, min(task.n_items, task.n_outputs))


def groups_far_first(task: SemanticTask) -> tuple[list[str], list[Mask]]:
    """`pair_groups`, the most distant first on a tree and on a table."""
    groups = pair_groups(task)
    names = list(groups) if task.common_ancestor_level is not None else list(groups)[::-1]
    return names, [groups[name] for name in names]


def events_of(times: Array, influence: Array, masks: list[Mask], measure: str = "") -> Array:
    """``(G, 4)`` times of `EVENTS` of the mean curve of every group; nan where there is none.

    Args:
        times: ``(T,)``. influence: ``(T, P, P)``.
        masks: of the groups.
        measure: its name, if it is integrated less finely than to rounding; see `event_floor`.
    """
    table = np.full((len(masks), len(EVENTS)), np.nan)
    largest = float(np.abs(influence).max())
    for g, mask in enumerate(masks):
        curve = influence[:, mask].mean(axis=1)
        flips = 0
        for event in curve_events(times, curve, event_floor(curve, largest, measure)):
            if event.kind == "flip":
                flips += 1
                if flips <= 2:
                    table[g, flips - 1] = event.time
            else:
                table[g, EVENTS.index(event.kind)] = event.time
    return table
