"""The linearised end-to-end flow of a pair of modes, derived, and where its transport is elementary.

`mode_transport` evaluates the rates for whole networks. Source: derived for this project.

Are the integrals elementary for more than two layers? The transport of the difference is ``P_ab/(a_a + a_b) =
(w_a^D - w_b^D)/(w_a^2 - w_b^2)`` integrated over time. For two layers that is 1; for four ``w_a^2 + w_b^2``, a sum
of functions of one mode each, and the transport is elementary (`difference_transport_form`). The difference of
three layers, after ``ln(w_a + w_b)``, and the sum of four, after ``ln(w_a^2 + w_b^2)``, leave products of powers of
both weights, and two modes run on clocks that no algebraic relation joins: no Laurent polynomial in both weights,
exponents from -6 to 12, with logarithms of one mode's, has such a derivative (a test solves for it). That is no
proof. The outer integral over the past is a Gauss function for two layers already, not elementary.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.posterior.deep_forms import c, e_a, e_b, pair_variables, w_a, w_b

_NOTES = "derived for this project"


def _gain(x: Any, y: Any, degree: int) -> Any:
    """``sum_{k<=degree} x^{degree-k} y^k``."""
    return sum(x ** (degree - k) * y**k for k in range(degree + 1))


def _rates(depth: int) -> tuple[Any, Any, Any]:
    """``r_+``, ``r_-`` and ``P_ab`` as `mode_transport` has them."""
    P = _gain(w_a**2, w_b**2, depth - 1)
    S_ab, S_ba = (
        sum((depth - 1 - k) * x ** (2 * (depth - 2 - k)) * y ** (2 * k) for k in range(depth - 1))
        for x, y in ((w_a, w_b), (w_b, w_a))
    )
    plus = -c * P + (w_a + w_b) * (e_a * S_ab + e_b * S_ba) / _gain(w_a, w_b, depth - 1)
    minus = -c * P + (w_a**2 - w_b**2) * (e_a * S_ab - e_b * S_ba) / (w_a**depth + w_b**depth)
    return plus, minus, P


def _linearised(depth: int) -> tuple[Any, Any]:
    """Rates of x_ab and x_ba, without their source, from the end-to-end flow.

    Roots ``M^D = W W^T`` turn by ``(W W^T)'_ab / P_ab``, since ``(M^D)' = sum_k M^{D-1-k} M' M^k``.
    """
    x, y = sp.symbols("x_ab x_ba", real=True)
    a, b, P = w_a**depth, w_b**depth, _gain(w_a**2, w_b**2, depth - 1)
    left, right = (a * y + x * b) / P, (a * x + y * b) / P

    def power(root: Any, k: int) -> Any:
        return root * _gain(w_a**2, w_b**2, k - 1) if k else sp.S.Zero

    def rate(value: Any, first: Any, second: Any, up: Any, down: Any, e_up: Any, e_down: Any) -> Any:
        return sum(
            power(first, depth - layer) * e_down * down ** (2 * (layer - 1))
            - up ** (2 * (depth - layer)) * c * value * down ** (2 * (layer - 1))
            + up ** (2 * (depth - layer)) * e_up * power(second, layer - 1)
            for layer in range(1, depth + 1)
        )

    # (W W^T)' and (W^T W)' are symmetric: entry (b, a) is that of (a, b).
    return rate(x, left, right, w_a, w_b, e_a, e_b), rate(y, left, right, w_b, w_a, e_b, e_a)


def _memory_step() -> Step:
    t, u = sp.symbols("t u", positive=True)
    r, psi, source = sp.Function("r")(t), sp.Function("Psi"), sp.Function("f")
    carried = psi(t) * sp.Integral(source(u) / psi(u), (u, 0, t))
    return Step(
        "A source f is carried by Psi, dPsi/dt = r Psi: the integral below moves by r times itself and f",
        carried,
        sp.simplify(sp.diff(carried, t).subs(sp.diff(psi(t), t), r * psi(t)) - r * carried - source(t)),
        why="what acted in the past counts with how it has been carried since",
    )


@cache
def pair_transport_form(depth: int) -> ClosedForm:
    """``r_+``: the rate at which the sum of a pair's responses is carried along."""
    x, y = sp.symbols("x_ab x_ba", real=True)
    plus, minus, P = _rates(depth)
    forward, backward = _linearised(depth)
    a, b = w_a**depth, w_b**depth
    speed_a, speed_b = (depth * w ** (2 * depth - 2) * e for w, e in ((w_a, e_a), (w_b, e_b)))
    s_a, s_b = e_a + c * a, e_b + c * b
    equal = sp.simplify(plus.subs({w_b: w_a, e_b: e_a}))
    own = (2 * depth - 2) * w_a ** (depth - 2) * e_a - c * depth * w_a ** (2 * depth - 2)
    return ClosedForm(
        name=f"pair_transport_depth_{depth}",
        title=f"Rate at which a pair of modes carries the sum of its responses, {depth} layers",
        quantity=sp.Symbol("r_+"),
        expression=plus,
        variables=pair_variables(depth),
        unit="1 / time",
        source=_NOTES,
        conditions=(Condition(sp.And(bare(w_a) > 0, bare(w_b) > 0), "w_a, w_b > 0", "give modes with a hidden unit"),),
        steps=(
            Step(
                "Linearise dW/dt = sum_l (W W^T)^((D-l)/D) E (W^T W)^((l-1)/D) about W = diag(a), E = diag(e): x_ab "
                "and x_ba mix, their sum moves by r_+ times itself, with r_+ =",
                plus,
                sp.simplify(forward + backward - plus * (x + y)),
                why="how a small disturbance that carries mode a into mode b is carried along",
            ),
            Step(
                "and their difference by r_-:",
                minus,
                sp.simplify(forward - backward - minus * (x - y)),
                why="sum and difference do not mix",
            ),
            Step(
                "r_+ is the logarithmic derivative of a_a - a_b less (s_a - s_b) P_ab/(a_a - a_b):",
                P / (a - b),
                sp.simplify((speed_a - speed_b - (s_a - s_b) * P) / (a - b) - plus),
                why="what is left over from a derivative has to be integrated; the rest is known at once",
            ),
            Step(
                "and r_- that of a_a + a_b less (s_a + s_b) P_ab/(a_a + a_b):",
                P / (a + b),
                sp.simplify((speed_a + speed_b - (s_a + s_b) * P) / (a + b) - minus),
                why="the same for the difference",
            ),
            _memory_step(),
            Step(
                "Equal modes are carried by da/dt, whose logarithmic derivative is",
                own,
                sp.simplify(equal - own),
                why="a disturbance along the mode itself is a shift in time",
            ),
        ),
    )


