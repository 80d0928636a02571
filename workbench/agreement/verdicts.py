"""Claims a reader could doubt, each judged on the dataset against a tolerance that has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import chi2

from workbench.agreement.differences import measures_in, relative_l2, z_scores
from workbench.agreement.events import event_table
from workbench.semantics import Modes
from workbench.theory import gradient_kernel, step_size_shift

Array = NDArray[np.float64]
Ruling = Literal["holds", "FAILS", "not claimed"]

#: The Gaussian prediction is claimed where gamma is at least this many times its lower bound.
VALID_RATIO = 10.0
#: Relative difference allowed in the time of a sign flip.
FLIP_TOLERANCE = 5e-3


@dataclass(frozen=True)
class Verdict:
    """One claim: what was found, what is allowed and why, and the ruling.

    ``not claimed`` means that the theory's conditions do not hold, so nothing was put to the test.
    """

    claim: str
    found: str
    allowed: str
    reason: str
    ruling: Ruling


def _judge(claim: str, found: float, allowed: float, reason: str, form: str = "{:.2g}") -> Verdict:
    ruling: Ruling = "holds" if found <= allowed else "FAILS"
    return Verdict(claim, form.format(found), form.format(allowed), reason, ruling)


def verdicts(ds: xr.Dataset) -> list[Verdict]:
    """Judge every claim that the dataset can be asked about."""
    aligned = "a0" in ds.attrs
    rulings = _aligned_claims(ds) if aligned else _unaligned_claims(ds)
    if "local_bif" in measures_in(ds):
        rulings += _posterior_claims(ds)
    return rulings


def verdict_table(rulings: list[Verdict]) -> pd.DataFrame:
    """The rulings as a table."""
    return pd.DataFrame([vars(ruling) for ruling in rulings])


def _modes_of(ds: xr.Dataset) -> Modes:
    V = ds["item_mode"].values
    return Modes(ds["left_mode"].values, ds["singular_value"].values, V, None, float(ds.attrs["input_scale"]))


def _aligned_claims(ds: xr.Dataset) -> list[Verdict]:
    """Simulated against closed forms; the tolerance is the first-order effect of the learning rate, in closed form."""
    a, seen = ds["mode_strength_analytic"].values, ds["mode_strength_simulated"].values
    s, c, a0, eta = ds["singular_value"].values, ds.attrs["input_scale"], ds.attrs["a0"], ds.attrs["eta"]
    learned = a[0] > 0.5 * a0  # modes beyond the hidden width start at rounding error
    e = s - c * a
    per_eta = np.where(learned, step_size_shift(a, np.maximum(e, 0), eta=1.0, s=s, c=c, a0=a0), 0.0)
    shift = eta * per_eta
    expected = float(np.abs(shift[:, learned] / a[:, learned]).max())
    found = float(np.abs(seen[:, learned] / a[:, learned] - 1).max())
    why = f"first-order effect of the learning rate {eta:.2g}, known in closed form, and 20% for the next order"
    first_loss = float(ds["loss_analytic"].values[0])
    loss_shift = float(np.abs((((e - c * shift) ** 2 - e**2) / (2 * c)).sum(axis=1)).max()) / first_loss
    loss_found = float(np.abs(ds["loss_simulated"].values - ds["loss_analytic"].values).max()) / first_loss
    rulings = [
        _judge(
            "mode strengths follow the closed form (largest relative difference)", found, 1.2 * expected + 1e-9, why
        ),
        _judge(
            "the loss follows the closed form (largest difference / initial loss)",
            loss_found,
            1.2 * loss_shift + 1e-9,
            why,
        ),
    ]
    kernel_error = relative_l2(gradient_kernel(_modes_of(ds), a), gradient_kernel(_modes_of(ds), a + shift))
    measures = measures_in(ds)
    if "gradient_kernel" in measures:
        error = relative_l2(ds["gradient_kernel_analytic"].values, ds["gradient_kernel_simulated"].values)
        rulings.append(
            _judge("the gradient kernel follows the closed form (relative L2)", error, 1.2 * kernel_error + 1e-9, why)
        )
        rulings += _flip_claims(ds, expected)
    if "leave_one_out" in measures:
        off = ~np.eye(ds.sizes["source"], dtype=bool)
        error = relative_l2(ds["leave_one_out_analytic"].values[:, off], ds["leave_one_out_simulated"].values[:, off])
        again = ds["leave_one_out_simulated"].attrs["eta"]
        inherited = relative_l2(gradient_kernel(_modes_of(ds), a), gradient_kernel(_modes_of(ds), a + again * per_eta))
        rulings.append(
            _judge(
                "leave-one-out by retraining follows the flow (relative L2, other items)",
                error,
                4 * inherited + 1e-9,
                f"learning rate {again:.2g}: both runs carry the step-size error of the kernel, and their difference "
                "magnifies it",
            )
        )
    return rulings


def _flip_claims(ds: xr.Dataset, strength_error: float) -> list[Verdict]:
    events = event_table(ds)
    flips = events[(events["measure"] == "gradient_kernel") & events["event"].str.startswith("flip")]
    if flips.empty:
        return []
    # Both sides are read off the same checkpoints, so that interpolation errs alike on both.
    relative = (flips["difference"] / flips["analytic"]).abs()
    missing = int(relative.isna().sum())
    found = float("inf") if missing else float(relative.max())
    claim = f"sign flips of the kernel come when predicted ({len(flips)} flips, largest relative difference)"
    if strength_error > FLIP_TOLERANCE:
        why = f"the learning rate is coarse: mode strengths are off by up to {100 * strength_error:.2g}%"
        return [Verdict(claim, f"{found:.2g}", "-", why, "not claimed")]
    return [
        _judge(claim, found, FLIP_TOLERANCE, "learning rate; both sides are read off the same checkpoints"),
    ]


def _unaligned_claims(ds: xr.Dataset) -> list[Verdict]:
    final = ds["singular_value"].values / ds.attrs["input_scale"]
    difference = np.abs(ds["mode_strength_simulated"].values - ds["mode_strength_analytic"].values) / final
    reason = "unaligned start: no closed-form error bar for the learning rate and the imbalance of order sigma^2"
    rulings = [
        Verdict(
            "mode strengths (largest difference / final strength)",
            f"{difference.max():.2g}",
            "-",
            reason,
            "not claimed",
        )
    ]
    for measure in measures_in(ds):
        if measure != "local_bif":
            error = relative_l2(ds[f"{measure}_analytic"].values, ds[f"{measure}_simulated"].values)
            rulings.append(Verdict(f"{measure} (relative L2, all pairs)", f"{error:.2g}", "-", reason, "not claimed"))
    return rulings


def _posterior_claims(ds: xr.Dataset) -> list[Verdict]:
    needed = ds["gamma_needed"].values
    ratio = ds.attrs["gamma"] / np.maximum(needed, 1e-300)
    valid = ratio >= VALID_RATIO
    bias = ds["local_bif_simulated"].attrs["expected_step_size_bias"]
    claim = "sampled covariances lie within 4 standard errors of the Gaussian prediction (share of entries)"
    rulings: list[Verdict] = []
    if valid.any():
        share = float((np.abs(z_scores(ds)[valid]) <= 4).mean())
        rulings.append(
            Verdict(
                claim + ("" if valid.all() else f", at the {int(valid.sum())} checkpoints where gamma is large enough"),
                f"{100 * share:.2f}%",
                ">= 99%",
                f"Monte Carlo error; the step size adds an expected bias of {100 * bias:.1f}%",
                "holds" if share >= 0.99 else "FAILS",
            )
        )
    if not valid.all():
        share = float((np.abs(z_scores(ds)[~valid]) <= 4).mean())
        rulings.append(
            Verdict(
                claim + f", at the {int((~valid).sum())} checkpoints where gamma is small",
                f"{100 * share:.2f}%",
                "-",
                f"gamma is only {ratio.min():.2g} times its bound; "
                f"the prediction is claimed from {VALID_RATIO:g} times on",
                "not claimed",
            )
        )
    rhat, ess = ds["local_bif_rhat"].values, ds["local_bif_ess"].values
    if np.isfinite(rhat).any():
        rulings.append(
            _judge(
                "the chains of a checkpoint agree (largest split R-hat)",
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


def _rhat_by_chance(chains: int, ess: float, entries: int) -> float:
    """Split R-hat that the largest of ``entries`` reaches in 1% of runs whose chains do agree.

    The means of 2C half chains scatter by their Monte Carlo error: R-hat^2 - 1 is a chi-square over its degrees
    of freedom, divided by the effective length of a half chain.
    """
    halves = 2 * chains
    scatter = float(chi2.ppf(1 - 0.01 / entries, halves - 1)) / (halves - 1)
    return float(np.sqrt(1 + scatter * halves / ess))
