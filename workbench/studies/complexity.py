"""Complexity, refined: the local learning coefficient over training, and what the posterior of each layer alone says.

Restricted to one layer a linear network's posterior is exactly Gaussian (`theory.posterior.restricted`), at every
checkpoint and any gamma: the refined quantities that people sample in transformers are here known exactly, for any
depth. A theorem gives the unrestricted coefficient at a minimum alone: of a map of rank r as n beta grows
(`learning_coefficient`); along the way the Gaussian with the gradient and Hessian of the checkpoint foresees it.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import theory
from workbench.studies.complexity_figure import draw
from workbench.studies.complexity_parts import (
    TIGHT,
    closed_forms,
    sampled_layers,
    sampled_whole,
    susceptibilities,
    trained_path,
)
from workbench.studies.pairs import usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]

#: Gaussian prediction of all weights: how far the loss is from quadratic at 20 times the localization it needs.
_ANHARMONIC = 0.02


def answer(inquiry: Inquiry) -> StudyResult:
    """Closed forms and chains, layer by layer."""
    networks = usual_networks(inquiry)
    points, checkpoints = (31, 5) if inquiry.quick else (91, 9)
    names = list(networks)
    # By symmetry all items of the tree have susceptibility 0.
    tree, uneven, deep = names[0], names[min(1, len(names) - 2)], names[-1]
    uneven = uneven if inquiry.task is None else tree
    parts = []
    with inquiry.bar("complexity", len(names) + 4) as advance:
        for start in networks.values():
            times = np.linspace(0, theory.settling_time(start), points)[1:]
            parts.append(closed_forms(start, times))
            advance(1)
        seen = []
        for name in (tree, deep):
            seen.append(sampled_layers(trained_path(networks[name], checkpoints), inquiry))
            advance(1)
        whole = sampled_whole(networks[tree], checkpoints, inquiry)
        advance(1)
        single = susceptibilities(networks[uneven], checkpoints, inquiry)
        advance(1)
    closed = xr.concat(parts, dim=xr.Variable("network", names), join="outer")
    layers = xr.concat(seen, dim=xr.Variable("sampled", [tree, deep]), join="outer")
    ds = xr.merge([closed, layers, whole, single.rename(layer="own_layer")], join="outer", combine_attrs="no_conflicts")
    alike = networks[uneven].task.tree_symmetric  # then all susceptibilities are 0
    ds.attrs.update(susceptibilities_of=uneven, alike=int(alike), **TIGHT)
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Above: volume n beta tr(HC)/2 of each layer's posterior for two and for three layers (lines exact; points "
        "sampled), its limit dotted, half-rise times thin; learning coefficient of all weights (line: the Gaussian of "
        "the checkpoint). Error bars are two standard errors. Below: influence between groups of pairs by the last "
        "layer alone and by all weights, over its largest; susceptibility of each layer to each item of the "
        f"{uneven} (lines exact, points sampled), over the largest of all.",
        "Curves that rise smoothly to their limits with points on them; curves of influence by the last layer and by "
        "all weights are close; susceptibilities swing while items are learned, points on lines.",
        _claims(ds),
    )


def _ends(ds: xr.Dataset, network: int) -> tuple[list[str], Array, Array]:
    """Layers of a network, the volume of each at the end, and its limit."""
    one = ds.isel(network=network)
    there = np.isfinite(one["limit"].values)
    names = [str(name) for name in one["layer"].values[there]]
    return names, one["volume"].isel(moment=-1).values[there], one["limit"].values[there]


def _last(ds: xr.Dataset, network: int) -> str:
    return _ends(ds, network)[0][-1]


def _first(ds: xr.Dataset, network: int, moving: str) -> Array:
    """First changes of sign of every group of pairs."""
    one = ds.isel(network=network)
    named = np.array([isinstance(name, str) and bool(name) for name in one["pairs"].values])
    return np.asarray(one["event_time"].sel(moving=moving, event="flip 1").values[named])


def _apart(ds: xr.Dataset) -> float:
    """Largest deviation of a sampled coefficient of a layer from the exact one, in standard errors."""
    return float(np.nanmax(np.abs(ds["coefficient"] - ds["coefficient_exact"]) / ds["coefficient_stderr"]))


def _shares(ds: xr.Dataset) -> Array:
    """``(network,)`` largest influence by W1 over the largest by the last layer."""
    sizes = abs(ds["influence"]).max(("group", "moment"))
    lasts = [float(sizes.isel(network=n).sel(moving=_last(ds, n))) for n in range(ds.sizes["network"])]
    return np.asarray(sizes.sel(moving="W1").values / np.array(lasts))


def _finding(ds: xr.Dataset) -> str:
    grown = []
    for n in sorted({0, ds.sizes["network"] - 1}):
        told = ", ".join(f"{now:.1f} of {end:g} ({name})" for name, now, end in zip(*_ends(ds, n), strict=True))
        grown.append(f"{ds['network'].values[n]}: {told}")
    flips = "; ".join(
        f"{group} {last:.2f} against {whole:.2f} in all weights"
        for group, last, whole in zip(
            ds["pairs"].values[0], _first(ds, 0, _last(ds, 0)), _first(ds, 0, "all"), strict=False
        )
    )
    most = np.abs(ds["susceptibility"].values[-1]).max(axis=0)
    slope, error = (ds["susceptibility_slope"].sel(of=of).values for of in ("slope", "stderr"))
    sampled = ", ".join(f"{a:.2f} +- {b:.2f}" for a, b in zip(slope, error, strict=True) if np.isfinite(a))
    return (
        f"The volume of each layer's posterior grows smoothly and not in stairs, to {'; '.join(grown)}, its limits for "
        f"n beta to infinity; of all weights the theorem has {float(ds['theorem_at_the_end'][0]):g} and samples at the "
        f"minimum {float(ds['at_minimum']):.1f} +- {float(ds['at_minimum_stderr']):.1f}. On the way the usual estimate "
        f"n beta (E L - L(w*)) is negative, down to {float(ds['descent'][0].min()):.2g}. Influence between different "
        f"items is all in the later layers (W1 has {_shares(ds).max():.1g} of it); by the last alone it changes sign "
        f"at t = {flips}. "
        + (
            "By symmetry no layer is more susceptible to one item than to another."
            if ds.attrs["alike"]
            else f"The last layer's susceptibility is largest to {ds['item'].values[most.argmax()]} ("
            f"{ds.attrs['susceptibilities_of']}); sampled ones are {sampled} of the exact ones, layer by layer."
        )
    )


def _claim_of_susceptibilities(ds: xr.Dataset) -> list[StudyClaim]:
    if ds.attrs["alike"]:
        return []
    slope, error = (ds["susceptibility_slope"].sel(of=of).values for of in ("slope", "stderr"))
    return [
        StudyClaim(
            "Sampled susceptibilities of each layer to each item are the exact ones, slope pooled over items and times",
            float(np.nanmax(np.abs(slope - 1) / error)),
            "<=",
            5.0,
            f"standard errors, up to {np.nanmax(error):.0%} of the slope; worst layer; bound set before they were "
            "sampled",
        )
    ]


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    near = 4 * ds["whole_stderr"] + _ANHARMONIC * np.abs(ds["whole_predicted"]).max()
    unsigned = [
        np.isnan(_first(ds, n, moving)).sum() for n in range(ds.sizes["network"]) for moving in (_last(ds, n), "all")
    ]
    short = [np.abs(now / end - 1).max() for _, now, end in (_ends(ds, n) for n in range(ds.sizes["network"]))]
    draws = f"Student's t with 7 degrees of freedom, {int(np.isfinite(ds['slope']).sum())} times"
    return (
        *_claim_of_susceptibilities(ds),
        StudyClaim(
            "Sampled refined learning coefficients are the exact ones, in two layers and in three",
            _apart(ds),
            "<=",
            5.0,
            f"standard errors, at the worst layer and checkpoint; {draws}; HMC has no bias from its step",
        ),
        StudyClaim(
            "Sampled covariances of one layer are the exact ones, slope pooled over pairs",
            float(np.nanmax(np.abs(ds["slope"] - 1) / ds["slope_stderr"])),
            "<=",
            5.0,
            f"standard errors; {draws}",
        ),
        StudyClaim(
            "The learning coefficient of all weights is what the Gaussian of the checkpoint says",
            float((np.abs(ds["whole"] - ds["whole_predicted"]) / near).max()),
            "<=",
            1.0,
            f"four standard errors and {_ANHARMONIC:.0%} of the largest, for what is not quadratic; bound set before",
        ),
        StudyClaim(
            "At a minimum it is within a tenth of the theorem's",
            abs(float(ds["at_minimum"]) / float(ds["theorem_at_the_end"][0]) - 1),
            "<=",
            0.1,
            "of a finite n beta, some 100 times gamma over the smallest curvature; bound set before",
        ),
        StudyClaim(
            "At the end the volume of each layer is within a tenth of its limit, half the number of curved directions",
            float(max(short)),
            "<=",
            0.1,
            "n beta times the smallest curvature of a learned direction is some 100 times gamma; the slowest mode has "
            "not quite settled; worst layer and network",
        ),
        StudyClaim(
            "By the first layer alone no pair of one-hot items has any influence on another",
            float(_shares(ds).max()),
            "<=",
            1e-9,
            "each item has weights of its own in W1, and the posterior of W1 factorises over items; rounding",
        ),
        StudyClaim(
            "By the last layer alone influence changes sign for every group, as it does by all weights",
            float(sum(unsigned)),
            "<=",
            0.0,
            "groups without a change of sign, in all networks",
        ),
    )


STUDY = Study("complexity", "How complex is each layer, and which layer carries the influence, at every stage?", answer)
