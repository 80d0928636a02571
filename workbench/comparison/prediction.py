"""The predicted half of a comparison: what `workbench compare` would save, without its simulation.

Every figure can be drawn from this dataset as from one that `compare` saved; the simulated points are then absent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import theory
from workbench.dataset import labelled
from workbench.errors import ConditionError
from workbench.networks import Init, Network, choose_init, network
from workbench.semantics import Hierarchy, SemanticTask
from workbench.theory.posterior.hessian import curvature_range, default_n_beta, required_gamma

Array = NDArray[np.float64]

#: Times of a prediction; fewer where there are many items, as the local BIF takes P^4 operations a checkpoint.
TIMES = 181
_OPERATIONS = 3e10
#: Leave-one-out integrates one network an item: measures that would take minutes are left out beyond so many items.
MOST_ITEMS = {"leave_one_out": 64, "local_bif": 200}

_UNITS = {
    "gradient_kernel": "loss^2 / weight^2",
    "local_bif": "loss^2",
    "leave_one_out": "loss",
    "trajectory_derivative": "loss",
}


def prediction(
    task: SemanticTask,
    *,
    hidden: int = 16,
    a0: float | None = None,
    seed: int = 0,
    times: int = TIMES,
    n_beta: float | None = None,
    gamma: float | None = None,
    spec: str | None = None,
) -> xr.Dataset:
    """Modes, losses and influence of a balanced aligned network, from closed forms and the gradient flow alone.

    Args:
        task: what is to be learned; its items must be one-hot.
        hidden: hidden units N_h.
        a0: initial strength of every mode, weight^2; None: 0.01, smaller for a table in small numbers.
        seed: of the hidden directions (no figure shows them) and, for the record, of the task.
        times: checkpoints from 0 until 99.5% of the loss is gone, and a quarter more.
        n_beta, gamma: of the local posterior; None: from the size of the losses and the largest singular value.
        spec: the task as given by the user, for the record.

    Returns:
        The variables of a comparison's dataset whose names do not end in ``_simulated``.
    """
    start = network(task, hidden, choose_init(task) if a0 is None else Init("balanced", a0), seed=seed)
    assert start.active is not None and start.a0 is not None
    t = time_grid(start, max(24, min(times, int(_OPERATIONS / task.n_items**4))))
    modes, a = start.modes, theory.mode_strengths(start, t)
    n_beta = default_n_beta(modes) if n_beta is None else n_beta
    gamma = required_gamma(modes, n_beta) if gamma is None else gamma
    influence = {
        "gradient_kernel": theory.gradient_kernel(modes, a),
        "trajectory_derivative": theory.trajectory_derivative(modes, t, a0=start.a0, active=start.active),
    }
    if task.n_items <= MOST_ITEMS["local_bif"]:
        influence["local_bif"] = theory.local_bif(
            modes,
            a,
            t,
            n_beta=n_beta,
            gamma=gamma,
            hidden=hidden,
            n_outputs=task.n_outputs,
            active=start.active,
        )
    if task.n_items <= MOST_ITEMS["leave_one_out"]:
        influence["leave_one_out"] = theory.leave_one_out(start, t)
    settings: dict[str, Any] = {
        "task": spec or task.name,
        "hidden": hidden,
        "init": str(start.init),
        "seed": seed,
        "times": len(t),
        "n_beta": n_beta,
        "gamma": gamma,
    }
    return _dataset(start, t, a, influence, settings)


def time_grid(start: Network, count: int) -> Array:
    """``(T,)`` times until the network has settled, denser early where the first stage is short."""
    end = theory.settling_time(start)
    first = float(theory.half_rise_times(start).min())
    fraction = np.linspace(0.0, 1.0, count)
    # The first stage gets at least an eighth of the times.
    power = np.log(first / end) / np.log(1 / 8) if first < end / 8 else 1.0
    return np.asarray(end * fraction ** min(power, 3.0))


def start_of(ds: xr.Dataset) -> Network:
    """The aligned network that a dataset describes, made again from what the dataset holds.

    Raises:
        ConditionError: if the network did not start aligned: the closed forms of the teaching figures need it.
    """
    init = Init.parse(str(ds.attrs.get("init", "unknown")))
    if init.kind != "balanced":
        raise ConditionError(
            "balanced aligned initial weights", f"init {init}", "make the dataset with --init balanced:0.01"
        )
    # The text of the start has six digits, the number all of them.
    init = Init("balanced", float(ds.attrs.get("a0", init.scale)))
    branching = ds.attrs.get("branching")
    task = SemanticTask(
        name=str(ds.attrs.get("task", "the task")),
        items=tuple(map(str, ds["item"].values)),
        properties=tuple(map(str, ds["property"].values)),
        Y=ds["Y"].transpose("property", "item").values,
        tree=None if branching is None else Hierarchy(tuple(int(b) for b in np.atleast_1d(branching))),
    )
    return network(task, int(ds.attrs["hidden"]), init, seed=int(ds.attrs["seed"]))


def _dataset(start: Network, t: Array, a: Array, influence: dict[str, Array], settings: dict[str, Any]) -> xr.Dataset:
    modes = start.modes
    assert start.active is not None
    item_losses = 0.5 * modes.n_items / modes.c * (modes.s - modes.c * a) ** 2 @ (modes.V[:, : modes.rank] ** 2).T
    pair = ("time", "source", "target")
    return labelled(
        start,
        t,
        {
            "mode_strength_analytic": (("time", "mode"), a, {"units": "weight^2"}),
            "loss_analytic": ("time", item_losses.mean(axis=1), {"units": "loss"}),
            "item_loss_analytic": (("time", "item"), item_losses, {"units": "loss"}),
            **{f"{name}_analytic": (pair, values, {"units": _UNITS[name]}) for name, values in influence.items()},
        },
        config=settings,
        lambda_min=curvature_range(modes, a, start.hidden, start.active)[0],
        n_beta=settings["n_beta"],
        gamma=settings["gamma"],
        attrs={},
    )
