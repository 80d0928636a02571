"""The singular modes of a task: what each adds to what the network knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.errors import counted
from workbench.figures.arrangement import Arrangement, arrange, property_order
from workbench.figures.figure import Illustration
from workbench.figures.reading import ModeGroup, mode_groups, texts
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]

#: Groups of modes side by side.
MAX_GROUPS = 5


def singular_modes(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Item vectors of every group of modes, the part of the table it carries, and the sum up to it.

    A group is a level of a symmetric tree, or a single mode. Of a level only the sum of its modes' parts is
    identifiable; its item vectors are drawn in the Haar basis of the tree, one on top of the other.
    """
    every = mode_groups(ds)
    groups = every[: MAX_GROUPS if style.wide else 3]
    order, columns = arrange(ds), property_order(ds)
    parts = mode_parts(ds, groups)[:, columns][:, :, order.order]
    sums = np.cumsum(parts, axis=0)
    largest = float(np.abs(np.concatenate([parts, sums])).max())
    with style.context():
        figure = style.figure(4.3 if style.wide else 4.6)
        axes = figure.subplots(3, len(groups), squeeze=False, sharex=True, height_ratios=(0.8, 1.2, 1.2))
        reach = 1.08 * max(float(np.abs(_vectors(ds, group, order)).max()) for group in groups)
        for column, group in enumerate(groups):
            _bars(axes[0, column], _vectors(ds, group, order), reach, order, style)
            size = f" (×{len(group.members)})" if len(group.members) > 1 else ""
            s = float(ds["singular_value"].values[group.members[0]])
            axes[0, column].set_title(f"{group.label}{size}\n$s$ = {s:.3g}", fontsize=style.small)
            for row, matrices in ((1, parts), (2, sums)):
                image = style.bare(axes[row, column]).imshow(
                    matrices[column],
                    aspect="auto",
                    cmap=style.signed(),
                    vmin=-largest,
                    vmax=largest,
                    interpolation="nearest" if matrices[column].size < 20000 else "antialiased",
                )
            _names(axes[2, column], ds, order, len(groups), style)
        rows = (
            "item vectors $v_k$",
            f"adds ({counted(len(columns), 'property', 'properties')}\n× {len(order.order)} items)",
            "sum so far",
        )
        for ax, name in zip(axes[:, 0], rows, strict=True):
            ax.set_ylabel(name, fontsize=style.small)
        for ax in axes[1:, 0]:
            _property_names(ax, texts(ds["property"].values[columns], 14), style)
        bar = figure.colorbar(image, ax=axes[1:, :], aspect=30, fraction=0.03, pad=0.02)
        bar.outline.set_visible(False)
        style.tidy(bar.ax)
        if len(groups) < len(every):
            figure.supxlabel(f"first {len(groups)} of {len(every)}", fontsize=style.small, color=style.muted)
    return figure


def singular_modes_data(ds: xr.Dataset) -> pd.DataFrame:
    """One row a mode: singular value, level, half-rise time, and the entries of both vectors."""
    items = {f"item vector: {name}": ds["item_mode"].values[i] for i, name in enumerate(ds["item"].values)}
    properties = {f"property vector: {name}": ds["left_mode"].values[o] for o, name in enumerate(ds["property"].values)}
    facts = {name: ds[name].values for name in ("singular_value", "mode_level", "half_rise_time")}
    return pd.DataFrame({"mode": ds["mode"].values + 1} | facts | items | properties)


def mode_parts(ds: xr.Dataset, groups: tuple[ModeGroup, ...]) -> Array:
    """``(G, N_o, P)`` part of Y that each group carries, ``sum over its modes of s_k sqrt(P/c) u_k v_k^T``."""
    U = ds["left_mode"].transpose("property", "mode").values
    V = ds["item_mode"].transpose("item", "mode").values
    # The singular values of Y itself: its projections on both vectors.
    s_of_Y = np.einsum("ok,oi,ik->k", U, ds["Y"].transpose("property", "item").values, V, optimize=True)
    return np.stack([(U[:, list(g.members)] * s_of_Y[list(g.members)]) @ V[:, list(g.members)].T for g in groups])


def _vectors(ds: xr.Dataset, group: ModeGroup, order: Arrangement) -> Array:
    """``(P, n)`` item vectors of a group in the order of the items."""
    return np.asarray(ds["item_mode"].transpose("item", "mode").values[order.order][:, list(group.members)])


def _bars(ax: Axes, vectors: Array, reach: float, order: Arrangement, style: Style) -> None:
    negative, positive = style.signed()([0.0, 1.0])
    style.bare(ax).axhline(0, color=style.muted, linewidth=0.08 * style.font)
    for vector in vectors.T:
        ax.bar(np.arange(len(vector)), vector, color=np.where(vector[:, None] < 0, negative, positive), width=0.8)
    ax.set_ylim(-reach, reach)


def _property_names(ax: Axes, names: list[str], style: Style) -> None:
    """The rows of the matrices, where there is room for a name."""
    size = min(style.small, 72 * 0.27 * ax.figure.get_figheight() / len(names) / 1.1)  # type: ignore[union-attr]
    if size >= style.least:
        ax.set_yticks(range(len(names)), names, fontsize=size)


def _names(ax: Axes, ds: xr.Dataset, order: Arrangement, panels: int, style: Style) -> None:
    room = 72 * 0.85 * style.width / panels / len(order.order)
    size = min(style.small, room / 1.15)
    if size < 0.7 * style.font:
        ax.set_xlabel(f"{len(order.order)} items", fontsize=style.small, color=style.muted)
        return
    names = texts(ds["item"].values[order.order], 12)
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size)


FIGURES = (
    Illustration(
        name="singular_modes",
        purpose="what each mode adds to what the network knows",
        title="What each mode adds",
        caption="Top: item vectors of each group of modes, a bar an item; magenta is negative, green positive. "
        "Middle: the part of the table that the group carries. Bottom: the sum so far, which is what the network "
        "knows when the stage is over. Within a level of the tree only the part, not the single vectors, is "
        "determined by the data.",
        alt="Bars of the item vectors, and matrices of what each group of modes adds to the table.",
        draw=lambda s: singular_modes(s.ds, s.style),
        table=lambda s: singular_modes_data(s.ds),
    ),
)
