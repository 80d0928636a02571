"""What is expected of measures, as their dataset keeps it; and verdicts on those that are somebody's own."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from workbench.agreement.differences import relative_l2
from workbench.agreement.verdict import Verdict, judge, scaled_l2, unclaimed
from workbench.dataset import facts, stderr, values
from workbench.influence import MEASURES, Expectation

#: Name of the attribute that holds the errors to be expected of training's steps, by claim.
STEP_ERRORS = "step_errors"
#: Share of entries that may stray further than `_WIDE` standard errors: Monte Carlo errors have heavy tails.
_STRAY, _WIDE = 0.01, 4.0


def expectations(ds: xr.Dataset, measure: str) -> tuple[Expectation, ...]:
    """Of a measure of the dataset; results written before they were kept have those of the package's measures."""
    kept = facts(ds, measure).get("expectations")
    if kept is not None:
        return tuple(Expectation(*one) for one in json.loads(kept))
    return MEASURES[measure].expectations if measure in MEASURES else ()


def sentences(ds: xr.Dataset, measure: str) -> dict[str, str]:
    """What is expected of a measure, by the rule that judges it."""
    return {expectation.rule: expectation.sentence for expectation in expectations(ds, measure)}


def steps_why(eta: float) -> str:
    """Why an error that `STEP_ERRORS` holds is to be expected."""
    return f"first-order effect of the learning rate {eta:.2g}, integrated along the flow, and 20% for the next order"


def allowed_by_steps(expected: float) -> float:
    """The first-order effect, a fifth for the next order, and rounding."""
    return 1.2 * expected + 1e-9


def own_verdict(ds: xr.Dataset, measure: str) -> Verdict:
    """On a measure of somebody's own that does not retrain, by the first of its expectations that can be applied."""
    by_rule = sentences(ds, measure)
    analytic, simulated = (np.asarray(values(ds, measure, side)) for side in ("analytic", "simulated"))
    shown = f"{relative_l2(analytic, simulated):.2g}"
    if "chains" in by_rule:
        error = stderr(ds, measure)
        if error is None:
            return unclaimed(measure, by_rule["chains"], shown, "no standard errors stand beside its simulated side")
        return _within_noise(measure, by_rule["chains"], analytic, simulated, error)
    if "closed form" not in by_rule:
        claim = f"{facts(ds, measure).get('short_name', measure)} (relative L2, all pairs)"
        return unclaimed(measure, claim, shown, "the measure says in no `expectations` what should agree")
    claim = f"{by_rule['closed form']} (relative L2)"
    expected = json.loads(ds.attrs.get(STEP_ERRORS, "{}")).get(measure)
    if expected is None:
        return unclaimed(measure, claim, shown, "the effect of the learning rate on it is not known")
    error_of = scaled_l2(analytic, simulated)
    why = steps_why(float(ds.attrs["eta"]))
    return judge(measure, claim, error_of, allowed_by_steps(expected), why, altered="the prediction")


def _within_noise(
    measure: str, sentence: str, analytic: np.ndarray, simulated: np.ndarray, error: np.ndarray
) -> Verdict:
    def strays(x: float) -> float:
        return float((np.abs(simulated - (1 + x) * analytic) > _WIDE * error).mean())

    claim = f"{sentence} (share of entries further than {_WIDE:g} standard errors)"
    return judge(measure, claim, strays, _STRAY, "Monte Carlo error", altered="every prediction", form="{:.2%}")
