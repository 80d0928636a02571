"""What a finite learning rate does to the flow, to first order: the error bar of the simulated mode strengths.

Gradient descent multiplies a balanced mode by ``(1 + eta e)^2`` per step. Against the flow at ``t = eta x step`` it
lags while the mode is small and leads while it saturates.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import VARIABLES, a, a0, c, s

Array = NDArray[np.float64]


@cache
def step_size_form() -> ClosedForm:
    """``da = -(eta/2) a e ln[a e^2 / (a0 e0^2)]``: strength under gradient descent minus strength under the flow."""
    eta, h = sp.symbols("eta h", positive=True)
    e, e0 = s - c * a, s - c * a0
    flow = 2 * a * e
    w = sp.Symbol("w", positive=True)
    loss = (s - c * w * sp.Symbol("v")) ** 2 / (2 * c)
    moved = (w - eta * sp.diff(loss, sp.Symbol("v")).subs(sp.Symbol("v"), w)) ** 2
    one_step = sp.expand(a * (1 + eta * e) ** 2)
    descent = sp.expand(moved - one_step.subs(a, w**2))
    # The flow that gradient descent follows to second order: f + eta f1 with f1 = g - f f'/2.
    g = one_step.coeff(eta, 2)
    correction = sp.factor(g - flow * sp.diff(flow, a) / 2)
    exact_flow = a + h * flow + h**2 / 2 * flow * sp.diff(flow, a)
    modified = exact_flow.subs(h, eta) + eta**2 * correction
    shift = -eta / 2 * a * e * sp.log(a * e**2 / (a0 * e0**2))
    # Along the flow d(shift)/dt = (d shift/da) f must equal f' shift + eta f1.
    left = sp.diff(shift, a) * flow - sp.diff(flow, a) * shift - eta * correction
    return ClosedForm(
        name="step_size_shift",
        title="Effect of the learning rate on the strength of a mode, first order",
        quantity=sp.Symbol("delta_a"),
        expression=shift,
        variables=(
            VARIABLES[a],
            Variable(eta, "learning rate", "time"),
            VARIABLES[s],
            VARIABLES[c],
            VARIABLES[a0],
        ),
        unit="weight^2",
        source="derived here, by backward error analysis of gradient descent",
        conditions=(
            Condition(
                sp.And(bare(a0) > 0, bare(a) >= bare(a0), bare(c) * bare(a) < bare(s)),
                "0 < a0 <= a < s/c",
                "give a mode on its way from a0 to s/c",
            ),
        ),
        steps=(
            Step("One step of gradient descent on a balanced mode, weights w with a = w^2:", one_step, descent),
            Step(
                "To second order this is the flow of 2 a e plus eta times",
                correction,
                sp.expand(one_step - modified),
            ),
            Step("The shift solves the linearised equation driven by that term:", shift, sp.expand(sp.simplify(left))),
            Step("and vanishes at the start:", sp.S.Zero, shift.subs(a, a0)),
        ),
    )


def step_size_shift(
    strengths: ArrayLike, residuals: ArrayLike, *, eta: float, s: ArrayLike, c: float, a0: float
) -> Array:
    """The shift over arrays, from strength and residual so that saturation loses no digits.

    Args:
        strengths, residuals: ``(..., K)`` ``a`` and ``e = s - c a``.
        eta: learning rate. s: ``(K,)``. c: input scale. a0: initial strength.

    Returns:
        ``(..., K)``; 0 where a mode has saturated or never starts. The error is of order eta^2.
    """
    a_, e_, s_ = (np.asarray(x, dtype=np.float64) for x in (strengths, residuals, s))
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(a_ / a0) + 2 * np.log(e_ / (s_ - c * a0))
        shift = -eta / 2 * a_ * e_ * logarithm
    return np.asarray(np.where((a_ > 0) & (e_ > 0), shift, 0.0))
