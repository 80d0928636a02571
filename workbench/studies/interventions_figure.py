"""The figure of the study of interventions: time saved by every policy, problem and control."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.figures.style import Style

Array = NDArray[np.float64]

#: Extra weight of a chosen cell; 1 is the item itself once more.
AMOUNTS = (0.05, 0.5)
POLICIES = ("stagewise", "end point", "uniform", "random cells", "random item", "random window")
CONTROLS = POLICIES[3:]


def gain_shares(ds: xr.Dataset, variable: str) -> Array:
    """``(network, problem, amount, intervention)`` gain over the time without intervention."""
    return np.asarray((ds[variable] / ds["time"]).transpose("network", "problem", "amount", "intervention").values)


def draw(ds: xr.Dataset) -> Figure:
    """Rows are amounts and columns networks; in a panel a row a problem and policy."""
    style = Style()
    N = ds.sizes["problem"]
    with style.context():
        figure = style.figure(2 * (0.27 * N + 0.6))
        axes = figure.subplots(len(AMOUNTS), ds.sizes["network"], sharey=True, sharex="row", squeeze=False)
        for (a, n), ax in np.ndenumerate(axes):
            _panel(style, ax, ds.isel(network=[n]), a)
            ax.set_title(f"{ds['network'].values[n]}, {ds['item'].values[n, 0]} first", fontsize=style.small)
            ax.set_xlabel(f"share of the time saved at {AMOUNTS[a]:g} a cell", fontsize=style.small)
        for ax in axes[:, 0]:
            ax.set_yticks(range(N), [str(name) for name in ds["problem"].values])
        axes[0, 0].invert_yaxis()
        axes[0, -1].legend(fontsize=style.least, loc="lower right")
    return figure


def _panel(style: Style, ax: Axes, one: xr.Dataset, amount: int) -> None:
    gain, expected, policies = (
        gain_shares(one, "measured_gain")[0],
        gain_shares(one, "expected_gain")[0],
        one["policy"].values,
    )
    colours = {**dict(zip(POLICIES[:3], style.sequence(3), strict=True)), **dict.fromkeys(CONTROLS, style.muted)}
    style.tidy(ax).axvline(0, color=style.faint)
    for row in range(len(gain)):
        for k, policy in enumerate(POLICIES):
            mine, y = policies == policy, row + 0.11 * (k - 2.5)
            label = (policy if k < 3 else "controls") if row == 0 and k < 4 else None
            ax.plot(
                gain[row, amount, mine],
                np.full(mine.sum(), y),
                "o",
                color=colours[policy],
                markeredgewidth=0,
                label=label,
                alpha=1.0 if k < 3 else 0.4,
                markersize=3 if k < 3 else 1.5,
            )
            if k < 3:
                ax.plot(expected[row, amount, mine], [y], "|", color=style.ink, markersize=5)
