"""The frozen-input formula: more weight on an item's outputs alone, through the singular vectors of Syx.

A weight on item i enlarges Sxx as well as Syx. Leave Sxx as it is, so that ``Syx + eps_i y_i x_i^T`` is learned, and
take the network to be aligned with the singular vectors of *that* from the start. Then ``W = U G V^T`` always, and

    dW/d eps_i = U (A G + G' - G B) V^T                     dU = U A, dV = V B, A and B antisymmetric
    x_ab + x_ba = (s_a + s_b) (a_a - a_b) / (s_a - s_b)     dW = P v_ai v_bi x_ab in modes
    x_ab - x_ba = (s_a - s_b) (a_a + a_b) / (s_a + s_b)     x_aa = s_a da/ds

at any depth. For two layers ``s da/ds = 2 a e t + a (1 - e^{-2st}) / (1 + kappa e^{-2st})``: the first term is the
exact response of `trajectory_derivative`, the second what an unperturbed Sxx adds.

The same is training on the targets ``(1 + P eps_i) y_i`` of item i: louder targets, not more of the item. With
``start="kept"`` the network starts where it is, aligned with the old vectors: the linearised flow of `mode_transport`,
pushed by s in place of e, without a formula.

Source: Iliad Intensive worksheet B.5, section 4.4, whose rotation ``P_jk/(s_k - s_j)`` is antisymmetric for symmetric
perturbations only; corrected here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Condition, Step, bare
from workbench.theory.influence.mode_transport import pair_responses
from workbench.theory.influence.trajectory_derivative import in_items, started_groups
from workbench.theory.modes.balanced import VARIABLES, a0, c, mode_strength_form, pair_variables, residual_form, s, t
from workbench.theory.modes.strength import mode_state

Array = NDArray[np.float64]
Start = Literal["rotated", "kept"]
SOURCE = "Iliad Intensive worksheet B.5, section 4.4, with the rotation corrected; derived for this project"


def frozen_input_derivative(
    modes: Modes,
    times: ArrayLike,
    *,
    a0: float,
    active: int | None = None,
    depth: int = 2,
    start: Start = "rotated",
) -> Array:
    """``dl_j(t)/deps_i`` of training on ``Syx + eps_i y_i x_i^T``, ``(T, source P, target P)``; negative = helpful.

    Args:
        modes: modes of the task.
        times: ``(T,)`` flow times >= 0.
        a0: initial strength of every mode that has a hidden unit.
        active: how many modes have one, ``min(K, widths)``; all unless given.
        depth: number of layers D >= 1.
        start: ``"rotated"``: aligned with the perturbed task, the formula; ``"kept"``: as it is.

    Units of the loss per unit of eps.

    Raises:
        ConditionError: rotated, where modes of one singular value with and without a hidden unit have no definite
            rotation.
    """
    groups, strengths = started_groups(modes, a0, active)
    x, e = pair_responses(groups.s, strengths, times, c=modes.c, depth=depth, outputs_only=True)
    if start == "rotated":
        x = _rotated(x, groups.s, np.asarray(times, dtype=np.float64), strengths, modes.c, depth)
    return in_items(groups, e[:, :, None] * x)


def _rotated(kept: Array, s: Array, times: Array, strengths: Array, c: float, depth: int) -> Array:
    """``(T, G, G)`` responses of the formula; equal modes respond as they do from the start that is kept."""
    a = np.where(strengths > 0, mode_state(times[:, None], s, c=c, a0=strengths, depth=depth)[0], 0.0)
    difference, total = s[:, None] - s[None, :], s[:, None] + s[None, :]
    own = np.eye(len(s), dtype=bool)
    if (difference[~own] == 0).any():
        raise ConditionError(
            "a hidden unit for all modes of a singular value, or for none",
            "modes of one singular value with and without",
            "use another `hidden`, or `start` kept",
        )
    even = total * (a[:, :, None] - a[:, None, :]) / np.where(own, 1.0, difference)
    odd = difference * (a[:, :, None] + a[:, None, :]) / np.where(total == 0, 1.0, total)
    return np.where(own, kept, (even + odd) / 2)


def printed_rotation(modes: Modes, times: ArrayLike, *, a0: float, active: int | None = None, depth: int = 2) -> Array:
    """`frozen_input_derivative` with the rotation as the worksheet prints it, ``A_ab = B_ab = M_ab / (s_b - s_a)``.

    For showing what the correction does; equal modes, for which it has no value, are taken from the right formula.
    """
    groups, strengths = started_groups(modes, a0, active)
    x, e = pair_responses(groups.s, strengths, times, c=modes.c, depth=depth, outputs_only=True)
    s, t = groups.s, np.asarray(times, dtype=np.float64)[:, None]
    a = np.where(strengths > 0, mode_state(t, s, c=modes.c, a0=strengths, depth=depth)[0], 0.0)
    own = np.eye(len(s), dtype=bool)
    turned = s[:, None] / np.where(own, 1.0, s[None, :] - s[:, None])
    printed = turned * (a[:, None, :] - a[:, :, None])
    return in_items(groups, e[:, :, None] * np.where(own, x, printed))


def rotated_start(network: Network, item: int, factor: float) -> Network:
    """The aligned start for the task in which the targets of an item are ``factor`` times as large."""
    if network.active is None or network.a0 is None or network.frames is None:
        raise ConditionError("an aligned network", "weights that are not", "use `start` kept")
    targets = network.task.Y.copy()
    targets[:, item] *= factor
    U, _, V = np.linalg.svd(targets @ network.task.X.T / network.task.n_items)
    chain = [V[: network.active].T, *network.frames, U[:, : network.active]]
    scale = network.a0 ** (1 / network.depth)
    return replace(network, weights=tuple(scale * after @ before.T for before, after in pairwise(chain)))


def _rotation_steps() -> tuple[Step, ...]:
    """The singular vectors of S + dS to first order, of two modes with different singular values."""
    s_a, s_b = sp.symbols("s_a s_b", positive=True)
    M = sp.Matrix(2, 2, sp.symbols("M_aa M_ab M_ba M_bb", real=True))
    gap, S = s_b**2 - s_a**2, sp.diag(s_a, s_b)
    left = (s_b * M[0, 1] + s_a * M[1, 0]) / gap
    right = (s_a * M[0, 1] + s_b * M[1, 0]) / gap
    A, B = (sp.Matrix([[0, x], [-x, 0]]) for x in (left, right))
    printed = [M[0, 1] / (s_b - s_a), M[1, 0] / (s_a - s_b)]
    return (
        Step("In modes dSyx = M; to first order dU = U A, dV = V B with A S + dS - S B = M; off the diagonal A_ab =",
             left, (A * S - S * B + sp.diag(M[0, 0], M[1, 1]) - M).applyfunc(sp.simplify),
             why="louder targets change the task alone: the singular vectors turn by first-order perturbation"),
        Step("and B_ab =", right, sp.simplify((A * S - S * B - M)[0, 1]), why="the same on the side of the inputs"),
        Step("The rotation M_ab/(s_b - s_a) is antisymmetric for symmetric M only: A_ab + A_ba would be",
             (M[0, 1] - M[1, 0]) / (s_b - s_a), sp.simplify(sum(printed) - (M[0, 1] - M[1, 0]) / (s_b - s_a)),
             why="a formula often quoted holds for symmetric changes only, and this one is not"),
        Step("where M is symmetric, both agree:", printed[0],
             sp.simplify((left - printed[0]).subs(M[1, 0], M[0, 1])), why="a check in the case where it does hold"),
    )  # fmt: skip


def _response_steps(strengths: tuple[Any, Any], expression: Any) -> tuple[Step, ...]:
    """From the rotation to x_ab, and that it solves the linearised flow of two layers pushed by s."""
    s_a, s_b, g_a, g_b = sp.symbols("s_a s_b a_a a_b", positive=True)
    gap, in_time = s_b**2 - s_a**2, {g_a: strengths[0], g_b: strengths[1]}
    A, B = (s_b * s_a + s_a * s_b) / gap, (s_a * s_a + s_b * s_b) / gap
    x = A * g_b - g_a * B
    even, odd = (s_a + s_b) * (g_a - g_b) / (s_a - s_b), (s_a - s_b) * (g_a + g_b) / (s_a + s_b)
    e_a, e_b = s_a - c * g_a, s_b - c * g_b
    rates = {g_a: 2 * g_a * e_a, g_b: 2 * g_b * e_b}

    def left_over(response: Any, sign: int) -> Any:
        grown = sum(sp.diff(response, g) * rate for g, rate in rates.items())
        P = g_a + g_b
        own = e_a + e_b if sign > 0 else (g_a - g_b) * (e_a - e_b) / P
        return sp.simplify(grown - (own - c * P) * response - P * (s_a + sign * s_b))

    return (
        Step("M_ab = P v_ai v_bi s_a, since y_i and x_i are U s v_i and V v_i; so dW = A G + G' - G B has x_ab =", x,
             sp.expand(sp.together(x.subs(in_time) - expression)), why="the change is that of one item's row"),
        Step("x_ab + x_ba =", even, sp.simplify(x + x.subs({s_a: s_b, s_b: s_a, g_a: g_b, g_b: g_a}, simultaneous=True)
                                               - even), why="sum and difference have equations of their own"),
        Step("x_ab - x_ba =", odd, sp.simplify(x - x.subs({s_a: s_b, s_b: s_a, g_a: g_b, g_b: g_a}, simultaneous=True)
                                              - odd), why="the other half"),
        Step("The sum obeys the linearised flow with s_a + s_b for e_a + e_b: what is left is", sp.S.Zero,
             left_over(even, 1),
             why="a check against the response to more weight, which has residuals in place of singular values"),
        Step("and the difference with s_a - s_b:", sp.S.Zero, left_over(odd, -1), why="the same for the difference"),
        Step("At t = 0 it does not vanish: the network starts aligned with the perturbed task, x_ab(0) =",
             -a0 * (s_b - s_a) / (s_b + s_a), sp.simplify(x.subs({g_a: a0, g_b: a0}) + a0 * (s_b - s_a) / (s_b + s_a)),
             why="so it is another measure: its network knows from the start what the item will weigh"),
    )  # fmt: skip


@cache
def frozen_response_form() -> ClosedForm:
    """``x_ab(t)`` of two modes of different singular value, two layers."""
    s_a, s_b = sp.symbols("s_a s_b", positive=True)
    a = mode_strength_form().expression
    strengths = (a.subs(s, s_a), a.subs(s, s_b))
    expression = (2 * s_a * s_b * strengths[1] - (s_a**2 + s_b**2) * strengths[0]) / (s_b**2 - s_a**2)
    return ClosedForm(
        name="frozen_response",
        title="Response of a pair of modes to louder targets of an item, aligned with them from the start",
        quantity=sp.Function("x_ab")(t),
        expression=expression,
        variables=pair_variables(s_a, s_b),
        unit="weight^2",
        source=SOURCE,
        conditions=(
            Condition(
                sp.And(bare(a0) > 0, bare(s_a) > 0, bare(s_b) > 0, sp.Ne(*bare(s_a, s_b))),
                "a0, s_a, s_b > 0 and s_a != s_b",
                "use equal_frozen_response_form for modes of one singular value",
            ),
            Condition(bare(t) >= 0, "t >= 0", "give times after the start of training"),
        ),
        steps=(*_rotation_steps(), *_response_steps(strengths, expression)),
    )


@cache
def equal_frozen_response_form() -> ClosedForm:
    """``x_aa(t) = s da/ds``: a mode with itself, or with another of its singular value."""
    kappa = s / (c * a0) - 1
    a, e = mode_strength_form().expression, residual_form().expression
    decayed = sp.exp(-2 * s * t)
    expression = a * (2 * e * t + (1 - decayed) / (1 + kappa * decayed))
    near, g, slope = sp.symbols("delta a a'", positive=True)
    apart = (2 * s * (s + near) * (g + near * slope) - (s**2 + (s + near) ** 2) * g) / ((s + near) ** 2 - s**2)
    return ClosedForm(
        name="equal_frozen_response",
        title="Response of a mode to louder targets of an item",
        quantity=sp.Function("x_aa")(t),
        expression=expression,
        variables=(VARIABLES[t], VARIABLES[s], VARIABLES[c], VARIABLES[a0]),
        unit="weight^2",
        source=SOURCE,
        conditions=(
            Condition(sp.And(bare(a0) > 0, bare(s) > 0), "a0 > 0 and s > 0", "give a mode that is learned"),
        ),
        steps=(
            Step("As s_b -> s_a, where no rotation is definite, the response of the pair tends to", s * slope,
                 sp.simplify(sp.limit(sp.simplify(apart), near, 0) - s * slope),
             why="the limit exists although the rotation does not: equal modes have no directions of their own"),
            Step("which for a(t) is", expression, sp.simplify(s * sp.diff(a, s) - expression),
             why="with the strength of a mode inserted"),
            Step("More weight on the item itself gives 2 a e t alone; the unperturbed Sxx adds",
                 a * (1 - decayed) / (1 + kappa * decayed),
                 sp.simplify(expression - 2 * a * e * t - a * (1 - decayed) / (1 + kappa * decayed)),
             why="the difference between the two measures is in the inputs"),
        ),
    )  # fmt: skip
