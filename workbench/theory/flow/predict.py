"""The predicted trajectory of any network that theory knows."""

from __future__ import annotations

from numpy.typing import ArrayLike

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.flow.aligned import aligned_trajectory
from workbench.theory.flow.exact_solution import exact_solution
from workbench.trajectory import Trajectory


def predict(network: Network, times: ArrayLike) -> Trajectory:
    """The gradient flow of a linear network at ``(T,)`` times.

    Mode by mode at any depth if the network is aligned, by the exact matrix solution of two layers if not.
    """
    if network.active is not None:
        return aligned_trajectory(network, times)
    if network.activation != "linear" or network.depth != 2:
        raise ConditionError(
            "aligned balanced initial weights, or two linear layers",
            f"{network.depth} {network.activation} layers with init {network.init}",
            "train the network: workbench.train",
        )
    return exact_solution(network, times)
