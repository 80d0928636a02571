"""The colours of items in the figures of studies: those they have in every other figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from workbench.figures.arrangement import arranged
from workbench.figures.style import Style
from workbench.semantics import SemanticTask


def hues(task: SemanticTask) -> dict[str, tuple[str, Any]]:
    """What a study keeps with its data to colour items: the top branch of each, and its place within."""
    stand = arranged(task.Y, task.common_ancestor_level)
    return {"hue": ("item", stand.branch), "place_in_hue": ("item", stand.place)}


def item_colours(style: Style, ds: xr.Dataset) -> list[str]:
    """A colour an item, from `hues`; items that another network of the study does not have are left out."""
    hue = ds["hue"].values
    there = np.isfinite(hue)
    return style.item_colours(hue[there].astype(np.int64), ds["place_in_hue"].values[there])
