"""Influence of an item on what is not a loss: the strength of a mode, any linear readout, when a stage is over.

A weight on item i changes the product ``W`` in the basis of modes by ``X_ab = P v_ai v_bi x_ab`` (`mode_transport`).
Its diagonal is the mode's own clock, run faster: at every depth::

    da_k/deps_i = P v_ki^2 t da_k/dt,        dt_k/deps_i = -P v_ki^2 t_k

for the time t_k at which mode k reaches any given strength. To first order in eps other modes do not matter.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.flow.aligned import half_rise_times
from workbench.theory.influence.mode_transport import pair_responses
from workbench.theory.modes.balanced import VARIABLES, a0, c, half_rise_form, s

Array = NDArray[np.float64]


@cache
def stage_time_response_form() -> ClosedForm:
    """``dt_k/deps_i = -P v_ki^2 t_k``, with the half-rise time of two layers for t_k."""
    P, v = sp.symbols("P v", positive=True)
    u = sp.Symbol("t", positive=True)
    w, fixed = sp.symbols("v_k s_k", positive=True)
    strength, rate = sp.Function("a")(u), sp.Function("f")
    half = half_rise_form().expression
    # da/dt = f(a): its second derivative is f'(a) f(a).
    clock = P * v**2 * u * rate(strength)
    slope = sp.diff(clock, u).subs(sp.Derivative(strength, u), rate(strength)).doit()
    at = sp.Symbol("a", positive=True)
    derivative = sp.diff(rate(at), at).subs(at, strength)
    left = slope - (derivative * clock + P * v**2 * rate(strength))
    pulled = sp.sqrt(P / c) * fixed * w * sp.sqrt(c * P) * w
    expression = -P * v**2 * half
    return ClosedForm(
        name="stage_time_response",
        title="How much earlier a stage is over for a weight on an item",
        quantity=sp.Symbol("dt_k/deps_i"),
        expression=expression,
        variables=(
            Variable(P, "number of items", "1"),
            Variable(v, "entry of the item in the mode's item vector", "1"),
            VARIABLES[s],
            VARIABLES[c],
            VARIABLES[a0],
        ),
        unit="time",
        source="derived for this project",
        conditions=(
            Condition(sp.And(bare(a0) > 0, 2 * bare(c) * bare(a0) < bare(s)), "0 < 2 c a0 < s",
                      "start from a smaller a0 > 0"),
        ),
        steps=(
            Step("The weight adds eps r_i x_i^T to the target; its entry of mode k, with residual s_k, is eps times",
                 P * fixed * w**2, sp.simplify(pulled - P * fixed * w**2),
             why="to a mode an item is the part of it that lies along the mode"),
            Step("so da/dt = f(a) becomes (1 + eps P v^2) f(a) to first order, and dX/dt = f' X + P v^2 f of the"
                 " response is solved by the clock P v^2 t f(a):", clock, sp.simplify(left.doit()),
             why="the item makes the mode's clock run faster by its share P v^2"),
            Step("At a fixed strength dt = -X / f(a), at the half-rise time:", expression,
                 sp.simplify(-clock / rate(strength) + P * v**2 * u).subs(u, half)
                 + sp.simplify(expression + P * v**2 * half), why="what a faster clock gains until then"),
        ),
    )  # fmt: skip


def product_responses(network: Network, times: ArrayLike) -> Array:
    """``d(u_a^T W v_b)/deps_i`` along an aligned start, ``(T, source P, K, P)``, of all K output and P input modes.

    Args:
        network: linear, with balanced aligned weights.
        times: ``(T,)`` flow times >= 0.

    A readout ``m = p^T W z`` of the product changes by ``sum_ab (p . u_a) X_ab (v_b . z)``. Units of weight^2.
    """
    if network.active is None or network.a0 is None:
        raise ConditionError("balanced aligned initial weights", f"init {network.init}", "use init balanced:a0")
    modes = network.modes
    P, K = modes.n_items, modes.rank
    strengths = np.where(np.arange(P) < network.active, network.a0, 0.0)
    x, _ = pair_responses(modes.s_all, strengths, times, c=modes.c, depth=network.depth)
    return np.asarray(P * np.einsum("ia,ib,tab->tiab", modes.V[:, :K], modes.V, x[:, :K]))


def stage_time_responses(network: Network) -> Array:
    """``(source P, K)`` ``dt_k/deps_i`` of the half-rise times; nan for modes that never rise. Negative: earlier."""
    modes = network.modes
    rises = half_rise_times(network)
    hastened = -modes.n_items * modes.V[:, : modes.rank] ** 2 * np.where(np.isfinite(rises), rises, np.nan)
    return np.asarray(hastened)


__all__ = ["product_responses", "stage_time_response_form", "stage_time_responses"]
