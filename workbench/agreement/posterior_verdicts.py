"""Claims about sampled local posteriors: chains against the Gaussian prediction, and against each other."""

from __future__ import annotations

import math

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from workbench.agreement.differences import vanishes
from workbench.agreement.groups import pair_groups
from workbench.agreement.resolution import unresolved
from workbench.agreement.slopes import FALSE_ALARM, Slope, group_slopes
from workbench.agreement.verdict import Ruling, Verdict, judge, unclaimed
from workbench.theory.posterior.local_posterior import quartic_variance

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: The Gaussian prediction is claimed where gamma is at least this many times its lower bound.
VALID_RATIO = 10.0
#: And for items whose predicted variance is at least this many times that of the fourth order it leaves out: with the
#: lower orders it correlates at most like the root, twice 3% of the variance.
FOURTH_ORDER = 1000.0

ENTRIES, SLOPE, CHAINS = "local_bif_entries", "local_bif_slope", "chains_agree"
_PREDICTED = "sampled covariances are those of the Gaussian prediction"


def posterior_verdicts(ds: xr.Dataset) -> list[Verdict]:
    """Covariances where the prediction's conditions hold, and what they are where not."""
    ratio = ds.attrs["gamma"] / np.maximum(ds["gamma_needed"].values, 1e-300)
    local = ratio >= VALID_RATIO
    quadratic = _quadratic(ds)
    claimed = local[:, None, None] & quadratic[:, :, None] & quadratic[:, None, :]
    inside = _inside(ds, 0.0)
    verdicts = _slopes(ds, claimed)
    if claimed.any():
        verdicts.append(_entries(ds, claimed))
    for key, condition, outside in (
        (
            "gamma",
            f"gamma is less than {VALID_RATIO:g} times its bound, at worst {ratio.min():.2g}",
            ~local[:, None, None],
        ),
        ("order", "losses that vary so little are of fourth order in the weights", local[:, None, None] & ~claimed),
    ):
        others = np.broadcast_to(outside, inside.shape)
        if others.any():
            share = f"{100 * float((~inside[others]).mean()):.2f}%"
            claim = f"{_PREDICTED} (share of entries further than 4 standard errors), {int(others.sum())} others"
            verdicts.append(unclaimed(f"{ENTRIES}/{key}", claim, share, condition))
    return verdicts


def _slopes(ds: xr.Dataset, claimed: Mask) -> list[Verdict]:
    """One verdict a group of pairs; none without the parts of the chains, which older results lack."""
    if "local_bif_simulated_parts" not in ds or not claimed.any():
        return []
    own, noisy = np.eye(ds.sizes["source"], dtype=bool), unresolved(ds)
    return [
        _slope(name, slopes, ds, noisy.get(name))
        for name, pairs in {"item on itself": own, **pair_groups(ds)}.items()
        # Of one layer a covariance of two items is 0: its slope on the rounding of the prediction would say nothing.
        if not vanishes(ds["local_bif_analytic"].values, pairs)
        if (slopes := group_slopes(ds, pairs, claimed))
    ]


def _slope(group: str, slopes: list[Slope], ds: xr.Dataset, noisy: tuple[float, float] | None) -> Verdict:
    """Holds where no window's slope is outside of its band by more than chance."""
    share = FALSE_ALARM / len(slopes)
    whole, chains = slopes[0], int(ds["local_bif_simulated"].attrs["chains"])
    claim = f"{_PREDICTED}: slope pooled over all pairs, {group}"
    thirds = ", ".join(f"{one.value:.3g}" for one in slopes[1:])
    words = f"{whole.value:.3f} +- {whole.stderr:.2g}" + (f" (thirds of training: {thirds})" if thirds else "")
    if chains < 2:
        return unclaimed(f"{SLOPE}/{group}", claim, words, "one chain: no error from independent chains")
    reach = whole.reach(share)
    band = f"{whole.low - whole.spread - reach:.3f} to {whole.high + whole.spread + reach:.3f}"
    why = (
        f"{_steps(ds)}; the prediction's own error; {whole.reach(share) / whole.stderr:.2g} standard errors between "
        f"parts of the chains ({whole.df:.0f} degrees of freedom)"
        if whole.stderr > 0
        else _steps(ds)
    )
    if noisy is not None:
        why += (
            f"; single entries are noise ({noisy[0]:.2g} times the influence; {noisy[1]:g} draws a chain resolve them)"
        )
    return judge(
        f"{SLOPE}/{group}",
        claim,
        lambda x: max(one.outside(x, share) for one in slopes),
        0.0,
        why,
        altered=f"the predicted covariances, {group}",
        shown=(words, band),
    )


def _inside(ds: xr.Dataset, x: float) -> Mask:
    """``(T, P, P)`` whether an entry is within 4 standard errors and the steps' bias of 1 + x times the prediction."""
    predicted = (1 + x) * ds["local_bif_analytic"].values
    difference = np.abs(ds["local_bif_simulated"].values - predicted)
    allowed = 4 * ds["local_bif_simulated_stderr"].values + abs(1 + x) * _bias(ds)
    return np.asarray(difference <= allowed)


