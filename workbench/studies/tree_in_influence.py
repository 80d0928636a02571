"""Does the tree show in the influence? The influence matrix read as a similarity, clustered, held against the tree.

The cophenetic correlation (Sokal & Rohlf 1962) compares, pair by pair, the height at which a hierarchical clustering of
the influence matrix joins two items with the level at which their branches of the true tree meet. It is below 1 for the
right tree with uneven heights; Kendall's tau-b of the same heights is 1 exactly where the order of joins is the tree's.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform
from scipy.stats import kendalltau

from workbench.influence import MEASURES
from workbench.networks import network
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.theory import predict, settling_time

Array = NDArray[np.float64]

#: Measures whose analytic side takes seconds on a small tree.
_MEASURES = ("gradient_kernel", "local_bif", "trajectory_derivative", "leave_one_out", "damped_newton")
#: Influences closer than this fraction of the largest are equal; a matrix without any difference shows no tree.
_EQUAL = 1e-9


def answer(inquiry: Inquiry) -> StudyResult:
    """Recovery of the tree by every measure, over time."""
    task = inquiry.tree_or("tree")
    start = network(task, hidden=max(16, min(task.n_items, task.n_outputs)), init="auto", seed=inquiry.seed)
    times = np.linspace(0, settling_time(start), 25 if inquiry.quick else 61)[1:]
    predicted = predict(start, times)
    level = task.common_ancestor_level
    assert level is not None
    names = [name for name in _MEASURES if task.n_items <= 64 or name == "gradient_kernel"]
    recovery = np.full((len(names), len(times), 2), np.nan)
    with inquiry.bar("tree in influence", len(names)) as advance:
        for k, name in enumerate(names):
            influence = MEASURES[name](predicted).values
            recovery[k] = [_likeness(-one, level) for one in influence]
            advance(1)
    ds = xr.Dataset(
        {
            "cophenetic_correlation": (("measure", "time"), recovery[..., 0]),
            "order_agreement": (("measure", "time"), recovery[..., 1], {"long_name": "Kendall tau-b of the heights"}),
        },
        coords={"measure": names, "time": times},
        attrs={"task": task.name},
    )
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Cophenetic correlation of the clustered influence matrix with the true tree (near 1: the tree; below 0: "
        "items of different branches are joined first). Grey: no relation.",
        "Cophenetic correlation over time, one curve a measure; each starts near 1 and falls where influence flips.",
        _claims(ds),
    )


def _likeness(similarity: Array, level: NDArray[np.int64]) -> tuple[float, float]:
    """Correlation and Kendall's tau-b of the heights of average-linkage clustering with the tree's own."""
    symmetric = (similarity + similarity.T) / 2
    off = ~np.eye(len(level), dtype=bool)
    size = float(np.abs(symmetric).max())
    if np.ptp(symmetric[off]) <= _EQUAL * size:
        return float("nan"), float("nan")
    distance = symmetric[off].max() - symmetric
    np.fill_diagonal(distance, 0)
    heights = cophenet(linkage(squareform(distance, checks=False), method="average"))
    true = squareform((level.max() - level).astype(float) * off, checks=False)
    ranked = np.round(heights / heights.max() / _EQUAL)
    return float(np.corrcoef(heights, true)[0, 1]), float(kendalltau(ranked, true).statistic)


def _recovered(ds: xr.Dataset, measure: str) -> tuple[float, float]:
    """Until when the tree is recovered without a break, and the share of the times at which it is."""
    right = ds["order_agreement"].sel(measure=measure).values > 1 - 1e-9
    first_loss = len(right) - 1 if right.all() else int(np.argmin(right))
    return float(ds["time"].values[first_loss]), float(right.mean())


def _finding(ds: xr.Dataset) -> str:
    parts = []
    for name in ds["measure"].values:
        until, share = _recovered(ds, str(name))
        least = float(ds["cophenetic_correlation"].sel(measure=name).min())
        parts.append(f"{name} until t = {until:.3g} ({share:.0%} of the times, lowest correlation {least:.2f})")
    return "The influence matrix, clustered, is the tree at first and a wrong one later: " + "; ".join(parts) + "."


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    early = ds["order_agreement"].isel(time=slice(0, 5))
    return (
        StudyClaim(
            "At the beginning of training every measure's influence matrix, clustered, gives the tree",
            float(early.min()),
            ">=",
            1 - 1e-9,
            "exactly: one wrong join lowers tau-b",
        ),
        StudyClaim(
            "No measure gives the tree at all times: while siblings harm each other a clustering joins the wrong items",
            float(ds["order_agreement"].min(dim="time").max()),
            "<=",
            0.0,
            "at its worst time the order of joins of the best measure has nothing of the tree left",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """One curve a measure."""
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    ax = figure.subplots()
    ax.axhline(0, color="#c9c9d2", linewidth=0.8)
    for name in ds["measure"].values:
        ax.plot(
            ds["time"], ds["cophenetic_correlation"].sel(measure=name), label=str(name).replace("_", " "), linewidth=1.4
        )
    ax.set(xlabel="flow time t", ylabel="cophenetic correlation with the tree", ylim=(-1.05, 1.05))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)
    return figure


STUDY = Study("tree_in_influence", "Does the tree show in the influence, and when does a wrong one?", answer)
