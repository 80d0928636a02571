"""Which networks a side of a measure is written for."""

from __future__ import annotations

from workbench.networks import Network

#: Operations of one checkpoint, ``P N^3``, up to which unaligned networks of other than two layers are predicted from
#: explicit Hessians: a few seconds of one core.
MOST_WORK = 1e10


def bilinear(network: Network) -> bool:
    """Whether a network has two linear layers, for which most closed forms and the quickest simulations are written."""
    return network.depth == 2 and network.activation == "linear"


def unknown_hessian(network: Network) -> str | None:
    """Why a measure that needs the Hessian is not predicted; None for two layers, aligned networks and small ones."""
    if network.depth == 2 or network.active is not None or network.task.n_items * network.n_weights**3 <= MOST_WORK:
        return None
    return (
        f"explicit Hessians of {network.depth} layers with {network.n_weights} weights take too long; by modes they "
        "are known for aligned networks (init balanced:a0)"
    )
