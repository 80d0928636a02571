"""Real data: what of the ideal tree is left when the hierarchy is only approximate, and which item teaches which, when.

The table is held against the ideal tree nearest to it: average linkage of the inner products of its items gives a
dendrogram, and the *ideal* task has the inner products at which the dendrogram joins two items (an ultrametric matrix,
whose square root serves as properties). Both are learned by the same network. A pair turns when its kernel first
changes sign after it was most helpful; a flip of the ideal tree survives if the pair turns on the table as well.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray
from scipy.stats import kendalltau

from workbench import theory
from workbench.figures.style import Style
from workbench.influence import MEASURES
from workbench.networks import Network, choose_init, network
from workbench.studies.nearest_tree import ultrametric, with_gram
from workbench.studies.other_networks import turning_time
from workbench.studies.pairs import enough
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]

_MOST_ITEMS = 60
#: At most so many stages are told about one by one.
_STAGES = 6


def answer(inquiry: Inquiry) -> StudyResult:
    """Stages, turning times of table and ideal tree, and the strongest influences of every stage."""
    task = inquiry.task_or("table:rumelhart")
    inquiry.allow(3, _MOST_ITEMS, "it orders pairs, each with a curve of its own")
    similarity = ultrametric(task.Y.T @ task.Y)
    init = choose_init(task)
    starts = [network(one, enough(one), init, seed=inquiry.seed) for one in (task, with_gram(task, similarity))]
    rises = theory.half_rise_times(starts[0])
    end = max(theory.settling_time(one) for one in starts)
    times = np.geomspace(0.2 * rises.min(), end, 150 if inquiry.quick else 500)
    upper = np.triu_indices(task.n_items, 1)
    with inquiry.bar("real data", 4) as advance:
        turns = []
        for one in starts:
            turns.append(_turns(times, MEASURES["gradient_kernel"](theory.predict(one, times)).values, upper))
            advance(1)
        seen_times, seen = _trained_kernel(starts[0], times)
        turns.append(_turns(seen_times, seen, upper))
        advance(1)
        stages = _distinct(rises, times[-1])
        exact = MEASURES["trajectory_derivative"](theory.predict(starts[0], stages)).values
        advance(1)
    names = np.array(task.items)
    path = theory.predict(starts[0], times)
    ds = xr.Dataset(
        {
            "mode_share": (("time", "mode"), path.mode_strengths * starts[0].modes.c / starts[0].modes.s),
            "half_rise_time": ("mode", rises),
            "singular_value": ("mode", starts[0].modes.s),
            "item_vector": (("mode", "item"), starts[0].modes.V[:, : starts[0].modes.rank].T),
            "turning_time": (("kind", "pair"), np.array(turns)),
            "ideal_similarity": ("pair", similarity[upper]),
            "influence_at_stage": (("stage", "source", "target"), exact),
        },
        coords={
            "time": times,
            "mode": np.arange(1, starts[0].modes.rank + 1),
            "item": names,
            "source": names,
            "target": names,
            "kind": ["table", "ideal tree", "table, trained"],
            "first": ("pair", names[upper[0]]),
            "second": ("pair", names[upper[1]]),
            "stage": stages,
        },
        attrs={"task": task.name},
    )
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Left: share of every mode that is learned, over time. Middle: when each pair turns on the table and on "
        "the ideal tree nearest to it (crosses: trained). Right: strongest influences at every stage.",
        "Sigmoids that overlap; turning times of table and tree rise together, with scatter; bars with the names of "
        "the pairs that help and harm most.",
        _claims(ds),
    )


def _turns(times: Array, influence: Array, upper: tuple[NDArray[np.intp], NDArray[np.intp]]) -> list[float]:
    return [turning_time(times, influence[:, i, j]) for i, j in zip(*upper, strict=True)]


def _trained_kernel(start: Network, times: Array) -> tuple[Array, Array]:
    from workbench import simulation

    schedule = simulation.schedule_near(times, simulation.learning_rate(start, 0.02))
    run = simulation.train(start, schedule)
    return run.times, MEASURES["gradient_kernel"](run).values


def _distinct(rises: Array, end: float) -> Array:
    """Half-rise times that lie a tenth apart at least, the first of them, up to `_STAGES`."""
    kept: list[float] = []
    for t in np.sort(rises[np.isfinite(rises) & (rises < end)]).tolist():
        if not kept or t > 1.1 * kept[-1]:
            kept.append(t)
    return np.array(kept[:_STAGES])


def strongest(influence: Array, names: NDArray[np.str_], sign: int) -> tuple[str, float]:
    """The pair of different items with the most negative (``sign`` -1) or positive influence, and that."""
    values = np.where(np.eye(len(influence), dtype=bool), -np.inf, sign * influence)
    i, j = np.unravel_index(int(values.argmax()), values.shape)
    return f"{names[i]} → {names[j]}", float(influence[i, j])


def survival(ds: xr.Dataset) -> dict[str, float]:
    """What of the flips of the ideal tree survives: shares of pairs, rank correlations, median relative changes."""
    table, ideal, trained = ds["turning_time"].values
    there, both = np.isfinite(ideal), np.isfinite(ideal) & np.isfinite(table)
    seen = np.isfinite(trained) & np.isfinite(table)
    similar = ds["ideal_similarity"].values
    order = [_tau(similar, one) for one in (table, ideal)]
    return {
        "turn on the ideal tree": float(there.mean()),
        "survive": float(both.sum() / max(there.sum(), 1)),
        "rank correlation": _tau(table, ideal),
        "displacement": float(np.median(np.abs(table[both] / ideal[both] - 1))),
        "distant first": order[0],
        "distant first on the ideal tree": order[1],
        "trained": float(np.median(np.abs(trained[seen] / table[seen] - 1))),
        "turn in training alone or in theory alone": float((np.isfinite(trained) != np.isfinite(table)).mean()),
    }


def _tau(x: Array, y: Array) -> float:
    """Kendall's tau-b where both are numbers; nan where one of them does not vary."""
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 2 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    return float(kendalltau(x[both], y[both]).statistic)


