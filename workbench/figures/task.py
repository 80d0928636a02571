"""The task: its matrix, the tree it hangs on, and the singular modes a linear network learns one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from workbench.errors import counted
from workbench.figures.arrangement import Arrangement, arrange, property_order
from workbench.figures.figure import Illustration
from workbench.figures.reading import texts
from workbench.figures.style import PAGE, Style
from workbench.figures.tables import task_table

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
        for ax in (items, properties):
            ax.spines[:].set(visible=True, color=style.faint)
        _tree(tree, order, style)
        names = texts(ds["item"].values[order.order], 18)
        tree.set_yticks(range(len(names)), names)
        tree.yaxis.tick_right()
        if labelled:
            matrix.set_xticks(range(len(columns)), texts(ds["property"].values[columns], 18))
            matrix.tick_params(axis="x", labelrotation=90, labelsize=column_font, labeltop=True, labelbottom=False)
        properties.set_yticks(range(n_modes), [str(a + 1) for a in ds["mode"].values[:n_modes]])
        _bars(values, ds["singular_value"].values[:n_modes], style)
        kind = "tree" if order.kind == "tree" else "clustering"
        tree.set_title(kind, color=style.muted)
        shown = "" if n_modes == ds.sizes["mode"] else f"(first {n_modes} of {ds.sizes['mode']})"
        properties.set_xlabel("property vectors $u_k$")
        properties.set_ylabel(f"mode $k$\n{shown}")
        items.set_title("item vectors $v_k$" if style.wide else "$v_k$", color=style.muted)
        matrix.set_title(f"{len(V)} items × {counted(len(columns), 'property', 'properties')}", color=style.muted)
        _fit_ticks(figure, (tree, properties), style)
    return figure


def _heat(ax: Axes, values: Array, style: Style, *, signed: bool = True) -> None:
    largest = float(np.abs(values).max()) or 1.0
    ax.imshow(
        values,
        aspect="auto",
        vmin=-largest if signed else 0.0,
        vmax=largest,
        cmap=style.signed() if signed else style.amount(),
        interpolation="nearest" if values.size < 20000 else "antialiased",
    )


def _tree(ax: Axes, order: Arrangement, style: Style) -> None:
    ax.add_collection(LineCollection(order.edges, colors=style.muted, linewidths=0.1 * style.font, capstyle="round"))
    ax.set(xlim=(1.03, -0.02), ylim=(len(order.order) - 0.5, -0.5))


def _fit_ticks(figure: Figure, axes: Sequence[Axes], style: Style) -> None:
    """Tick labels as small as the rows of the finished layout ask for; where they would be tiny, every k-th."""
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    for ax in axes:
        count = len(ax.get_yticks())
        room = 72 * ax.get_window_extent().height / figure.dpi / count
        size = min(style.small, room / 1.15)
        if size < style.least:
            every = int(np.ceil(style.least * 1.15 / room))
            names = [label.get_text() for label in ax.get_yticklabels()]
            ax.set_yticks(range(0, count, every), names[::every])
            size = style.least
        ax.tick_params(axis="y", labelsize=size)


def _bars(ax: Axes, values: Array, style: Style) -> None:
    ax.barh(np.arange(len(values)), values, color=style.muted, height=0.7)
    ax.set(ylim=(len(values) - 0.5, -0.5), yticks=[], xlabel="singular value $s_k$" if style.wide else "$s_k$")
    ax.xaxis.set_major_locator(MaxNLocator(3))


FIGURES = (
    Illustration(
        name="task",
        purpose="what is to be learned: the table, its tree, and its singular modes",
        title="The task and its modes",
        caption="The matrix to be learned, {order}, and its singular modes: item vectors to the right, property "
        "vectors below, singular values at the lower right. In the vectors magenta is negative, green positive. A "
        "linear network learns the modes one after another, the strongest first.",
        alt="Matrix of {size} of {task}, with {order} and heat strips of its singular modes.",
        draw=lambda s: task(s.ds, s.style),
        table=lambda s: task_table(s.ds),
        sets=("report", "lecture"),
    ),
)
