"""One aligned mode in a network of any depth D, all layers balanced (Saxe et al. 2014).

    da/dt = D a^{2-2/D} (s - c a),      a(0) = a0

There is no explicit a(t) for D >= 3; the time t(a) at which a strength is reached is a finite sum over the
D-th roots of unity, which `workbench.theory.modes.strength` inverts. Everything is written in
``y = |s/(c a)|^{1/D}``, in which ``K(y) = int_0^y x^{2D-3}/(1 -+ x^D) dx`` serves s > 0 (below and above the
target s/c) and s < 0 alike.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import SAXE, VARIABLES, a, a0, c, mode_loss_step, s, t

Array = NDArray[np.float64]
NOTES = f"{SAXE}; derived for this project"

_FORWARD = Condition(bare(t) >= 0, "t >= 0", "give times after the start of training")
POSITIVE = Condition(
    sp.And(bare(a0) > 0, bare(c) > 0), "a0 and c positive", "from a0 = 0 a deep network learns nothing"
)


@cache
def depth_flow_steps(depth: int) -> tuple[Step, ...]:
    """From the loss of one mode, a function of D weights, to ``da/dt = D a^{2-2/D} (s - c a)``."""
    weights = sp.symbols(f"w1:{depth + 1}", positive=True)
    u = sp.Symbol("u", positive=True)
    product = sp.prod(weights)
    loss = (s - c * product) ** 2 / (2 * c)
    rates = [-sp.diff(loss, w) for w in weights]
    growth = sum(sp.diff(product, w) * rate for w, rate in zip(weights, rates, strict=True))
    balance = [w * rate - weights[0] * rates[0] for w, rate in zip(weights, rates, strict=True)]
    rate = depth * a ** (2 - sp.Rational(2, depth)) * (s - c * a)
    return (
        mode_loss_step(f"Loss of one mode of a network with {depth} layer{'s'[: depth - 1]}:", product),
        Step(
            "Every difference of squared weights is conserved; w_l dw_l/dt - w_1 dw_1/dt is",
            sp.S.Zero,
            sp.Matrix(balance).applyfunc(sp.expand),
            why="the loss depends on the product alone, so scaling one weight up and another down changes nothing",
        ),
        Step(
            "so equal weights stay equal, w_l = u, and the strength a = u^D grows at the rate",
            rate,
            sp.expand(growth.subs(dict.fromkeys(weights, u)) - depth * u ** (2 * depth - 2) * (s - c * u**depth)),
            why="one number describes all layers; the power of a holds deep networks back for longer",
        ),
    )


@cache
def shallow_form() -> ClosedForm:
    """``a(t)`` at depth 1: linear regression, every mode at the rate c."""
    expression = s / c + (a0 - s / c) * sp.exp(-c * t)
    return ClosedForm(
        name="mode_strength_depth_1",
        title="Strength of a mode learned by a network without hidden layer",
        quantity=sp.Function("a")(t),
        expression=expression,
        variables=tuple(VARIABLES[x] for x in (t, s, c, a0)),
        unit="weight",
        source=NOTES,
        conditions=(_FORWARD,),
        steps=(
            *depth_flow_steps(1),
            Step(
                "Linear equation; its solution leaves",
                sp.S.Zero,
                sp.diff(expression, t) - (s - c * expression),
                why="without a hidden layer nothing holds a mode back: no plateau, every mode at the same rate c",
            ),
            Step("and starts at", a0, expression.subs(t, 0) - a0, why="the solution is that of this start"),
        ),
    )


@cache
def null_mode_form(depth: int) -> ClosedForm:
    """``a(t)`` for s = 0, D >= 2: a direction without signal decays as a power of time."""
    n = sp.Rational(2 * depth - 2, depth)
    expression = a0 / (1 + (2 * depth - 2) * c * t * a0**n) ** (1 / n)
    return ClosedForm(
        name=f"null_mode_depth_{depth}",
        title=f"Decay of a mode without signal at depth {depth}",
        quantity=sp.Function("a")(t),
        expression=expression,
        variables=tuple(VARIABLES[x] for x in (t, c, a0)),
        unit="weight^D",
        source=NOTES,
        conditions=(POSITIVE, _FORWARD),
        steps=(
            *depth_flow_steps(depth),
            Step(
                "With s = 0 the solution leaves",
                sp.S.Zero,
                sp.diff(expression, t) + depth * c * expression ** (n + 1),
                why="the slope shrinks with the weights: what is not in the data fades as a power of time",
            ),
            Step("and starts at", a0, expression.subs(t, 0) - a0, why="the solution is that of this start"),
        ),
    )


def root_angles(depth: int, sign: int) -> list[Any]:
    """Exact angles in [0, pi] of the roots of ``w^D = sign``; those in between stand for conjugate pairs."""
    first = 0 if sign > 0 else 1
    return [sp.pi * k / depth for k in range(first, depth + 1, 2)]


def primitive(y: Any, depth: int, sign: int) -> Any:
    """``K(y) = int_0^y x^{2D-3}/(1 - sign x^D) dx`` as a finite sum, D >= 3 (principal value across y = 1).

    K(y) = -sign y^{D-2}/(D-2) - (1/D) Re sum_k w_k^{-2} ln(1 - y/w_k),      w_k^D = sign
    """
    total = sp.S.Zero
    for angle in root_angles(depth, sign):
        if angle in (0, sp.pi):
            total += sp.log(sp.Abs(1 - y * sp.cos(angle)))
        else:
            modulus = sp.log((y - sp.cos(angle)) ** 2 + sp.sin(angle) ** 2)
            argument = sp.atan2(y * sp.sin(angle), 1 - y * sp.cos(angle))
            total += sp.cos(2 * angle) * modulus + 2 * sp.sin(2 * angle) * argument
    return -sign * y ** (depth - 2) / (depth - 2) - total / depth


@cache
def _primitive_steps(depth: int, sign: int) -> tuple[Step, ...]:
    x, w, k, angle = sp.symbols("x w k phi", positive=True)
    integrand = x ** (2 * depth - 3) / (1 - sign * x**depth)
    rest = x ** (depth - 3) / (1 - sign * x**depth)
    # (1 - sign x^D)/(w_k - x) is a polynomial since w_k^D = sign; w stands for a primitive root of w^N = 1.
    order = depth if sign > 0 else 2 * depth
    roots = [w ** (j if sign > 0 else 2 * j + 1) for j in range(depth)]
    partial = sum(
        root ** (2 * order - 2) * sign * sum(root ** (depth - 1 - j) * x**j for j in range(depth)) for root in roots
    )
    remainder = sp.rem(sp.expand(partial), sp.cyclotomic_poly(order, w), w) / depth
    turned = sp.exp(-2 * sp.I * angle) / (sp.exp(sp.I * angle) - x)
    turn = sp.atan2(x * sp.sin(angle), 1 - x * sp.cos(angle))
    real = -sp.cos(2 * angle) * sp.log((x - sp.cos(angle)) ** 2 + sp.sin(angle) ** 2) / 2 - sp.sin(2 * angle) * turn
    split = sign * (rest - x ** (depth - 3))
    both = sp.expand((turned + sp.conjugate(turned)) / 2, complex=True)
    return (
        Step("Split off a polynomial in K:", split, sp.simplify(integrand - split), why="it is integrated at once"),
        Step(
            f"Partial fractions over w_k^{depth} = {sign}; the last term is (1/D) sum_k w_k^-2/(w_k - x):",
            sp.Sum(w**-2 / (w - x), (k, 1, depth)) / depth,
            sp.expand(remainder - sign * x ** (depth - 3)),
            why="each root of the denominator gives a fraction with a logarithm as its integral",
        ),
        Step(
            "With w = e^{i phi} the real part of a term integrates to",
            real,
            sp.simplify(sp.diff(real, x) - both),
            why="roots come in conjugate pairs, whose logarithms add up to a logarithm and an angle",
        ),
    )


@cache
def depth_time_form(depth: int, sign: int = 1) -> ClosedForm:
    """``t(a)``, the time at which a mode reaches strength a, for D >= 3 and either sign of s (``sign``).

    The argument s is the absolute value of the singular value. With s > 0 the strength a lies between a0 and
    the target s/c; with s < 0 between a0 and 0.
    """
    if depth < 3 or sign not in (1, -1):
        raise ConditionError(
            "depth >= 3 and sign +1 or -1",
            f"depth {depth}, sign {sign}",
            "use mode_strength_form for depth 2",
        )
    y = sp.Symbol("y", positive=True)
    scale = (s / c) ** (sp.Rational(2, depth) - 1) / s
    where = {start: (s / (c * start)) ** sp.Rational(1, depth) for start in (a, a0)}
    expression = scale * (primitive(where[a], depth, sign) - primitive(where[a0], depth, sign))
    # In y: a = s/(c y^D), and dt/dy = (da/dy)/(da/dt).
    strength = s / (c * y**depth)
    rate = depth * strength ** (2 - sp.Rational(2, depth)) * (sign * s - c * strength)
    slope = sp.diff(strength, y) / rate
    integrand = y ** (2 * depth - 3) / (1 - sign * y**depth)
    return ClosedForm(
        name=f"mode_time_depth_{depth}" if sign > 0 else f"mode_time_negative_depth_{depth}",
        title=f"Time at which a mode reaches strength a in a network with {depth} layers",
        quantity=sp.Function("t")(a),
        expression=expression,
        variables=tuple(VARIABLES[x] for x in (a, s, c, a0)),
        unit="time",
        source=NOTES,
        conditions=(
            POSITIVE,
            Condition(sp.And(bare(s) > 0, bare(a) > 0), "s and a positive", "use null_mode_form for s = 0"),
        ),
        steps=(
            *depth_flow_steps(depth),
            Step(
                "With y = (s/(c a))^(1/D) the time is the integral of",
                scale * integrand,
                sp.powsimp(sp.simplify(slope - scale * integrand), force=True),
                why="the rate depends on a alone, so time is an integral over strengths, rational in y",
            ),
            *_primitive_steps(depth, sign),
        ),
    )


@cache
def explicit_time_form(depth: int) -> ClosedForm:
    """``Phi_D(u)``, ``u = (c a/s)^{1/D}`` for D = 3 and 4: ``t = (1/s)(s/c)^{2/D-1} [Phi(u) - Phi(u0)]``."""
    u = sp.Symbol("u", positive=True)
    if depth not in (3, 4):
        raise ConditionError("depth 3 or 4", f"depth {depth}", "use depth_time_form")
    bend = sp.atan((2 * u + 1) / sp.sqrt(3)) / sp.sqrt(3)
    cubic = -1 / u - sp.log(sp.Abs(1 - u)) / 3 + sp.log(1 + u + u**2) / 6 - bend
    quartic = -1 / (2 * u**2) + sp.log(sp.Abs((1 + u**2) / (1 - u**2))) / 4
    expression = cubic if depth == 3 else quartic
    slope = sp.diff(expression.replace(sp.Abs, lambda x: x), u)  # of ln|x| as of ln x, on either side of 0
    return ClosedForm(
        name=f"phi_{depth}",
        title=f"Time function of a mode at depth {depth}, in elementary functions",
        quantity=sp.Symbol(f"Phi_{depth}"),
        expression=expression,
        variables=(Variable(u, "(c a/s)^(1/D)"),),
        source=NOTES,
        steps=(
            *depth_flow_steps(depth),
            Step(
                "The derivative of Phi is u^{1-D}/(1 - u^D):",
                u ** (1 - depth) / (1 - u**depth),
                slope - u ** (1 - depth) / (1 - u**depth),
                why="it is the rate of the mode in units of its final strength, so Phi is the clock of the rise",
            ),
        ),
    )


def same_side(s: Any, c: Any, a: Any, a0: Any) -> Any:
    """Whether a and a0 are on the same side of the target s/c."""
    return (s - c * a) * (s - c * a0) > 0
