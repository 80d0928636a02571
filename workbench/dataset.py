"""The dataset of a task and a start: what every result holds besides its curves, in one set of names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__
from workbench.networks import Network
from workbench.theory import half_rise_times

Array = NDArray[np.float64]


def labelled(
    start: Network,
    times: Array,
    curves: Mapping[str, Any],
    *,
    config: Mapping[str, Any],
    lambda_min: Array,
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
        lambda_min: ``(T,)`` smallest curvature of the loss.
        n_beta, gamma: of the local posterior.
        attrs: what else to say.
    """
    task, modes, K = start.task, start.modes, start.modes.rank
    variables: dict[str, Any] = {
        "singular_value": ("mode", modes.s, {"units": "loss / weight^2", "long_name": "singular value of Syx"}),
        "half_rise_time": ("mode", half_rise_times(start), {"units": "time", "long_name": "half-rise time, the stage"}),
        "mode_level": ("mode", -np.ones(K, dtype=np.int64) if modes.level is None else modes.level[:K]),
        "Y": (("property", "item"), task.Y),
        "left_mode": (("property", "mode"), modes.U),
        "item_mode": (("item", "mode"), modes.V[:, :K]),
        "lambda_min": ("time", lambda_min, {"units": "loss / weight^2", "long_name": "smallest curvature of the loss"}),
        "gamma_needed": (
            "time",
            np.maximum(-n_beta * lambda_min, 0),
            {"units": "1 / weight^2", "long_name": "gamma must exceed this"},
        ),
        **curves,
    }
    if task.common_ancestor_level is not None:
        variables["common_ancestor_level"] = (("source", "target"), task.common_ancestor_level)
    said: dict[str, Any] = {
        "task": task.name,
        "task_source": task.source,
        "task_digest": task.digest,
        "config": json.dumps(config),
        "code_version": __version__,
        "time_units": "flow time t = learning rate x step",
        "input_scale": modes.c,
        "n_beta": n_beta,
        "gamma": gamma,
        "hidden": start.hidden,
        "init": str(start.init),
        "seed": start.seed,
        **attrs,
    }
    if start.a0 is not None:
        said["a0"] = start.a0
    if task.tree is not None and task.tree.branching is not None:
        said["branching"] = list(task.tree.branching)
    items = list(task.items)
    return xr.Dataset(
        variables,
        coords={
            "time": ("time", times, {"units": "flow time t"}),
            "source": items,
            "target": items,
            "item": items,
            "mode": np.arange(K),
            "property": list(task.properties),
        },
        attrs=said,
    )
