"""Flips in four networks, as a table and a figure; see `bridge`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.figures.style import PAGE, Style
from workbench.language.bridge import Curves, crossing_up, flip_time

Array = NDArray[np.float64]


def bridge_table(curves: list[Curves]) -> pd.DataFrame:
    """Times of the flip of every level and of its learning, one row a network and level: means and ranges over seeds.

    ``flip / learned`` is the flip of pairs of level m over the learning of level m + 1, which tells them apart.
    """
    rows = []
    for name in dict.fromkeys(c.name for c in curves):
        mine = [c for c in curves if c.name == name]
        for m in range(len(mine[0].influence)):
            flips = np.array([flip_time(c.times, c.influence[m]) for c in mine])
            learned = np.array([crossing_up(c.times, c.learned[m + 1], 0.5) for c in mine])
            rows.append(
                {
                    "network": name, "level": m, "seeds that flip": int(np.isfinite(flips).sum()), "flip": _mean(flips),
                    "earliest": np.nanmin(flips, initial=np.inf), "latest": np.nanmax(flips, initial=-np.inf),
                    "level below learned": _mean(learned), "flip / learned": _mean(flips / learned),
                }
            )  # fmt: skip
    return pd.DataFrame(rows).replace([np.inf, -np.inf], np.nan)


def _mean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def bridge_figure(curves: list[Curves], style: Style = PAGE) -> Figure:
    """Four networks: influence by level over training (each level on its own scale), and when levels are learned."""
    names = list(dict.fromkeys(c.name for c in curves))
    levels = len(curves[0].influence)
    colours = style.sequence(levels + 1)
    with style.context():
        figure = style.figure(2.3)
        axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for ax, name in zip(axes, names, strict=True):
            for c in (c for c in curves if c.name == name):
                for m in range(levels):
                    ax.plot(
                        c.times, c.influence[m] / np.abs(c.influence[m]).max(), color=colours[m], lw=0.09 * style.font
                    )
                    at = crossing_up(c.times, c.learned[m + 1], 0.5)
                    ax.plot([at, at], [1.02, 1.12], color=colours[m], lw=0.12 * style.font, clip_on=False)
            ax.axhline(0, color=style.muted, lw=0.6)
            style.tidy(ax).set(
                title=name, xlabel="step of Adam" if name == "transformer" else "flow time", ylim=(-1, 1.1)
            )
        axes[0].set_ylabel("influence / its largest size")
        for m in range(levels):
            axes[-1].plot([], [], color=colours[m], label=f"last common ancestor at level {m}")
        figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=levels)
    return figure
