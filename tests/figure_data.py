"""Datasets of the form that `workbench compare` writes, made from the theory plus small noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from workbench.dataset import labelled
from workbench.networks import network
from workbench.semantics import SemanticTask
from workbench.theory.flow.aligned import half_rise_times, mode_strengths
from workbench.theory.influence.gradient_kernel import gradient_kernel

MEASURES = ("gradient_kernel", "local_bif", "leave_one_out")


def dataset(
    task: SemanticTask, *, seed: int = 0, measures: Sequence[str] = MEASURES, checkpoints: int = 60
) -> xr.Dataset:
    """Analytic modes and kernels; the other measures are stand-ins with the symmetries of the kernel."""
    rng = np.random.default_rng(seed)
    start = network(task, max(16, task.n_items), "balanced:0.01")
    modes, P = start.modes, task.n_items
    half_rise = half_rise_times(start)
    finite = np.sort(half_rise[np.isfinite(half_rise)])
    time = np.linspace(0, 1.4 * finite[min(len(finite) - 1, 12)], checkpoints)
    a = mode_strengths(start, time)
    kernel = -gradient_kernel(modes, a)
    noisy_a = a * (1 + 2e-3 * rng.standard_normal(a.shape))

    def noisy(values: np.ndarray, size: float) -> np.ndarray:
        return values + size * np.abs(values).max() * rng.standard_normal(values.shape)

    def item_loss(strengths: np.ndarray) -> np.ndarray:
        V = modes.V[:, : modes.rank]
        return 0.5 * P / modes.c * (modes.s - modes.c * strengths) ** 2 @ (V**2).T

    pair = ("time", "source", "target")
    analytic = {
        "gradient_kernel": -kernel,
        "local_bif": -kernel / (50 + kernel.max()) + 1e-3 * kernel.max() / 50,
        "leave_one_out": -np.gradient(kernel, time, axis=0) / P,
    }
    units = {"gradient_kernel": "loss^2 / weight^2", "local_bif": "loss^2", "leave_one_out": "loss"}
    variables: dict[str, tuple] = {}
    for name in measures:
        attrs = {"long_name": name.replace("_", " "), "units": units[name]}
        size = {"gradient_kernel": 1e-3, "local_bif": 6e-3, "leave_one_out": 2e-3}[name]
        variables[f"{name}_analytic"] = (pair, analytic[name], attrs)
        variables[f"{name}_simulated"] = (pair, noisy(analytic[name], size), attrs)
        if name == "local_bif":
            variables["local_bif_simulated_stderr"] = (
                pair,
                np.full(kernel.shape, size * np.abs(analytic[name]).max()),
            )
            variables["local_bif_rhat"] = (("time", "item"), np.full((len(time), P), 1.01))
            variables["local_bif_ess"] = (("time", "item"), np.full((len(time), P), 400.0))
    variables |= {
        "mode_strength_analytic": (("time", "mode"), a),
        "mode_strength_simulated": (("time", "mode"), noisy_a),
        "item_loss_analytic": (("time", "item"), item_loss(a)),
        "item_loss_simulated": (("time", "item"), item_loss(noisy_a)),
        "loss_analytic": ("time", item_loss(a).mean(axis=1)),
        "loss_simulated": ("time", item_loss(noisy_a).mean(axis=1)),
    }
    return labelled(
        start,
        time,
        variables,
        config={"task": task.name, "seed": seed, "init": "balanced:0.01"},
        lambda_min=-(modes.s - modes.c * a).max(axis=1),
        n_beta=100.0,
        gamma=1000.0,
        attrs={},
    )
