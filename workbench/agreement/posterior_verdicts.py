"""Claims about sampled local posteriors: chains against the Gaussian prediction, and against each other."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import chi2

from workbench.agreement.differences import z_scores
from workbench.agreement.ruling import Verdict, judge
from workbench.theory.local_posterior import quartic_variance

#: The Gaussian prediction is claimed where gamma is at least this many times its lower bound.
VALID_RATIO = 10.0
#: And for items whose predicted variance is at least this many times that of the fourth order it leaves out: with the
#: lower orders it correlates at most like the root, twice 3% of the variance.
FOURTH_ORDER = 1000.0

CHAINS_AGREE = "the chains of a checkpoint agree"


def posterior_claims(ds: xr.Dataset) -> list[Verdict]:
    """Covariances where the prediction's conditions hold, what they are where not, and whether the chains agree."""
    ratio = ds.attrs["gamma"] / np.maximum(ds["gamma_needed"].values, 1e-300)
    local = ratio >= VALID_RATIO
    quadratic = _quadratic(ds)
    claimed = local[:, None, None] & quadratic[:, :, None] & quadratic[:, None, :]
    inside = np.abs(z_scores(ds)) <= 4
    claim = "sampled covariances lie within 4 standard errors of the Gaussian prediction (share of entries)"
    rulings: list[Verdict] = []
    if claimed.any():
        rulings.append(_share_claim(ds, claim, inside, claimed))
    for condition, outside in (
        (f"gamma is less than {VALID_RATIO:g} times its bound, at worst {ratio.min():.2g}", ~local[:, None, None]),
        ("losses that vary so little are of fourth order in the weights", local[:, None, None] & ~claimed),
    ):
        entries = np.broadcast_to(outside, inside.shape)
        if entries.any():
            share = f"{100 * float(inside[entries].mean()):.2f}%"
            rulings.append(Verdict(f"{claim}, {int(entries.sum())} others", share, "-", condition, "not claimed"))
    rhat, ess = ds["local_bif_rhat"].values, ds["local_bif_ess"].values
    if np.isfinite(rhat).any():
        rulings.append(
            judge(
                f"{CHAINS_AGREE} (largest split R-hat)",
                float(np.nanmax(rhat)),
                max(
                    1.05,
                    _rhat_by_chance(int(ds["local_bif_simulated"].attrs["chains"]), float(np.median(ess)), rhat.size),
                ),
                "1.05 as usual, or what chains of this effective length show by chance",
                "{:.4f}",
            )
        )
    return rulings


def _share_claim(ds: xr.Dataset, claim: str, inside: NDArray[np.bool_], claimed: NDArray[np.bool_]) -> Verdict:
    share, P = float(inside[claimed].mean()), ds.sizes["source"]
    bias = ds["local_bif_simulated"].attrs["expected_step_size_bias"]
    # In a small table a single stray loss would decide: its 2P - 1 covariances at a checkpoint stray together.
    least = min(0.99, 1 - (2 * P - 1) / int(claimed.sum()))
    why = f"Monte Carlo error; the step size adds an expected bias of {100 * bias:.1f}%"
    if least < 0.99:
        why += "; so few entries that one item at one checkpoint is more than 1%"
    found = f"{100 * share:.2f}%"
    name = claim + ("" if claimed.all() else f", {int(claimed.sum())} of {claimed.size} entries")
    return Verdict(name, found, f">= {100 * least:.3g}%", why, "holds" if share >= least else "FAILS")


def _quadratic(ds: xr.Dataset) -> NDArray[np.bool_]:
    """``(T, P)`` whether an item's loss varies far more than the fourth order that the prediction leaves out."""
    variance = -np.diagonal(ds["local_bif_analytic"].values, axis1=1, axis2=2)
    squared_length = ds.attrs["input_scale"] * ds.sizes["item"]  # of an item's input; 1 for one-hot items
    left_out = quartic_variance(int(ds.attrs["hidden"]), ds.sizes["property"], float(ds.attrs["gamma"]))
    left_out *= squared_length**2
    return np.asarray(variance >= FOURTH_ORDER * left_out)


def _rhat_by_chance(chains: int, ess: float, entries: int) -> float:
    """Split R-hat that the largest of ``entries`` reaches in 1% of runs whose chains do agree.

    The means of 2C half chains scatter by their Monte Carlo error: R-hat^2 - 1 is a chi-square over its degrees
    of freedom, divided by the effective length of a half chain.
    """
    halves = 2 * chains
    scatter = float(chi2.ppf(1 - 0.01 / entries, halves - 1)) / (halves - 1)
    return float(np.sqrt(1 + scatter * halves / ess))
