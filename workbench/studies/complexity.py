"""Complexity, refined: the local learning coefficient over training, and what the posterior of each layer alone says.

Restricted to one layer a linear network's posterior is exactly Gaussian (`theory.posterior.restricted`), at every
checkpoint and any gamma: the refined quantities that people sample in transformers are here known exactly. A theorem
gives the unrestricted coefficient at a minimum alone: of a map of rank r as n beta grows (`learning_coefficient`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import theory
from workbench.figures.style import PAGE
from workbench.influence import local_bif
from workbench.networks import Network, network
from workbench.studies.pairs import EVENTS, enough, events_of, groups_far_first
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.theory.posterior.restricted import restricted_posterior

Array = NDArray[np.float64]

LAYERS = ("W1", "W2")
#: Of one layer: any will do, as there is no negative curvature; loose enough that the data hold what is learned.
_N_BETA, _GAMMA = 10_000.0, 100.0
#: Of all weights: as tight as the usual posterior must be.
_WHOLE: dict[str, Any] = {"n_beta": 1000.0, "gamma": 20_000.0}


def answer(inquiry: Inquiry) -> StudyResult:
    """Closed forms and chains, layer by layer."""
    task = inquiry.task_or("tree")
    start = network(task, hidden=enough(task), init="auto", seed=inquiry.seed)
    end = theory.settling_time(start)
    times = np.linspace(0, end, 31 if inquiry.quick else 91)[1:]
    # By symmetry all items of the tree have susceptibility 0.
    uneven = inquiry.task_or("table:rumelhart")
    own = network(uneven, hidden=enough(uneven), init="auto", seed=inquiry.seed)
    pieces = [_closed(start, times), _susceptibilities(own), _sampled(start, end, inquiry)]
    ds = xr.merge(pieces, combine_attrs="no_conflicts")
    sizes = [start.weights[0].shape[1], start.hidden, task.n_outputs]
    generic = [float(theory.learning_coefficient(sizes, r).value) for r in range(start.modes.rank + 1)]
    ds = ds.assign(theorem=("rank", generic), limit=("layer", _limits(start)))
    ds = ds.assign_coords(rank=np.arange(len(generic)))
    ds.attrs.update(task=task.name, n_beta=_N_BETA, gamma=_GAMMA, half_rise=theory.half_rise_times(start).tolist())
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Left: volume n beta tr(HC)/2 of each layer's posterior (lines exact; points sampled, two standard errors), "
        "its limit dotted; thin lines: a mode is half learned. Middle: influence between groups of pairs with W2 "
        "alone and with all weights free, over its largest. Right: susceptibility of each layer to each item, over "
        "its largest.",
        "Two curves that rise smoothly to their limits; curves of influence by W2 and by all weights are close.",
        _claims(ds),
    )


def _closed(start: Network, times: Array) -> xr.Dataset:
    path = theory.predict(start, times)
    names, masks = groups_far_first(start.task)
    posts = [restricted_posterior(path, layer, n_beta=_N_BETA, gamma=_GAMMA) for layer in range(2)]
    arrays = {name: local_bif(path, **_WHOLE, restrict=name).values for name in LAYERS}
    arrays["all"] = local_bif(path, **_WHOLE).values
    return xr.Dataset(
        {
            "volume": (("layer", "time"), [post.volume for post in posts], {"units": "1"}),
            "descent": (("layer", "time"), [post.descent for post in posts], {"units": "1"}),
            "influence": (
                ("moving", "group", "time"),
                [[one[:, mask].mean(axis=1) for mask in masks] for one in arrays.values()],
                {"units": "loss^2"},
            ),
            "event_time": (("moving", "group", "event"), [events_of(times, one, masks) for one in arrays.values()]),
        },
        coords={
            "layer": list(LAYERS),
            "moving": list(arrays),
            "group": names,
            "event": list(EVENTS),
            "time": times,
        },
    )


def _susceptibilities(start: Network) -> xr.Dataset:
    """Of each layer to every item, exact, at 40 times of training."""
    path = theory.predict(start, np.linspace(0, theory.settling_time(start), 41)[1:])
    values = [restricted_posterior(path, layer, **_WHOLE).susceptibility for layer in range(2)]
    return xr.Dataset(
        {"susceptibility": (("layer", "own_time", "item"), values, {"units": "loss^2"})},
        coords={"layer": list(LAYERS), "own_time": path.times, "item": list(start.task.items)},
    )


def _sampled(start: Network, end: float, inquiry: Inquiry) -> xr.Dataset:
    """Chains of each layer, and of all weights, around a trained network, against the exact posterior of that layer."""
    from workbench.simulation import Schedule, train

    steps = 5 if inquiry.quick else 9
    trained = train(start, Schedule.even(end, steps + 1, eta=0.01))
    values, errors, slopes = (np.full((len(LAYERS) + 1, steps + 1), np.nan) for _ in range(3))
    slope_errors = slopes.copy()
    with inquiry.bar("posteriors by layer", len(LAYERS) + 1) as advance:
        for k, name in enumerate((*LAYERS, "none")):
            own: dict[str, Any] = _WHOLE if name == "none" else {"n_beta": _N_BETA, "gamma": _GAMMA, "sampler": "hmc"}
            draws = 200 if inquiry.quick else 800
            seen = local_bif(trained, **own, restrict=name, draws=draws, seed=inquiry.seed)
            values[k], errors[k] = seen["learning_coefficient"], seen["learning_coefficient_stderr"]
            if name != "none":
                exact = restricted_posterior(trained, k, n_beta=_N_BETA, gamma=_GAMMA).covariance
                parts = -np.stack([seen[str(c)].values for c in seen.coords if str(c).startswith("parts_")])
                each = (parts * exact).sum(axis=(2, 3)) / (exact**2).sum(axis=(1, 2))
                slopes[k], slope_errors[k] = each.mean(axis=0), each.std(axis=0, ddof=1) / len(each) ** 0.5
            advance(1)
    exact_posts = [restricted_posterior(trained, k, n_beta=_N_BETA, gamma=_GAMMA) for k in range(2)]
    return xr.Dataset(
        {
            "coefficient_sampled": (("moved", "checkpoint"), values),
            "coefficient_stderr": (("moved", "checkpoint"), errors),
            "slope": (("moved", "checkpoint"), slopes, {"long_name": "sampled over exact covariance, pooled"}),
            "slope_stderr": (("moved", "checkpoint"), slope_errors),
            "coefficient_exact": (("layer", "checkpoint"), [post.learning_coefficient for post in exact_posts]),
            "descent_exact": (("layer", "checkpoint"), [post.descent for post in exact_posts]),
        },
        coords={"moved": [*LAYERS, "all"], "checkpoint": trained.times, "layer": list(LAYERS)},
    )


def _apart(ds: xr.Dataset) -> float:
    """Largest deviation of a sampled coefficient from the exact one, in standard errors."""
    seen, error = (ds[f"coefficient_{end}"].isel(moved=slice(0, 2)).values for end in ("sampled", "stderr"))
    exact = ds["coefficient_exact"].values
    return float((np.abs(seen - exact) / error).max())


def _first(ds: xr.Dataset, moving: str) -> Array:
    return np.asarray(ds["event_time"].sel(moving=moving, event="flip 1").values)


def _limits(start: Network) -> list[float]:
    """Of each layer at the end, as n beta grows: half the directions that are curved there, rank times rank."""
    r = start.modes.rank
    return [r * np.linalg.matrix_rank(start.task.X) / 2, r * start.task.n_outputs / 2]


def _finding(ds: xr.Dataset) -> str:
    ends = [float(ds["limit"].sel(layer=name)) for name in LAYERS]
    now = [float(ds["volume"].isel(time=-1).sel(layer=name)) for name in LAYERS]
    least = [float(ds["descent"].min("time").sel(layer=name)) for name in LAYERS]
    told = "; ".join(
        f"{group} {w2:.2f} against {whole:.2f} in all weights"
        for group, w2, whole in zip(ds["group"].values, *(_first(ds, one) for one in ("W2", "all")), strict=True)
    )
    share = float(np.abs(ds["influence"].sel(moving="W1")).max() / np.abs(ds["influence"].sel(moving="W2")).max())
    most = np.abs(ds["susceptibility"].sel(layer="W2").values).max(axis=0)
    return (
        f"The volume of each layer's posterior grows to {now[0]:.1f} of {ends[0]:g} (W1) and {now[1]:.1f} of "
        f"{ends[1]:g} (W2), its limits for n beta to infinity (the theorem for all weights has "
        f"{float(ds['theorem'][-1]):g}), smoothly and not in stairs; the usual estimate n beta (E L - L(w*)) is "
        f"negative on the way, down to {least[0]:.2g} and {least[1]:.2g}. Influence between different items is all in "
        f"the second layer (W1 has {share:.1g} of it), where it changes sign at t = {told}. Its "
        f"susceptibility is largest to {ds['item'].values[most.argmax()]}."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    slopes, errors = (ds[name].isel(moved=slice(0, 2)).values for name in ("slope", "slope_stderr"))
    return (
        StudyClaim(
            "Sampled refined learning coefficients are the exact ones",
            _apart(ds),
            "<=",
            4.5,
            "standard errors, at the worst layer and checkpoint; HMC has no bias from its step",
        ),
        StudyClaim(
            "Sampled covariances of one layer are the exact ones, slope pooled over pairs",
            float((np.abs(slopes - 1) / errors).max()),
            "<=",
            5.0,
            "standard errors; Student's t with 7 degrees of freedom, some 20 times",
        ),
        StudyClaim(
            "At the end the volume of each layer is within a tenth of its limit, half the number of curved directions",
            float(np.abs(ds["volume"].isel(time=-1) / ds["limit"] - 1).max()),
            "<=",
            0.1,
            "n beta times the smallest curvature of a learned direction is some 100 times gamma; the slowest mode has "
            "not quite settled",
        ),
        StudyClaim(
            "By the first layer alone no pair of one-hot items has any influence on another",
            float(np.abs(ds["influence"].sel(moving="W1")).max() / np.abs(ds["influence"].sel(moving="W2")).max()),
            "<=",
            1e-9,
            "each item has weights of its own in W1, and the posterior of W1 factorises over items; rounding",
        ),
        StudyClaim(
            "By the second layer alone influence changes sign for every group, as it does by all weights",
            float(np.isnan(_first(ds, "W2")).sum() + np.isnan(_first(ds, "all")).sum()),
            "<=",
            0.0,
            "groups without a change of sign",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """Coefficients, influence, susceptibilities."""
    with PAGE.context():
        figure = PAGE.figure(2.9)
        left, middle, right = figure.subplots(1, 3)
        colours = dict(zip((*LAYERS, "all"), PAGE.sequence(3), strict=True))
        for t in ds.attrs["half_rise"]:
            left.axvline(t, color=PAGE.faint, linewidth=0.6)
        for k, name in enumerate(LAYERS):
            left.plot(ds["time"], ds["volume"].sel(layer=name), color=colours[name], label=name)
            left.axhline(float(ds["limit"].sel(layer=name)), color=colours[name], linewidth=0.6, linestyle=":")
            points = ds["coefficient_sampled"].sel(moved=name) - ds["descent_exact"].sel(layer=name)
            error = 2 * ds["coefficient_stderr"].sel(moved=name)
            left.errorbar(ds["checkpoint"], points, error, fmt="o", markersize=3, color=colours[name])
            for item in range(ds.sizes["item"]):
                shown = ds["susceptibility"].isel(layer=k, item=item)
                largest = float(np.abs(ds["susceptibility"].isel(layer=k)).max()) or 1.0
                right.plot(
                    ds["own_time"], shown / largest, "--" if k else "-", color=colours[name], label="" if item else name
                )
        for name, line in (("W2", "-"), ("all", ":")):
            for group, colour in zip(ds["group"].values, PAGE.sequence(ds.sizes["group"]), strict=True):
                curve = ds["influence"].sel(moving=name, group=group)
                middle.plot(ds["time"], curve / np.abs(curve).max(), line, color=colour, label=f"{group}, {name}")
        middle.axhline(0, color=PAGE.muted, linewidth=0.6)
        left.axhline(0, color=PAGE.muted, linewidth=0.6)
        left.set(ylabel="volume of one layer's posterior")
        middle.set(ylabel="influence over its largest")
        right.set(ylabel="susceptibility to an item")
        for ax in (left, middle, right):
            PAGE.tidy(ax).set_xlabel("flow time t")
            ax.legend(fontsize=PAGE.least)
    return figure


STUDY = Study("complexity", "How complex is each layer, and which layer carries the influence, at every stage?", answer)
