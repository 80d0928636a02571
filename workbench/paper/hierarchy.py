"""The sentence that shifts of influence follow the learning of the hierarchy: order of flips, and the stage of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from workbench.figures import Words
from workbench.figures.style import PAGE
from workbench.paper.curves import UNRESOLVED, groups_of, resolved, short_name
from workbench.paper.sentence import Sentence
from workbench.studies import StudyClaim


def hierarchy_sentence(ds: xr.Dataset, events: pd.DataFrame) -> Sentence:
    """Flips against the levels: their order, and whether each falls while the next finer distinction is being made."""
    first = events[events["event"] == "flip 1"]
    groups = list(groups_of(ds))
    on_tree = bool((ds["mode_level"] >= 0).all())
    half = ds["half_rise_time"].groupby(ds["mode_level"]).mean() if on_tree else None
    rows, checks = [], []
    learning = {(str(r[0]), str(r[1])): str(r[2]) for r in first[["measure", "pairs", "learning"]].values.tolist()}
    for name in dict.fromkeys(events["measure"]):
        part = first[first["measure"] == name].set_index("pairs").reindex(groups)
        for side in ("analytic", "simulated"):
            times = part[side].to_numpy(dtype=np.float64)
            for m, (group, at) in enumerate(zip(groups, times, strict=True)):
                known = half is not None and {m, m + 1} <= set(half["mode_level"].values.tolist())
                ends = (
                    [float(half.sel(mode_level=k)) for k in (m, m + 1)] if known and half is not None else [np.nan] * 2
                )
                rows.append(
                    [name, side, group, at, *ends, _share(at, *ends), ends[0] < at < ends[1]]
                    + [learning.get((name, group), "")]
                )
            asked = [m for m, group in enumerate(groups) if group in resolved(ds, name, side)]
            gaps = np.diff(times[asked])
            if len(asked) < 2:
                continue
            checks.append(
                StudyClaim(
                    f"By {short_name(name)} ({side}), pairs that part earlier in the tree change sign earlier",
                    float(gaps.min()),
                    ">=",
                    0.0,
                    "the least gap, in flow time, between the first changes of sign of consecutive levels",
                )
            )
    columns = ["measure", "side", "pairs", "first flip", "own level half learned", "next level half learned"]
    columns += ["share of the way", "between", "learned fastest then"]
    frame = pd.DataFrame(rows, columns=columns)
    checks += _between(frame) if on_tree else []
    return Sentence(
        "hierarchy",
        "These shifts follow the network as it learns the hierarchy, level by level.",
        "The first change of sign of every group of pairs against the half-rise times of the level at which they part "
        "and of the next finer one. Another order, or a shift in another stage, would refute the sentence."
        + ("" if on_tree else " Its modes are of no one level of a tree, so that stages are not looked at."),
        frame,
        "Flow times. Share of the way: from the one half-rise (0) to the next (1); below 0: the sign changes before "
        "even half of the common ancestor is learned. " + UNRESOLVED,
        tuple(checks),
        _order_figure(frame),
        Words(
            "Order of the changes of sign",
            "First change of sign by measure (filled: theory, open: simulation); bands: from the half-rise of the "
            "level at which the pairs part to that of the next.",
            "Points in three rows of bands, each row later than the one before.",
        ),
    )


def _between(frame: pd.DataFrame) -> list[StudyClaim]:
    """Whether flips lie between the half-rise of the level at which pairs part and that of the next, by measure."""
    return [
        StudyClaim(
            f"By {short_name(str(name))}, each group changes sign between the learning of its common ancestor "
            "and that of what divides it",
            float(part["between"][part["first flip"].notna()].mean()),
            ">=",
            1.0,
            "share of the changes of sign that are seen, on either side; one outside refutes it",
        )
        for name, part in frame.groupby("measure", sort=False)
    ]


def _share(at: float, first: float, last: float) -> float:
    return (at - first) / (last - first)


def _order_figure(frame: pd.DataFrame) -> Figure:
    groups, names = list(dict.fromkeys(frame["pairs"])), list(dict.fromkeys(map(str, frame["measure"])))
    with PAGE.context():
        figure = PAGE.figure(0.5 * len(groups) + 1.2)
        ax = PAGE.tidy(figure.subplots())
        for row, group in enumerate(groups):
            part = frame[frame["pairs"] == group]
            low, high = part["own level half learned"].iloc[0], part["next level half learned"].iloc[0]
            if np.isfinite(low):
                ax.barh(row, high - low, left=low, height=0.8, color=PAGE.blank, zorder=0)
        for k, (name, colour) in enumerate(zip(names, PAGE.sequence(len(names)), strict=True)):
            for side, face in (("analytic", colour), ("simulated", PAGE.background)):
                part = frame[(frame["measure"] == name) & (frame["side"] == side)]
                rows = np.array([groups.index(group) for group in part["pairs"]]) + 0.14 * (k - (len(names) - 1) / 2)
                label = short_name(name) if side == "analytic" else None
                ax.plot(part["first flip"], rows, "o", color=colour, markerfacecolor=face, label=label)
        ax.set_yticks(range(len(groups)), groups)
        ax.invert_yaxis()
        ax.set_xlabel("flow time t")
        figure.legend(loc="outside lower center", ncols=len(names))
    return figure
