"""Claims a reader could doubt, each judged on the dataset against a tolerance that has a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from workbench.agreement.differences import ROUNDING, measures_in, relative_l2, vanishes
from workbench.agreement.events import event_table
from workbench.agreement.posterior_verdicts import CHAINS_AGREE, posterior_claims
from workbench.agreement.ruling import Verdict, judge
from workbench.semantics import Modes
from workbench.theory import damped_newton, gradient_kernel, step_size_shift

Array = NDArray[np.float64]

#: Relative difference allowed in the time of a sign flip.
FLIP_TOLERANCE = 5e-3
#: The next order in the learning rate is about the square of the first: within the 20% allowed for it up to here.
_COARSE = 0.2


def verdicts(ds: xr.Dataset) -> list[Verdict]:
    """Judge every claim that the dataset can be asked about."""
    aligned = "a0" in ds.attrs
    error = _strength_error(ds) if aligned else 0.0
    rulings = _aligned_claims(ds, error) if aligned else _unaligned_claims(ds)
    if "local_bif" in measures_in(ds):
        rulings += posterior_claims(ds)
    return rulings if error <= _COARSE else [_withdrawn(ruling, error) for ruling in rulings]


def _strength_error(ds: xr.Dataset) -> float:
    """Largest relative error of a mode strength by the learning rate, to first order."""
    a, learned = ds["mode_strength_analytic"].values, _learned(ds)
    relative = _shift_per_eta(ds, a)[:, learned] / a[:, learned]
    return float(ds.attrs["eta"] * np.abs(relative).max())


def _learned(ds: xr.Dataset) -> NDArray[np.bool_]:
    """``(K,)`` which modes have a hidden unit: those beyond the hidden width start at rounding error."""
    return np.asarray(ds["mode_strength_analytic"].values[0] > 0.5 * ds.attrs["a0"])


def _withdrawn(ruling: Verdict, error: float) -> Verdict:
    """Between networks that a coarse learning rate has led apart, only the agreement of the chains can be judged."""
    if ruling.claim.startswith(CHAINS_AGREE):
        return ruling
    why = f"the learning rate is coarse: mode strengths off by {100 * error:.2g}% to first order, and more beyond"
    return replace(ruling, allowed="-", reason=why, ruling="not claimed")


def verdict_table(rulings: list[Verdict]) -> pd.DataFrame:
    """The rulings as a table."""
    return pd.DataFrame([vars(ruling) for ruling in rulings])


def _modes_of(ds: xr.Dataset) -> Modes:
    V = ds["item_mode"].values
    return Modes(ds["left_mode"].values, ds["singular_value"].values, V, None, float(ds.attrs["input_scale"]))


def _aligned_claims(ds: xr.Dataset, expected: float) -> list[Verdict]:
    """Simulated against closed forms; the tolerance is the first-order effect of the learning rate, in closed form.

    Args:
        expected: that effect on the mode strengths, at most and relative to them.
    """
    a, seen = ds["mode_strength_analytic"].values, ds["mode_strength_simulated"].values
    c, eta, learned = ds.attrs["input_scale"], ds.attrs["eta"], _learned(ds)
    e, per_eta = ds["singular_value"].values - c * a, _shift_per_eta(ds, a)
    shift = eta * per_eta
    found = float(np.abs(seen[:, learned] / a[:, learned] - 1).max())
    why = f"first-order effect of the learning rate {eta:.2g}, known in closed form, and 20% for the next order"
    first_loss = float(ds["loss_analytic"].values[0])
    loss_shift = float(np.abs((((e - c * shift) ** 2 - e**2) / (2 * c)).sum(axis=1)).max()) / first_loss
    loss_found = float(np.abs(ds["loss_simulated"].values - ds["loss_analytic"].values).max()) / first_loss
    rulings = [
        judge("mode strengths follow the closed form (largest relative difference)", found, 1.2 * expected + 1e-9, why),
        judge(
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
            judge("the gradient kernel follows the closed form (relative L2)", error, 1.2 * kernel_error + 1e-9, why)
        )
        rulings += _flip_claims(ds, expected)
    if "damped_newton" in measures:
        rulings.append(_newton_claim(ds, a, a + shift, why))
    return rulings + [_history_claim(ds, name, a, per_eta) for name in _HISTORY if name in measures]


def _shift_per_eta(ds: xr.Dataset, a: Array) -> Array:
    """``(T, K)`` first-order effect of the learning rate on the mode strengths, over the learning rate."""
    s, c, a0 = ds["singular_value"].values, ds.attrs["input_scale"], ds.attrs["a0"]
    shift = step_size_shift(a, np.maximum(s - c * a, 0), eta=1.0, s=s, c=c, a0=a0)
    return np.where(_learned(ds), shift, 0.0)


def _newton_claim(ds: xr.Dataset, a: Array, shifted: Array, why: str) -> Verdict:
    modes, times, hidden = _modes_of(ds), ds["time"].values, int(ds.attrs["hidden"])
    damping, active = float(ds["damped_newton_simulated"].attrs["damping"]), min(hidden, modes.rank)
    exact, moved = (damped_newton(modes, x, times, damping=damping, hidden=hidden, active=active) for x in (a, shifted))
    return judge(
        "the damped influence function follows the closed form (relative L2)",
        relative_l2(ds["damped_newton_analytic"].values, ds["damped_newton_simulated"].values),
        1.2 * relative_l2(exact, moved) + 1e-9,
        why,
    )


#: Measures that need a whole training run, and how each simulated side comes about.
_HISTORY = {
    "leave_one_out": "leave-one-out by retraining follows the flow",
    "window_removal": "window removal by retraining follows the flow",
    "trajectory_derivative": "the derivative through training follows the flow's",
}


def _history_claim(ds: xr.Dataset, measure: str, a: Array, per_eta: Array) -> Verdict:
    """The influence of other items, against the step-size error of the kernel from which it accumulates."""
    off = ~np.eye(ds.sizes["source"], dtype=bool)
    predicted, simulated = ds[f"{measure}_analytic"].values, ds[f"{measure}_simulated"].values
    if vanishes(predicted, off):
        largest = float(np.abs(simulated[:, off]).max() / np.abs(simulated).max())
        claim = f"items have no influence on each other by {measure} (largest, relative to an item on itself)"
        return judge(claim, largest, ROUNDING, "rounding error: no mode has two items in common")
    eta = ds[f"{measure}_simulated"].attrs["eta"]
    inherited = relative_l2(gradient_kernel(_modes_of(ds), a), gradient_kernel(_modes_of(ds), a + eta * per_eta))
    return judge(
        f"{_HISTORY[measure]} (relative L2, other items)",
        relative_l2(predicted[:, off], simulated[:, off]),
        4 * inherited + 1e-9,
        f"learning rate {eta:.2g}: the step-size error of the kernel at every step, magnified by the rest of training",
    )


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
        judge(claim, found, FLIP_TOLERANCE, "learning rate; both sides are read off the same checkpoints"),
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
