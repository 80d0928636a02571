"""The figure of the study of windows: maps of window by target, and curves of groups; a row a network."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from workbench.figures.style import Style


def draw(ds: xr.Dataset) -> Figure:
    """At the middle length and the last reading but one."""
    style = Style()
    N, C, G = (ds.sizes[dim] for dim in ("network", "change", "group"))
    shown = ds.isel(length=ds.sizes["length"] // 2)
    with style.context():
        figure = style.figure(1.75 * N + 0.4)
        axes = figure.subplots(N, C + G, squeeze=False, sharex="row", width_ratios=[1.1] * C + [1] * G)
        for n, name in enumerate(ds["network"].values):
            one = shown.isel(network=n)
            _maps(style, figure, list(axes[n, :C]), one)
            axes[n, 0].set_ylabel(str(name), fontsize=style.small)
            for g, ax in enumerate(axes[n, C:]):
                if one["pairs"].values[g]:
                    _curves(style, style.tidy(ax), one.isel(group=g, reading=-2))
                else:
                    ax.remove()
        for ax in axes[-1, :C]:
            ax.set_xlabel("start of the window", fontsize=style.least)
    return figure


def _maps(style: Style, figure: Figure, axes: list[Axes], one: xr.Dataset) -> None:
    """One a change, on one scale; the item itself, which dwarfs the others, is cut off at it."""
    P = int((one["item"] != "").sum())
    values = one["effect_on_item"].values[..., :P]
    size = float(np.abs(values[..., 1:]).max()) or 1.0
    image = None
    for c, ax in enumerate(axes):
        style.tidy(ax)
        grid = values[c].T
        # Logarithmic but around 0, so that distant items are seen beside near ones.
        norm = SymLogNorm(size / 1000, vmin=-size, vmax=size)
        image = ax.pcolormesh(
            one["begin"].values, np.arange(P), grid, cmap=style.diverging(), norm=norm, rasterized=True
        )
        ax.set_yticks(range(P), [str(i) for i in one["item"].values[:P]] if c == 0 else [], fontsize=style.least)
        ax.tick_params(labelsize=style.least)
        ax.invert_yaxis()
        ax.set_title(f"{one['item'].values[0]} {one['change'].values[c]}", fontsize=style.small)
    assert image is not None
    scale = figure.colorbar(image, ax=axes[-1], ticks=[-size, 0, size], format="%.2g")
    scale.ax.tick_params(labelsize=style.least)
    scale.ax.minorticks_off()


def _curves(style: Style, ax: Axes, one: xr.Dataset) -> None:
    """Mean effect on one group of pairs at one reading."""
    begin, kernel = one["begin"].values, one["gradient_kernel"].values
    top = float(np.abs(one["effect"]).max())
    ax.axhline(0, color=style.faint)
    ax.axvline(float(one["reading_time"]), color=style.faint)
    ax.plot(begin, kernel * top / (float(np.abs(kernel).max()) or 1.0), color=style.faint)
    for c, colour in enumerate(style.sequence(one.sizes["change"])):
        ax.plot(begin, one["effect"][c], color=colour)
        ax.plot(begin, one["retrained"][c], "o", color=colour, markersize=1.4)
    ax.plot(begin, one["first_order"], ":", color=style.ink)
    ax.tick_params(labelsize=style.least)
    ax.set_title(str(one["pairs"].values).replace("ancestor on ", ""), fontsize=style.small)
