"""Where the local posterior is a posterior: the smallest curvature of the loss, and the localization it asks for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.comparison.prediction import start_of
from workbench.figures.figure import Illustration
from workbench.figures.keys import stage_key
from workbench.figures.learning import stage_marks
from workbench.figures.reading import span, stages
from workbench.figures.style import PAGE, Style
from workbench.theory import mode_residuals, mode_strengths
from workbench.theory.posterior.hessian import curvature_range

Array = NDArray[np.float64]

#: The default: from about half of it the Gaussian prediction is good to 1%.
AMPLE = 20.0


def curvatures(ds: xr.Dataset, times: Array) -> tuple[Array, Array]:
    """``(T,)`` lambda_min of the Hessian, and its lower bound ``-(D-1) max_k e_k max_k w_k^{D-2}``."""
    start = start_of(ds)
    assert start.active is not None
    a, depth = mode_strengths(start, times), start.depth
    low, _ = curvature_range(start.modes, a, start.widths, start.active, depth=depth)
    steepest = mode_residuals(start, times).max(axis=1)
    return low, -steepest if depth == 2 else -(depth - 1) * steepest * a.max(axis=1) ** (1 - 2 / depth)


def local_posterior_validity(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Above: lambda_min over time. Below: the least gamma / (n beta), the ample one, and the one in use."""
    t = np.linspace(0, float(ds["time"].values[-1]), 600)
    low, bound = curvatures(ds, t)
    two = int(ds.attrs.get("depth", 2)) == 2
    bound_label = "bound $-$max $e_k$" if two else "bound $-(D-1)$ max $e_k$ max $w_k^{D-2}$"
    least = np.maximum(-low, 0)
    n_beta = float(ds.attrs["n_beta"])
    # With the loss off any localization will do: gamma / (n beta) lies above the figure.
    used = float(ds.attrs["gamma"]) / n_beta if n_beta else np.nan
    with style.context():
        figure = style.figure(3.9)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.25))
        first, _, third, _ = style.sequence(4)
        style.tidy(upper).axhline(0, color=style.muted, linewidth=0.1 * style.font)
        upper.plot(t, bound, color=third, linewidth=0.3 * style.font, alpha=0.6, label=bound_label)
        upper.plot(t, low, color=first, label="$\\lambda_{\\min}$")
        upper.set_ylabel("curvature of $L$")
        upper.set_title("steepest way down: a mode still to be learned")
        upper.set_ylim(top=0.08 * float(least.max()))
        floor = max(1e-3 * float(least.max()), 0.2 * float(least[-1]), 1e-12)
        shown = np.maximum(least, floor)
        top = 3 * float(np.fmax(used, AMPLE * float(least.max())))
        style.tidy(lower).set_yscale("log")
        lower.fill_between(t, floor, shown, color=style.faint, linewidth=0, label="no Gaussian")
        lower.fill_between(t, shown, AMPLE * shown, color=style.blank, linewidth=0)
        lower.plot(t, shown, color=first, label="least")
        lower.plot(t, AMPLE * shown, color=first, linestyle=(0, (4, 2)), label=f"ample ({AMPLE:g} times that)")
        in_use = f"in use ({used:.3g})" if n_beta else "in use (loss off: any will do)"
        lower.axhline(used, color=third, linewidth=0.2 * style.font, label=in_use)
        lower.set(ylim=(floor, top), xlim=span(t), xlabel="flow time $t$")
        lower.set_ylabel("$\\gamma\\,/\\,n\\beta$")
        lower.set_title("localization of the posterior at the checkpoint")
        for ax in (upper, lower):
            stage_marks(ax, stages(ds), style, labels=False)
        handles = [*upper.get_legend_handles_labels()[0], *lower.get_legend_handles_labels()[0], *stage_key(ds, style)]
        labels = [str(handle.get_label()) for handle in handles]
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, style.legend_columns(labels)))
    return figure


def local_posterior_validity_data(ds: xr.Dataset) -> pd.DataFrame:
    """One row a time: lambda_min, its bound, and the gamma needed for the n beta of the dataset."""
    t = np.linspace(0, float(ds["time"].values[-1]), 600)
    low, bound = curvatures(ds, t)
    n_beta = float(ds.attrs["n_beta"])
    return pd.DataFrame(
        {
            "time": t,
            "lambda_min": low,
            "lambda_min_bound": bound,
            "gamma_needed": np.maximum(-n_beta * low, 0),
            "gamma_ample": AMPLE * np.maximum(-n_beta * low, 0),
            "gamma_used": float(ds.attrs["gamma"]),
        }
    )


FIGURES = (
    Illustration(
        name="local_posterior_validity",
        purpose="where a local posterior exists, and the localization it needs",
        title="Where the local posterior is a posterior",
        caption="Above: the smallest curvature of the loss at the checkpoint is negative until everything is "
        "learned, and bounded below; for two layers by the largest residual (met where hidden units are idle). Below: "
        "the localization gamma per n beta that outweighs it. Under the full line there is no local Gaussian; half of "
        "the ample value keeps the second-order prediction of the BIF within about 1% of exact sampling on the 8-item "
        "tree.",
        alt="Smallest curvature over time, and the localization needed on a logarithmic scale.",
        draw=lambda s: local_posterior_validity(s.ds, s.style),
        table=lambda s: local_posterior_validity_data(s.ds),
    ),
)
