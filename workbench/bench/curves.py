"""Curves of a method over those of the truth, level by level: what the numbers of the leaderboard are made of."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.bench.runner import Evaluation
from workbench.bench.scores import level_masks
from workbench.bench.summary import RANKED_BY
from workbench.bench.truth import Truths
from workbench.figures.style import PAGE

Array = NDArray[np.float64]

#: Levels and methods are told apart by panels, truth and estimate by grey and plum: blue would say that it helps.
_TRUTH, _ESTIMATE = PAGE.muted, PAGE.sequence(1)[0]


def curve_table(evaluation: Evaluation, truths: Truths) -> dict[str, Array]:
    """``(T, 2)`` mean curve of truth and estimate by level, over pairs and seeds.

    The estimate is scaled to the truth, one factor for all levels: least squares through the origin.
    """
    assert evaluation.influence is not None
    P = truths.levels.shape[0]
    e, y = evaluation.influence[..., :P], truths.influence[RANKED_BY][..., :P]
    e = e / (np.abs(e).max() or 1.0)  # squares of huge numbers overflow
    off = truths.levels[:, :P] >= 0
    size = float((e[..., off] ** 2).sum())
    factor = float((e[..., off] * y[..., off]).sum()) / size if size > 0 else 0.0
    return {
        level: np.stack([y[..., mask].mean(axis=(0, 2)), abs(factor) * e[..., mask].mean(axis=(0, 2))], axis=1)
        for level, mask in level_masks(truths.levels[:, :P]).items()
        if level.isdigit()
    }


def draw_curves(evaluation: Evaluation, truths: Truths) -> Figure:
    """One panel a level."""
    curves = curve_table(evaluation, truths)
    figure = Figure(figsize=(2.4 * len(curves), 2.1), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(curves), squeeze=True))
    for ax, (level, pair) in zip(axes, curves.items(), strict=True):
        ax.axhline(0, color="#c9c9d2", linewidth=0.8)
        ax.plot(truths.times, pair[:, 0], color=_TRUTH, linewidth=3, alpha=0.55, label="truth")
        ax.plot(truths.times, pair[:, 1], color=_ESTIMATE, linewidth=1.3, label=evaluation.method.name)
        ax.set_title(f"level {level}", fontsize=8)
        ax.set_xlabel("flow time t", fontsize=7)
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("← helps    harms →\ninfluence (truth's scale)", fontsize=7)
    axes[0].legend(fontsize=6.5, frameon=False)
    return figure
