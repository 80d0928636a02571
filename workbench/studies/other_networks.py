"""Other networks: is root before inner before siblings still the order in which influence turns, and what breaks it?

The theory is of two linear layers from a small aligned start on all items at once. Here are mini-batches, momentum,
Adam, more layers, larger starts (towards the lazy regime), ReLU and tanh layers, and sigmoid outputs with
cross-entropy, each from several Gaussian starts. A pair turns when its kernel first changes sign after it was most
helpful. The order is kept if the mean curves of the groups of pairs turn one after the other, the most distant first;
*concordance* is the share of pairs of pairs, of different groups, that turn in that order (one that never turns is in
no order).
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.agreement.events import VISIBLE
from workbench.figures.style import Style
from workbench.studies.pairs import groups_far_first
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_ITEMS = 16


def answer(inquiry: Inquiry) -> StudyResult:
    """Turning times of groups and pairs in every variant and from every seed."""
    from workbench.studies.variants import kernels, variants_for

    task = inquiry.task_or("tree")
    inquiry.allow(3, _MOST_ITEMS, "it orders pairs, in some 17 kinds of networks from several seeds")
    (names, masks), variants = groups_far_first(task), variants_for(task)
    seeds = 4 if inquiry.quick else 12
    shape = (len(variants), seeds)
    turned, foreseen = (np.full((*shape, len(masks)), np.nan) for _ in range(2))
    concordance = np.full(shape, np.nan)
    with inquiry.bar("other networks", len(variants)) as advance:
        for v, variant in enumerate(variants):
            times, measured, predicted = kernels(task, variant, seeds, 81)
            advance(1)
            turned[v] = [_of_groups(times, one, masks) for one in measured]
            concordance[v] = [concordance_of(times, one, masks) for one in measured]
            if predicted is not None:
                foreseen[v] = [_of_groups(times, one, masks) for one in predicted]
    dims = ("variant", "seed", "group")
    kept = (np.diff(turned, axis=-1) > 0).all(axis=-1)
    ds = xr.Dataset(
        {
            "turning_time": (dims, turned),
            "turning_time_predicted": (dims, foreseen, {"long_name": "of the gradient flow from the same start"}),
            "order_kept": (("variant", "seed"), kept.astype(float)),
            "concordance": (("variant", "seed"), concordance),
        },
        coords={
            "variant": [variant.name for variant in variants],
            "family": ("variant", [variant.family for variant in variants]),
            "group": names,
        },
        attrs={"task": task.name},
    )
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Left: when the mean kernel of each group of pairs turns from help to harm, over when the first does "
        "(a dot a seed). Right: share of pairs of pairs that turn in this order; line: one half.",
        "Three bands of dots, in order for most networks, mixed for large starts; concordance near 1 for most, lowest "
        "for large starts.",
        _claims(ds),
    )


def turning_time(times: Array, curve: Array) -> float:
    """When a curve first changes sign after its most helpful value; nan if it never does, or was never helpful.

    What it reaches afterwards must be visible (`VISIBLE` of its largest value).
    """
    floor = VISIBLE * float(np.abs(curve).max())
    low = int(curve.argmin())
    above = np.flatnonzero(curve[low:] > floor)
    if not len(above) or curve[low] >= -floor:
        return float("nan")
    high = low + int(above[0])
    below = low + int(np.flatnonzero(curve[low:high] <= 0)[-1])
    share = curve[below] / (curve[below] - curve[below + 1])
    return float(times[below] + share * (times[below + 1] - times[below]))


def _of_groups(times: Array, influence: Array, masks: list[Mask]) -> list[float]:
    return [turning_time(times, influence[:, mask].mean(axis=1)) for mask in masks]


def concordance_of(times: Array, influence: Array, masks: list[Mask]) -> float:
    """Share of pairs of item pairs of different groups that turn in the order of the groups."""
    upper = np.triu(np.ones(influence.shape[1:], dtype=bool), 1)
    turns = [np.array([turning_time(times, c) for c in influence[:, mask & upper].T]) for mask in masks]
    right = total = 0
    for far in range(len(masks)):
        for near in range(far + 1, len(masks)):
            earlier = turns[far][:, None] < turns[near][None, :]
            right, total = right + int(earlier.sum()), total + earlier.size
    return right / total if total else float("nan")


def _finding(ds: xr.Dataset) -> str:
    kept, concordance = ds["order_kept"].mean(dim="seed"), ds["concordance"].mean(dim="seed")
    broken = [str(name) for name in ds["variant"].values if float(kept.sel(variant=name)) < 1]
    whole = [str(name) for name in ds["variant"].values if name not in broken]
    worst = concordance.sortby(concordance)
    shown = ", ".join(f"{name} {float(kept.sel(variant=name)):.0%}" for name in broken) or "none"
    return (
        "The order in which groups of pairs turn from help to harm is kept from every seed by "
        f"{len(whole)} of "
        f"{ds.sizes['variant']} kinds of networks ({', '.join(whole)}); from a share of the seeds by: {shown}; "
        f"pair by pair concordance is {float(concordance.isel(variant=0)):.2f} for the plain network and lowest for "
        + ", ".join(f"{name} ({float(worst.sel(variant=name)):.2f})" for name in worst["variant"].values[:3])
        + "."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    kept, concordance = ds["order_kept"].mean(dim="seed"), ds["concordance"].mean(dim="seed")
    rules = [name for name in ds["variant"].values if str(name).startswith("batches")] + ["momentum 0.9"]
    other = ["ReLU", "tanh", "cross-entropy"]
    starts = [name for name in ds["variant"].values if str(name).startswith("start")]
    linear = ds.sel(variant=["plain", starts[0], "layers 3"])
    late = np.abs(linear["turning_time"].values / linear["turning_time_predicted"].values - 1)
    return (
        StudyClaim(
            "Mini-batches down to one item and momentum .9 keep the order of the groups as often as the plain network",
            float(kept.sel(variant=rules).min() - kept.sel(variant="plain")),
            ">=",
            -0.1,
            "they follow the same flow with a little noise and delay; one seed of twelve may differ",
        ),
        StudyClaim(
            "ReLU, tanh and cross-entropy keep it from most seeds",
            float(kept.sel(variant=other).min()),
            ">=",
            0.75,
            "the stages survive, single starts may lack units for a branch",
        ),
        StudyClaim(
            "A large start breaks the order first: its concordance is the lowest of all",
            float(concordance.sel(variant=starts[-1]) - concordance.drop_sel(variant=starts[-1]).min()),
            "<=",
            0.0,
            "in the lazy regime all modes are learned at once and nothing turns",
        ),
        StudyClaim(
            "Where the flow predicts the turning times of small starts, trained networks keep them",
            float(np.nanmedian(late)),
            "<=",
            0.03,
            "relative, median over seeds and groups; the learning rate is .03 over the largest singular value",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """A row a variant."""
    style, V = Style(), ds.sizes["variant"]
    colours = style.sequence(ds.sizes["group"])
    rows = np.arange(V)[::-1]
    with style.context():
        figure = style.figure(0.24 * V + 1.0)
        left, right = (style.tidy(ax) for ax in figure.subplots(1, 2, width_ratios=(2, 1), sharey=True))
        first = np.nanmedian(ds["turning_time"].values[:, :, :1], axis=1, keepdims=True)
        for g, colour in enumerate(colours):
            relative = ds["turning_time"].values[:, :, g] / first[:, :, 0]
            jitter = np.linspace(-0.25, 0.25, ds.sizes["seed"])
            y = (rows[:, None] + jitter).ravel()
            left.plot(relative.ravel(), y, ".", color=colour, markersize=3, label=str(ds["group"].values[g]))
        left.set_xscale("log")
        left.set(xlabel="turning time / median of the most distant group", ylim=(-0.6, V - 0.4))
        left.set_yticks(rows, ds["variant"].values)
        left.legend(fontsize=style.least, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        values = ds["concordance"]
        right.barh(rows, values.mean(dim="seed"), xerr=values.std(dim="seed"), color=style.muted, height=0.6)
        right.axvline(0.5, color=style.faint)
        right.set(xlabel="concordance, mean and spread", xlim=(0, 1.05))
    return figure


STUDY = Study(
    "other_networks", "Does the order in which influence turns survive in other networks, and what breaks it?", answer
)
