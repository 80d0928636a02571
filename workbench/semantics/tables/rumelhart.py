"""The bundled table of 8 items."""

from __future__ import annotations

import numpy as np

from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.task import SemanticTask

#: Which items have which property, over the relations ISA, is, can and has (93 facts).
#: Facts from Rogers & McClelland (2003) after Rumelhart (1990).
_ITEMS = ("Pine", "Oak", "Rose", "Daisy", "Robin", "Canary", "Sunfish", "Salmon")
_GROUPS = {
    "everything": _ITEMS,
    "plants": _ITEMS[:4],
    "animals": _ITEMS[4:],
    "trees": _ITEMS[:2],
    "flowers": _ITEMS[2:4],
    "birds": _ITEMS[4:6],
    "fish": _ITEMS[6:],
}
_HAVE_IN_COMMON = {
    "everything": ("Living thing", "Living", "Grow"),
    "plants": ("Plant", "Roots"),
    "animals": ("Animal", "Move", "Skin"),
    "trees": ("Tree", "Big", "Bark", "Branch"),
    "flowers": ("Flower", "Pretty", "Petals"),
    "birds": ("Bird", "Fly", "Wings", "Feathers"),
    "fish": ("Fish", "Swim", "Gills", "Scales"),
}
_EXCEPTIONS = {
    "Green": ("Pine",),
    "Red": ("Rose", "Robin", "Salmon"),
    "Yellow": ("Daisy", "Canary", "Sunfish"),
    "Sing": ("Canary",),
    "Leaves": ("Oak", "Rose", "Daisy"),
}


def rumelhart_task() -> SemanticTask:
    """The 8 items x 36 properties of Rogers & McClelland (2003), after Rumelhart (1990).

    The items hang on a (2, 2, 2) tree (plants: trees, flowers; animals: birds, fish), but the table is no
    perfect tree: colours and leaves cut across it.

    >>> int(rumelhart_task().Y.sum())
    93
    """
    have: dict[str, tuple[str, ...]] = {}
    for group, properties in _HAVE_IN_COMMON.items():
        have |= dict.fromkeys(properties, _GROUPS[group])
    have |= {f"ISA {item}": (item,) for item in _ITEMS} | _EXCEPTIONS
    Y = np.array([[item in owners for item in _ITEMS] for owners in have.values()], dtype=float)
    return SemanticTask(
        name="Rumelhart 8 items",
        items=_ITEMS,
        properties=tuple(have),
        Y=Y,
        tree=Hierarchy((2, 2, 2)),
        source="Rogers & McClelland (2003) after Rumelhart (1990)",
    )
