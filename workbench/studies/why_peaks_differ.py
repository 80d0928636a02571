"""Why the peaks do not coincide: which ingredient moves the sign change of influence, by how much, and which way.

Kernel, classical influence function, local posterior, exact derivative and leave-one-out differ in what stands between
the two gradients; `ladders` walks from one to the next and changes one ingredient at a time.

A short memory moves the flips of two aligned layers at second order only. The response to weight in the last tau is, to
second order in tau, ``-tau K_ij + tau^2 [g_j . H g_i - g_j . H_i g] / 2`` (g, H of the mean loss), and in modes the
bracket is proportional to ``(sum_a e_a^2 v_ai v_aj) (sum_b a_b (e_b - c a_b) v_bi v_bj)``: it has the factor of the
kernel, ``K_ij ~ (sum_a e_a^2 v_ai v_aj) (sum_b a_b v_bi v_bj)``, that vanishes at the flip.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import theory
from workbench.figures.style import Style
from workbench.studies.ladders import LADDERS, RUNGS, predicted_rungs, short_memory_flips, trained_rungs
from workbench.studies.pairs import EVENTS, events_of, groups_far_first, usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]

#: Windows, over the length of training, in which the order of a short memory's effect is read off; the last is exact.
SHORT = (1 / 512, 1 / 1024, 1 / 32768)
#: More items make the windows of memory, one a checkpoint, too slow.
_MOST_ITEMS = 16


def answer(inquiry: Inquiry) -> StudyResult:
    """The times of flips and peaks on every rung of every ladder."""
    networks = usual_networks(inquiry)
    inquiry.allow(2, _MOST_ITEMS, "its windows of memory are one a checkpoint")
    groups = {name: groups_far_first(one.task) for name, one in networks.items()}
    G = max(len(names) for names, _ in groups.values())
    predicted, trained = (np.full((len(networks), len(RUNGS), G, len(EVENTS)), np.nan) for _ in range(2))
    short = np.full((len(networks), G, len(SHORT)), np.nan)
    labels = [names + [""] * (G - len(names)) for names, _ in groups.values()]
    with inquiry.bar("why peaks differ", len(networks) * len(RUNGS)) as advance:
        for n, (name, network) in enumerate(networks.items()):
            points, masks = 60 if inquiry.quick else 150, groups[name][1]
            path = theory.predict(network, np.linspace(0, theory.settling_time(network), points + 1)[1:])
            for k, influence in predicted_rungs(path):
                predicted[n, k, : len(masks)] = events_of(path.times, influence, masks, "leave_one_out")
                advance(1)
            if network.depth == 2 and network.task.tree_symmetric:
                short[n, : len(masks)] = [short_memory_flips(path, mask, SHORT) for mask in masks]
            for k, times, influence in trained_rungs(path):
                trained[n, k, : len(masks)] = events_of(times, influence, masks, "leave_one_out")
                advance(int(RUNGS[k][0] == "step"))
    dims = ("network", "rung", "group", "event")
    ds = xr.Dataset(
        {"event_time": (dims, predicted), "event_time_simulated": (dims, trained)},
        coords={
            "network": list(networks),
            "event": list(EVENTS),
            "ingredient": ("rung", [name for name, _ in RUNGS]),
            "value": ("rung", [value for _, value in RUNGS]),
            "pairs": (("network", "group"), labels),
            "has_tree": ("network", [one.task.tree_symmetric for one in networks.values()]),
            "layers": ("network", [one.depth for one in networks.values()]),
        },
    )
    ds["shift"] = _shifts(ds)
    ds["short_memory_flip"] = xr.Variable(("network", "group", "window"), short, {"windows": list(SHORT)})
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "When the mean influence of a group of pairs first changes sign (filled) and changes back (open), as one "
        "ingredient after another is added; crosses are simulated. Left ends are what the ingredient starts from.",
        "Six columns of small panels, one an ingredient; lines of flip times, one colour a group of pairs, mostly rise "
        "with memory and removal and fall with curvature.",
        _claims(ds),
    )


def _shifts(ds: xr.Dataset) -> xr.DataArray:
    """How far the first flip moves from one end of each ladder to the other, (network, ladder, group)."""
    whole = ds["event_time"].fillna(ds["event_time_simulated"]).sel(event="flip 1")
    moved = []
    for name in LADDERS:
        rungs = whole.isel(rung=np.flatnonzero(ds["ingredient"].values == name))
        moved.append(rungs.isel(rung=-1) - rungs.isel(rung=0))
    return xr.concat(moved, dim=xr.Variable("ladder", list(LADDERS)), coords="minimal", compat="override").drop_vars(
        ["event", "ingredient", "value"], errors="ignore"
    )


def _flips(ds: xr.Dataset, ingredient: str, event: str = "flip 1", side: str = "event_time") -> Array:
    """``(network, rung, group)`` on one ladder."""
    return np.asarray(ds[side].sel(event=event).values[:, ds["ingredient"].values == ingredient])


def _finding(ds: xr.Dataset) -> str:
    first, group = ds.isel(network=0), min(1, ds.sizes["group"] - 1)
    pairs = str(first["pairs"].values[group])
    memory, removal = (_flips(ds, name)[0, :, group] for name in ("memory", "removal"))
    parts = [
        f"{name} {float(first['shift'].sel(ladder=name)[group]):+.2f}"
        for name in LADDERS
        if np.isfinite(float(first["shift"].sel(ladder=name).values[group]))
    ]
    back = _flips(ds, "memory", "flip 2")[0, :, group]
    since = [value for value, t in zip(LADDERS["memory"][0], back, strict=True) if np.isfinite(t)]
    again = f"; it changes back only with a memory of {since[0]:.2g} of training or more" if since else ""
    if not np.isfinite(_flips(ds, "convention")[0, -1, group]):
        again += "; with renormalised weights it never changes"
    return (
        f"Influence between pairs with {pairs} ({ds['network'].values[0]}) first changes sign at t = {memory[0]:.2f} "
        f"by the kernel, {memory[-1]:.2f} by the exact derivative and {removal[-1]:.2f} by leave-one-out; "
        f"the ingredients move it by: {', '.join(parts)}{again}."
    )


def _least(values: Array) -> float:
    """The smallest of those that are numbers; nan where none is, so that a claim about nothing fails."""
    there = values[np.isfinite(values)]
    return float(there.min()) if there.size else float("nan")


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    memory, removal, curvature = (_flips(ds, name) for name in ("memory", "removal", "curvature"))
    rate, first = LADDERS["step"][0][1], ds.sel(event="flip 1")
    apart = np.abs(first["event_time_simulated"].values / first["event_time"].values - 1)
    closest = -_least(curvature[:, 0] - curvature[:, -1])
    claims = [
        StudyClaim(
            "Memory of all of training delays every first change of sign",
            _least(memory[:, -1] - memory[:, 0]),
            ">=",
            0.0,
            "past help is still felt while the last steps already harm",
        ),
        StudyClaim(
            "Removing the item whole delays it again",
            _least(removal[:, -1] - removal[:, 0]),
            ">=",
            0.0,
            "without the item its modes are learned later, so that it helps for longer",
        ),
        StudyClaim(
            "Curvature, at twice the damping that is needed, moves it forward",
            _least(curvature[:, 0] - curvature[:, -2]),
            ">=",
            0.0,
            "directions in which the loss curves down, those still being learned, count more; at 1.1 times the need "
            f"the latest moves by {closest:+.3f}",
        ),
        StudyClaim(
            "Simulated first changes of sign are the predicted ones",
            -_least(-apart),
            "<=",
            rate,
            f"relative; steps of {rate:g} of the largest stable rate shift the time of a mode by less than that share",
        ),
    ]
    return (*claims, *_claims_of_trees(ds))


def _claims_of_trees(ds: xr.Dataset) -> list[StudyClaim]:
    claims, tree, short = [], ds["has_tree"].values, ds["short_memory_flip"].values
    if tree.any() and ds.sizes["group"] > 1:
        ordered = ds["ingredient"].values != "convention"
        claims.append(
            StudyClaim(
                "On a tree distant pairs change sign before near ones, whatever the ingredient but the convention",
                _least(np.diff(ds["event_time"].sel(event="flip 1").values[tree][:, ordered], axis=-1)),
                ">=",
                0.0,
                "levels are learned in that order",
            )
        )
    if np.isfinite(short).any():
        claims.append(
            StudyClaim(
                "Half as long a memory moves the changes of sign of two aligned layers a quarter as far",
                _least((short[..., 0] - short[..., 2]) / (short[..., 1] - short[..., 2])),
                ">=",
                3.0,
                "second order gives 4, first order would give 2",
            )
        )
    return claims


def draw(ds: xr.Dataset) -> Figure:
    """Rows are networks, columns ingredients."""
    style = Style()
    N = ds.sizes["network"]
    colours = style.sequence(ds.sizes["group"])
    with style.context():
        figure = style.figure(1.9 * N + 0.5)
        axes = figure.subplots(N, len(LADDERS), squeeze=False, sharey="row")
        for row, name in enumerate(ds["network"].values):
            for column, (ingredient, (values, label)) in enumerate(LADDERS.items()):
                ax = style.tidy(axes[row, column])
                for g, colour in enumerate(colours):
                    first, back, seen = (
                        _flips(ds, ingredient, event, side)[row, :, g]
                        for event, side in (
                            ("flip 1", "event_time"), ("flip 2", "event_time"), ("flip 1", "event_time_simulated"))
                    )  # fmt: skip
                    ax.plot(first, "-o", color=colour, markersize=2.5, label=str(ds["pairs"].values[row, g]))
                    ax.plot(back, "--o", color=colour, markersize=2.5, markerfacecolor=style.background)
                    ax.plot(seen, ":x", color=style.ink, markersize=3.5, markeredgewidth=0.7)
                shown = ["∞" if v == np.inf else f"{v:.2g}".replace("0.", ".").replace("1e+02", "100") for v in values]
                ax.set_xticks(range(len(values)), shown, fontsize=style.least, rotation=60)
                if row == 0:
                    ax.set_title(ingredient)
                if row == N - 1:
                    ax.set_xlabel(label, fontsize=style.least)
            axes[row, 0].set_ylabel(f"{name}\nflow time t")
            axes[row, -1].legend(*axes[row, 0].get_legend_handles_labels(), fontsize=style.least, loc="upper left",
                                 bbox_to_anchor=(1, 1))  # fmt: skip
    return figure


STUDY = Study("why_peaks_differ", "Why do measures of influence change sign and peak at different times?", answer)
