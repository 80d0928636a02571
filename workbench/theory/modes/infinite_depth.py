"""One aligned mode in the limit of infinite depth (Saxe et al. 2014): explicit in the Lambert W function.

da/dt' = a^2 (s - c a),      t' = D t
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.closed_form import ClosedForm, Condition, Step, bare
from workbench.theory.modes.balanced import VARIABLES, a, a0, c, s, t
from workbench.theory.modes.depth import NOTES, POSITIVE, same_side

Array = NDArray[np.float64]


@cache
def infinite_depth_form() -> ClosedForm:
    """``t'(a)`` in the limit of infinite depth, in the time t' = D t: ``da/dt' = a^2 (s - c a)``."""
    z = sp.Symbol("z", positive=True)
    expression = (1 / a0 - 1 / a) / s + c / s**2 * sp.log(a * (s - c * a0) / (a0 * (s - c * a)))
    z0 = s / (c * a0) - 1
    explicit = (s / c) / (1 + sp.LambertW(z0 * sp.exp(z0 - s**2 * t / c)))
    inverse = expression.subs(a, (s / c) / (1 + z))
    return ClosedForm(
        name="infinite_depth_time",
        title="Time at which a mode reaches strength a in the limit of infinite depth",
        quantity=sp.Function("t'")(a),
        expression=expression,
        variables=tuple(VARIABLES[x] for x in (a, s, c, a0)),
        unit="D x time",
        source=NOTES,
        conditions=(
            POSITIVE,
            Condition(
                same_side(*bare(s, c, a, a0)),
                "a and a0 on the same side of s/c",
                "a strength never crosses its target",
            ),
        ),
        steps=(
            Step(
                "D a^{2-2/D} (s - c a) dt = a^2 (s - c a) dt' as D -> oo; dt'/da =",
                1 / (a**2 * (s - c * a)),
                sp.simplify(sp.diff(expression, a) - 1 / (a**2 * (s - c * a))),
                why="counted in D times the flow time, the rate of a mode has a limit as layers are added",
            ),
            Step(
                "With c a/s = 1/(1 + z) this is z + ln z = z0 + ln z0 - s^2 t'/c, so",
                explicit,
                sp.simplify(sp.expand_log(s**2 / c * inverse - (z0 + sp.log(z0) - z - sp.log(z)), force=True)),
                why="the equation of Lambert's W: t(a) turned into a(t)",
            ),
            Step(
                "Put back into the equation of motion, what is left is",
                sp.S.Zero,
                sp.simplify(sp.diff(explicit, t) - explicit**2 * (s - c * explicit)),
                why="a check that needs none of the steps above",
            ),
        ),
    )


def infinite_depth_strength(t: ArrayLike, s: ArrayLike, *, c: ArrayLike, a0: ArrayLike) -> Array:
    """The limit D -> infinity: ``a(t') = (s/c)/(1 + W_0(z0 e^{z0 - s^2 t'/c}))``, ``z0 = s/(c a0) - 1``.

    Finite depth comes close only when ``D >> |1 + ln a0| s/(c a0)``: for small a0 the gap, as a fraction of
    s/c, tends to 8/27 of that ratio (with s = 1.3, c = 1, a0 = 0.02 it is 0.92 at D = 16 and 0.22 at D =
    256). For a network of finite depth use `mode_strength` with its depth.

    Args:
        t: times t' = D x flow time, >= 0; all arguments broadcast.
        s: singular values > 0.
        c: input scale.
        a0: initial strengths > 0, below or above s/c.
    """
    t_, s_, c_, a0_ = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (t, s, c, a0)))
    if not ((s_ > 0) & (a0_ > 0) & (c_ > 0) & (t_ >= 0)).all():
        raise ConditionError(
            "s, c, a0 > 0 and t >= 0",
            f"smallest {s_.min():g}, {c_.min():g}, {a0_.min():g}, {t_.min():g}",
            "use mode_strength",
        )
    z0 = s_ / (c_ * a0_) - 1
    below = z0 > 0
    exponent = z0 - s_**2 * t_ / c_
    # W_0(e^x) without the overflow of e^x.
    z_below = scipy.special.wrightomega(np.log(np.where(below, z0, 1.0)) + exponent)
    z_above = scipy.special.lambertw(np.where(below, 0.0, z0 * np.exp(np.where(below, 0.0, exponent)))).real
    return np.asarray(s_ / c_ / (1 + np.where(below, z_below, z_above)))
