"""Does removing an item while its influence peaks do most damage? An item is absent in one window of training only.

The effect of a window, ``l_j`` with the item minus ``l_j`` without it there, is read at several later times. What was
measured at the middle of the window (gradient kernel, local posterior) knows the moment and not what comes after;
first-order theory, ``1/P`` times the derivative restricted to the window, carries it on to the reading.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr

from workbench import theory
from workbench.errors import WorkbenchError
from workbench.figures.style import Style
from workbench.influence import MEASURES
from workbench.networks import Network, network
from workbench.studies.pairs import enough, groups_far_first
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]

#: Lengths of windows, as shares of the time until the last reading.
LENGTHS = (0.025, 0.05, 0.1, 0.2)
GUESSES = ("gradient_kernel", "local_bif", "first_order")
#: Learning rate of the retraining, as a share of the largest stable one.
_RATE = 0.02
_MOST_ITEMS = 24
#: Where removal never does more damage than this share of the largest effect, there is no worst window.
_DAMAGE = 0.1


def answer(inquiry: Inquiry) -> StudyResult:
    """Effects of all windows on all groups of pairs, three ways, beside what was measured in the window."""
    task = inquiry.task_or("tree")
    if task.n_items > _MOST_ITEMS:
        raise WorkbenchError(f"every item is removed in every window: give a task of at most {_MOST_ITEMS} items")
    start = network(task, enough(task), "auto", seed=inquiry.seed)
    readings = _readings(start)
    windows = _windows(float(readings[-1]), 12 if inquiry.quick else 32)
    names, masks = groups_far_first(task)
    pairs = [tuple(window) for window in windows.reshape(-1, 2).tolist()]
    with inquiry.bar("windows", 4) as advance:
        sides = []
        for method in ("finite", "first_order"):
            sides.append(theory.window_removal(start, readings, pairs, method=method))  # type: ignore[arg-type]
            advance(1)
        sides.append(_retrained(start, readings, pairs))
        advance(1)
        path = theory.predict(start, np.unique(windows.mean(axis=-1)))
        place = np.searchsorted(path.times, windows.mean(axis=-1))
        moment = [np.asarray(MEASURES[name](path).values)[place] for name in GUESSES[:2]]
        advance(1)
    shape = (*windows.shape[:2], len(readings))
    grouped = [_means(side.reshape(*shape, *side.shape[-2:]), masks) for side in sides]
    dims = ("length", "window", "reading", "group")
    ds = xr.Dataset(
        {
            **{name: (dims, one) for name, one in zip(("effect", "first_order", "retrained"), grouped, strict=True)},
            **dict(zip(GUESSES[:2], [(("length", "window", "group"), _means(m, masks)) for m in moment], strict=True)),
            "begin": (("length", "window"), windows[..., 0]),
            "end": (("length", "window"), windows[..., 1]),
            "effect_on_item": (
                ("length", "window", "item"),
                sides[0].reshape(*shape, *sides[0].shape[-2:])[:, :, -2, 0],
            ),
        },
        coords={"length": list(LENGTHS), "reading": readings, "group": names, "item": list(task.items)},
        attrs={"source": task.items[0]},
    )  # fmt: skip
    ds["rank_correlation"] = _rank_correlations(ds)
    ds["nearest_peak"] = _damage_at_peak(ds)
    caption = (
        f"Left: effect on every item of leaving out {task.items[0]} in a window (start across), read at the last but "
        "one time; blue: its presence helped. Right: mean effect on groups of pairs (lines theory, points retrained), "
        "with first order (dotted) and the gradient kernel in the middle of the window (grey, scaled)."
    )
    alt = "A map of windows by items and small panels of curves; effects sit near the reading, kernels earlier."
    return StudyResult(_finding(ds), ds, draw, caption, alt, _claims(ds))


def _readings(start: Network) -> Array:
    """Half-rise times of the levels but the first, and a time after the last."""
    rises = theory.half_rise_times(start)
    rises = np.unique(np.round(rises[np.isfinite(rises)], 6))
    chosen = rises[np.unique(np.linspace(min(1, len(rises) - 1), len(rises) - 1, 3).round().astype(int))]
    return np.append(chosen, 1.3 * chosen[-1])


def _windows(last: float, count: int) -> Array:
    """``(length, window, 2)`` begins and ends."""
    return np.stack([np.stack([b := np.linspace(0, last * (1 - x), count), b + x * last], axis=-1) for x in LENGTHS])


def _means(values: Array, masks: list[NDArray[np.bool_]]) -> Array:
    return np.stack([values[..., mask].mean(axis=-1) for mask in masks], axis=-1)


def _retrained(start: Network, readings: Array, windows: list[tuple[float, ...]]) -> Array:
    from workbench import simulation

    schedule = simulation.schedule_near(np.append(0.0, readings), simulation.learning_rate(start, _RATE))
    return simulation.window_removal(start, schedule, windows)[:, 1:]  # type: ignore[arg-type]


def _guess(ds: xr.Dataset, name: str) -> xr.DataArray:
    return ds[name] if "reading" in ds[name].dims else ds[name].expand_dims(reading=ds["reading"])


def _rank_correlations(ds: xr.Dataset) -> xr.DataArray:
    """Spearman, over windows that end before the reading, of the effect with each guess."""
    return _over_windows(ds, lambda guess, effect: float(spearmanr(guess, effect).statistic))


def _damage_at_peak(ds: xr.Dataset) -> xr.DataArray:
    """Damage in the window where each guess is most helpful, as a share of the worst damage there is."""

    def share(guess: Array, effect: Array) -> float:
        harmful = -effect.min() > _DAMAGE * np.abs(effect).max()
        return float(effect[guess.argmin()] / effect.min()) if harmful else float("nan")

    return _over_windows(ds, share)


def _over_windows(ds: xr.Dataset, score: Callable[[Array, Array], float]) -> xr.DataArray:
    """``score(guess, effect)`` over the windows that end before each reading, where there are more than three."""
    values = np.full((len(GUESSES), len(LENGTHS), ds.sizes["reading"], ds.sizes["group"]), np.nan)
    for g, name in enumerate(GUESSES):
        guess = _guess(ds, name).transpose("length", "window", "reading", "group").values
        for x, r, k in np.ndindex(*values.shape[1:]):
            over = ds["end"].values[x] <= ds["reading"].values[r]
            if over.sum() > 3:
                values[g, x, r, k] = score(guess[x, over, r, k], ds["effect"].values[x, over, r, k])
    return xr.DataArray(values, dims=("guess", "length", "reading", "group"), coords={"guess": list(GUESSES)})


def _finding(ds: xr.Dataset) -> str:
    share, rank = ds["nearest_peak"], ds["rank_correlation"]
    told = [
        f"{name} {float(share.sel(guess=name).mean()):.0%} of the worst damage (rank correlation "
        f"{float(rank.sel(guess=name).mean()):.2f}, lowest {float(rank.sel(guess=name).min()):.2f})"
        for name in GUESSES
    ]
    error = _first_order_error(ds)
    return (
        "Removing an item in the window where it helps most by each measure does, on average over lengths, readings "
        f"and groups: {'; '.join(told)}; first order is off by {error[0]:.0%} of the largest effect for windows of "
        f"{LENGTHS[0]:.0%} of training and by {error[-1]:.0%} for {LENGTHS[-1]:.0%}."
    )


def _first_order_error(ds: xr.Dataset) -> Array:
    """``(length,)`` relative to the largest effect."""
    dims = ("window", "reading", "group")
    error, effect = ds["first_order"] - ds["effect"], ds["effect"]
    return np.asarray(abs(error).max(dims) / abs(effect).max(dims))


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    apart = np.abs(ds["retrained"] - ds["effect"]).max() / np.abs(ds["effect"]).max()
    error, rank = _first_order_error(ds), ds["rank_correlation"].mean(("length", "reading", "group"))
    share = ds["nearest_peak"]
    return (
        StudyClaim(
            "The effect of a window by retraining is the predicted one",
            float(apart),
            "<=",
            3 * _RATE,
            "of the largest effect; first order of the learning rate, and windows rounded to steps",
        ),
        StudyClaim(
            "The error of first-order theory shrinks with the window: a quarter of the length, at most half of it",
            float(error[0] / error[2]),
            "<=",
            0.5,
            "a quarter where the next order dominates; of windows of a tenth and a fortieth of training",
        ),
        StudyClaim(
            "What was measured in the window ranks windows worse than first-order theory, which carries it on",
            float(rank.sel(guess="first_order") - rank.sel(guess=list(GUESSES[:2])).max()),
            ">=",
            0.1,
            "mean rank correlation over lengths, readings and groups; a tenth is more than ties among windows make",
        ),
        StudyClaim(
            "The window in which the kernel is most helpful is not where removal does most damage",
            float(share.sel(guess="gradient_kernel").mean()),
            "<=",
            0.9,
            "mean share of the worst damage; 1 would be the same window every time",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """The map at the middle length, and a panel a group and reading."""
    style = Style()
    x, R = len(LENGTHS) // 2, ds.sizes["reading"]
    one = ds.isel(length=x)
    with style.context():
        figure = style.figure(1.25 * ds.sizes["group"] + 0.8)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 2.2))[0]
        ax = style.tidy(left.subplots())
        values = one["effect_on_item"].values.T
        size = float(np.abs(values[1:]).max()) or 1.0
        begin = one["begin"].values
        image = ax.pcolormesh(begin, np.arange(len(values)), values, cmap=style.diverging(), vmin=-size, vmax=size)
        ax.set_yticks(range(len(values)), [str(i) for i in ds["item"].values], fontsize=style.least)
        ax.invert_yaxis()
        ax.set(xlabel="start of the window", title=f"without {ds.attrs['source']}")
        left.colorbar(image, ax=ax, location="bottom").ax.tick_params(labelsize=style.least)
        axes = right.subplots(ds.sizes["group"], R, squeeze=False, sharex=True)
        for g, r in np.ndindex(*axes.shape):
            ax, here = style.tidy(axes[g, r]), one.isel(reading=r, group=g)
            kernel = one["gradient_kernel"].values[:, g]
            top = float(np.abs(here["effect"]).max())
            ax.axhline(0, color=style.faint)
            ax.plot(begin, kernel * top / np.abs(kernel).max(), color=style.faint)
            ax.plot(begin, here["effect"], color=style.ink)
            ax.plot(begin, here["first_order"], ":", color=style.ink)
            ax.plot(begin, here["retrained"], "o", color=style.ink, markersize=1.6)
            ax.tick_params(labelsize=style.least)
            if g == 0:
                ax.set_title(f"read at t = {float(ds['reading'][r]):.1f}", fontsize=style.small)
            if r == 0:
                ax.set_ylabel(str(ds["group"].values[g]).replace("ancestor on ", ""), fontsize=style.small)
        axes[-1, 0].set_xlabel("start of the window")
    return figure


STUDY = Study("windows", "Does removing an item while its influence peaks do most damage?", answer)
