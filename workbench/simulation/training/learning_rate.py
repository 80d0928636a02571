"""The largest stable learning rate, which is known: 2 over the curvature where training ends."""

from __future__ import annotations

import numpy as np

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network
from workbench.semantics import input_stretch
from workbench.simulation.training.optimizers import Adam, Momentum, Optimizer


def balanced_curvature(s: float, c: float, depth: int) -> float:
    """Largest curvature of the loss where a balanced linear network has learned everything, ``D s^{2-2/D} c^{2/D-1}``.

    s is the largest singular value. The product of the layers is then ``s/c`` on that mode and each layer
    ``(s/c)^{1/D}``; moving any layer changes the product by ``(s/c)^{1-1/D}`` per unit, so the curvature is
    ``c D (s/c)^{2-2/D}``. D = 2: ``2 s``.

    No minimum of any network of this depth is flatter. With ``p_l = |W_{l+1}^T ... W_D^T u|`` and
    ``q_l = |W_l ... W_1 v|`` it is curved by at least ``c sum_l p_l^2 q_{l-1}^2``, by the means at least
    ``c D (prod_l p_l q_l)^{2/D}`` over l = 1..D-1, and ``p_l q_l >= u^T W v = s/c``.
    """
    return float(depth * s ** (2 - 2 / depth) * c ** (2 / depth - 1))


def largest_stable_eta(curvature: float, optimizer: Optimizer | None = None) -> float:
    """Learning rate beyond which full-batch steps diverge along a direction of this curvature.

    ``2 / lambda`` for gradient descent, ``2 (1 + mu) / ((1 - mu) lambda)`` for momentum (its averaged form, see
    `optimizers`).
    """
    if isinstance(optimizer, Adam):
        raise ConditionError(
            "gradient descent or momentum", "Adam, whose stability depends on its past gradients", "give eta itself"
        )
    if not 0 < curvature < np.inf:
        raise ConditionError("a curvature above 0", f"{curvature:g}", "give that of a minimum of the loss")
    mu = optimizer.mu if isinstance(optimizer, Momentum) else 0.0
    return 2 * (1 + mu) / ((1 - mu) * curvature)


def learning_rate(network: Network, fraction: float, optimizer: Optimizer | None = None) -> float:
    """A fraction of the largest learning rate at which a linear network can settle at a minimum.

    It can settle at the balanced minimum below `largest_stable_eta` of `balanced_curvature`, and above it at none; a
    start far away may overshoot and diverge somewhat earlier, most with momentum.
    Of inputs that are not white the largest variance counts, an upper bound. A start far from balance leads to sharper
    minima: check with `largest_curvature` of the trained network.
    """
    if network.activation != "linear":
        raise ConditionError(
            "a linear network, whose curvature at convergence is known",
            f"{network.activation} hidden layers",
            "use largest_stable_eta(largest_curvature(trained network))",
        )
    if not 0 < fraction < np.inf:
        raise WorkbenchError(f"fraction {fraction:g} of the largest stable learning rate; give a number such as 0.1")
    modes, (_, largest) = network.modes, input_stretch(network.task)
    s, c = float(modes.s[0]), modes.c
    curvature = largest * balanced_curvature(s, c, network.depth)
    if network.init is not None and network.init.kind == "unequal":
        curvature = float(np.hypot(2 * s, c * network.init.lam))  # c (w1^2 + w2^2), lambda is kept
    return fraction * largest_stable_eta(curvature, optimizer)
