"""Which curves stand for the targets of one item: groups by symmetry, every target, or the most extreme ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.figures.arrangement import arrange
from workbench.figures.reading import Measure, ancestor_groups, texts
from workbench.figures.style import Style

Index = NDArray[np.int64]

#: Up to this many curves every one has its colour; beyond, only the most extreme.
MAX_CURVES = 9
EXTREMES = 6
MARKERS = "osD^vPX<>"


@dataclass(frozen=True, eq=False)
class Curve:
    """Targets drawn as one curve."""

    name: str
    members: Index
    colour: str
    marker: str = "o"


def curves_of(ds: xr.Dataset, source: int, chosen: tuple[Measure, ...], style: Style) -> tuple[Curve, ...]:
    """The named curves: groups by symmetry, every target, or the most extreme ones."""
    names = texts(ds["target"].values)
    order = arrange(ds)
    groups = ancestor_groups(ds, source, chosen)
    if groups is not None:
        return tuple(
            Curve(name, members, style.group_colour(order.branch[members], order.place[members]), marker)
            for (name, members), marker in zip(groups, cycle(MARKERS))
        )
    colours = style.item_colours(order.branch, order.place)
    targets = order.order[order.order != source]
    if len(targets) > MAX_CURVES:
        curves = np.nan_to_num(chosen[0].sides[0][1][:, source, targets])
        helped, harmed = targets[np.argsort(curves.min(axis=0))], targets[np.argsort(-curves.max(axis=0))]
        alternating = dict.fromkeys(np.column_stack([helped, harmed]).ravel().tolist())
        targets = np.array(list(alternating)[:EXTREMES])
    return tuple(
        Curve(names[j], np.array([j]), colours[j], marker) for j, marker in zip(targets, MARKERS, strict=False)
    )


def sparse_marks(curves: tuple[Curve, ...], curve: Curve, style: Style) -> dict[str, Any]:
    """A few marks along a predicted line, in turn with its neighbours: items of one branch differ little in colour."""
    place = curves.index(curve) / (8 * len(curves))
    return {"marker": curve.marker, "markersize": 0.32 * style.font, "markevery": (place, 0.125)}
