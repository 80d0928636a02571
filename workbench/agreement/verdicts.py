"""Claims a reader could doubt, each judged on the dataset against a tolerance that has a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from workbench import theory
from workbench.agreement.differences import ROUNDING, measures_in, relative_l2, vanishes
from workbench.agreement.event_table import flip_pairs
from workbench.agreement.expected import own_verdict, sentences
from workbench.agreement.groups import pair_groups
from workbench.agreement.posterior_verdicts import CHAINS, chain_verdicts, posterior_verdicts
from workbench.agreement.unaligned_verdicts import judged_by_steps
from workbench.agreement.unclaimed_verdicts import one_sided, unbounded
from workbench.agreement.verdict import Ruling, Verdict, judge, scaled_l2, unclaimed
from workbench.dataset import stderr, variable
from workbench.errors import counted
from workbench.influence import damped_newton, gradient_kernel, local_bif
from workbench.semantics import Modes

Array = NDArray[np.float64]

#: Relative difference allowed in the time of a sign flip.
FLIP_TOLERANCE = 5e-3
#: The next order in the learning rate is about the square of the first: within the 20% allowed for it up to here.
_COARSE = 0.2


def verdicts(ds: xr.Dataset) -> list[Verdict]:
    """Judge every claim that the dataset can be asked about; each states the smallest error that it would catch."""
    bounded = _a0(ds) is not None and "no_error_bar" not in ds.attrs
    error = _strength_error(ds) if bounded else 0.0
    judged = _bounded(ds, error) if bounded else judged_by_steps(ds) or unbounded(ds)
    for name in measures_in(ds):
        if stderr(ds, name) is not None:
            judged += posterior_verdicts(ds) if name == local_bif.name else [own_verdict(ds, name)]
    judged += chain_verdicts(ds)
    apart = _led_apart(ds, error)
    judged = judged if apart is None else [_withdrawn(verdict, apart) for verdict in judged]
    return judged + one_sided(ds)


def _a0(ds: xr.Dataset) -> float | None:
    """Initial strength of an aligned network of any depth."""
    return ds.attrs.get("a0", ds.attrs.get("initial_strength"))


def _kernel(ds: xr.Dataset, a: Array) -> Array:
    return theory.gradient_kernel(_modes_of(ds), a, depth=int(ds.attrs["depth"]))


def _strength_error(ds: xr.Dataset) -> float:
    """Largest relative error of a mode strength by the learning rate, to first order."""
    a, learned = ds["mode_strength_analytic"].values, _learned(ds)
    relative = _shift_per_eta(ds, a)[:, learned] / a[:, learned]
    return float(ds.attrs["eta"] * np.abs(relative).max())


def _learned(ds: xr.Dataset) -> NDArray[np.bool_]:
    """``(K,)`` which modes have a hidden unit: those beyond the hidden width start at rounding error."""
    return np.asarray(ds["mode_strength_analytic"].values[0] > 0.5 * (_a0(ds) or 0.0))


def _led_apart(ds: xr.Dataset, error: float) -> str | None:
    """Why the trained network need not be near the predicted one; None where it is."""
    if not ds.attrs.get("plain_training", 1):
        return str(ds.attrs["no_error_bar"])
    if error <= _COARSE:
        return None
    return f"the learning rate is coarse: mode strengths off by {100 * error:.2g}% to first order, and more beyond"


def _withdrawn(verdict: Verdict, why: str) -> Verdict:
    """Between networks that have been led apart, only the agreement of the chains can be judged."""
    if verdict.key == CHAINS:
        return verdict
    return replace(verdict, allowed="-", reason=why, ruling=Ruling.NOT_CLAIMED, altered="", power=float("nan"))


def verdict_table(judged: list[Verdict]) -> pd.DataFrame:
    """The verdicts as a table, with what each would have caught in words."""
    return pd.DataFrame([vars(verdict) | {"catches": verdict.catches} for verdict in judged])


def _modes_of(ds: xr.Dataset) -> Modes:
    V = ds["item_mode"].values
    return Modes(ds["left_mode"].values, ds["singular_value"].values, V, None, float(ds.attrs["input_scale"]))


def _bounded(ds: xr.Dataset, expected: float) -> list[Verdict]:
    """Simulated against closed forms; the tolerance is the first-order effect of the learning rate, in closed form.

    Args:
        expected: that effect on the mode strengths, at most and relative to them.
    """
    a, per_eta = ds["mode_strength_analytic"].values, _shift_per_eta(ds, ds["mode_strength_analytic"].values)
    eta = ds.attrs["eta"]
    shift, measures = eta * per_eta, measures_in(ds)
    why = f"first-order effect of the learning rate {eta:.2g}, known in closed form, and 20% for the next order"
    judged = [_strengths(ds, expected, why), _loss(ds, shift, why)]
    if gradient_kernel.name in measures:
        inherited = relative_l2(_kernel(ds, a), _kernel(ds, a + shift))
        judged.append(
            judge(
                gradient_kernel.name,
                "the gradient kernel follows the closed form (relative L2)",
                _l2_of(ds, gradient_kernel.name),
                1.2 * inherited + 1e-9,
                why,
                altered="the predicted kernel",
            )
        )
        judged += _flips(ds, expected)
    if damped_newton.name in measures:
        judged.append(_newton(ds, a, a + shift, why))
    for name in measures:
        if (sentence := sentences(ds, name).get("flow")) is not None:
            judged.append(_through_training(ds, name, sentence, a, per_eta))
        elif name not in (gradient_kernel.name, damped_newton.name) and stderr(ds, name) is None:
            judged.append(own_verdict(ds, name))
    return judged


def _l2_of(ds: xr.Dataset, measure: str, pairs: NDArray[np.bool_] | None = None) -> Callable[[float], float]:
    sides = [ds[f"{measure}_{side}"].values for side in ("analytic", "simulated")]
    return scaled_l2(*(values if pairs is None else values[:, pairs] for values in sides))


def _strengths(ds: xr.Dataset, expected: float, why: str) -> Verdict:
    learned = _learned(ds)
    ratio = ds["mode_strength_simulated"].values[:, learned] / ds["mode_strength_analytic"].values[:, learned]
    ends = np.array([ratio.min(), ratio.max()])
    return judge(
        "mode_strengths",
        "mode strengths follow the closed form (largest relative difference)",
        lambda x: float(np.abs(ends / (1 + x) - 1).max()),
        1.2 * expected + 1e-9,
        why,
        altered="every predicted strength",
    )


def _loss(ds: xr.Dataset, shift: Array, why: str) -> Verdict:
    predicted, seen = ds["loss_analytic"].values, ds["loss_simulated"].values
    c = ds.attrs["input_scale"]
    e = ds["singular_value"].values - c * ds["mode_strength_analytic"].values
    first = float(predicted[0])
    allowed = float(np.abs((((e - c * shift) ** 2 - e**2) / (2 * c)).sum(axis=1)).max()) / first
    return judge(
        "loss",
        "the loss follows the closed form (largest difference / initial loss)",
        lambda x: float(np.abs(seen - (1 + x) * predicted).max()) / first,
        1.2 * allowed + 1e-9,
        why,
        altered="the predicted loss",
    )


def _shift_per_eta(ds: xr.Dataset, a: Array) -> Array:
    """``(T, K)`` first-order effect of the learning rate on the mode strengths, over the learning rate."""
    s, c, depth = ds["singular_value"].values, ds.attrs["input_scale"], int(ds.attrs["depth"])
    shift = theory.step_size_shift(a, np.maximum(s - c * a, 0), eta=1.0, s=s, c=c, a0=_a0(ds) or 0.0, depth=depth)
    return np.where(_learned(ds), shift, 0.0)


def _newton(ds: xr.Dataset, a: Array, shifted: Array, why: str) -> Verdict:
    modes, times, hidden = _modes_of(ds), ds["time"].values, int(ds.attrs["hidden"])
    damping, active = float(ds[variable(damped_newton.name, "simulated")].attrs["damping"]), min(hidden, modes.rank)
    depth = int(ds.attrs["depth"])
    exact, moved = (
        theory.damped_newton(modes, x, times, damping=damping, hidden=hidden, active=active, depth=depth)
        for x in (a, shifted)
    )
    return judge(
        damped_newton.name,
        "the damped influence function follows the closed form (relative L2)",
        _l2_of(ds, damped_newton.name),
        1.2 * relative_l2(exact, moved) + 1e-9,
        why,
        altered="the predicted influence",
    )


def _through_training(ds: xr.Dataset, measure: str, sentence: str, a: Array, per_eta: Array) -> Verdict:
    """The influence of other items, against the step-size error of the kernel from which it accumulates."""
    off = ~np.eye(ds.sizes["source"], dtype=bool)
    simulated = ds[f"{measure}_simulated"].values
    if vanishes(ds[f"{measure}_analytic"].values, off):
        size = float(np.abs(simulated).max())
        largest = float(np.abs(simulated[:, off]).max()) / size if size > 0 else 0.0
        return judge(
            measure,
            f"items have no influence on each other by {measure} (largest, relative to an item on itself)",
            lambda x: largest + abs(x),
            ROUNDING,
            "rounding error: no mode has two items in common",
            altered="an item's influence on itself, were it predicted for another",
        )
    eta, extrapolated = (ds[f"{measure}_simulated"].attrs.get(name, 0) for name in ("eta", "extrapolated"))
    inherited = relative_l2(_kernel(ds, a), _kernel(ds, a + eta * per_eta))
    if extrapolated:
        once_more = eta / float(ds.attrs["eta"]) * _strength_error(ds)
        return judge(
            measure,
            f"{sentence} (relative L2, other items)",
            _l2_of(ds, measure, off),
            4 * inherited * once_more + 1e-9,
            f"extrapolated from learning rates {2 * eta:.2g} and {eta:.2g}: the step-size error, once more of its size",
            altered="the predicted influence of other items",
        )
    return judge(
        measure,
        f"{sentence} (relative L2, other items)",
        _l2_of(ds, measure, off),
        4 * inherited + 1e-9,
        f"learning rate {eta:.2g}: the step-size error of the kernel at every step, magnified by the rest of training",
        altered="the predicted influence of other items",
    )


def _flips(ds: xr.Dataset, strength_error: float) -> list[Verdict]:
    flips = [pair for mask in pair_groups(ds).values() for pair in flip_pairs(ds, gradient_kernel.name, mask)]
    if not flips:
        return []
    # Both sides are read off the same checkpoints, so that interpolation errs alike on both.
    ratio = np.array([simulated / analytic for analytic, simulated in flips])
    missing = bool(np.isnan(ratio).any())
    key, claim = (
        "kernel_flips",
        f"sign flips of the kernel come when predicted ({counted(len(flips), 'flip')}, largest relative difference)",
    )

    def late(x: float) -> float:
        return float("inf") if missing else float(np.abs(ratio / (1 + x) - 1).max())

    if strength_error > FLIP_TOLERANCE:
        why = f"the learning rate is coarse: mode strengths are off by up to {100 * strength_error:.2g}%"
        return [unclaimed(key, claim, f"{late(0.0):.2g}", why)]
    why = "learning rate; both sides are read off the same checkpoints"
    return [judge(key, claim, late, FLIP_TOLERANCE, why, altered="every predicted time")]