def _finding(ds: xr.Dataset) -> str:
    kept, names, stages = survival(ds), ds["item"].values, ds["stage"].values
    taught = [
        f"at t = {t:.2g} {strongest(one, names, -1)[0]} ({strongest(one, names, -1)[1]:.2g}) helps most and "
        f"{strongest(one, names, 1)[0]} ({strongest(one, names, 1)[1]:+.2g}) harms most"
        for t, one in zip(stages[[0, -1]], ds["influence_at_stage"].values[[0, -1]], strict=True)
    ]
    return (
        f"{ds.attrs['task']}: the first {len(stages)} stages that are a tenth apart in time are told, of "
        f"{ds.sizes['mode']} modes; of the pairs that turn on the nearest ideal tree {kept['survive']:.0%} turn on the "
        f"table, their times ranked alike (Kendall {kept['rank correlation']:.2f}) and displaced by "
        f"{kept['displacement']:.0%} in the median; that distant pairs turn first holds to a Kendall tau of "
        f"{kept['distant first']:.2f} (on the ideal tree {kept['distant first on the ideal tree']:.2f}); "
        f"{'; '.join(taught)}."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    kept = survival(ds)
    return (
        StudyClaim(
            "Nine of ten flips of the nearest ideal tree survive",
            kept["survive"],
            ">=",
            0.9,
            "share of the pairs that turn there which turn on the table as well",
        ),
        StudyClaim(
            "They come in nearly the same order",
            kept["rank correlation"],
            ">=",
            0.5,
            "Kendall tau-b: at least three of four pairs of pairs are ordered as on the ideal tree",
        ),
        StudyClaim(
            "Distant items turn before near ones",
            kept["distant first"],
            ">=",
            0.5,
            "Kendall tau-b of turning time and similarity in the dendrogram",
        ),
        StudyClaim(
            "Trained networks turn when predicted",
            kept["trained"],
            "<=",
            0.02,
            "median, relative; a fiftieth of the largest stable learning rate delays a mode by less than that share",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """Modes, turning times, strongest influences."""
    style = Style()
    with style.context():
        figure = style.figure(3.0)
        left, middle, right = (style.tidy(ax) for ax in figure.subplots(1, 3))
        colours = style.sequence(ds.sizes["mode"])
        for k, colour in enumerate(colours):
            left.plot(ds["time"], ds["mode_share"].values[:, k], color=colour, linewidth=1)
        for t in ds["stage"].values:
            left.axvline(t, color=style.faint, linewidth=0.8, zorder=0)
        left.set(xscale="log", xlabel="flow time t", ylabel="share of the mode learned")
        table, ideal, trained = ds["turning_time"].values
        shade = ds["ideal_similarity"].values
        points = middle.scatter(ideal, table, s=10, c=shade, cmap="viridis")
        middle.plot(ideal, trained, "x", color=style.ink, markersize=2.5, markeredgewidth=0.4, label="trained")
        ends = [np.nanmin(ideal), np.nanmax(ideal)]
        middle.plot(ends, ends, color=style.faint, zorder=0)
        middle.loglog()
        for axis in (left.xaxis, middle.xaxis, middle.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_formatter(NullFormatter())
        middle.set(xlabel="turns on the ideal tree at", ylabel="turns on the table at")
        figure.colorbar(points, ax=middle, label="similarity in the dendrogram", shrink=0.8)
        _draw_strongest(right, ds, style)
    return figure


def _draw_strongest(ax: Axes, ds: xr.Dataset, style: Style) -> None:
    names, stages = ds["item"].values, ds["stage"].values
    colours = style.diverging()([0.0, 1.0])
    for row, (_, one) in enumerate(zip(stages, ds["influence_at_stage"].values, strict=True)):
        for side, sign in enumerate((-1, 1)):
            pair, value = strongest(one, names, sign)
            ax.barh(-row - 0.38 * side, abs(value), height=0.34, color=colours[side])
            ax.text(abs(value), -row - 0.38 * side, f" {pair}", va="center", fontsize=style.least)
    ax.set_yticks(-np.arange(len(stages)) - 0.19, [f"t = {t:.3g}" for t in stages])
    ax.set_xlim(0, 2.4 * float(np.abs(ds["influence_at_stage"].values * ~np.eye(len(names), dtype=bool)).max()))
    ax.set_xlabel("size (blue helps, orange harms)")


STUDY = Study("real_data", "What of the ideal tree is left on real data, and which item teaches which, when?", answer)
