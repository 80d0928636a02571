"""Does weighing an item while its influence peaks do most? It is left out, or counts twice, in one window of training.

The effect of a window, the change of ``l_j`` per extra weight in it, is read at several later times. What was measured
at the middle of the window (gradient kernel, local posterior) knows the moment and not what comes after; first-order
theory, ``1/P`` times the derivative restricted to the window, carries it on to the reading. Leaving out and counting
twice part from it on opposite sides, so that their mean is nearer to it by one order of the length of the window.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import spearmanr

from workbench.studies.pairs import usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.studies.window_effects import CHANGES, MOMENTS, RATE, window_dataset
from workbench.studies.windows_figure import draw

Array = NDArray[np.float64]

#: Lengths of windows, as shares of the time until the last reading.
LENGTHS = (0.00625, 0.025, 0.1, 0.2)
GUESSES = (*MOMENTS, "first_order")
_MOST_ITEMS = 24
#: Where no window does more, in the direction asked for, than this share of the largest effect, none is the best.
_LEAST = 0.1


def answer(inquiry: Inquiry) -> StudyResult:
    """Effects of all windows on all groups of pairs in every network, beside what was measured in the window."""
    networks = usual_networks(inquiry)
    inquiry.allow(2, _MOST_ITEMS, "it weighs every item in every window, by retraining")
    parts = []
    with inquiry.bar("windows", len(networks)) as advance:
        for one in networks.values():
            parts.append(window_dataset(one, LENGTHS, 20 if inquiry.quick else 32))
            advance(1)
    ds = xr.concat(_padded(parts), dim=xr.Variable("network", list(networks)))
    ds["has_tree"] = ("network", [one.task.tree_symmetric for one in networks.values()])
    ds["rank_correlation"] = _over_windows(ds, lambda guess, effect: float(spearmanr(guess, effect).statistic))
    ds["share_of_best"] = _over_windows(ds, _share)
    caption = (
        "Left: effect on every item of the first one's being left out, or counting twice, in a window (start across), "
        "per extra weight, read at the last but one time; blue: its presence helps; logarithmic but for the smallest "
        "thousandth. Right: mean effect on groups of "
        "pairs (dark: left out, light: twice; lines theory, points retrained), with first order (dotted) and the "
        "gradient kernel in the middle of the window (grey, scaled). A row a network."
    )
    alt = "Maps of windows by items and small panels of curves; effects sit near the reading, kernels earlier."
    return StudyResult(_finding(ds), ds, draw, caption, alt, _claims(ds))


def _padded(parts: list[xr.Dataset]) -> list[xr.Dataset]:
    """Of one number of groups and items each, the missing ones nan or nameless."""
    full = []
    for one in parts:
        widths = {dim: (0, max(p.sizes[dim] for p in parts) - one.sizes[dim]) for dim in ("group", "target")}
        padded = one.pad(widths)
        full.append(padded.assign(pairs=padded["pairs"].fillna(""), item=padded["item"].fillna("")))
    return full


def _share(guess: Array, effect: Array) -> float:
    """Effect in the window where the guess is most helpful, over the most helpful effect there is."""
    helpful = -effect.min() > _LEAST * np.abs(effect).max()
    return float(effect[guess.argmin()] / effect.min()) if helpful else float("nan")


def _over_windows(ds: xr.Dataset, score: Callable[[Array, Array], float]) -> xr.DataArray:
    """``score(guess, effect)`` over the windows that end before each reading, where there are more than three."""
    dims = ("network", "change", "length", "reading", "group")
    values = np.full((len(GUESSES), *(ds.sizes[dim] for dim in dims)), np.nan)
    effects, begin_to_end = ds["effect"].transpose(*dims, "window").values, ds["end"].values
    for g, name in enumerate(GUESSES):
        guess = ds[name].broadcast_like(ds["effect"]).transpose(*dims, "window").values
        for place in np.ndindex(*values.shape[1:]):
            n, _, x, r, _ = place
            over = begin_to_end[n, x] <= ds["reading_time"].values[n, r]
            effect = effects[place][over]
            if over.sum() > 3 and np.isfinite(effect).all():
                values[(g, *place)] = score(guess[place][over], effect)
    return xr.DataArray(values, dims=("guess", *dims), coords={"guess": list(GUESSES)})


def _errors(ds: xr.Dataset) -> tuple[Array, Array]:
    """``(network, length)`` error of first order for an item left out, and for the mean of the two changes.

    Relative to the largest effect.
    """
    dims = ("window", "reading", "group")
    size = abs(ds["first_order"]).max(dims)
    alone = abs(ds["first_order"] - ds["effect"].sel(change="left out")).max(dims) / size
    both = abs(ds["first_order"] - ds["effect"].mean("change")).max(dims) / size
    return np.asarray(alone), np.asarray(both)


def _mean(scores: xr.DataArray, **chosen: str) -> xr.DataArray:
    """Over lengths, readings and groups."""
    return scores.sel(chosen).mean(("length", "reading", "group"))


def _finding(ds: xr.Dataset) -> str:
    told = []
    for name in GUESSES:
        shares = [
            f"{float(_mean(ds['share_of_best'], guess=name, change=change)[0]):.0%} ({change})" for change in CHANGES
        ]
        ranks = _mean(ds["rank_correlation"], guess=name)
        told.append(
            f"{name} {' and '.join(shares)} of the most there is (rank correlation {float(ranks[0].mean()):.2f})"
        )
    others = [
        f"{name} {float(_mean(ds['share_of_best'], guess='gradient_kernel')[n].mean()):.0%}"
        for n, name in enumerate(ds["network"].values)
        if n
    ]
    alone, both = _errors(ds)
    return (
        f"In the window where an item helps most by each measure, weighing it does, on average over lengths, readings "
        f"and groups of the {ds['network'].values[0]}: {'; '.join(told)}; by the kernel on other networks: "
        f"{', '.join(others)}. First order is off by {alone[0, 0]:.0%} of the largest effect for windows of "
        f"{LENGTHS[0]:.1%} of training and by {alone[0, -1]:.0%} for {LENGTHS[-1]:.0%}, for the mean of an item left "
        f"out and counted twice by {both[0, 0]:.1%} and {both[0, -1]:.0%}."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    dims = ("change", "length", "window", "reading", "group")
    apart = abs(ds["retrained"] - ds["effect"]).max(dims) / abs(ds["effect"]).max(dims)
    alone, both = _errors(ds)
    rank = ds["rank_correlation"].mean(("length", "reading", "group"))
    ahead = rank.sel(guess="first_order") - rank.sel(guess=list(MOMENTS)).max("guess")
    claims = [
        StudyClaim(
            "Effects of windows by retraining, an item left out or counted twice, are the predicted ones",
            float(apart.max()),
            "<=",
            3 * RATE,
            "of the largest effect; first order of the learning rate, and windows rounded to steps",
        ),
        StudyClaim(
            "The error of first-order theory shrinks with the window: a quarter of the length, at most half of it",
            float((alone[:, 0] / alone[:, 1]).max()),
            "<=",
            0.5,
            f"a quarter where the next order dominates; windows of {LENGTHS[1]:.1%} and {LENGTHS[0]:.1%} of training, "
            "the worst network; set before these lengths were computed",
        ),
        StudyClaim(
            "For the mean of leaving out and counting twice it shrinks by an order more: at most a quarter of it",
            float((both[:, 0] / both[:, 1]).max()),
            "<=",
            0.25,
            "a sixteenth where the next order dominates, and as much slack as above",
        ),
        StudyClaim(
            "What was measured in the window ranks windows worse than first-order theory, which carries it on",
            float(ahead.min()),
            ">=",
            0.1,
            "mean rank correlation over lengths, readings and groups, least over networks and changes; a tenth is more "
            "than ties among windows make; bound set on removals from the two-layer tree alone",
        ),
    ]
    return (*claims, *_claims_of_trees(ds))


def _claims_of_trees(ds: xr.Dataset) -> list[StudyClaim]:
    """That the best window is elsewhere, which tables refute: there every early window does nearly the most."""
    tree, share = ds["has_tree"].values, _mean(ds["share_of_best"], guess="gradient_kernel")
    if not tree.any():
        return []
    others = share.isel(network=~tree)
    beside = f"; without equal branches up to {float(others.max()):.2f}, and nothing is claimed" if others.size else ""
    return [
        StudyClaim(
            f"{sentence}, on trees",
            float(share.isel(network=tree).sel(change=change).max()),
            "<=",
            0.9,
            f"mean share of the {best}, on the tree where it is largest; 1 would be the same window every time; {when}"
            f"{beside}",
        )
        for change, sentence, best, when in (
            (
                "left out",
                "The window in which the kernel is most helpful is not where removal does most damage",
                "worst damage",
                "bound set on two layers before three were run",
            ),
            (
                "twice",
                "nor where counting the item twice gains most",
                "largest gain",
                "bound of removal, before this was computed",
            ),
        )
    ]


STUDY = Study("windows", "Does weighing an item while its influence peaks do most?", answer)
