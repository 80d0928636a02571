"""The one result type of every measure: a labelled array (time, source, target) that says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__
from workbench.trajectory import SUFFIX, Trajectory

Array = NDArray[np.float64]

SIGN_CONVENTION = (
    "influence(source -> target) is the change of the target's loss per extra weight on the source: negative helps, "
    "positive harms"
)


@dataclass(frozen=True)
class Estimand:
    """A measure of influence by name: never just "influence".

    Attributes:
        name: as in variables and on the command line.
        title: for figures.
        formula: the quantity, with its sign.
        units: of the values.
        analytic, simulated: how either side obtains it.
    """

    name: str
    title: str
    formula: str
    units: str
    analytic: str
    simulated: str


ESTIMANDS = {
    estimand.name: estimand
    for estimand in (
        Estimand(
            "gradient_kernel",
            "gradient kernel, one step",
            "-g_i . g_j at the checkpoint, g_i = grad l_i",
            "loss^2 / weight^2",
            "sums over singular modes",
            "per-item gradients of the trained network",
        ),
        Estimand(
            "local_bif",
            "local BIF, posterior covariance",
            "-Cov(l_i, l_j) under exp(-n beta L - gamma |w - w*|^2 / 2)",
            "loss^2",
            "Gaussian prediction, second order at the localised maximum",
            "SGLD chains around the trained network",
        ),
        Estimand(
            "leave_one_out",
            "leave-one-out, retraining",
            "l_j with item i in training minus l_j without it",
            "loss",
            "gradient flow of every held-out problem",
            "every held-out problem trained by gradient descent",
        ),
        Estimand(
            "damped_newton",
            "damped Newton, influence function",
            "-g_i . (H + damping)^{-1} g_j at the checkpoint",
            "loss",
            "blocks of the Hessian in singular modes",
            "exact Hessian of the trained network",
        ),
        Estimand(
            "trajectory_derivative",
            "trajectory derivative, reweighting",
            "dl_j / d eps_i of training on L + sum_i eps_i l_i",
            "loss",
            "linearised flow, pair of modes by pair of modes",
            "forward-mode derivative through every step of gradient descent",
        ),
        Estimand(
            "window_removal",
            "window removal, retraining",
            "l_j with item i always in training minus l_j without it in a window of time",
            "loss",
            "gradient flow, restarted where the window begins and ends",
            "every held-out problem trained by gradient descent",
        ),
    )
}


def influence_array(name: str, values: Array, trajectory: Trajectory, **attrs: Any) -> xr.DataArray:
    """Wrap ``(T, P, P)`` values with item names, times, units, sign and provenance."""
    estimand, task = ESTIMANDS[name], trajectory.task
    return xr.DataArray(
        values,
        dims=("time", "source", "target"),
        coords={"time": trajectory.times, "source": list(task.items), "target": list(task.items)},
        name=f"{name}_{SUFFIX[trajectory.side]}",
        attrs={
            "measure": name,
            "long_name": estimand.title,
            "formula": estimand.formula,
            "units": estimand.units,
            "side": SUFFIX[trajectory.side],
            "method": estimand.analytic if trajectory.side == "predicted" else estimand.simulated,
            "sign_convention": SIGN_CONVENTION,
            "task": task.name,
            "init": str(trajectory.network.init),
            "hidden": trajectory.network.hidden,
            "seed": trajectory.network.seed,
            "code_version": __version__,
            **attrs,
        },
    )