@cache
def difference_transport_form() -> ClosedForm:
    """``Psi_-`` of four layers is elementary: ``(a_a + a_b) (e_a/a_a)^{(s_a+s_b)/4s_a} (e_b/a_b)^{(s_a+s_b)/4s_b}``."""
    a, b, s_a, s_b = sp.symbols("a_a a_b s_a s_b", positive=True)
    w, s = sp.symbols("w s", positive=True)
    residual_a, residual_b = s_a - c * a, s_b - c * b
    expression = (a + b) * (residual_a / a) ** ((s_a + s_b) / (4 * s_a)) * (residual_b / b) ** ((s_a + s_b) / (4 * s_b))
    speed = {x: 4 * x ** sp.Rational(3, 2) * (s_k - c * x) for x, s_k in ((a, s_a), (b, s_b))}
    moved = sum(sp.diff(sp.log(expression), x) * speed[x] for x in (a, b))
    at = {a: w_a**4, b: w_b**4, s_a: e_a + c * w_a**4, s_b: e_b + c * w_b**4}
    clock = sp.log(w**4 / (s - c * w**4)) / (4 * s)
    return ClosedForm(
        name="difference_transport",
        title="Transport of the difference of a pair's responses in four layers, up to its value at the start",
        quantity=sp.Symbol("Psi_-"),
        expression=expression,
        variables=(
            Variable(a, "strength of mode a", "weight^4"),
            Variable(b, "strength of mode b", "weight^4"),
            Variable(s_a, "singular value of mode a", "loss / weight^4"),
            Variable(s_b, "singular value of mode b", "loss / weight^4"),
            Variable(c, "input scale", "loss / weight^8"),
        ),
        unit="weight^4",
        source=_NOTES,
        conditions=(
            Condition(
                sp.And(*(bare(c) * bare(x) < bare(y) for x, y in ((a, s_a), (b, s_b)))),
                "c a < s for both modes",
                "integrate the rate of pair_transport_form instead",
            ),
        ),
        steps=(
            Step(
                "For four layers P_ab/(a_a + a_b) is a sum over the two modes:",
                w_a**2 + w_b**2,
                sp.simplify(_gain(w_a**2, w_b**2, 3) / (w_a**4 + w_b**4) - (w_a**2 + w_b**2)),
                why="each mode then contributes an integral of its own",
            ),
            Step(
                "Along a mode, dw/dt = w^3 (s - c w^4), the integral of w^2 is a logarithm:",
                clock,
                sp.simplify(sp.diff(clock, w) * w**3 * (s - c * w**4) - w**2),
                why="time is replaced by the weight, along which the integral is elementary",
            ),
            Step(
                "so the transport is a product of powers, whose logarithmic derivative is r_-:",
                expression,
                sp.simplify(sp.powdenest(moved.subs(at, simultaneous=True), force=True) - _rates(4)[1]),
                why="the exponential of logarithms",
            ),
        ),
    )
