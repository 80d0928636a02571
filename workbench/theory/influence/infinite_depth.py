"""The one-step influence in the limit of infinite depth, at learning rate 1/D.

A pair of modes enters the kernel with ``j.j = sum_l w_a^{2(D-1-l)} w_b^{2l} = (a_a^2 - a_b^2)/(w_a^2 - w_b^2)``, where
``w = a^{1/D}`` tends to 1. Over D, what one step of size 1/D does, it tends to the logarithmic mean of ``a^2``::

    -K_ij / D  ->  -P^2 sum_ab Lambda_ab e_a^2 (v_ai v_aj)(v_bi v_bj),    Lambda_ab = (a_a^2 - a_b^2) / (2 ln(a_a/a_b))

with ``Lambda_aa = a_a^2``: a sum over pairs that is no product of two factors any more, as it is for two layers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare

Array = NDArray[np.float64]


def infinite_depth_kernel(modes: Modes, a: Array) -> Array:
    """``-K/D`` for ``D -> infinity`` at mode strengths ``a`` ``(T, K)`` > 0, ``(T, P, P)``; negative helps.

    A network of D layers differs by a fraction of order 1/D, ``a^{-2/D} - 1``.
    """
    V, square = modes.V[:, : modes.rank], a**2
    first, second = square[:, :, None], square[:, None, :]
    apart = np.abs(first - second) > 1e-6 * first
    ratio = np.log(np.where(apart, first / second, 2.0))
    # Nearer than that the mean of the two is the logarithmic mean to rounding.
    gain = np.where(apart, (first - second) / ratio, (first + second) / 2)
    e2 = (modes.s - modes.c * a) ** 2
    products = V[:, None, :] * V[None, :, :]
    return np.asarray(-(modes.n_items**2) * np.einsum("ija,tab,ijb->tij", products, e2[:, :, None] * gain, products))


@cache
def infinite_depth_gain_form() -> ClosedForm:
    """``j.j / D`` of a pair of modes in the limit of infinite depth."""
    a, b, D = sp.symbols("a_a a_b D", positive=True)
    gain = (a**2 - b**2) / (a ** (2 / D) - b ** (2 / D))
    expression = (a**2 - b**2) / (2 * sp.log(a / b))
    h = sp.Symbol("h", positive=True)
    slope = sp.diff(a ** (2 * h) - b ** (2 * h), h).subs(h, 0)
    ratio = sp.Symbol("q", positive=True)
    limit = sp.limit((ratio**2 - 1) / (2 * sp.log(ratio)), ratio, 1)
    return ClosedForm(
        name="infinite_depth_gain",
        title="Gain of a pair of modes in the limit of infinite depth",
        quantity=sp.Symbol("Lambda_ab"),
        expression=expression,
        variables=(
            Variable(a, "strength of mode a", "weight^D"),
            Variable(b, "strength of mode b", "weight^D"),
        ),
        unit="weight^2D",
        source="derived for this project",
        conditions=(
            Condition(sp.And(bare(a) > 0, bare(b) > 0), "a_a, a_b > 0", "give modes that have a hidden unit"),
            Condition(sp.Ne(*bare(a, b)), "a_a and a_b differ", "use the limit a^2"),
        ),
        steps=(
            Step(
                "In D layers a pair has the geometric sum j.j, over D; for three:",
                gain.subs(D, 3) / 3,
                sp.simplify(
                    sum(a ** sp.Rational(2 * (2 - k), 3) * b ** sp.Rational(2 * k, 3) for k in range(3))
                    * (a ** sp.Rational(2, 3) - b ** sp.Rational(2, 3))
                    - (a**2 - b**2)
                ),
                why="each layer carries the pair through its own mixture of both weights",
            ),
            Step(
                "With h = 1/D its denominator over h is the slope of a^(2h) - b^(2h) at h = 0:",
                2 * sp.log(a / b),
                sp.expand_log(slope - 2 * sp.log(a / b), force=True),
                why="as layers are added the sum becomes an integral",
            ),
            Step(
                "so that it tends to",
                expression,
                sp.simplify(sp.expand_log(expression, force=True) * slope - (a**2 - b**2)),
                why="the integral of a geometric sequence is a logarithmic mean",
            ),
            Step(
                "For equal modes, in units of a^2:",
                sp.S.One,
                limit - 1,
                why="where both modes agree the mean is their common value",
            ),
        ),
    )
