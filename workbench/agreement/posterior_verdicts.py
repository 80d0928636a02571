"""Claims about sampled local posteriors: chains against the Gaussian prediction, and against each other."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import chi2

from workbench.agreement.ruling import Verdict, judge
from workbench.theory.posterior.local_posterior import quartic_variance

#: The Gaussian prediction is claimed where gamma is at least this many times its lower bound.
VALID_RATIO = 10.0
#: And for items whose predicted variance is at least this many times that of the fourth order it leaves out: with the
#: lower orders it correlates at most like the root, twice 3% of the variance.
FOURTH_ORDER = 1000.0

#: What the chains may differ by from the prediction, without and with a bias stated.
_WITHIN = ("4 standard errors", "4 standard errors and the stated bias of the steps")

CHAINS_AGREE = "the chains of a checkpoint agree"


def posterior_claims(ds: xr.Dataset) -> list[Verdict]:
    """Covariances where the prediction's conditions hold, what they are where not, and whether the chains agree."""
    ratio = ds.attrs["gamma"] / np.maximum(ds["gamma_needed"].values, 1e-300)
    local = ratio >= VALID_RATIO
    quadratic = _quadratic(ds)
    claimed = local[:, None, None] & quadratic[:, :, None] & quadratic[:, None, :]
    difference = ds["local_bif_simulated"].values - ds["local_bif_analytic"].values
    inside = np.abs(difference) <= 4 * ds["local_bif_simulated_stderr"].values + _bias(ds)
    claim = f"sampled covariances are those of the Gaussian prediction to {_WITHIN[_stated(ds) > 0]} (share of entries)"
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
    # In a small table a single stray loss would decide: its 2P - 1 covariances at a checkpoint stray together.
    least = min(0.99, 1 - (2 * P - 1) / int(claimed.sum()))
    why = "Monte Carlo error" + (
        f"; the sampler's steps raise a variance by up to {100 * _stated(ds):.1f}%, stated beforehand"
        if _stated(ds) > 0
        else "; this sampler has no bias"
    )
    if least < 0.99:
        why += "; so few entries that one item at one checkpoint is more than 1%"
    found = f"{100 * share:.2f}%"
    name = claim + ("" if claimed.all() else f", {int(claimed.sum())} of {claimed.size} entries")
    return Verdict(name, found, f">= {100 * least:.3g}%", why, "holds" if share >= least else "FAILS")


def _stated(ds: xr.Dataset) -> float:
    """Relative bias of the largest variance of a weight that the sampler's plan states; 0 for HMC."""
    return float(ds["local_bif_simulated"].attrs["expected_step_size_bias"])


def _predicted_variance(ds: xr.Dataset) -> NDArray[np.float64]:
    """``(T, P)`` of the losses."""
    return np.asarray(-np.diagonal(ds["local_bif_analytic"].values, axis1=1, axis2=2))


def _bias(ds: xr.Dataset) -> NDArray[np.float64]:
    """``(T, P, P)`` what the stated bias may do to covariances of losses, which are of second order in the weights.

    Where variances of weights are high by at most b, a covariance of losses moves by at most ``(1 + b)^2 - 1`` of the
    product of their standard deviations, by the Cauchy-Schwarz inequality.
    """
    sd = np.sqrt(np.maximum(_predicted_variance(ds), 0.0))
    return np.asarray(((1 + _stated(ds)) ** 2 - 1) * sd[:, :, None] * sd[:, None, :])


def _quadratic(ds: xr.Dataset) -> NDArray[np.bool_]:
    """``(T, P)`` whether an item's loss varies far more than the fourth order that the prediction leaves out."""
    squared_length = ds.attrs["input_scale"] * ds.sizes["item"]  # of an item's input; 1 for one-hot items
    left_out = quartic_variance(int(ds.attrs["hidden"]), ds.sizes["property"], float(ds.attrs["gamma"]))
    left_out *= squared_length**2
    return np.asarray(_predicted_variance(ds) >= FOURTH_ORDER * left_out)


def _rhat_by_chance(chains: int, ess: float, entries: int) -> float:
    """Split R-hat that the largest of ``entries`` reaches in 1% of runs whose chains do agree.

    The means of 2C half chains scatter by their Monte Carlo error: R-hat^2 - 1 is a chi-square over its degrees
    of freedom, divided by the effective length of a half chain.
    """
    halves = 2 * chains
    scatter = float(chi2.ppf(1 - 0.01 / entries, halves - 1)) / (halves - 1)
    return float(np.sqrt(1 + scatter * halves / ess))
