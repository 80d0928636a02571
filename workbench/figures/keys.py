"""Legend entries of what many figures share: theory, simulation, and the marks of stages."""

from __future__ import annotations

import xarray as xr
from matplotlib.lines import Line2D

from workbench.figures.reading import stages
from workbench.figures.style import Style


def keys(style: Style, *, theory: bool = True, simulation: bool = True, bars: bool = False) -> list[Line2D]:
    """Legend entries that say which mark is theory and which simulation; none for a prediction alone."""
    line = Line2D([], [], color=style.muted, label="theory")
    label = "simulation" + (" ± 2 s.e." if bars else "")
    mark = Line2D([], [], color=style.muted, linestyle="none", marker="o", label=label)
    return [entry for entry, shown in ((line, theory and simulation), (mark, simulation)) if shown]


def stage_key(ds: xr.Dataset, style: Style) -> list[Line2D]:
    """The legend entry of `stage_marks` without labels, where there are any: an upright line."""
    if not stages(ds):
        return []
    key = Line2D([], [], color=style.faint, label="stage half learned", linestyle="none")
    key.set(marker="|", markersize=style.font, markeredgewidth=0.12 * style.font)
    return [key]
