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
from workbench.agreement.expected import STEP_ERRORS, allowed_by_steps, own_verdict, sentences, steps_why
from workbench.agreement.verdict import Verdict, judge, scaled_l2, unclaimed
from workbench.dataset import stderr

#: The next order is about the square of the first: within the 20% allowed for it up to here.
COARSE = 0.2


def judged_by_steps(ds: xr.Dataset) -> list[Verdict] | None:
    """Verdicts on all but the sampled measures; None where no effect of the learning rate is known or it is coarse."""
    expected: dict[str, float] = json.loads(ds.attrs.get(STEP_ERRORS, "{}"))
    if not expected or max(expected.values()) > COARSE:
        return None
    why = steps_why(float(ds.attrs["eta"]))
    judged = [
        _strengths(ds, allowed_by_steps(expected["mode_strengths"]), why),
        _loss(ds, allowed_by_steps(expected["loss"]), why),
    ]
    for name in measures_in(ds):
        if stderr(ds, name) is not None:
            continue
        if not {"closed form", "flow"} & set(sentences(ds, name)):
            judged.append(own_verdict(ds, name))
        else:
            eta = float(ds[f"{name}_simulated"].attrs.get("eta", ds.attrs["eta"]))
            judged.append(_measure(ds, name, expected.get(name), steps_why(eta)))
    return judged


def _measure(ds: xr.Dataset, name: str, expected: float | None, why: str) -> Verdict:
    everything = "closed form" in sentences(ds, name)
    pairs = np.ones((ds.sizes["source"],) * 2, dtype=bool) & (everything | ~np.eye(ds.sizes["source"], dtype=bool))
    which, short = "" if everything else ", other items", ds[f"{name}_analytic"].attrs.get("short_name", name)
    claim, error = f"{short} follows its prediction (relative L2{which})", _l2_of(ds, name, pairs)
    if expected is None:
        reason = (
            "the effect of the learning rate on retraining is not integrated: for this measure, or for so many weights"
        )
        return unclaimed(name, claim, f"{error(0.0):.2g}", reason)
    return judge(name, claim, error, allowed_by_steps(expected), why, altered=f"the prediction{which}")


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
