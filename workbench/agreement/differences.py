"""How far the simulated side is from the analytic one: relative errors by group of pairs, and z-scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from workbench import dataset
from workbench.agreement.groups import ALL_OTHERS, pair_groups
from workbench.agreement.resolution import draws_to_resolve, noise_to_signal

Array = NDArray[np.float64]

#: Influence below this fraction of a measure's largest value is rounding error of zero.
ROUNDING = 1e-9


def measures_in(ds: xr.Dataset) -> list[str]:
    """Measures of which the dataset holds both sides."""
    return [name for name in dataset.measure_names(ds) if len(dataset.sides_of(ds, name)) == 2]


def relative_l2(reference: Array, other: Array) -> float:
    """``|other - reference| / |reference|`` in the Euclidean norm; 0 where both vanish, inf where only one does."""
    size, difference = float(np.linalg.norm(reference)), float(np.linalg.norm(other - reference))
    return 0.0 if difference == 0 else difference / size if size > 0 else float("inf")


def vanishes(influence: Array, mask: Array) -> bool:
    """Whether the pairs in a ``(P, P)`` mask have no influence but rounding error, in ``(T, P, P)``."""
    return float(np.abs(influence[:, mask]).max(initial=0.0)) <= ROUNDING * float(np.abs(influence).max())


def z_scores(ds: xr.Dataset, measure: str = "local_bif") -> Array:
    """``(T, P, P)`` difference between the sides over the Monte Carlo standard error."""
    difference = ds[f"{measure}_simulated"].values - ds[f"{measure}_analytic"].values
    return np.asarray(difference / ds[f"{measure}_simulated_stderr"].values)


def same_sign(reference: Array, other: Array) -> float:
    """Share of the reference's total size ``sum |reference|`` that the other gives the right sign; nan of nothing."""
    size = np.abs(reference)
    total = float(size.sum())
    return float(size[reference * other > 0].sum()) / total if total > 0 else float("nan")


def error_table(ds: xr.Dataset) -> pd.DataFrame:
    """Relative L2 error over all checkpoints, one row per measure and group of pairs.

    Columns: ``relative_l2``; ``same_sign``, the share of entries whose sign is the same on both sides, weighed by the
    predicted size; for sampled measures also ``monte_carlo`` (the error that the standard errors alone explain),
    ``within_4_se`` (share of entries) and ``draws_to_resolve`` (`resolution.draws_to_resolve`). Pooled errors are
    dominated by the diagonal, so the groups are what to read. A group without influence has no relative error (nan),
    nor has a measure with one side alone.
    """
    off = ~np.eye(ds.sizes["source"], dtype=bool)
    masks = {"all pairs": np.ones_like(off), "item on itself": ~off, ALL_OTHERS: off, **pair_groups(ds)}
    rows: list[dict[str, Any]] = []
    for measure in dataset.measure_names(ds):
        if len(dataset.sides_of(ds, measure)) < 2:
            rows += [{"measure": measure, "pairs": group, "relative_l2": np.nan} for group in masks]
            continue
        analytic, simulated = ds[f"{measure}_analytic"].values, ds[f"{measure}_simulated"].values
        sampled = f"{measure}_simulated_stderr" in ds
        for group, mask in masks.items():
            row: dict[str, Any] = {"measure": measure, "pairs": group}
            zero = vanishes(analytic, mask)
            row["relative_l2"] = np.nan if zero else relative_l2(analytic[:, mask], simulated[:, mask])
            row["same_sign"] = np.nan if zero else same_sign(analytic[:, mask], simulated[:, mask])
            if sampled:
                stderr = ds[f"{measure}_simulated_stderr"].values[:, mask]
                noise = np.nan if zero else noise_to_signal(analytic[:, mask], stderr)
                row["monte_carlo"], row["draws_to_resolve"] = noise, _draws(ds, measure, noise)
                row["within_4_se"] = float((np.abs(z_scores(ds, measure)[:, mask]) <= 4).mean())
            rows.append(row)
    return pd.DataFrame(rows)


def _draws(ds: xr.Dataset, measure: str, noise: float) -> float:
    draws = ds[f"{measure}_simulated"].attrs.get("draws")
    return np.nan if draws is None else draws_to_resolve(noise, int(draws))
