"""The schema of a saved result: names, dimensions and attributes, written and read in one place.

A measure stands in ``<measure>_analytic`` and ``<measure>_simulated`` over (time, source, target); what stands beside
it in the variables that its `Beside` names, such as ``<measure>_simulated_stderr``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__
from workbench.errors import WorkbenchError, counted
from workbench.influence.measure import SIGN_CONVENTION, Measure, side_of
from workbench.influence.quantities import PAIR, SIDES, Side
from workbench.networks import Network
from workbench.store.files import netcdf_bytes, write_file
from workbench.theory import half_rise_times
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]
#: The dataset's file in the directory of a result.
RESULT = "influence.nc"
#: Numbers in an array that is worth compressing.
_LARGE = 10_000
Variables = dict[str, Any]


def variable(measure: str, side: Side) -> str:
    """Name of the variable that holds a measure on a side."""
    return f"{measure}_{side}"


def measure_names(ds: xr.Dataset) -> list[str]:
    """Measures of which the dataset holds a side or both, in the order of its variables."""
    return list(dict.fromkeys(name for name, _ in _measured(ds)))


def sides_of(ds: xr.Dataset, measure: str) -> tuple[Side, ...]:
    """The sides of a measure that the dataset holds, theory first."""
    return tuple(side for side in SIDES if variable(measure, side) in ds)


def values(ds: xr.Dataset, measure: str, side: Side) -> Array | None:
    """``(T, P, P)`` of a measure on a side; None where it is absent."""
    name = variable(measure, side)
    return None if name not in ds else np.asarray(ds[name].transpose(*PAIR).values, dtype=np.float64)


def stderr(ds: xr.Dataset, measure: str) -> Array | None:
    """``(T, P, P)`` Monte Carlo standard errors of the simulated side; None where nothing was sampled."""
    name = f"{variable(measure, 'simulated')}_stderr"
    return None if name not in ds else np.asarray(ds[name].transpose(*PAIR).values, dtype=np.float64)


def of_seed(ds: xr.Dataset, k: int) -> xr.Dataset:
    """The curves of the k-th seed of a comparison of several, in place of those of the first."""
    names = [str(name) for name in ds if str(name).endswith("_seeds")]
    return ds.drop_vars(names).assign({name.removesuffix("_seeds"): ds[name].isel(seed=k, drop=True) for name in names})


def facts(ds: xr.Dataset, measure: str) -> Mapping[str, Any]:
    """Attributes of a measure: title, units, method; of the side that there is."""
    return ds[variable(measure, sides_of(ds, measure)[0])].attrs


def _measured(ds: xr.Dataset) -> Iterator[tuple[str, Side]]:
    for name in map(str, ds.data_vars):
        for side in SIDES:
            if name.endswith(f"_{side}") and set(ds[name].dims) == set(PAIR):
                yield name.removesuffix(f"_{side}"), side


def network_words(ds: xr.Dataset) -> str:
    """``two linear layers, 16 hidden units``: the network that a dataset is about."""
    depth, kind = int(ds.attrs.get("depth", 2)), str(ds.attrs.get("activation", "linear"))
    if depth == 1:
        return "one layer of weights"
    number = {2: "two", 3: "three", 4: "four"}.get(depth, str(depth))
    return f"{number} {kind} layers, {counted(int(ds.attrs['hidden']), 'hidden unit')}"


def write(ds: xr.Dataset, path: Path) -> None:
    """One netCDF file that opens with xarray and h5netcdf (or netCDF4); large arrays are compressed.

    Those that were sampled are written in float32: its 6e-8 of a number is far below any Monte Carlo error. What was
    trained stays as it is, since it is held against theory down to rounding.
    """
    large = {name: v for name, v in ds.data_vars.items() if v.size > _LARGE and v.dtype.kind == "f"}
    sampled = tuple(str(name).removesuffix("_stderr") for name in ds if str(name).endswith("_simulated_stderr"))
    encoding = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        | ({"dtype": "float32"} if str(name).startswith(sampled) else {})
        for name in large
    }
    write_file(path, netcdf_bytes(ds, encoding))


def read(path: Path) -> xr.Dataset:
    """A dataset back from its file, or from the directory of a result, in memory; arithmetic with it is in float64.

    Raises:
        WorkbenchError: if there is no such file, or it is none that `write` wrote.
    """
    file = path / RESULT if path.is_dir() else path
    if not file.is_file():
        raise WorkbenchError(f"{file}: no such file; give the directory of a result, or a file that was saved")
    try:
        ds = xr.load_dataset(file, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise WorkbenchError(f"{file} is no netCDF file that can be read: {error}") from None
    if "config" not in ds.attrs or not {"time", "item", "mode"} <= set(ds.sizes):
        raise WorkbenchError(f"{file} is no comparison; save one with Comparison.save or `workbench compare`")
    return ds.map(lambda v: v.astype(np.float64) if v.dtype == np.float32 else v, keep_attrs=True)


def of_influence(array: xr.DataArray, measure: Measure) -> Variables:
    """The variables of a measured array, and of what stands beside it."""
    variables: Variables = {str(array.name): (array.dims, array.values, array.attrs)}
    for quantity in measure.beside:
        arrays = quantity.read(array)
        if arrays is not None:
            variables[quantity.variable] = (quantity.dims, arrays, dict(quantity.attrs))
    return variables


def of_weights(trajectory: Trajectory) -> Variables:
    """Mode strengths and losses of a trajectory, under the name of its side."""
    return of_network(side_of(trajectory), trajectory.mode_strengths, trajectory.item_losses, mean_loss=trajectory.loss)


def of_network(side: Side, mode_strengths: Array, item_losses: Array, mean_loss: Array | None = None) -> Variables:
    """Mode strengths ``(T, K)`` and losses ``(T, P)`` of a network under the name of a side."""
    loss = item_losses.mean(axis=1) if mean_loss is None else mean_loss
    attrs = {"units": "loss", "long_name": "loss"}
    return {
        f"mode_strength_{side}": (
            ("time", "mode"),
            mode_strengths,
            {"units": "weight^2", "long_name": "mode strength a"},
        ),
        f"loss_{side}": ("time", loss, attrs),
        f"item_loss_{side}": (("time", "item"), item_losses, attrs),
    }


def labelled(
    start: Network,
    times: Array,
    curves: Mapping[str, Any],
    *,
    config: Mapping[str, Any],
    lambda_min: Array | None,
    n_beta: float,
    gamma: float,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Curves over time with the task, its modes and stages, and how they came about.

    Args:
        start: task, modes and initial weights.
        times: ``(T,)`` flow times.
        curves: variables of the dataset by name, over dims time, mode, item, source, target.
        config: the settings, kept as JSON.
        lambda_min: ``(T,)`` smallest curvature of the loss; None leaves it out, and with it what depends on it.
        n_beta, gamma: of the local posterior.
        attrs: what else to say.
    """
    task, items = start.task, list(start.task.items)
    recorded: dict[str, Any] = {
        "config": json.dumps(config),
        "code_version": __version__,
        "sign_convention": SIGN_CONVENTION,
        "time_units": "flow time t = learning rate x step",
        "n_beta": n_beta,
        "gamma": gamma,
    }
    return xr.Dataset(
        {**_of_start(start), **({} if lambda_min is None else _of_curvature(lambda_min, n_beta)), **curves},
        coords={
            "time": ("time", times, {"units": "flow time t"}),
            "source": items,
            "target": items,
            "item": items,
            "mode": np.arange(start.modes.rank),
            "property": list(task.properties),
        },
        attrs={**recorded, **_facts_of_start(start), **attrs},
    )


