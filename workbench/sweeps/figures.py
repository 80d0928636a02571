"""What a sweep shows: flips, peaks and agreement against any field that was run over, and maps over two of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.figures.reading import text
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]

#: What can be drawn, with its words; events are read from `event_time`.
QUANTITIES = {
    "flip 1": "first change of sign [flow time]",
    "flip 2": "second change of sign [flow time]",
    "most helpful": "helps most at [flow time]",
    "most harmful": "harms most at [flow time]",
    "relative_l2": "difference between the sides",
    "same_sign": "share of right signs",
}
_LEVELS = 12
#: Lines of one panel; more fields are averaged over.
_MOST_LINES = 8
_MOST_COLUMNS, _MOST_ROWS = 4, 4
#: Values of a field from here on are drawn on a logarithmic axis.
_DECADE = 10.0


def axes_of_sweep(ds: xr.Dataset) -> list[str]:
    """The fields that a sweep ran over."""
    if "over" not in ds.attrs:
        raise WorkbenchError("the dataset is no sweep; make one with workbench.sweep or load one with load_sweep")
    return [str(name) for name in json.loads(ds.attrs["over"])]


def quantity(ds: xr.Dataset, name: str, measure: str | None = None) -> xr.DataArray:
    """One number a cell, group of pairs and side, of a measure (the first unless named).

    Raises:
        WorkbenchError: for a quantity that the sweep has not.
    """
    one = ds.isel(measure=0) if measure is None else ds.sel(measure=measure)
    if name in ds["event"].values:
        return one["event_time"].sel(event=name, drop=True)
    if name not in QUANTITIES or name not in ds:
        known = ", ".join(key for key in QUANTITIES if key in ds or key in ds["event"].values)
        raise WorkbenchError(f"a sweep has no {name!r}; choose from {known}")
    return one[name]


def against(
    ds: xr.Dataset, field: str, names: tuple[str, ...] = (), measure: str | None = None, style: Style = PAGE
) -> Figure:
    """Quantities against one field: a column a quantity, a row a value of the next field, a colour a group of pairs.

    Of several cells with one value of the field (more fields, seeds) the line is the mean and the band their range.
    Lines are predicted, points simulated.
    """
    chosen = (names or tuple(name for name in QUANTITIES if _there(ds, name, measure)))[:_MOST_COLUMNS]
    if field not in axes_of_sweep(ds):
        raise WorkbenchError(f"the sweep did not run over {field!r}; it ran over {', '.join(axes_of_sweep(ds))}")
    if not chosen:
        raise WorkbenchError("no cell of the sweep has a change of sign, a peak or two sides to compare")
    groups = [group for group in ds["pairs"].values if _shown(ds, group, measure)][:_MOST_LINES]
    colours = dict(zip(groups, style.sequence(len(groups)), strict=True))
    others = [name for name in axes_of_sweep(ds) if name not in (field, "seed") and ds.sizes[name] > 1]
    rows = _rows(ds, others[0]) if others else [None]
    with style.context():
        figure = style.figure(1.6 * len(rows) + 0.9)
        panels = figure.subplots(len(rows), len(chosen), squeeze=False, sharex=True)
        for row, value in zip(panels, rows, strict=True):
            part = ds if value is None else ds.sel({others[0]: value})
            for ax, name in zip(row, chosen, strict=True):
                _panel(ax, quantity(part, name, measure), field, colours, style)
                if value is not None and ax is row[0]:
                    ax.set_ylabel(f"{text(others[0])} = {text(value, 12)}")
        for ax, name in zip(panels[0], chosen, strict=True):
            ax.set_title(QUANTITIES.get(name, name), y=1.0)
        for ax in panels[-1]:
            ax.set_xlabel(text(field))
            _scale(ax, ds[field].values)
        entries = [Line2D([], [], color=c, label=text(g, 34)) for g, c in colours.items()]
        if "simulated" in _sides(ds):
            entries += [Line2D([], [], color=style.muted, marker="o", ls="none", fillstyle="none", label="simulated")]
        columns = style.legend_columns([str(entry.get_label()) for entry in entries])
        figure.legend(handles=entries, loc="outside lower center", ncols=columns)
        rest = [name for name in axes_of_sweep(ds) if name not in (field, *others[:1]) and ds.sizes[name] > 1]
        figure.suptitle(
            _title(ds, measure) + (f"; mean and range over {', '.join(rest)}" if rest else ""), x=0.01, ha="left"
        )
    return figure


def _panel(ax: Axes, array: xr.DataArray, field: str, colours: dict[str, str], style: Style) -> None:
    for group, colour in colours.items():
        _line(ax, array.sel(pairs=group), field, colour, style)
    style.tidy(ax)
    if array.name == "relative_l2" and bool((array > 0).any()):
        ax.set_yscale("log")


def _rows(ds: xr.Dataset, field: str) -> list[Any]:
    """A few of the values of a field, spread evenly."""
    values = ds[field].values
    return list(values[np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_ROWS)).round().astype(int))])


def _sides(ds: xr.Dataset) -> list[str]:
    """The sides that any cell has."""
    return [str(side) for side in ds["side"].values if bool(np.isfinite(ds["event_time"].sel(side=side)).any())]


def _title(ds: xr.Dataset, measure: str | None) -> str:
    measured = str(ds["measure"].values[0] if measure is None else measure).replace("_", " ")
    return f"{text(measured)} of {text(ds.attrs['task'])}"


def phase_map(
    ds: xr.Dataset,
    x: str,
    y: str,
    name: str = "flip 1",
    measure: str | None = None,
    pairs: str | None = None,
    style: Style = PAGE,
) -> Figure:
    """A quantity over two fields, one panel a side; cells without it are grey, other fields are averaged over."""
    over = axes_of_sweep(ds)
    for field in (x, y):
        if field not in over or x == y:
            raise WorkbenchError(f"a map over {x!r} and {y!r}: give two of the fields {', '.join(over)}")
    groups = [group for group in ds["pairs"].values if _shown(ds, group, measure)]
    array = quantity(ds, name, measure).sel(pairs=pairs or (groups or list(ds["pairs"].values))[0])
    sides: list[str | None] = [None]
    if "side" in array.dims:
        sides = [side for side in map(str, ds["side"].values) if bool(np.isfinite(array.sel(side=side)).any())]
    if not sides:
        raise WorkbenchError(f"no cell of the sweep has {name!r} there; choose another quantity or group of pairs")
    shown = [(array if side is None else array.sel(side=side)).transpose(..., y, x) for side in sides]
    values = [_averaged(one, (y, x)) for one in shown]
    low, high = min(np.nanmin(v) for v in values), max(np.nanmax(v) for v in values)
    with style.context():
        figure = style.figure(3.0)
        panels = figure.subplots(1, len(sides), squeeze=False, sharey=True)[0]
        for ax, side, grid in zip(panels, sides, values, strict=True):
            colours = style.amount().with_extremes(bad=style.blank)
            picture = ax.imshow(grid, origin="lower", aspect="auto", cmap=colours, vmin=low, vmax=high)
            if min(grid.shape) > 1 and low < high and np.isfinite(grid).all():
                ax.contour(grid, levels=_LEVELS, colors=style.muted, linewidths=0.06 * style.font)
            _ticks(ax, "x", ds[x].values)
            _ticks(ax, "y", ds[y].values)
            ax.set_xlabel(text(x))
            ax.set_title(side or "")
        panels[0].set_ylabel(text(y))
        figure.colorbar(picture, ax=list(panels), label=QUANTITIES.get(name, name))
        group = text(str(array["pairs"].values), 40)
        figure.suptitle(f"{text(str(array['measure'].values).replace('_', ' '))}, {group}", x=0.01, ha="left")
    return figure


def _there(ds: xr.Dataset, name: str, measure: str | None) -> bool:
    known = name in ds["event"].values or name in ds
    return known and bool(np.isfinite(quantity(ds, name, measure)).any())


def _shown(ds: xr.Dataset, group: str, measure: str | None) -> bool:
    """Whether a group of pairs has an event: pooled groups have none."""
    one = ds["event_time"].isel(measure=0) if measure is None else ds["event_time"].sel(measure=measure)
    return bool(np.isfinite(one.sel(pairs=group)).any())


def _averaged(array: xr.DataArray, dims: tuple[str, ...]) -> Array:
    rest = [dim for dim in array.dims if dim not in dims]
    values = array.transpose(*dims, *rest).values.reshape(*(array.sizes[dim] for dim in dims), -1)
    empty = ~np.isfinite(values).any(axis=-1)
    filled = np.where(empty[..., None], 0.0, values)
    return np.asarray(np.where(empty, np.nan, np.nanmean(filled, axis=-1)))


def _line(ax: Axes, array: xr.DataArray, field: str, colour: str, style: Style) -> None:
    x = _positions(array[field].values)
    both = "side" in array.dims
    for side in array["side"].values if both else [None]:
        one = array if side is None else array.sel(side=side)
        values = one.transpose(field, ...).values.reshape(len(x), -1)
        some = np.isfinite(values).any(axis=1)
        if not some.any():
            continue
        low, high, mean = (f(values[some], axis=1) for f in (np.nanmin, np.nanmax, np.nanmean))
        if side == "simulated":
            ax.errorbar(
                x[some],
                mean,
                [mean - low, high - mean],
                fmt="o",
                color=colour,
                fillstyle="none",
                markersize=0.4 * style.font,
                elinewidth=0.06 * style.font,
            )
            continue
        ax.plot(x[some], mean, color=colour, marker="o" if len(x) < 2 or side is None else None)
        ax.fill_between(x[some], low, high, color=colour, alpha=0.15, linewidth=0)


def _positions(values: NDArray[Any]) -> Array:
    """Numbers where they are; words one after the other."""
    return values.astype(float) if values.dtype.kind in "iuf" else np.arange(float(len(values)))


def _scale(ax: Axes, values: NDArray[Any]) -> None:
    if values.dtype.kind not in "iuf":
        ax.set_xticks(range(len(values)), [text(value, 12) for value in values])
    elif values.min() > 0 and values.max() / values.min() >= _DECADE:
        ax.set_xscale("log")


def _ticks(ax: Axes, axis: str, values: NDArray[Any]) -> None:
    """At most six of the values, by their place."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), 6)).round().astype(int))
    words = [f"{value:.3g}" if values.dtype.kind == "f" else text(value, 12) for value in values[places]]
    (ax.set_xticks if axis == "x" else ax.set_yticks)(places, words)
