"""When the one-step influence of an item on another changes sign, and when it peaks.

The influence of two items is ``-P^2 R_m[e^2] R_m[a]``. Where broader levels have the larger singular values,
``R_m[a]`` stays positive and the influence flips where ``R_m[e^2] = 0``: an implicit equation without elementary
solution, solved here to rounding error. Where they have not, the roots of ``R_m[a]`` are flips too.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.semantics.hierarchy import Hierarchy
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.influence.tree_kernel import projector_step, relation, tree_kernel_form, tree_kernel_in_time
from workbench.theory.modes.balanced import VARIABLES, a0, c, residual_form, s, t
from workbench.theory.roots import sign_changes

Array = NDArray[np.float64]


What = Literal["residuals", "strengths", "influence", "slope"]


@cache
def _compiled(cover: tuple[int, ...], m: int, empty: frozenset[int], what: What) -> Any:
    form = tree_kernel_in_time(cover, m, empty)
    expression = sp.diff(form.influence, t) if what == "slope" else getattr(form, what)
    return sp.lambdify(form.symbols, expression, modules="numpy", cse=True)


def _grid(s_levels: Array, c_value: float, a0_value: float, points: int = 4000) -> Array:
    # Every feature of the kernel lies before the slowest mode's rise is over; e decays as e^{-2 s t} after it.
    positive = np.delete(s_levels, list(_empty(s_levels)))
    ends = np.log(np.maximum(positive / (c_value * a0_value) - 1, 2.0)) / (2 * positive) + 20 / (2 * positive)
    return np.linspace(0.0, float(ends.max()), points)


def _levels(hierarchy: Hierarchy, s_levels: ArrayLike, a0_value: float) -> Array:
    values = np.asarray(s_levels, dtype=np.float64)
    if values.shape != (hierarchy.depth + 1,):
        raise WorkbenchError(
            f"{values.size} singular values for a tree of depth {hierarchy.depth}; "
            f"give one per level 0..{hierarchy.depth}"
        )
    if not a0_value > 0:
        raise ConditionError(
            "a0 > 0", f"a0 = {a0_value:g}", "give the common initial strength of the modes, such as 0.01"
        )
    return values


def _empty(s_levels: Array) -> frozenset[int]:
    return frozenset(int(k) for k in np.flatnonzero(s_levels <= 1e-12 * s_levels.max()))


def kernel_on_tree(
    hierarchy: Hierarchy, s_levels: ArrayLike, times: ArrayLike, *, a0: float, c: float | None = None
) -> Array:
    """``(D, T)`` influence ``-K`` of pairs with common ancestor on level m = 0..D-1, all modes starting at a0.

    Negative helps. A level with singular value 0 has nothing to learn and no mode.
    """
    values = _levels(hierarchy, s_levels, a0)
    scale = 1 / hierarchy.n_items if c is None else c
    t_values = np.asarray(times, dtype=np.float64)
    return np.stack(
        [
            np.broadcast_to(
                _compiled(hierarchy.cover, m, _empty(values), "influence")(t_values, scale, a0, *values), t_values.shape
            )
            for m in range(hierarchy.depth)
        ]
    )


def flip_times(hierarchy: Hierarchy, s_levels: ArrayLike, *, a0: float, c: float | None = None) -> tuple[Array, ...]:
    """Sign changes of the gradient kernel, for each level m = 0..D-1 of the common ancestor.

    Args:
        hierarchy: the tree.
        s_levels: ``(D + 1,)`` singular values of Syx by level, as from
            `HierarchySpectrum.singular_values`.
        a0: common initial strength of all modes.
        c: input scale; 1/P (one-hot) unless given.

    Returns:
        For each m the flow times at which ``R_m[e^2] R_m[a]`` changes sign, ascending; usually one.

    >>> from workbench.theory.modes.spectrum import hierarchy_spectrum
    >>> tree = Hierarchy((2, 2, 2))
    >>> levels = hierarchy_spectrum(tree).singular_values(q0=1, q1=1, q2=1, q3=1)
    >>> [round(float(times[0]), 6) for times in flip_times(tree, levels, a0=0.01)]
    [5.819262, 7.092165, 10.196517]
    """
    values = _levels(hierarchy, s_levels, a0)
    scale = 1 / hierarchy.n_items if c is None else c
    grid = _grid(values, scale, a0)
    empty = _empty(values)
    # Far beyond its last feature R_m[e^2] underflows; dividing by the slowest residual keeps its sign.
    slowest = 4 * np.delete(values, list(empty)).min()

    def flips(m: int) -> Array:
        residuals, strengths = (_compiled(hierarchy.cover, m, empty, what) for what in ("residuals", "strengths"))
        return sign_changes(
            lambda u: (
                residuals(u, scale, a0, *values)
                * strengths(u, scale, a0, *values)
                * np.exp(np.minimum(slowest * u, 600))
            ),
            grid[1:],
        )

    return tuple(flips(m) for m in range(hierarchy.depth))


def peak_times(hierarchy: Hierarchy, s_levels: ArrayLike, *, a0: float, c: float | None = None) -> tuple[Array, ...]:
    """Times at which the gradient kernel has a maximum or minimum, for each common level m = 0..D-1."""
    values = _levels(hierarchy, s_levels, a0)
    scale = 1 / hierarchy.n_items if c is None else c
    grid = _grid(values, scale, a0)

    def peaks(m: int) -> Array:
        function = _compiled(hierarchy.cover, m, _empty(values), "slope")
        return sign_changes(lambda u: np.broadcast_to(function(u, scale, a0, *values), u.shape), grid)

    return tuple(peaks(m) for m in range(hierarchy.depth))


@cache
def flip_equation_form(cover: tuple[int, ...], m: int) -> ClosedForm:
    """The implicit equation of the flip, ``R_m[e^2] = 0``, as a function of time."""
    form = tree_kernel_in_time(cover, m)
    expression, symbols = form.residuals, form.symbols
    singular = symbols[3:]
    e, a = (sp.symbols(f"{x}_0:{len(cover)}", positive=True) for x in "ea")
    residual = residual_form().expression
    of_e, shared = relation([x**2 for x in e], cover, m), relation(a, cover, m)
    in_residuals = {s_k: e_k + c * a_k for s_k, e_k, a_k in zip(singular, e, a, strict=True)}
    in_time = {e_k: residual.subs(s, s_k) for e_k, s_k in zip(e, singular, strict=True)}
    return ClosedForm(
        name=f"flip_equation_m{m}",
        title=f"Sign of the kernel for a common ancestor on level {m}: it flips where this vanishes",
        quantity=sp.Symbol(f"R_{m}[e^2]"),
        expression=expression,
        variables=(
            VARIABLES[t],
            VARIABLES[c],
            VARIABLES[a0],
            *(Variable(x, f"singular value of level {k}", "loss / weight^2") for k, x in enumerate(singular)),
        ),
        unit="loss^2 / weight^4",
        source="derived for this project",
        conditions=(
            Condition(sp.And(bare(a0) > 0, bare(t) >= 0), "a0 > 0 and t >= 0", "start every mode at the same a0 > 0"),
        ),
        steps=(
            projector_step(cover, m),
            Step(
                "With e_k the residual of level k, the influence is -P^2 R_m[a] times R_m[e^2]:",
                relation([x**2 for x in e], cover, m),
                sp.expand(tree_kernel_form(cover, m).expression.subs(in_residuals) + cover[0] ** 2 * shared * of_e),
                "R_m[a] says how alike the items look to the network, R_m[e^2] whether their errors agree: as long as "
                "what they share is unlearned, teaching one teaches the other; once it is learned, only what tells "
                "them apart is left, and they pull in opposite directions",
            ),
            Step(
                "Each residual follows the closed form of its mode, de/dt = -2 (s - e) e:",
                residual,
                sp.simplify(sp.diff(residual, t) + 2 * (s - residual) * residual),
                "with every residual known in time, the sign of the influence is a question of one equation",
            ),
            Step(
                "so in time R_m[e^2] is",
                expression,
                expression - of_e.subs(in_time),
                why="its zero is the time of the flip",
            ),
        ),
    )


@cache
def flip_limit_form() -> ClosedForm:
    """Flip time in the limit a0 -> 0: level m is rising, all above are learned, all below untouched.

    With ``beta = sqrt(M_{m-1} / (M_{m-1} - M_m))`` (sqrt 2 on a binary tree; 1 for m = 0) the balance
    ``e_m = beta s_{m+1}`` is reached at ``t = ln[kappa (s_m / (beta s_{m+1}) - 1)] / (2 s_m)``. Where s_m is close
    to ``beta s_{m+1}`` the limit is slow: on the default tree it is 35% early at a0 = 0.01, 1e-4 off at 1e-8.
    """
    beta, s_next = sp.symbols("beta s_next", positive=True)
    kappa = s / (c * a0) - 1
    expression = sp.log(kappa * (s / (beta * s_next) - 1)) / (2 * s)
    residual = residual_form().expression
    e_m, above, below = sp.symbols("e_m M_above M_m", positive=True)
    # relation() with e_{m-1} = 0: only its last two terms remain.
    shared = (0 - e_m**2) / above + (e_m**2 - s_next**2) / below
    return ClosedForm(
        name="flip_limit",
        title="Sign flip of the kernel for a vanishing initial strength",
        quantity=sp.Symbol("t_flip"),
        expression=expression,
        variables=(
            Variable(s, "singular value of the common ancestor's level m", "loss / weight^2"),
            Variable(s_next, "singular value of level m + 1", "loss / weight^2"),
            Variable(beta, "sqrt(M_{m-1}/(M_{m-1} - M_m)); 1 for m = 0"),
            VARIABLES[c],
            VARIABLES[a0],
        ),
        unit="time",
        source="derived for this project",
        conditions=(
            Condition(
                bare(s) > bare(beta) * bare(s_next),
                "s_m > beta s_{m+1} (otherwise the kernel is negative from the start)",
                "solve the implicit equation with flip_times instead",
            ),
        ),
        steps=(
            Step(
                "R_m[e^2] with e_k = 0 above and e_k = s_k below, times M_{m-1} M_m/(M_{m-1} - M_m), is e_m^2 - beta^2 "
                "s_{m+1}^2 with beta^2 = M_{m-1}/(M_{m-1} - M_m): it vanishes when the level's residual is",
                beta * s_next,
                sp.simplify(shared * above * below / (above - below) - (e_m**2 - s_next**2 * above / (above - below))),
                why="from a vanishing start levels are learned in turn: above all is learned, below nothing is",
            ),
            Step(
                "The residual has this value at",
                expression,
                sp.simplify(residual.subs(t, expression)) - beta * s_next,
                why="the time at which a level has learned so much follows from its own curve",
            ),
        ),
    )
