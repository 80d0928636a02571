"""Whether one method's influence has the sign of another's, checkpoint by checkpoint and level by level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from workbench.agreement.differences import ROUNDING
from workbench.agreement.groups import pair_groups
from workbench.semantics import SemanticTask


def sign_agreement(truth: xr.DataArray, other: xr.DataArray, task: SemanticTask) -> pd.DataFrame:
    """Share of the pairs of different items whose influence has the true sign: one row a time, one column a group.

    A high correlation says little about signs: it does not change when all values of a group move by as much. At a
    checkpoint where the truth of a pair is zero to rounding, the pair is left out; nan where all are.

    Args:
        truth, other: (time, source, target), on the same items and times.
        task: whose `pair_groups` are the columns.
    """
    true, tested = (array.transpose("time", "source", "target").values for array in (truth, other))
    large = np.abs(true) > ROUNDING * np.abs(true).max()
    right = large & (true * tested > 0)
    columns = {}
    for name, mask in pair_groups(task).items():
        count = large[:, mask].sum(axis=1)
        columns[name] = np.where(count > 0, right[:, mask].sum(axis=1) / np.maximum(count, 1), np.nan)
    return pd.DataFrame(columns, index=pd.Index(truth["time"].values, name="time"))
