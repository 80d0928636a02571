"""The figure of the study of complexity: coefficients with error bars, influence by layer, susceptibilities."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.figures.style import PAGE
from workbench.studies.item_colours import item_colours


def draw(ds: xr.Dataset) -> Figure:
    """Above: complexity of layers and of all weights; below: influence and susceptibilities."""
    with PAGE.context():
        figure = PAGE.figure(5.2)
        axes = figure.subplots(2, 3)
        for ax, network, row in zip(axes[0], (0, ds.sizes["network"] - 1), range(2), strict=False):
            _volumes(ax, ds.isel(network=network), ds.isel(sampled=row))
        _whole(axes[0, 2], ds)
        _influence(axes[1, 0], ds.isel(network=0))
        layers = np.flatnonzero(np.isfinite(ds["susceptibility"].values).any(axis=(1, 2)))
        for ax, layer in zip(axes[1, 1:], (layers[0], layers[-1]), strict=True):
            _susceptibilities(ax, ds, int(layer))
        for ax in axes.ravel():
            PAGE.tidy(ax).set_xlabel("flow time t")
            ax.axhline(0, color=PAGE.muted, linewidth=0.6)
        for ax, corner in zip(
            axes.ravel()[:4], ("lower right", "lower right", "upper left", "lower right"), strict=True
        ):
            ax.legend(fontsize=PAGE.least, loc=corner)
    return figure


def _volumes(ax: Axes, exact: xr.Dataset, seen: xr.Dataset) -> None:
    for t in exact["half_rise_time"].values:
        ax.axvline(t, color=PAGE.faint, linewidth=0.6)
    colours = PAGE.sequence(exact.sizes["layer"])
    for k, name in enumerate(exact["layer"].values):
        if not np.isfinite(float(exact["limit"][k])):
            continue
        ax.plot(exact["time"], exact["volume"][k], color=colours[k], label=str(name))
        ax.axhline(float(exact["limit"][k]), color=colours[k], linewidth=0.6, linestyle=":")
        points = seen["coefficient"].sel(layer=name) - seen["descent_exact"].sel(layer=name)
        _bars(ax, seen["checkpoint_time"], points, seen["coefficient_stderr"].sel(layer=name), colours[k])
    ax.set(ylabel="volume of one layer's posterior", title=str(exact["network"].values))


def _bars(ax: Axes, times: xr.DataArray, values: xr.DataArray, stderr: xr.DataArray, colour: str) -> None:
    """Two standard errors."""
    ax.errorbar(times, values, 2 * stderr, fmt="o", markersize=2, capsize=2, linewidth=0.8, color=colour)


def _whole(ax: Axes, ds: xr.Dataset) -> None:
    times, colour = ds["checkpoint_time"].isel(sampled=0), PAGE.sequence(1)[0]
    ax.plot(times, ds["whole_predicted"], color=colour, label="Gaussian of the checkpoint")
    _bars(ax, times, ds["whole"], ds["whole_stderr"], colour)
    told = (
        f"held loosely at the minimum:\n{float(ds['at_minimum']):.1f} ± {2 * float(ds['at_minimum_stderr']):.1f}, "
        f"theorem {float(ds['theorem_at_the_end'][0]):g}"
    )
    ax.text(0.97, 0.3, told, fontsize=PAGE.least, ha="right", transform=ax.transAxes)
    ax.set(ylabel="n beta (E L - L(w*))", title="all weights")


def _influence(ax: Axes, one: xr.Dataset) -> None:
    last = str(one["layer"].values[np.isfinite(one["limit"].values)][-1])
    named = [g for g, name in enumerate(one["pairs"].values) if isinstance(name, str) and name]
    for name, line in ((last, "-"), ("all", ":")):
        for g, colour in zip(named, PAGE.sequence(len(named)), strict=True):
            curve = one["influence"].sel(moving=name)[g]
            label = f"{one['pairs'].values[g]}, {name}".replace("ancestor on ", "")
            ax.plot(one["time"], curve / np.abs(curve).max(), line, color=colour, label=label)
    ax.set_ylabel("influence over its largest")


def _susceptibilities(ax: Axes, ds: xr.Dataset, layer: int) -> None:
    largest = float(np.abs(ds["susceptibility"]).max()) or 1.0
    P = ds.sizes["item"]
    for i, colour in enumerate(item_colours(PAGE, ds)):
        label = str(ds["item"].values[i])
        ax.plot(ds["own_time"], ds["susceptibility"][layer, :, i] / largest, color=colour, label=label)
        values, error = (ds[f"susceptibility_{end}"][layer, :, i] / largest for end in ("sampled", "stderr"))
        _bars(ax, ds["own_checkpoint_time"], values, error, colour)
    ax.set(ylabel=f"susceptibility of {ds['own_layer'].values[layer]}", title=ds.attrs["susceptibilities_of"])
    if P <= 12 and layer == 0:
        ax.legend(fontsize=PAGE.least, ncols=2)
