"""Claims about runs that did not start aligned, against the first-order effect of the learning rate on their weights.

It is integrated along the flow when the comparison is made (`comparison.step_error`) and kept with its dataset.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.agreement.differences import measures_in
from workbench.agreement.verdict import Verdict, judge, scaled_l2, unclaimed
from workbench.influence import damped_newton, gradient_kernel, local_bif

#: Name of the attribute that holds the expected errors.
STEP_ERRORS = "step_errors"
#: The next order is about the square of the first: within the 20% allowed for it up to here.
COARSE = 0.2


def judged_by_steps(ds: xr.Dataset) -> list[Verdict] | None:
    """Verdicts on all but the sampled measure; None where no effect of the learning rate is known or it is coarse."""
    expected: dict[str, float] = json.loads(ds.attrs.get(STEP_ERRORS, "{}"))
    if not expected or max(expected.values()) > COARSE:
        return None
    why = "first-order effect of the learning rate {:.2g}, integrated along the flow, and 20% for the next order"
    trained = why.format(float(ds.attrs["eta"]))
    judged = [
        _strengths(ds, _allowed(expected["mode_strengths"]), trained),
        _loss(ds, _allowed(expected["loss"]), trained),
    ]
    for name in measures_in(ds):
        if name == local_bif.name:
            continue
        eta = float(ds[f"{name}_simulated"].attrs.get("eta", ds.attrs["eta"]))
        judged.append(_measure(ds, name, expected.get(name), why.format(eta)))
    return judged


def _allowed(expected: float) -> float:
    return 1.2 * expected + 1e-9


def _measure(ds: xr.Dataset, name: str, expected: float | None, why: str) -> Verdict:
    everything = name in (gradient_kernel.name, damped_newton.name)
    pairs = np.ones((ds.sizes["source"],) * 2, dtype=bool) & (everything | ~np.eye(ds.sizes["source"], dtype=bool))
    which, short = "" if everything else ", other items", ds[f"{name}_analytic"].attrs.get("short_name", name)
    claim, error = f"{short} follows its prediction (relative L2{which})", _l2_of(ds, name, pairs)
    if expected is None:
        reason = (
            "the effect of the learning rate on retraining is not integrated: for this measure, or for so many weights"
        )
        return unclaimed(name, claim, f"{error(0.0):.2g}", reason)
    return judge(name, claim, error, _allowed(expected), why, altered=f"the prediction{which}")


def _l2_of(ds: xr.Dataset, measure: str, pairs: NDArray[np.bool_]) -> Callable[[float], float]:
    return scaled_l2(*(ds[f"{measure}_{side}"].values[:, pairs] for side in ("analytic", "simulated")))


def _strengths(ds: xr.Dataset, allowed: float, why: str) -> Verdict:
    final = ds["singular_value"].values / ds.attrs["input_scale"]
    predicted, seen = (ds[f"mode_strength_{side}"].values / final for side in ("analytic", "simulated"))
    return judge(
        "mode_strengths",
        "mode strengths follow the flow (largest difference / final strength)",
        lambda x: float(np.abs(seen - (1 + x) * predicted).max()),
        allowed,
        why,
        altered="every predicted strength",
    )


def _loss(ds: xr.Dataset, allowed: float, why: str) -> Verdict:
    predicted, seen = ds["loss_analytic"].values, ds["loss_simulated"].values
    return judge(
        "loss",
        "the loss follows the flow (largest difference / initial loss)",
        lambda x: float(np.abs(seen - (1 + x) * predicted).max()) / float(predicted[0]),
        allowed,
        why,
        altered="the predicted loss",
    )
