"""The predicted trajectory of any linear network."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.flow.aligned import aligned_trajectory
from workbench.theory.flow.exact_solution import balance_residual, exact_solution, measured_lambda, seen_weights
from workbench.theory.flow.unequal_start import unequal_start, unequal_trajectory
from workbench.theory.flow.weighted_flow import checked_times, layerwise_flow
from workbench.trajectory import Trajectory

#: ``modes``: every mode on its closed form; ``unequal``: the same of two layers of unequal size. ``matrix``: the
#: Riccati solution. ``layers``: the flow, integrated.
Route = Literal["modes", "unequal", "matrix", "layers"]

#: The same in words, for the record of a result.
ROUTES: dict[Route, str] = {
    "modes": "closed form of every mode",
    "unequal": "closed form of every mode of unequal layers",
    "matrix": "exact matrix (Riccati) solution",
    "layers": "gradient flow of all layers, integrated",
}

#: Largest stated error of a closed form that is used: what balance lacks, over the strongest mode's final strength.
TOLERANCE = 1e-10


def route(network: Network) -> Route:
    """How `predict` follows a network: a closed form where its stated error is below `TOLERANCE`, else numerically."""
    if network.active is not None:
        return "modes"
    if network.activation != "linear":
        raise ConditionError(
            "linear hidden layers", f"{network.depth} {network.activation} layers", "train the network: workbench.train"
        )
    if unequal_start(network) is not None:
        return "unequal"
    if network.depth != 2 or network.task.input_scale is None:
        return "layers"
    W1, c = seen_weights(network)
    residual = balance_residual(W1, network.W2, measured_lambda(W1, network.W2))
    return "matrix" if residual <= TOLERANCE * float(network.modes.s[0]) / c else "layers"


def predict(network: Network, times: ArrayLike) -> Trajectory:
    """The gradient flow of a linear network at ``(T,)`` times, by the `route` that its start allows.

    Exact for every start: aligned (any depth; two layers of unequal size), balanced (two layers), or neither (any
    depth, any inputs).
    """
    chosen = route(network)
    if chosen == "modes":
        return aligned_trajectory(network, times)
    if chosen == "matrix":
        return exact_solution(network, times)
    if (unequal := unequal_start(network)) is not None:
        return unequal_trajectory(network, unequal, checked_times(np.asarray(times, dtype=np.float64)))
    t = checked_times(np.asarray(times, dtype=np.float64))
    return Trajectory(network, "predicted", t, layerwise_flow(network, t))
