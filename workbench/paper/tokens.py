"""The sentence of the abstract about language models, decided by a result of `workbench language`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from workbench.figures import Words
from workbench.figures.style import PAGE
from workbench.language.figures import step_axis
from workbench.language.shape import critical_difference, shapes
from workbench.paper.sentence import Sentence
from workbench.studies import StudyClaim

Array = NDArray[np.float64]

#: Named before the numbers were looked at: it is learned in the middle of training, and in a short time.
CLASS = "digit"
#: Share of random assignments of stages to classes that an agreement must beat.
_LEVEL = 0.05
_PERMUTATIONS = 20_000


def token_sentence(ds: xr.Dataset) -> Sentence:
    """Whether token-level influence changes with the stages of a language model."""
    frame = class_table(ds)
    shape = shapes(ds)
    own = shape[~shape["pair"].str.contains("/")]
    moved = int((own["verdict"] == "rises and falls").sum())
    known = frame.dropna(subset=["learned at step"])
    rank, chance = order_agreement(known["learned at step"].to_numpy(), known["strongest at step"].to_numpy())
    checks = [
        StudyClaim(
            f"Influence of {CLASS}s on one another is strongest in their own stage, against the start and the end",
            _sureness(ds),
            ">=",
            critical_difference(3, int(ds.attrs["chains"])),
            "the lesser of two differences, in standard errors; what flat curves exceed in 1 of 100 cases",
        ),
        StudyClaim(
            "Some class of tokens influences itself neither more and more nor less and less, beyond noise",
            float(moved),
            ">=",
            1.0,
            f"classes of {len(own)} whose curve rises and falls; the level of error is 1% a curve",
        ),
        StudyClaim(
            "Some pair of classes surely changes sign",
            float((shape["sign"] == "changes").sum()),
            ">=",
            1.0,
            f"of {len(shape)} pairs; both signs sure at the 1% level",
        ),
        StudyClaim(
            "Classes that are learned later have their strongest influence later",
            chance,
            "<=",
            _LEVEL,
            f"share of random assignments of peaks to the {len(known)} classes with as large a rank correlation, which "
            f"is {rank:.2f}",
        ),
    ]
    config = f"{ds.sizes['time']} checkpoints, {ds.attrs['chains']} chains around each, seed {ds.attrs['seed']}"
    return Sentence(
        "tokens",
        "In a language model, influence between tokens changes with the known stages of its training.",
        f"A small attention-only transformer on a generated language whose tokens carry their class ({config}); "
        "influence of a class on itself against the step at which half of its gain in loss is made. Flat curves, or "
        "peaks elsewhere, would refute the sentence. Published models are not looked at here.",
        frame,
        "Minus the mean correlation of the losses of distinct tokens of a class, in thousandths, ± one standard error "
        "between chains; another seed of the network is not in it.",
        tuple(checks),
        _figure(ds),
        Words(
            "Classes of tokens over training",
            "Influence of each class on itself with two standard errors (below 0: helps); dotted: the step at which "
            "half of its gain in loss is made; dashes: the loss switched off.",
            "Small panels, one a class, on a logarithmic axis of training steps.",
        ),
    )


def order_agreement(learned: Array, strongest: Array) -> tuple[float, float]:
    """Spearman's correlation over classes, and the share of random assignments that reach it (1 where there is none).

    By permutation, as a few checkpoints make many ties.
    """
    if len(learned) < 3 or np.ptp(learned) == 0 or np.ptp(strongest) == 0:
        return float("nan"), 1.0
    first, second = (rankdata(one) - (len(one) + 1) / 2 for one in (learned, strongest))
    rng = np.random.default_rng(0)
    by_chance = np.array([first @ rng.permutation(second) for _ in range(_PERMUTATIONS)])
    rank = first @ second
    share = (1 + (by_chance >= rank - 1e-9).sum()) / (1 + _PERMUTATIONS)
    return float(rank / np.sqrt((first @ first) * (second @ second))), float(share)


def class_table(ds: xr.Dataset) -> pd.DataFrame:
    """A row each class: when it is learned, when its own influence is strongest, and influence then and at the ends."""
    rows = []
    for name, (mean, error, at) in _curves(ds).items():
        told = [f"{1e3 * mean[k]:.0f} ± {1e3 * error[k]:.0f}" for k in (0, at, len(mean) - 1)]
        learned = float(ds["learned_at"].sel({"class": name})) if "learned_at" in ds else np.nan
        rows.append([name, learned, float(ds["step"].values[at]), *told])
    columns = ["class", "learned at step", "strongest at step", "at the start", "strongest", "at the end"]
    return pd.DataFrame(rows, columns=columns)


def _curves(ds: xr.Dataset) -> dict[str, tuple[Array, Array, int]]:
    """Influence of a class on itself, its error, and the checkpoint at which it is largest in size."""
    curves = {}
    for g, name in enumerate(ds["class"].values):
        mean, error = (ds[f"group_correlation{end}"].values[:, g, g] for end in ("", "_stderr"))
        if np.isfinite(mean).all():
            curves[str(name)] = mean, error, int(np.abs(mean).argmax())
    return curves


def _sureness(ds: xr.Dataset) -> float:
    """By how many standard errors influence among the class's tokens is more negative in its stage than at the ends."""
    curves = _curves(ds)
    if CLASS not in curves or "learned_at" not in ds:
        return float("nan")
    mean, error, _ = curves[CLASS]
    learned = float(ds["learned_at"].sel({"class": CLASS}))
    stage = int(np.abs(np.log1p(ds["step"].values) - np.log1p(learned)).argmin())
    return float(min((mean[k] - mean[stage]) / np.hypot(error[k], error[stage]) for k in (0, -1)))


def _figure(ds: xr.Dataset) -> Figure:
    curves, steps = _curves(ds), ds["step"].values
    columns = 4
    rows = -(-len(curves) // columns)
    with PAGE.context():
        figure = PAGE.figure(1.3 * rows + 0.4)
        axes = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
        for ax in axes[len(curves) :]:
            ax.remove()
        colour = PAGE.sequence(1)[0]
        for ax, (name, (mean, error, _)) in zip(axes, curves.items(), strict=False):
            ax.axhline(0, color=PAGE.muted, lw=0.6)
            g = [str(one) for one in ds["class"].values].index(name)
            ax.plot(steps, ds["control_correlation"].values[:, g, g], "--", color=PAGE.muted, lw=0.9)
            ax.errorbar(steps, mean, 2 * error, fmt="o-", color=colour, ms=2.4, lw=1, elinewidth=0.8)
            if "learned_at" in ds and np.isfinite(ds["learned_at"].values[g]):
                ax.axvline(float(ds["learned_at"].values[g]), color=PAGE.ink, lw=0.7, ls=":")
            step_axis(ax, steps, PAGE, label=False)
            ax.set_title(name)
        figure.supxlabel("training step", fontsize=PAGE.font)
        figure.supylabel("influence (minus mean correlation)", fontsize=PAGE.font)
    return figure