def _of_start(start: Network) -> Variables:
    """The task, its modes and its stages."""
    task, modes, K = start.task, start.modes, start.modes.rank
    rise = {"units": "time", "long_name": "half-rise time, the stage"}
    variables: Variables = {
        "singular_value": ("mode", modes.s, {"units": "loss / weight^2", "long_name": "singular value of Syx"}),
        "half_rise_time": ("mode", _half_rise_times(start), rise),
        "mode_level": ("mode", -np.ones(K, dtype=np.int64) if modes.level is None else modes.level[:K]),
        "Y": (("property", "item"), task.Y),
        "left_mode": (("property", "mode"), modes.U),
        "item_mode": (("item", "mode"), modes.V[:, :K]),
    }
    if task.common_ancestor_level is not None:
        variables["common_ancestor_level"] = (("source", "target"), task.common_ancestor_level)
    return variables


def _of_curvature(lambda_min: Array, n_beta: float) -> Variables:
    """What a local posterior needs."""
    smallest = {"units": "loss / weight^2", "long_name": "smallest curvature of the loss"}
    least = {"units": "1 / weight^2", "long_name": "gamma must exceed this"}
    return {
        "lambda_min": ("time", lambda_min, smallest),
        "gamma_needed": ("time", np.maximum(-n_beta * lambda_min, 0), least),
    }


def _facts_of_start(start: Network) -> dict[str, Any]:
    task = start.task
    facts: dict[str, Any] = {
        "task": task.name,
        "task_source": task.source,
        "task_digest": task.digest,
        "input_scale": start.modes.c,
        "hidden": start.hidden,
        "depth": start.depth,
        "activation": start.activation,
        "init": str(start.init),
        "seed": start.seed,
    }
    if start.a0 is not None:
        # What reads a0 evaluates closed forms of two layers.
        facts["a0" if start.depth == 2 else "initial_strength"] = start.a0
    if task.tree is not None and task.tree.branching is not None:
        facts["branching"] = list(task.tree.branching)
    return facts


def _half_rise_times(start: Network) -> Array:
    """``(K,)``; infinite where theory does not know them."""
    return half_rise_times(start) if start.activation == "linear" else np.full(start.modes.rank, np.inf)
