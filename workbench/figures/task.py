"""The task: its matrix, the tree it hangs on, and the singular modes a linear network learns one by one."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from workbench.figures.arrangement import Arrangement, arrange, property_order
from workbench.figures.reading import text
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]

#: Modes beyond this many are not drawn as strips.
MAX_MODES = 12


def task(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """``Y^T`` (items x properties) with the tree beside it; item vectors right, property vectors below.

    The layout is that of the decomposition ``Y^T = V S U^T``: rows of the item strip are the rows of the
    matrix, columns of the property strip its columns, and the bars are the singular values.
    """
    order = arrange(ds)
    columns = property_order(ds)
    Y = ds["Y"].transpose("property", "item").values[np.ix_(columns, order.order)]
    n_modes = min(ds.sizes["mode"], MAX_MODES)
    V = ds["item_mode"].transpose("item", "mode").values[order.order, :n_modes]
    U = ds["left_mode"].transpose("property", "mode").values[columns, :n_modes]
    rows = float(np.clip(0.13 * len(V), 1.3, 4.6))
    strip = float(np.clip(0.11 * n_modes, 0.5, 1.3))
    with style.context():
        column_width = 72 * 0.57 * style.width / len(columns)
        column_font = min(style.small, column_width / 1.2)
        labelled = column_font >= 0.75 * style.font
        figure = style.figure(rows + strip + (1.6 if labelled else 0.9))
        grid = figure.add_gridspec(2, 3, height_ratios=(rows, strip), width_ratios=(0.13, 0.67, 0.2))
        tree, matrix, items = (style.bare(figure.add_subplot(grid[0, k])) for k in range(3))
        properties = style.bare(figure.add_subplot(grid[1, 1]))
        values = style.tidy(figure.add_subplot(grid[1, 2]))
        _heat(matrix, Y.T, style, signed=bool((Y < 0).any()))
        _heat(items, V, style)
        _heat(properties, U.T, style)
        _tree(tree, order, style)
        row_height = 72 * rows * style.font / 8 / len(V)
        names = [text(ds["item"].values[i], 18) for i in order.order]
        _ticks(tree.yaxis, names, row_height, style)
        tree.yaxis.tick_right()
        _colour_labels(tree, order, style)
        if labelled:
            _ticks(matrix.xaxis, [text(ds["property"].values[o], 18) for o in columns], 72.0, style)
            matrix.tick_params(axis="x", labelrotation=90, labelsize=column_font, labeltop=True, labelbottom=False)
        mode_names = [str(a) for a in ds["mode"].values[:n_modes]]
        mode_height = 72 * strip * style.font / 8 / n_modes
        _ticks(properties.yaxis, mode_names, mode_height, style)
        _bars(values, ds["singular_value"].values[:n_modes], style)
        kind = "tree" if order.kind == "tree" else "clustering"
        tree.set_title(kind, color=style.muted)
        shown = "" if n_modes == ds.sizes["mode"] else f"(first {n_modes} of {ds.sizes['mode']})"
        properties.set_xlabel("property vectors $u_k$")
        properties.set_ylabel(f"mode $k$\n{shown}")
        items.set_title("item vectors $v_k$" if style.wide else "$v_k$", color=style.muted)
        matrix.set_title(f"{len(V)} items × {len(columns)} properties", color=style.muted)
    return figure


def _heat(ax: Axes, values: Array, style: Style, *, signed: bool = True) -> None:
    largest = float(np.abs(values).max()) or 1.0
    ax.imshow(
        values,
        aspect="auto",
        vmin=-largest if signed else 0.0,
        vmax=largest,
        cmap=style.diverging() if signed else style.amount(),
        interpolation="nearest" if values.size < 20000 else "antialiased",
    )


def _tree(ax: Axes, order: Arrangement, style: Style) -> None:
    ax.add_collection(LineCollection(order.edges, colors=style.muted, linewidths=0.1 * style.font, capstyle="round"))
    ax.set(xlim=(1.03, -0.02), ylim=(len(order.order) - 0.5, -0.5))


def _ticks(axis: Axis, names: list[str], room: float, style: Style) -> None:
    """Every k-th label, k such that labels ``room`` points apart do not touch."""
    every = max(1, int(np.ceil(1.25 * style.small / room)))
    places = np.arange(0, len(names), every)
    axis.set_ticks(places, [names[k] for k in places])


def _colour_labels(ax: Axes, order: Arrangement, style: Style) -> None:
    colours = style.item_colours(order.branch, order.place)
    for label, row in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True):
        label.set_color(colours[order.order[int(row)]])


def _bars(ax: Axes, values: Array, style: Style) -> None:
    ax.barh(np.arange(len(values)), values, color=style.sequence(len(values)), height=0.7)
    ax.set(ylim=(len(values) - 0.5, -0.5), yticks=[], xlabel="singular value $s_k$" if style.wide else "$s_k$")
    ax.xaxis.set_major_locator(MaxNLocator(3))
