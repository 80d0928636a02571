"""Influence from the exact derivative to the printed formula, an idealisation more at a time: predicted and trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench import theory
from workbench.influence import MEASURES
from workbench.networks import Network
from workbench.theory.influence.frozen_input import printed_rotation

Array = NDArray[np.float64]

#: From the exact derivative to the printed formula, each with one idealisation more.
STAGES = ("exact", "louder targets", "frozen formula", "as printed")
#: Learning rates, over the largest stable one.
RATES = (0.02, 0.01)


def stages_of(network: Network, times: Array) -> Array:
    """``(4, T, P, P)`` influence at every stage, in closed form."""
    assert network.a0 is not None
    modes = network.modes
    given: dict[str, Any] = {"a0": network.a0, "active": network.active, "depth": network.depth}
    return np.stack(
        [
            theory.trajectory_derivative(modes, times, **given),
            theory.frozen_input_derivative(modes, times, start="kept", **given),
            theory.frozen_input_derivative(modes, times, start="rotated", **given),
            printed_rotation(modes, times, **given),
        ]
    )


def idealisation_errors(stages: Array) -> Array:
    """``(3, T)`` of every idealisation, relative L2 over pairs of different items."""
    off = ~np.eye(stages.shape[-1], dtype=bool)
    size = np.linalg.norm(stages[0][:, off], axis=1)
    return np.asarray(np.linalg.norm(np.diff(stages[..., off], axis=0), axis=-1) / size)


def trained_stages(network: Network, end: float, stages: Array, shares: Array) -> tuple[Array, Array]:
    """``(3, 13, P, P)`` of gradient descent at the lower rate, and ``(3, 2)`` distances from the theory at both."""
    from workbench import simulation

    at = np.searchsorted(shares, np.arange(1, 13) / 12 - 1e-9)
    off, gaps = ~np.eye(stages.shape[-1], dtype=bool), []
    exact = stages[:3, at][..., off]
    for rate in RATES:
        schedule = simulation.Schedule.even(end, 13, simulation.learning_rate(network, rate))
        run = simulation.train(network, schedule)
        measured = np.stack(
            [
                MEASURES["trajectory_derivative"](run).values,
                MEASURES["frozen_input_derivative"](run, start="kept").values,
                MEASURES["frozen_input_derivative"](run, start="rotated").values,
            ]
        )
        gap = measured[:, 1:][..., off] - exact
        gaps.append(np.linalg.norm(gap, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2)))
    return measured, np.stack(gaps, axis=1)
