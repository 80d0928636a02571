"""What a finite learning rate does to the flow, to first order: the error bar of the simulated mode strengths.

Gradient descent keeps the D equal weights ``w = a^{1/D}`` of a balanced mode equal, ``w -> w + eta w^{D-1} e``. Against
the flow at ``t = eta x step`` it lags while the mode is small and leads while it saturates.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import a, a0, c, s

Array = NDArray[np.float64]


@cache
def step_size_form() -> ClosedForm:
    """``da = -(eta/2) D a^{2-2/D} e ln[(a/a0)^{1-1/D} e/e0]``: strength under gradient descent minus under the flow."""
    eta, w, w0, v = sp.symbols("eta w w0 v", positive=True)
    D = sp.Symbol("D", positive=True, integer=True)
    flow, e, e0 = w ** (D - 1) * (s - c * w**D), s - c * a, s - c * a0
    loss = (s - c * v * w ** (D - 1)) ** 2 / (2 * c)
    # The flow that gradient descent follows to second order: f + eta f1 with f1 = -f f'/2.
    correction = -flow * sp.diff(flow, w) / 2
    modified = w + eta * (flow + eta * correction) + eta**2 / 2 * flow * sp.diff(flow, w)
    of_weight = -eta / 2 * flow * sp.log(flow / flow.subs(w, w0))
    # Along the flow d(shift)/dt = (d shift/dw) f must equal f' shift + eta f1.
    left = sp.diff(of_weight, w) * flow - sp.diff(flow, w) * of_weight - eta * correction
    shift = -eta / 2 * D * a ** (2 - 2 / D) * e * sp.log((a / a0) ** (1 - 1 / D) * e / e0)
    of_strength = shift.subs({a: w**D, a0: w0**D}) - D * w ** (D - 1) * of_weight
    two = -eta / 2 * a * e * sp.log(a * e**2 / (a0 * e0**2))
    positive = dict(zip((e, e0), sp.symbols("e e0", positive=True), strict=True))
    return ClosedForm(
        name="step_size_shift",
        title="Effect of the learning rate on the strength of a mode, first order",
        quantity=sp.Symbol("delta_a"),
        expression=shift,
        variables=(
            Variable(a, "strength under the flow", "weight^D"),
            Variable(eta, "learning rate", "time"),
            Variable(s, "singular value of Syx", "loss / weight^D"),
            Variable(c, "input scale", "loss / weight^2D"),
            Variable(a0, "strength at t = 0", "weight^D"),
            Variable(D, "number of layers"),
        ),
        unit="weight^D",
        source="derived here, by backward error analysis of gradient descent",
        conditions=(
            Condition(
                sp.And(bare(a0) > 0, bare(a) >= bare(a0), bare(c) * bare(a) < bare(s)),
                "0 < a0 <= a < s/c",
                "give a mode on its way from a0 to s/c",
            ),
        ),
        steps=(
            Step("Gradient descent moves each weight v of a balanced mode, v = w = a^(1/D), by eta times", flow,
                 sp.simplify(sp.diff(loss, v).subs(v, w) + flow),
                 why="what is compared with the flow is the step that a program takes"),
            Step("To second order this is the flow of w^(D-1) e plus eta times", correction,
                 sp.expand(w + eta * flow - modified),
                 why="a step is the flow of a slightly different equation, to first order in the learning rate"),
            Step("The shift of a weight solves the linearised equation driven by that term:", of_weight,
                 sp.simplify(sp.expand(left)),
                 why="a small disturbance of the flow is carried along by its linearised equation"),
            Step("and vanishes at the start:", sp.S.Zero, sp.simplify(of_weight.subs(w, w0)),
                 why="both begin with the same weights"),
            Step("That of the strength is D w^(D-1) times it:", shift,
                 sp.simplify(sp.powsimp(sp.expand_log(sp.powdenest(of_strength, force=True), force=True))),
                 why="the strength is the product of D equal weights"),
            Step("For two layers:", two, sp.expand_log((two - shift.subs(D, 2)).subs(positive)).expand(),
                 why="the square root comes out of the logarithm as one half"),
        ),
    )  # fmt: skip


def step_size_shift(
    strengths: ArrayLike, residuals: ArrayLike, *, eta: float, s: ArrayLike, c: float, a0: float, depth: int = 2
) -> Array:
    """The shift over arrays, from strength and residual so that saturation loses no digits.

    Args:
        strengths, residuals: ``(..., K)`` ``a`` and ``e = s - c a``.
        eta: learning rate. s: ``(K,)``. c: input scale. a0: initial strength. depth: number of layers D.

    Returns:
        ``(..., K)``; 0 where a mode has saturated, never starts or starts at its end. It holds of modes that start
        above their end and decay, too. The error is of order eta^2.
    """
    a_, e_, s_ = (np.asarray(x, dtype=np.float64) for x in (strengths, residuals, s))
    e0 = s_ - c * a0
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = (1 - 1 / depth) * np.log(a_ / a0) + np.log(e_ / e0)
        shift = -eta / 2 * depth * a_ ** (2 - 2 / depth) * e_ * logarithm
    # A residual that has changed its sign is rounding: no mode passes its end.
    moves = (a_ > 0) & (e_ * np.sign(e0) > 0)
    return np.asarray(np.where(moves, shift, 0.0))
