"""Cancellation: what a sum of influence over stages hides, and whether its end predicts what an intervention does.

TracIn adds the gradient kernel along the path; segment-wise unrolling (Bae et al. 2024) carries every part of it on
through the curvature that follows, constant within a segment. Both end in one number a pair, in which help of one
stage and harm of another cancel: of parts ``p_k`` the share ``1 - |sum_k p_k| / sum_k |p_k|``. An intervention is made
in one stage: each item is left out between two half-rise times, exactly and retrained, and scores shall predict that.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.figures.style import Style
from workbench.studies.pairs import usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]

#: Segments of unrolling.
SEGMENTS = (1, 3, 10, 20)
CURVATURES = ("Hessian", "Gauss-Newton")
METHODS = ("TracIn", *(f"{curvature}, {k}" for curvature in CURVATURES for k in SEGMENTS))
#: Scores that are asked what leaving an item out in one stage does: at the end of training, then of the stage.
PREDICTORS = ("TracIn, all", "derivative, all", "kernel, last", "TracIn, stage", "derivative, stage", "kernel, middle")
_MOST_ITEMS = 16


def answer(inquiry: Inquiry) -> StudyResult:
    """Methods against the exact derivative, shares that cancel, and predictions of interventions."""
    from workbench.studies import path_methods

    networks = usual_networks(inquiry)
    inquiry.allow(3, _MOST_ITEMS, "it takes explicit Hessians, and correlations over pairs")
    rows = []
    with inquiry.bar("cancellation", 3 * len(networks)) as advance:
        for one in networks.values():
            path = path_methods.trained(path_methods.small(one), 6 if inquiry.quick else 12)
            methods, shares = path_methods.scores_of_methods(path, CURVATURES, SEGMENTS)
            advance(2)
            rows.append((methods, shares, *path_methods.scores_of_interventions(path)))
            advance(1)
    stages = max(row[2].shape[0] for row in rows)
    dims = ("network", "score", "time_index")
    ds = xr.Dataset(
        {
            "correlation": (dims, np.stack([row[0][0] for row in rows])),
            "sign_agreement": (dims, np.stack([row[0][1] for row in rows])),
            "error": (dims, np.stack([row[0][2] for row in rows])),
            "correlation_leave_one_out": (dims, np.stack([row[0][3] for row in rows])),
            "time": (("network", "time_index"), np.stack([row[1][0] for row in rows])),
            "cancelled": (("network", "sum", "time_index"), np.stack([row[1][1] for row in rows])),
            "prediction": (("network", "stage", "predictor"), np.stack([_padded(row[2], stages) for row in rows])),
            "prediction_signs": (
                ("network", "stage", "predictor"),
                np.stack([_padded(row[3], stages) for row in rows]),
            ),
            "retrained_gap": ("network", np.array([row[4] for row in rows])),
        },
        coords={
            "network": list(networks),
            "score": list(METHODS),
            "sum": ["TracIn", "derivative"],
            "predictor": list(PREDICTORS),
        },
    )
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Above: correlation with the exact derivative over pairs of different items, for influence up to t. Middle: "
        "share of the absolute influence that cancels in the sum over the path. Below: correlation with what leaving "
        "an item out in one stage does to the others by its end, mean over stages.",
        "Unrolling with many segments stays near 1, TracIn falls and turns negative; most of the influence cancels; "
        "scores of the stage predict interventions, sums over all of training hardly.",
        _claims(ds),
    )


def _padded(rows: Array, stages: int) -> Array:
    return np.vstack([rows, np.full((stages - len(rows), rows.shape[1]), np.nan)])


def _finding(ds: xr.Dataset) -> str:
    first = ds.isel(network=0)
    least, most = first["correlation"].min(dim="time_index"), first["cancelled"].max(dim="time_index")
    told = first["prediction"].mean(dim="stage")
    by = {c: ", ".join(f"{float(least.sel(score=f'{c}, {k}')):.2f}" for k in SEGMENTS) for c in CURVATURES}
    p = {name: f"{float(told.sel(predictor=name)):.2f}" for name in PREDICTORS}
    return (
        f"On the {first['network'].values} the lowest correlation with the exact derivative over training is "
        f"{float(least.sel(score='TracIn')):.2f} for TracIn and, for unrolling with 1, 3, 10 and 20 segments, "
        f"{by['Hessian']} by the Hessian and {by['Gauss-Newton']} by Gauss-Newton; up to "
        f"{float(most.sel(sum='TracIn')):.0%} of TracIn's absolute influence cancels and up to "
        f"{float(most.sel(sum='derivative')):.0%} of the exact one; what leaving an item out in one stage does "
        f"correlates {p['derivative, stage']} with the derivative of that stage, {p['TracIn, stage']} with its TracIn, "
        f"{p['kernel, middle']} with the kernel at its middle, {p['derivative, all']} and {p['TracIn, all']} with "
        "derivative and TracIn of all of training."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    error, told = ds["error"].mean(dim="time_index"), ds["prediction"].mean(dim="stage")
    ratio = error.sel(score="Hessian, 3") / error.sel(score="Hessian, 10")
    whole = told.sel(predictor=["derivative, all", "TracIn, all", "kernel, last"]).max(dim="predictor")
    claims = [
        StudyClaim(
            "Unrolling by the Hessian approaches the exact derivative faster than to first order in the segment",
            float(ratio.min()),
            ">=",
            5.0,
            "from 3 to 10 segments first order gives 3.3, second order 11, which is what a segment's mean errs by",
        ),
        StudyClaim(
            "Without its negative part the curvature does not carry influence: 20 segments by Gauss-Newton stay worse "
            "than 3 by the Hessian",
            float((error.sel(score="Gauss-Newton, 20") / error.sel(score="Hessian, 3")).min()),
            ">=",
            1.0,
            "while a mode is learned its responses grow along downward curvature",
        ),
        StudyClaim(
            "Half of what TracIn adds up cancels by some time, on every network",
            float(ds["cancelled"].sel(sum="TracIn").max(dim="time_index").min()),
            ">=",
            0.5,
            "pairs of items on different branches first help, then harm each other",
        ),
        StudyClaim(
            "The kernel summed over a stage predicts an intervention in it better than any score of all of training",
            float((told.sel(predictor="TracIn, stage") - whole).min()),
            ">=",
            0.0,
            "difference of mean correlations over stages, the least of all networks",
        ),
        StudyClaim(
            "Retrained interventions are the predicted ones",
            float(ds["retrained_gap"].max()),
            "<=",
            0.1,
            "relative L2; a fiftieth of the largest stable learning rate",
        ),
    ]
    if "tree, three layers" in ds["network"].values:
        deep = ds["prediction"].sel(network="tree, three layers", predictor="derivative, stage")
        claims.append(
            StudyClaim(
                "Of three layers, leaving an item out for a late stage does the opposite of what its derivative says",
                float(deep.min()),
                "<=",
                -0.9,
                "correlation in the worst stage; to first order the derivative is exact, a whole item is far from it",
            )
        )
    return tuple(claims)


def draw(ds: xr.Dataset) -> Figure:
    """A column a network."""
    style, N = Style(), ds.sizes["network"]
    colours = dict(zip(("TracIn", *CURVATURES), style.sequence(3), strict=True))
    lines = dict(zip(SEGMENTS, (":", "-.", "--", "-"), strict=True))
    with style.context():
        figure = style.figure(5.6)
        axes = figure.subplots(3, N, squeeze=False, sharey="row")
        for n in range(N):
            one = ds.isel(network=n)
            top, middle, low = (style.tidy(ax) for ax in axes[:, n])
            for name in METHODS:
                kind, _, count = name.partition(", ")
                line = lines[int(count)] if count else "-"
                top.plot(one["time"], one["correlation"].sel(score=name), line, color=colours[kind], label=name)
            for name, colour in zip(("TracIn", "derivative"), (colours["TracIn"], style.ink), strict=True):
                middle.plot(one["time"], one["cancelled"].sel(sum=name), color=colour, label=name)
            for ax in (top, middle):
                ax.set_xlabel("flow time t")
            values = one["prediction"].mean(dim="stage").values
            low.barh(range(len(PREDICTORS)), values, color=[style.muted] * 3 + [colours["Hessian"]] * 3)
            low.set_yticks(range(len(PREDICTORS)), PREDICTORS, fontsize=style.least)
            low.axvline(0, color=style.ink, linewidth=0.6)
            low.set(xlim=(-1, 1), xlabel="correlation")
            top.set_title(str(one["network"].values))
        axes[0, 0].set_ylabel("correlation with\nthe derivative")
        axes[1, 0].set_ylabel("share that cancels")
        axes[0, -1].legend(fontsize=style.least, loc="upper left", bbox_to_anchor=(1, 1))
        axes[1, -1].legend(fontsize=style.least, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


STUDY = Study("cancellation", "What does a sum of influence over stages hide, and what does its end predict?", answer)
