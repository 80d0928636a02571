"""Smallest and largest curvature of the loss along a trajectory: what dampings and local posteriors must meet."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.theory import mode_strengths
from workbench.theory.posterior.hessian import curvature_range
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


@lru_cache(maxsize=4)  # several measures ask about the same trajectory
def curvatures(trajectory: Trajectory) -> Array:
    """``(T, 2)`` smallest and largest curvature of the loss: by modes if aligned, else from the weights."""
    network = trajectory.network
    if trajectory.side == "predicted" and network.active is not None:
        a = mode_strengths(network, trajectory.times)
        return np.stack(curvature_range(network.modes, a, network.widths, network.active, depth=network.depth), axis=1)
    from workbench import simulation

    return np.array([simulation.extreme_curvatures(trajectory.at(k)) for k in range(len(trajectory.times))])
