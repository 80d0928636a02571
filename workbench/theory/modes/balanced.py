"""Two-layer balanced aligned mode: how one singular mode of the task is learned.

On the aligned manifold the weights are ``W1 = R A1 V^T`` and ``W2 = U A2 R^T`` with diagonal ``A1 = A2``; every
mode then obeys an equation of its own (Saxe et al. 2014, 2019)::

    da/dt = 2 a (s - c a),      a(0) = a0

with singular value ``s`` of Syx, input scale ``c`` (Sxx = c I; 1/P for one-hot items) and mode strength ``a``, the
network's gain on the mode. Flow time t is learning rate times step.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare

t, s, c, a0 = sp.symbols("t s c a0", positive=True)
a, a_dot = sp.symbols("a adot", positive=True)
SAXE = "Saxe, McClelland & Ganguli (2014, 2019)"

VARIABLES = {
    t: Variable(t, "flow time, learning rate x step", "time"),
    s: Variable(s, "singular value of Syx", "loss / weight^2"),
    c: Variable(c, "input scale, Sxx = c I (1/P for one-hot items)", "loss / weight^4"),
    a0: Variable(a0, "mode strength at t = 0", "weight^2"),
    a: Variable(a, "mode strength", "weight^2"),
}
_LEARNABLE = Condition(
    sp.And(*(x > 0 for x in bare(a0, s, c))),
    "s, c and a0 positive",
    "give a mode that the data have (s > 0) and a start a0 > 0: from a0 = 0 nothing is ever learned",
)
_FORWARD = Condition(bare(t) >= 0, "t >= 0", "give times after the start of training")


def pair_variables(s_a: sp.Symbol, s_b: sp.Symbol) -> tuple[Variable, ...]:
    """Those of a pair of modes: an entry of the map leads from the input's mode to the output's."""
    return (
        VARIABLES[t],
        Variable(s_a, "singular value of the output's mode", "loss / weight^2"),
        Variable(s_b, "singular value of the input's mode", "loss / weight^2"),
        VARIABLES[c],
        VARIABLES[a0],
    )


def _variables(*symbols: sp.Symbol) -> tuple[Variable, ...]:
    return tuple(VARIABLES[symbol] for symbol in symbols)


def mode_loss_step(statement: str, product: Any) -> Step:
    """The loss of one mode, whose layers multiply to ``product``, from that of a network with one input and output."""
    P = sp.Symbol("P", positive=True)
    x, y = sp.sqrt(c * P), s * sp.sqrt(P / c)
    loss = (s - c * product) ** 2 / (2 * c)
    return Step(
        statement,
        loss,
        sp.expand((y - product * x) ** 2 / (2 * P) - loss),
        "the data enter through s and c alone, so one input and one output stand for the whole mode",
    )


@cache
def flow_steps() -> tuple[Step, ...]:
    """From the loss of one mode to the equation ``da/dt = 2 a (s - c a)``."""
    w1, w2 = sp.symbols("w1 w2", positive=True)
    loss = (s - c * w1 * w2) ** 2 / (2 * c)
    w1_dot, w2_dot = -sp.diff(loss, w1), -sp.diff(loss, w2)
    product = sp.expand(w1_dot * w2 + w1 * w2_dot).subs(w2, w1)
    return (
        mode_loss_step("Loss of one mode, as a function of its two weights:", w1 * w2),
        Step(
            "Gradient flow of the first weight:",
            sp.factor(w1_dot),
            w1_dot - w2 * (s - c * w1 * w2),
            "each layer moves in proportion to the other; small layers hold one another back, which is the plateau",
        ),
        Step(
            "Balance is conserved: d(w2^2 - w1^2)/dt is",
            sp.S.Zero,
            sp.expand(2 * w2 * w2_dot - 2 * w1 * w1_dot),
            "layers that start equal stay equal, so one number describes the mode from here on",
        ),
        Step(
            "So w1 = w2 stays true, and the strength a = w1 w2 grows at the rate",
            2 * a * (s - c * a),
            product - (2 * a * (s - c * a)).subs(a, w1**2),
            "growth feeds itself while a is small, at the rate 2 s a, and ends at s/c, where nothing is left to learn",
        ),
    )


@cache
def mode_strength_form() -> ClosedForm:
    """``a(t)``: sigmoidal growth from a0 to s/c at rate 2s."""
    kappa = s / (c * a0) - 1
    rate = 2 * a * (s - c * a)
    x = sp.Symbol("x", positive=True)
    elapsed = sp.integrate(sp.apart(1 / (2 * x * (s - c * x)), x), x)
    solution = (s / c) / (1 + kappa * sp.exp(-2 * s * t))
    time_of = sp.log(a * (s - c * a0) / (a0 * (s - c * a))) / (2 * s)
    return ClosedForm(
        name="mode_strength",
        title="Strength of a mode learned by a two-layer balanced network",
        quantity=sp.Function("a")(t),
        expression=solution,
        variables=_variables(t, s, c, a0),
        unit="weight^2",
        conditions=(_LEARNABLE, _FORWARD),
        source=SAXE,
        steps=(
            *flow_steps(),
            Step(
                "Separate the variables; dt/da in partial fractions:",
                sp.apart(1 / rate, a),
                sp.apart(1 / rate, a) - 1 / rate,
                "the rate depends on a alone, so the time to reach a strength is an integral over strengths",
            ),
            Step(
                "Integrate from a0 to a: the time at which strength a is reached,",
                time_of,
                sp.diff(time_of, a) - sp.diff(elapsed, x).subs(x, a),
                "the logarithm is why a start ten times smaller costs only ln 10 / 2s more",
            ),
            Step(
                "Solve for a:",
                solution,
                sp.exp(2 * s * time_of.subs(a, solution)) - sp.exp(2 * s * t),
                "s/(c a0) - 1 is what is missing over what is there at the start; a sigmoid eats it up at the rate 2 s",
            ),
            Step(
                "Put back into the equation of motion, what is left is",
                sp.S.Zero,
                sp.diff(solution, t) - rate.subs(a, solution),
                "a check that needs none of the steps above",
            ),
            Step("and at t = 0 the strength is", a0, solution.subs(t, 0) - a0, why="it is the solution of this start"),
        ),
    )


@cache
def residual_form() -> ClosedForm:
    """``e(t) = s - c a(t)``: what is still to be learned of a mode, without cancellation at late times."""
    kappa = s / (c * a0) - 1
    decayed = sp.exp(-2 * s * t)
    expression = s * kappa * decayed / (1 + kappa * decayed)
    strength = mode_strength_form().expression
    return ClosedForm(
        name="mode_residual",
        title="Residual of a mode",
        quantity=sp.Function("e")(t),
        expression=expression,
        variables=_variables(t, s, c, a0),
        unit="loss / weight^2",
        conditions=(_LEARNABLE, _FORWARD),
        source=SAXE,
        steps=(
            Step(
                "The residual is what the strength still lacks, minus the slope of the loss of a mode:",
                s - c * a,
                sp.expand(s - c * a + sp.diff((s - c * a) ** 2 / (2 * c), a)),
                "it drives learning and is one of the two factors of influence",
            ),
            Step(
                "With a(t) inserted:",
                expression,
                expression - (s - c * strength),
                "written as a product, it keeps its digits late in training, where s - c a would lose them all",
            ),
        ),
    )


@cache
def half_rise_form() -> ClosedForm:
    """``t_1/2``: when a mode has reached half of its final strength."""
    kappa = s / (c * a0) - 1
    expression = sp.log(kappa) / (2 * s)
    strength = mode_strength_form().expression
    return ClosedForm(
        name="half_rise_time",
        title="Half-rise time of a mode",
        quantity=sp.Symbol("t_half"),
        expression=expression,
        variables=_variables(s, c, a0),
        unit="time",
        conditions=(
            _LEARNABLE,
            Condition(
                2 * bare(c) * bare(a0) < bare(s),
                "2 c a0 < s (the mode starts below half of its final strength)",
                "start from a smaller a0",
            ),
        ),
        source=SAXE,
        steps=(
            Step(
                "The final strength is",
                s / c,
                sp.limit(strength, t, sp.oo) - s / c,
                why="there the residual s - c a is 0 and learning stops",
            ),
            Step(
                "Half of it is reached at",
                expression,
                strength.subs(t, expression) - s / (2 * c),
                "growth is fastest there: the middle of a stage; the larger s, the earlier",
            ),
        ),
    )


@cache
def mode_loss_form() -> ClosedForm:
    """Contribution of one mode to the loss: ``e^2 / 2c``; the loss is the sum over modes plus a constant."""
    residual = residual_form().expression
    expression = residual**2 / (2 * c)
    strength = mode_strength_form().expression
    slope = sp.diff(expression, t) + 2 * strength * residual**2
    return ClosedForm(
        name="mode_loss",
        title="Loss in one mode",
        quantity=sp.Function("L")(t),
        expression=expression,
        variables=_variables(t, s, c, a0),
        unit="loss",
        conditions=(_LEARNABLE, _FORWARD),
        source=SAXE,
        steps=(
            mode_loss_step("The loss (1/2P) sum |y - W x|^2 on the aligned manifold, mode by mode:", a),
            Step(
                "With the residual inserted:",
                expression,
                sp.simplify(expression - (s - c * strength) ** 2 / (2 * c)),
                why="the loss of a mode is its squared residual: it falls twice as fast as the residual does",
            ),
            Step(
                "It falls at the squared gradient, dL/dt = -2 a e^2:",
                -2 * a * (s - c * a) ** 2,
                slope,
                "small while the mode is weak and once it is learned: a step of the staircase between two plateaus",
            ),
        ),
    )
