"""Which networks a side of a measure is written for."""

from __future__ import annotations

from workbench.networks import Network


def bilinear(network: Network) -> bool:
    """Whether a network has two linear layers, for which most closed forms and the quickest simulations are written."""
    return network.depth == 2 and network.activation == "linear"


def unknown_hessian(network: Network) -> str | None:
    """Why a measure that needs the Hessian is not predicted; None for two layers, and for aligned networks."""
    if network.depth == 2 or network.active is not None:
        return None
    return f"the Hessian of {network.depth} layers is known for aligned networks (init balanced:a0)"
