"""Datasets as `workbench compare` writes them, by the package's own schema: the theory plus small noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from workbench import dataset as schema
from workbench import influence
from workbench.networks import network
from workbench.semantics import SemanticTask
from workbench.theory.flow.aligned import half_rise_times, mode_strengths
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.trajectory import Trajectory

MEASURES = ("gradient_kernel", "local_bif", "leave_one_out")
#: Noise of the simulated side, as a part of the largest value.
NOISE = {"gradient_kernel": 1e-3, "local_bif": 6e-3, "leave_one_out": 2e-3}


def dataset(
    task: SemanticTask, *, seed: int = 0, measures: Sequence[str] = MEASURES, checkpoints: int = 60
) -> xr.Dataset:
    """Analytic modes and kernels; the other measures are stand-ins with the symmetries of the kernel."""
    rng = np.random.default_rng(seed)
    start = network(task, max(16, task.n_items), "balanced:0.01")
    modes, P = start.modes, task.n_items
    finite = np.sort(half_rise_times(start)[np.isfinite(half_rise_times(start))])
    time = np.linspace(0, 1.4 * finite[min(len(finite) - 1, 12)], checkpoints)
    a = mode_strengths(start, time)
    kernel = -gradient_kernel(modes, a)
    noisy_a = a * (1 + 2e-3 * rng.standard_normal(a.shape))

    def item_loss(strengths: np.ndarray) -> np.ndarray:
        V = modes.V[:, : modes.rank]
        return 0.5 * P / modes.c * (modes.s - modes.c * strengths) ** 2 @ (V**2).T

    analytic = {
        "gradient_kernel": -kernel,
        "local_bif": -kernel / (50 + kernel.max()) + 1e-3 * kernel.max() / 50,
        "leave_one_out": -np.gradient(kernel, time, axis=0) / P,
    }
    variables: dict[str, tuple] = {}
    for name in measures:
        size = NOISE[name] * np.abs(analytic[name]).max()
        beside = {
            "stderr": np.full(kernel.shape, size),
            "rhat": np.full((len(time), P), 1.01),
            "ess": np.full((len(time), P), 400.0),
        }
        sampled = beside if influence.MEASURES[name].sampled else {}
        noisy = analytic[name] + size * rng.standard_normal(kernel.shape)
        measure, both = (
            influence.MEASURES[name],
            (influence.Measured(analytic[name]), influence.Measured(noisy, sampled)),
        )
        for side, measured in zip(("predicted", "trained"), both, strict=True):
            trajectory = Trajectory(start, side, time, start.weights)
            variables |= schema.of_influence(measure.labelled(measured, trajectory), measure)
    variables |= schema.of_network("analytic", a, item_loss(a))
    variables |= schema.of_network("simulated", noisy_a, item_loss(noisy_a))
    return schema.labelled(
        start,
        time,
        variables,
        config={"task": task.name, "seed": seed, "init": "balanced:0.01"},
        lambda_min=-(modes.s - modes.c * a).max(axis=1),
        n_beta=100.0,
        gamma=1000.0,
        attrs={},
    )
