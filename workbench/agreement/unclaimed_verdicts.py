"""What is told without a ruling: measures that have one side, and runs that have no error bar."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.agreement.differences import measures_in, relative_l2
from workbench.agreement.verdict import Verdict, unclaimed
from workbench.dataset import measure_names, sides_of, stderr

Array = NDArray[np.float64]


def one_sided(ds: xr.Dataset) -> list[Verdict]:
    """Measures that stand alone, with the reason."""
    reasons: dict[str, str] = json.loads(ds.attrs.get("not_predicted", "{}"))
    alone = [name for name in measure_names(ds) if len(sides_of(ds, name)) == 1]
    return [
        unclaimed(name, f"{name}: {sides_of(ds, name)[0]} side alone", "-", reasons.get(name, "it has one side"))
        for name in alone
    ]


def unbounded(ds: xr.Dataset) -> list[Verdict]:
    """Differences between the sides of a run whose start or training has no error bar."""
    if "mode_strength_analytic" not in ds:
        return []
    final = ds["singular_value"].values / ds.attrs["input_scale"]
    difference = np.abs(ds["mode_strength_simulated"].values - ds["mode_strength_analytic"].values) / final
    reason = str(ds.attrs.get("no_error_bar", "the learning rate is coarse: its first-order effect says too little"))
    claim = "mode strengths (largest difference / final strength)"
    judged = [unclaimed("mode_strengths", claim, f"{difference.max():.2g}", reason)]
    for measure in measures_in(ds):
        if stderr(ds, measure) is None:
            error = relative_l2(ds[f"{measure}_analytic"].values, ds[f"{measure}_simulated"].values)
            judged.append(unclaimed(measure, f"{measure} (relative L2, all pairs)", f"{error:.2g}", reason))
    return judged
