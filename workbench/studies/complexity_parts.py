"""What the study of complexity computes for one network: closed forms over training, and chains at checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import theory
from workbench.influence import local_bif
from workbench.networks import Network
from workbench.studies.item_colours import hues
from workbench.studies.pairs import EVENTS, events_of, groups_far_first
from workbench.studies.study import Inquiry
from workbench.theory.posterior.restricted import restricted_posterior
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Of one layer: any will do, as there is no negative curvature; loose enough that the data hold what is learned.
TIGHT: dict[str, Any] = {"n_beta": 10_000.0, "gamma": 100.0}
ALL = "all"
#: Draws a chain for susceptibilities: differences between items are small beside the noise that they share.
_MANY = 6400


def local(start: Network) -> dict[str, Any]:
    """Of all weights, and of susceptibilities: as near the checkpoint as the usual posterior must be."""
    return {"n_beta": 1000.0, "gamma": float(theory.required_gamma(start.modes, 1000.0, depth=start.depth))}


def layers_of(start: Network) -> list[str]:
    """``W1`` and so on."""
    return [f"W{k + 1}" for k in range(start.depth)]


def limits(start: Network) -> Array:
    """``(layer,)`` half the curved directions at the end: the rank of what stands above times that of what enters."""
    inner = [start.modes.rank] * (start.depth - 1)
    above, below = [*inner, start.task.n_outputs], [int(np.linalg.matrix_rank(start.task.X)), *inner]
    return np.array([a * b / 2 for a, b in zip(above, below, strict=True)])


def closed_forms(start: Network, times: Array) -> xr.Dataset:
    """Volume and descent ``(layer, moment)``, and influence ``(moving, group, moment)`` with its events."""
    path = theory.predict(start, times)
    names, masks = groups_far_first(start.task)
    layers, near = layers_of(start), local(start)
    posts = [restricted_posterior(path, layer, **TIGHT) for layer in range(start.depth)]
    arrays = [local_bif(path, **near, restrict=name).values for name in layers] + [local_bif(path, **near).values]
    sizes = [start.weights[0].shape[1], *(len(W) for W in start.weights)]
    theorem = np.array([float(theory.learning_coefficient(sizes, r).value) for r in range(start.modes.rank + 1)])
    half = theory.half_rise_times(start)
    return xr.Dataset(
        {
            "time": ("moment", times, {"units": "1 / curvature"}),
            "volume": (("layer", "moment"), [post.volume for post in posts], {"units": "1"}),
            "descent": (("layer", "moment"), [post.descent for post in posts], {"units": "1"}),
            "limit": ("layer", limits(start)),
            "influence": (
                ("moving", "group", "moment"),
                [[one[:, mask].mean(axis=1) for mask in masks] for one in arrays],
                {"units": "loss^2"},
            ),
            "event_time": (("moving", "group", "event"), [events_of(times, one, masks) for one in arrays]),
            "pairs": ("group", names),
            "theorem": ("moment", theorem[(half[None, :] <= times[:, None]).sum(axis=1)]),
            "theorem_at_the_end": ((), theorem[-1]),
            "half_rise_time": ("mode", half),
        },
        coords={"layer": layers, "moving": [*layers, ALL], "event": list(EVENTS)},
    )


def trained_path(start: Network, checkpoints: int, length: float = 1.0) -> Trajectory:
    """Trained up to ``length`` times the settling time."""
    from workbench.simulation import Schedule, train

    return train(start, Schedule.even(length * theory.settling_time(start), checkpoints + 1, eta=0.01))


def sampled_layers(trained: Trajectory, inquiry: Inquiry) -> xr.Dataset:
    """Learning coefficient of every layer by HMC, ``(layer, checkpoint)``, and covariances against the exact ones."""
    names = layers_of(trained.network)
    rows = []
    for k, name in enumerate(names):
        seen = _chains(trained, inquiry, restrict=name, **TIGHT)
        post = restricted_posterior(trained, k, **TIGHT)
        slope = pooled(parts_of(seen), post.covariance)
        rows.append([seen["learning_coefficient"], seen["learning_coefficient_stderr"], post.learning_coefficient])
        rows[-1] += [post.descent, *slope]
    columns = ("coefficient", "coefficient_stderr", "coefficient_exact", "descent_exact", "slope", "slope_stderr")
    table = np.array(rows, dtype=np.float64)
    return xr.Dataset(
        {column: (("layer", "checkpoint"), table[:, c]) for c, column in enumerate(columns)}
        | {"checkpoint_time": ("checkpoint", trained.times)},
        coords={"layer": names},
    )


def sampled_whole(start: Network, checkpoints: int, inquiry: Inquiry) -> xr.Dataset:
    """Learning coefficient of all weights ``(checkpoint,)`` by HMC, its expectation, and once at the minimum.

    Along the way with the usual posterior, against the Gaussian at the checkpoint; at the end of a training twice as
    long, loosely held, where the theorem applies.
    """
    from workbench.simulation.sampling.learning_coefficient import gaussian_expectation

    trained, near = trained_path(start, checkpoints), local(start)
    seen = _chains(trained, inquiry, **near)
    told = [gaussian_expectation(trained.at(k), near["n_beta"], near["gamma"]) for k in range(len(trained.times))]
    last = trained_path(start, 1, length=2.0)
    there = Trajectory(start, "trained", last.times[-1:], tuple(W[-1:] for W in last.weights), last.eta)
    minimum = _chains(there, inquiry, **TIGHT)
    return xr.Dataset(
        {
            "whole": ("checkpoint", seen["learning_coefficient"].values),
            "whole_stderr": ("checkpoint", seen["learning_coefficient_stderr"].values),
            "whole_predicted": ("checkpoint", told),
            "at_minimum": ((), float(minimum["learning_coefficient"][0])),
            "at_minimum_stderr": ((), float(minimum["learning_coefficient_stderr"][0])),
        }
    )


def susceptibilities(start: Network, checkpoints: int, inquiry: Inquiry) -> xr.Dataset:
    """Of each layer to every item: exact over training ``(layer, own_time, item)``, and by HMC at checkpoints."""
    near, names = local(start), layers_of(start)
    path = theory.predict(start, np.linspace(0, theory.settling_time(start), 41)[1:])
    trained = trained_path(start, checkpoints)
    values, errors, slopes = [], [], []
    alike = start.task.tree_symmetric  # then all are 0, and there is nothing to resolve
    for k, name in enumerate(names):
        parts = parts_of(_chains(trained, inquiry, restrict=name, draws=None if alike else _MANY, **near))
        with_mean = -parts.mean(axis=2)
        each = with_mean.mean(axis=-1, keepdims=True) - with_mean
        values.append(each.mean(axis=0))
        errors.append(each.std(axis=0, ddof=1) / len(each) ** 0.5)
        there = restricted_posterior(trained, k, **near).susceptibility
        slopes.append(np.ravel(pooled(-each[:, None], there[None])))
    exact = [restricted_posterior(path, layer, **near).susceptibility for layer in range(start.depth)]
    dims = ("layer", "own_checkpoint", "item")
    return xr.Dataset(
        {
            "susceptibility": (("layer", "own_moment", "item"), exact, {"units": "loss^2"}),
            "own_time": ("own_moment", path.times),
            "susceptibility_sampled": (dims, values, {"units": "loss^2"}),
            "susceptibility_stderr": (dims, errors, {"units": "loss^2"}),
            "susceptibility_slope": (("layer", "of"), slopes, {"long_name": "sampled over exact, pooled"}),
            "own_checkpoint_time": ("own_checkpoint", trained.times),
        },
        coords={"layer": names, "item": list(start.task.items), "of": ["slope", "stderr"]},
    ).assign(hues(start.task))


def _chains(trained: Trajectory, inquiry: Inquiry, *, draws: int | None = None, **options: Any) -> xr.DataArray:
    draws = draws or (200 if inquiry.quick else 800)
    return local_bif(trained, **options, sampler="hmc", draws=draws, seed=inquiry.seed)


def parts_of(seen: xr.DataArray) -> Array:
    """``(chain, T, P, P)`` influence by every independent part of the samples."""
    return np.stack([seen[str(name)].values for name in seen.coords if str(name).startswith("parts_")])


def pooled(parts: Array, exact: Array) -> tuple[Array, Array]:
    """``(T,)`` minus parts over the exact values, least squares over all axes but the first, and its standard error."""
    axes = tuple(range(1, exact.ndim))
    each = -(parts * exact).sum(axis=tuple(a + 1 for a in axes)) / (exact**2).sum(axis=axes)
    return each.mean(axis=0), each.std(axis=0, ddof=1) / len(each) ** 0.5
