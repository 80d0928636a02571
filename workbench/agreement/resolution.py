"""Whether sampled influence stands out of its Monte Carlo noise, and how many draws it would take.

The error of a covariance falls with the root of the number of draws. Its relative size over a group of pairs is the
relative L2 error that chance alone explains, `noise_to_signal`; a group is resolved where that is at most a third: a
typical entry is then known to three standard errors, and its sign with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.agreement.groups import pair_groups
from workbench.dataset import measure_names, variable

Array = NDArray[np.float64]

#: A group of pairs is resolved where its Monte Carlo error is at most this part of its influence, in L2.
RESOLVED = 1 / 3
#: Error bars of fewer draws in all cover less than they say; measured on the exact posterior of a two-layer network.
FEW_DRAWS = 1000


def noise_to_signal(influence: Array, stderr: Array) -> float:
    """``|stderr| / |influence|`` in the Euclidean norm; inf where there is no influence."""
    size = float(np.linalg.norm(influence))
    return float(np.linalg.norm(stderr)) / size if size > 0 else math.inf


def draws_to_resolve(noise: float, draws: int) -> float:
    """Draws a chain after which ``noise``, found with ``draws``, is `RESOLVED`; two digits, nan where unknown."""
    if not math.isfinite(noise):
        return math.nan
    needed = draws * (noise / RESOLVED) ** 2
    return float(f"{math.ceil(needed):.2g}") if needed > draws else float(draws)


def unresolved(ds: xr.Dataset, measure: str = "local_bif") -> dict[str, tuple[float, float]]:
    """Groups of pairs whose sampled entries are noise: relative Monte Carlo error, and the draws that would resolve it.

    Against the prediction where the dataset has one, else against what was sampled less its noise.
    """
    sampled, stderr = f"{measure}_simulated", f"{measure}_simulated_stderr"
    if sampled not in ds or stderr not in ds or "draws" not in ds[sampled].attrs:
        return {}
    draws, groups = int(ds[sampled].attrs["draws"]), {}
    for group, mask in pair_groups(ds).items():
        error = ds[stderr].values[:, mask]
        noise = noise_to_signal(_signal(ds, measure)[:, mask], error)
        if RESOLVED < noise < math.inf:
            groups[group] = noise, draws_to_resolve(noise, draws)
    return groups


def _signal(ds: xr.Dataset, measure: str) -> Array:
    if f"{measure}_analytic" in ds:
        return np.asarray(ds[f"{measure}_analytic"].values)
    seen, error = ds[f"{measure}_simulated"].values, ds[f"{measure}_simulated_stderr"].values
    return np.asarray(np.sqrt(np.maximum(seen**2 - error**2, 0.0)))


def resolution_notes(ds: xr.Dataset) -> list[str]:
    """A sentence where sampled influence between items is noise entry by entry, and one where draws are very few."""
    sampled = [name for name in measure_names(ds) if "draws" in facts_of_chains(ds, name)]
    return [note for measure in sampled for note in _notes(ds, measure)]


def facts_of_chains(ds: xr.Dataset, measure: str) -> Mapping[str, Any]:
    """Attributes of the simulated side, among them what its chains were; none where it was not simulated."""
    name = variable(measure, "simulated")
    return ds[name].attrs if name in ds else {}


def _notes(ds: xr.Dataset, measure: str) -> list[str]:
    chains_of = facts_of_chains(ds, measure)
    draws, chains = int(chains_of["draws"]), int(chains_of.get("chains", 1))
    groups, notes = unresolved(ds, measure), []
    short = chains_of.get("short_name", measure)
    if groups:
        each = ", ".join(f"{noise:.2g} times for {name} ({needed:g} draws)" for name, (noise, needed) in groups.items())
        notes.append(
            f"{draws} draws a chain are too few to read single entries of the sampled {short}: their Monte Carlo "
            f"error over the influence, and the draws a chain that would bring it to a third, are {each}; `draws` auto "
            "takes as many; what is pooled over many pairs can be read"
        )
    if chains * draws < FEW_DRAWS:
        notes.append(
            f"{chains * draws} draws in all: error bars are widened for it, and two of them still cover only about 91% "
            f"where an item's loss is most skewed, late in training ({FEW_DRAWS} draws in all: 94%)"
        )
    return notes