def _entries(ds: xr.Dataset, claimed: Mask) -> Verdict:
    P, count = ds.sizes["source"], int(claimed.sum())
    # In a small table a single stray loss would decide: its 2P - 1 covariances at a checkpoint stray together.
    most = max(0.01, (2 * P - 1) / count)
    why = f"Monte Carlo error; {_steps(ds)}"
    if most > 0.01:
        why += "; so few entries that one item at one checkpoint is more than 1%"
    within = "4 standard errors and the stated bias of the steps" if _stated(ds) > 0 else "4 standard errors"
    claim = f"{_PREDICTED} (share of entries further than {within})"
    return judge(
        ENTRIES,
        claim + ("" if claimed.all() else f", {count} of {claimed.size} entries"),
        lambda x: float((~_inside(ds, x)[claimed]).mean()),
        most,
        why,
        altered="every predicted covariance",
        form="{:.2%}",
    )


def _steps(ds: xr.Dataset) -> str:
    if _stated(ds) == 0:
        return "this sampler has no bias"
    return f"the sampler's steps raise a variance by up to {100 * _stated(ds):.1f}%, stated beforehand"


def _stated(ds: xr.Dataset) -> float:
    """Relative bias of the largest variance of a weight that the sampler's plan states; 0 for HMC."""
    return float(ds["local_bif_simulated"].attrs["expected_step_size_bias"])


def _predicted_variance(ds: xr.Dataset) -> Array:
    """``(T, P)`` of the losses."""
    return np.asarray(-np.diagonal(ds["local_bif_analytic"].values, axis1=1, axis2=2))


def _bias(ds: xr.Dataset) -> Array:
    """``(T, P, P)`` what the stated bias may do to covariances of losses, which are of second order in the weights.

    Where variances of weights are high by at most b, a covariance of losses moves by at most ``(1 + b)^2 - 1`` of the
    product of their standard deviations, by the Cauchy-Schwarz inequality.
    """
    sd = np.sqrt(np.maximum(_predicted_variance(ds), 0.0))
    return np.asarray(((1 + _stated(ds)) ** 2 - 1) * sd[:, :, None] * sd[:, None, :])


def _quadratic(ds: xr.Dataset) -> Mask:
    """``(T, P)`` whether an item's loss varies far more than the fourth order that the prediction leaves out."""
    squared_length = ds.attrs["input_scale"] * ds.sizes["item"]  # of an item's input; 1 for one-hot items
    left_out = quartic_variance(int(ds.attrs["hidden"]), ds.sizes["property"], float(ds.attrs["gamma"]))
    left_out *= squared_length**2
    return np.asarray(_predicted_variance(ds) >= FOURTH_ORDER * left_out)


def chain_verdicts(ds: xr.Dataset) -> list[Verdict]:
    """Whether chains agree: split R-hat against that by chance, and how far apart it would tell chains."""
    if "local_bif_rhat" not in ds or not np.isfinite(ds["local_bif_rhat"].values).any():
        return []
    rhat, ess = ds["local_bif_rhat"].values, ds["local_bif_ess"].values
    C, largest = int(ds["local_bif_simulated"].attrs["chains"]), float(np.nanmax(rhat))
    claim, shown = "the chains of a checkpoint agree (largest split R-hat)", f"{largest:.4f}"
    if C < 2:
        return [unclaimed(CHAINS, claim, shown, "one chain has no other to agree with; two or more are needed")]
    limit = max(1.05, _rhat_by_chance(C, float(np.median(ess)), rhat.size))
    power = _told_apart(C, limit)
    why = "1.05 as usual, or what chains of this effective length show by chance"
    apart = "a posterior standard deviation between the means of two halves of the chains"
    ruling = Ruling.HOLDS if largest <= limit else Ruling.FAILS
    if ruling is Ruling.HOLDS and power >= 1:
        ruling, power = Ruling.NOT_CLAIMED, math.inf
        why = f"chains so short agree by chance even where their means are a standard deviation apart; {why}"
    if ruling is Ruling.FAILS:
        power = 0.0
    return [Verdict(CHAINS, claim, shown, f"{limit:.4f}", why, ruling, apart, power)]


def _told_apart(chains: int, limit: float) -> float:
    """Distance of the means of two halves of the chains, in posterior standard deviations, at which R-hat has a limit.

    A share q of the 2C half chains a distance d from the others: ``R-hat^2 = 1 + d^2 q (1 - q) 2C / (2C - 1)``.
    """
    q = (chains // 2) / chains
    return math.sqrt((limit**2 - 1) * (2 * chains - 1) / (2 * chains * q * (1 - q)))


def _rhat_by_chance(chains: int, ess: float, entries: int) -> float:
    """Split R-hat that the largest of ``entries`` reaches in 1% of runs whose chains do agree.

    The means of 2C half chains scatter by their Monte Carlo error: R-hat^2 - 1 is a chi-square over its degrees
    of freedom, divided by the effective length of a half chain.
    """
    halves = 2 * chains
    scatter = float(scipy.stats.chi2.ppf(1 - 0.01 / entries, halves - 1)) / (halves - 1)
    return float(np.sqrt(1 + scatter * halves / ess))
