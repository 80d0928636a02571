"""How well prediction and simulation agree, without flattering either."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator
from numpy.typing import NDArray

from workbench.agreement.groups import pair_groups
from workbench.agreement.resolution import unresolved
from workbench.figures.figure import Illustration
from workbench.figures.learning import stage_marks
from workbench.figures.reading import Measure, measures, span, stages, thin
from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CHANCE = (0, (3, 2))


def agreement(ds: xr.Dataset, style: Style = PAGE, shown: tuple[Measure, ...] | None = None) -> Figure:
    """Left: differences in standard errors against what chance would give; right: errors over time.

    The quantile plot pools all pairs of different items at all checkpoints; entries of one checkpoint share
    their chains, so its points are not independent. Errors are root mean squares over one group of pairs,
    relative to the largest predicted root mean square of that group over time: a small relative error at a
    sign flip is not demanded.
    """
    both = tuple(
        m for m in (measures(ds) if shown is None else shown) if m.analytic is not None and m.simulated is not None
    )
    sampled = tuple(m for m in both if m.stderr is not None)
    panels = len(both) + len(sampled)
    with style.context():
        rows, columns = (1, max(panels, 1)) if style.wide else (max(panels, 1), 1)
        figure = style.figure(2.8 if style.wide else 1.9 * rows + 0.6)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        if not both:
            style.bare(axes[0]).text(0.5, 0.5, "no measure has both sides", ha="center", color=style.muted)
            return figure
        for ax, measure in zip(axes, sampled, strict=False):
            _quantiles(style.tidy(ax), measure, style)
        for ax, measure in zip(axes[len(sampled) :], both, strict=True):
            _errors(style.tidy(ax), ds, measure, style)
        axes[len(sampled)].set_ylabel("relative r.m.s. difference")
        handles, labels = axes[-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=style.legend_columns(labels))
    return figure


def agreement_table(ds: xr.Dataset, shown: tuple[Measure, ...]) -> pd.DataFrame:
    """One row a measure with both sides, group of pairs and time: the relative r.m.s. difference."""
    time = ds["time"].values
    return pd.DataFrame(
        [
            (measure.name, pairs, at, error)
            for measure in shown
            if measure.analytic is not None and measure.simulated is not None
            for pairs, mask in kinships(ds)
            for at, error in zip(time, errors_over_time(measure, mask), strict=True)
        ],
        columns=["measure", "pairs", "time", "relative_rms"],
    )


def standardised(measure: Measure) -> Array:
    """``(n,)`` differences in standard errors, all checkpoints, pairs of different items (each pair once)."""
    assert measure.analytic is not None and measure.simulated is not None and measure.stderr is not None
    source, target = np.triu_indices(measure.analytic.shape[1], k=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (measure.simulated - measure.analytic)[:, source, target] / measure.stderr[:, source, target]
    return np.sort(z[np.isfinite(z)])


def _quantiles(ax: Axes, measure: Measure, style: Style) -> None:
    from scipy.special import ndtri

    z = standardised(measure)
    ax.set_title(f"{measure.title}: deviations")
    if not z.size:
        ax.text(0.5, 0.5, "no standard errors", transform=ax.transAxes, ha="center", color=style.muted)
        return
    expected = ndtri((np.arange(len(z)) + 0.5) / len(z))
    some = np.unique(
        np.concatenate([thin(len(z), 300), np.arange(min(15, len(z))), np.arange(max(0, len(z) - 15), len(z))])
    )
    reach = float(max(np.abs(expected).max(), 2.0))
    ax.plot([-reach, reach], [-reach, reach], color=style.muted, linewidth=0.1 * style.font)
    ax.plot(
        expected[some],
        z[some],
        linestyle="none",
        marker="o",
        color=style.sequence(4)[0],
        markersize=0.25 * style.font,
    )
    ax.set(xlabel="expected if chance alone [s.e.]", ylabel="(sim. − theory) [s.e.]")
    within = 100 * float((np.abs(z) <= 2).mean())
    ax.text(
        0.03,
        0.97,
        f"{within:.0f}% within 2 s.e.\n(chance: 95%)",
        transform=ax.transAxes,
        va="top",
        fontsize=style.small,
        color=style.muted,
    )


def kinships(ds: xr.Dataset) -> tuple[tuple[str, Mask], ...]:
    """Named ``(P, P)`` masks: the groups of pairs of the error tables, and the diagonal."""
    return (*pair_groups(ds).items(), ("an item and itself", np.eye(ds.sizes["source"], dtype=bool)))


def errors_over_time(measure: Measure, pairs: Mask) -> Array:
    """``(T,)`` root mean square difference over ``pairs``, relative to the largest predicted one."""
    assert measure.analytic is not None and measure.simulated is not None
    difference = (measure.simulated - measure.analytic)[:, pairs]
    scale = float(np.sqrt(np.nanmean(measure.analytic[:, pairs] ** 2, axis=1)).max())
    return np.asarray(np.sqrt(np.nanmean(difference**2, axis=1)) / (scale or np.nan))


def _noise(ds: xr.Dataset, measure: Measure) -> str:
    """A line for groups of pairs whose single entries are noise, with the draws that would resolve them."""
    noisy = unresolved(ds, measure.name)
    if not noisy:
        return ""
    most = max(draws for _, draws in noisy.values())
    whose = f"{len(noisy)} of {len(pair_groups(ds))} groups" if len(noisy) < len(pair_groups(ds)) else "all groups"
    return f"\n{whose}: noise (dashed),\nless with {most:,.0f} draws"


def noise_over_time(measure: Measure, pairs: Mask) -> Array:
    """``(T,)`` the same of the standard errors: the difference that chance alone explains."""
    assert measure.analytic is not None and measure.stderr is not None
    scale = float(np.sqrt(np.nanmean(measure.analytic[:, pairs] ** 2, axis=1)).max())
    return np.asarray(np.sqrt(np.nanmean(measure.stderr[:, pairs] ** 2, axis=1)) / (scale or np.nan))


def _errors(ax: Axes, ds: xr.Dataset, measure: Measure, style: Style) -> None:
    time = ds["time"].values
    named = kinships(ds)
    largest = 0.0
    noisy = unresolved(ds, measure.name)
    for (name, pairs), colour in zip(named, style.sequence(len(named)), strict=True):
        error = errors_over_time(measure, pairs)
        largest = max(largest, float(np.nanmax(error, initial=0.0)))
        ax.plot(time, np.where(error > 0, error, np.nan), color=colour, label=name, linewidth=0.13 * style.font)
        if name in noisy:
            # Where chance alone explains as much, the curve says nothing of the theory.
            ax.plot(time, noise_over_time(measure, pairs), color=colour, linewidth=0.08 * style.font, linestyle=_CHANCE)
    ax.set(xlabel=f"flow time $t${_noise(ds, measure)}", yscale="log", xlim=span(time))
    # Both sides start from the same weights: differences of rounding size would take up the whole axis.
    if largest > 0:
        ax.set_ylim(bottom=max(ax.get_ylim()[0], 1e-4 * largest))
    ax.set_title(f"{measure.title}: errors")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    ax.yaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf)))
    ax.minorticks_off()
    stage_marks(ax, stages(ds), style, labels=False)


FIGURES = (
    Illustration(
        name="agreement",
        purpose="how far simulation and prediction are apart, and how much of it is chance",
        title="Agreement",
        caption="Where the simulation draws samples: its deviations from the prediction in standard errors, "
        "against what chance alone would give (on the line: no more than chance; steeper: a real difference). "
        "Then, for each measure, the root mean square difference over one group of pairs, relative to the largest "
        "predicted root mean square of those pairs over time; dashed, where single entries are noise: what chance "
        "alone gives.",
        alt="Quantile plot of deviations and curves of relative errors over flow time; measures: {measures}.",
        draw=lambda s: agreement(s.ds, s.style, s.measures),
        table=lambda s: agreement_table(s.ds, s.measures),
        sets=("report",),
    ),
)
