"""The sentences of the abstract about the toy model, each decided by the curves of one comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.agreement import Ruling, Verdict, event_table
from workbench.agreement.events import VISIBLE
from workbench.comparison import Comparison
from workbench.figures import Words
from workbench.figures.style import PAGE
from workbench.paper.curves import UNRESOLVED, GroupCurve, curves_figure, group_curves, groups_of, resolved, short_name
from workbench.paper.hierarchy import hierarchy_sentence
from workbench.paper.peaks import peak_table
from workbench.paper.sentence import Sentence
from workbench.studies import StudyClaim

Array = NDArray[np.float64]

_ALT = "Influence over flow time, one panel a measure and one curve a group of pairs; lines and points lie together."


def toy_sentences(comparison: Comparison) -> list[Sentence]:
    """The five sentences about the toy model."""
    ds = comparison.dataset
    events = event_table(ds)
    return [
        _not_monotone(ds),
        _flips(ds, events),
        _peaks(ds),
        _both_ways(comparison),
        hierarchy_sentence(ds, events),
    ]


def turn(curve: GroupCurve) -> tuple[float, float]:
    """Largest rise and largest fall of a curve between two times, less two standard errors, over its range.

    A monotone curve has one of them 0, or below where there is noise.
    """
    x, error = curve.values, curve.error
    noise = 2 * np.hypot(error[:, None], error[None, :])
    step = x[None, :] - x[:, None]
    later = np.triu(np.ones_like(step, dtype=bool), 1)
    size = float(np.ptp(x)) or 1.0
    rise, fall = (float(np.where(later, sign * step - noise, -np.inf).max()) / size for sign in (1, -1))
    return rise, fall


def _not_monotone(ds: xr.Dataset) -> Sentence:
    rows = []
    for curve in group_curves(ds):
        rise, fall = turn(curve)
        noise = float(2 * curve.error.max() / np.ptp(curve.values))
        sure = curve.group in resolved(ds, curve.measure, curve.side)
        rows.append([curve.label, curve.side, curve.group, rise, fall, noise, sure])
    columns = ["measure", "side", "pairs", "largest rise", "largest fall", "two standard errors", "resolved"]
    frame = pd.DataFrame(rows, columns=columns)
    checks = []
    for name, part in frame[frame["resolved"]].groupby("measure", sort=False):
        least = float(part[["largest rise", "largest fall"]].min(axis=1).min())
        checks.append(
            StudyClaim(
                f"By {name}, influence of every group of pairs both rises and falls",
                least,
                ">=",
                VISIBLE,
                "the lesser of the two, as a fraction of the curve's range and less two standard errors; 1% is what a "
                "figure shows, and a monotone curve has 0",
            )
        )
    return Sentence(
        "not_monotone",
        "The influence of one training item on another does not change in one direction over training.",
        "Every curve of influence between different items, averaged over pairs that part at the same place, on both "
        "sides. A curve that only rises, or only falls, would refute the sentence.",
        frame,
        "Rise and fall as fractions of the range of the curve, less two standard errors. " + UNRESOLVED,
        tuple(checks),
        curves_figure(ds),
        Words(
            "Influence over training",
            "Lines: theory; points: simulation, with two standard errors where it is sampled. Thin vertical lines: a "
            "level is half learned.",
            _ALT,
        ),
    )


def _flips(ds: xr.Dataset, events: pd.DataFrame) -> Sentence:
    flips = events[events["event"].str.startswith("flip")]
    shown = flips[["measure", "pairs", "event", "analytic", "simulated", "difference", "closed_form", "size"]]
    spacing = float(np.diff(ds["time"].values).max())
    checks: list[StudyClaim] = []
    marks: dict[tuple[str, str], list[float]] = {}
    for name in dict.fromkeys(events["measure"]):
        part = flips[(flips["measure"] == name) & flips[["analytic", "simulated"]].notna().all(axis=1)]
        asked = resolved(ds, name, "simulated")
        without = [group for group in asked if group not in set(part["pairs"])]
        checks.append(
            StudyClaim(
                f"By {short_name(name)}, influence of every group of pairs changes sign, predicted and seen",
                float(len(without)),
                "<=",
                0.0,
                f"of {len(asked)} resolved groups, those without; each lobe above 1% of the curve and two standard "
                "errors",
            )
        )
        marks |= {(name, group): part["analytic"][part["pairs"] == group].tolist() for group in groups_of(ds)}
    apart = flips["difference"].abs().max()
    checks.append(
        StudyClaim(
            "Both sides put the changes of sign at the same time",
            float(apart),
            "<=",
            spacing,
            "flow time, largest difference; a sampled curve cannot be read more finely than its checkpoints",
        )
    )
    return Sentence(
        "flips",
        "Influence changes its sign: an item that helped another comes to harm it, or the other way round.",
        "Times at which the mean curve of a group changes sign, on both sides, and as the root of the equation of "
        "theory where there is one. A group that never does would refute the sentence.",
        shown.reset_index(drop=True),
        "Times are flow times; the difference of the sides is the error. Size: the smaller lobe over the largest "
        "value.",
        tuple(checks),
        curves_figure(ds, marks),
        Words("Changes of sign", "As above; diamonds: the predicted changes of sign.", _ALT),
    )


def _peaks(ds: xr.Dataset) -> Sentence:
    frame = peak_table(ds)
    chance = float(frame.attrs.get("chance", np.nan))
    checks = []
    for name, part in frame.groupby("measure", sort=False):
        checks.append(
            StudyClaim(
                f"By {name}, every peak lies at a transition",
                float(part["from the transition"].max()),
                "<=",
                0.25,
                "distance of the strongest value to the nearest half-rise, as a fraction of the spacing of half-rises "
                f"there; a quarter, which {chance:.0%} of all times would pass",
            )
        )
        checks.append(
            StudyClaim(
                f"By {name}, every peak is as sharp as a transition",
                float(part["width"].max()),
                "<=",
                1.0,
                "full width at half height, in the time the level takes from 10% to 90%: no wider than the transition "
                "itself",
            )
        )
    marks: dict[tuple[str, str], list[float]] = {}
    drawn = frame[frame["side"] == "analytic"]
    for key, pairs, at in zip(drawn["key"], drawn["pairs"], drawn["time"], strict=True):
        marks.setdefault((str(key), str(pairs)), []).append(float(at))
    return Sentence(
        "peaks",
        "Influence peaks sharply at the transitions of development.",
        "For every group of pairs the most helpful and the most harmful moment against the time at which a level is "
        "half learned, and how wide the peak is, both in units of the time that the level takes to rise from 10% to "
        "90%. Peaks between transitions, or wider than these, would refute the sentence.",
        frame.drop(columns="key"),
        "Times in flow time. Distance in spacings of the half-rise times, width in rise times and in flow time; a "
        "peak that the end of training cuts has none.",
        tuple(checks),
        curves_figure(ds, marks),
        Words("Peaks", "As above; diamonds: the most helpful and most harmful moments of every group.", _ALT),
    )


def _both_ways(comparison: Comparison) -> Sentence:
    judged = [verdict for verdict in comparison.verdicts() if verdict.ruling is not Ruling.NOT_CLAIMED]
    checks = tuple(
        StudyClaim(
            v.claim, float(v.ruling is Ruling.HOLDS), ">=", 1.0, f"found {v.found}, allowed {v.allowed}: {v.reason}"
        )
        for v in judged
    )
    return Sentence(
        "both_ways",
        "In a toy model of a hierarchy this can be derived and is found by experiment as well.",
        "Every measure twice: predicted in closed form without training anything, and measured on the trained "
        "network. A disagreement beyond the known effect of the learning rate or the Monte Carlo error would refute "
        "the sentence.",
        pd.DataFrame(
            [[v.claim, v.found, v.allowed, v.power] for v in judged],
            columns=["claim", "found", "allowed", "would have caught"],
        ),
        "Found: relative errors, with standard errors where sampled. Would have caught: the smallest relative error "
        "of the prediction that would have failed.",
        checks,
        _verdict_figure(judged),
        Words(
            "What an error would have had to be",
            "The smallest relative error of the prediction that the comparison would have caught, claim by claim.",
            "A horizontal bar a claim on a logarithmic axis.",
        ),
    )


def _short(claim: str, most: int = 70) -> str:
    return claim if len(claim) <= most else f"{claim[: most // 2]} … {claim[-most // 2 :]}"


def _verdict_figure(judged: list[Verdict]) -> Figure:
    with PAGE.context():
        figure = PAGE.figure(0.26 * len(judged) + 0.7)
        ax = PAGE.tidy(figure.subplots())
        power = np.array([v.power if np.isfinite(v.power) and v.power > 0 else 1.0 for v in judged])
        ax.barh(np.arange(len(judged)), np.log10(power) + 6, left=-6, color=PAGE.sequence(1)[0], height=0.6)
        ax.set_yticks(np.arange(len(judged)), [_short(v.claim) for v in judged])
        ax.set_xticks(range(-6, 1), [f"$10^{{{k}}}$" for k in range(-6, 1)])
        ax.invert_yaxis()
        ax.set_xlabel("smallest relative error that would have failed")
    return figure
