"""The classical influence function with damping, ``-g_i^T (H + damping)^{-1} g_j``, at every checkpoint.

It is what one damped Newton step on item i does to the loss of item j: with ``g_i`` the gradient of ``l_i`` and
H the Hessian of the mean loss at the checkpoint itself. During training H has negative eigenvalues, and along
them an undamped Newton step goes *up*: with a damping below ``-lambda_min`` the sign of influence is wrong on
the plateaus. For an aligned network ``H + damping`` falls into the D x D blocks of `pair_blocks`, so
nothing of the size of the Hessian is formed; ``damping -> infinity`` gives the gradient kernel, ``-K /
damping``.

Source: Koh & Liang (2017) for the influence function; blocks from derived for this project.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import scipy
import sympy as sp
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError, human_bytes
from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.posterior.coupled_forms import pair_force_steps
from workbench.theory.posterior.dense_posterior import MEMORY_LIMIT, hessian
from workbench.theory.posterior.hessian import curvature_range, pair_block_form, steepest_descent
from workbench.theory.posterior.pair_blocks import aligned_state, weight_covariances
from workbench.theory.posterior.second_order import first_order, item_pairs

Array = NDArray[np.float64]
Progress = Callable[[int], None]


@cache
def damped_pair_form() -> ClosedForm:
    """``c_ab``: what two modes contribute, ``-H_a(ij) H_b(ij) c_ab``, with the projectors H of the modes (or levels).

    `damped_newton` sums the same blocks over all pairs, those with idle hidden units and unlearned modes included.
    """
    a, b, e_a, e_b, c, d = sp.symbols("a_a a_b e_a e_b c d", positive=True)
    P = sp.Symbol("P", positive=True)
    x = sp.Matrix([sp.sqrt(b), sp.sqrt(a)])
    form = pair_block_form()
    at = dict(zip((v.symbol for v in form.variables), (a, b, e_a + c * a, e_b + c * b, c), strict=True))
    even, odd = (form.steps[k].expression.subs(at) + d * sp.eye(2) for k in (2, 3))
    rest = {sign: (d - sign * e_a, d - sign * e_b) for sign in (1, -1)}
    weight = {sign: a * rest[sign][0] + b * rest[sign][1] for sign in (1, -1)}
    inverse = {sign: weight[sign] / (c * weight[sign] + sp.prod(rest[sign])) for sign in (1, -1)}
    expression = P**2 / 2 * ((e_a + e_b) ** 2 * inverse[1] + (e_a - e_b) ** 2 * inverse[-1])
    same = 2 * P**2 * e_a**2 * a / (2 * c * a - e_a + d)

    def solved(block: sp.Matrix) -> sp.Expr:
        return (x.T * block.adjugate() * x)[0] / block.det()

    return ClosedForm(
        name="damped_pair",
        title="Damped influence function: what a pair of modes contributes",
        quantity=sp.Symbol("c_ab"),
        expression=expression,
        variables=(
            Variable(a, "strength of mode a", "weight^2"),
            Variable(b, "strength of mode b", "weight^2"),
            Variable(e_a, "residual of mode a", "loss / weight^2"),
            Variable(e_b, "residual of mode b", "loss / weight^2"),
            Variable(c, "input scale", "loss / weight^4"),
            Variable(d, "damping", "loss / weight^2"),
            Variable(P, "number of items"),
        ),
        unit="loss",
        source="derived for this project",
        conditions=(
            Condition(
                sp.And(bare(d) > bare(e_a), bare(d) > bare(e_b)),
                "d > e_a, e_b (H + damping positive definite in every pair of modes)",
                "use a damping above the largest residual",
            ),
        ),
        steps=(
            *pair_force_steps(),
            Step("The even block with damping is diagonal plus c x x^T:", even,
                 (even - sp.diag(*rest[1]) - c * x * x.T).applyfunc(sp.expand),
             why="a diagonal and one outer product: its inverse is known in closed form"),
            Step("so x^T (B+ + d)^-1 x is", inverse[1], sp.simplify(solved(even) - inverse[1]),
             why="by the formula of Sherman and Morrison"),
            Step("and in the odd block", inverse[-1], sp.simplify(solved(odd) - inverse[-1]),
             why="the same with the other sign"),
            Step("Weighted with the squared forces (e_a +- e_b)^2 / 2 and P^2:", expression,
                 sp.expand(expression - P**2 / 2 * sum((e_a + k * e_b) ** 2 * inverse[k] for k in (1, -1))),
             why="the influence of a pair: how much both items pull, over how stiff the pair is"),
            Step("A mode with itself contributes half of what two equal ones do:", same,
                 sp.simplify(expression.subs({b: a, e_b: e_a}) / 2 - same),
             why="two modes meet twice, as (a, b) and (b, a); a mode meets itself once"),
        ),
    )  # fmt: skip


def default_damping(modes: Modes, *, depth: int = 2) -> float:
    """Twice what ``-lambda_min`` never exceeds from a small start on (`steepest_descent`): 2 s_1 for two layers.

    From small unaligned weights of two layers the Hessian starts with the eigenvalues ``+-s_k`` too.
    """
    return 2.0 * steepest_descent(modes, depth)


def required_damping(modes: Modes, a: Array, *, hidden: int | Sequence[int], active: int, depth: int = 2) -> Array:
    """``(T,)`` damping that each checkpoint must exceed, ``max(-lambda_min, 0)``, from the Hessian's blocks.

    Arguments as in `damped_newton`. Units loss / weight^2.
    """
    return np.maximum(-curvature_range(modes, a, hidden, active, depth=depth)[0], 0.0)


def damped_newton(
    modes: Modes,
    a: Array,
    times: Array,
    *,
    damping: float,
    hidden: int | Sequence[int],
    active: int,
    depth: int = 2,
    indefinite: bool = False,
    progress: Progress | None = None,
) -> Array:
    """``-g_i^T (H + damping)^{-1} g_j`` of a balanced aligned network of any depth, ``(T, P, P)``, units loss.

    Args:
        modes: modes of the task.
        a: ``(T, K)`` mode strengths at the checkpoints.
        times: ``(T,)``, for error messages.
        damping: added to every eigenvalue of the Hessian, loss / weight^2.
        hidden: units of the hidden layers, all alike or one number a layer; a unit without a mode lowers the smallest
            curvature, for two layers to ``-max_k e_k``.
        active: how many modes have a hidden unit, ``min(K, widths)``.
        depth: number of layers D.
        indefinite: evaluate below the damping that is needed as well. The numbers are then no steps downhill
            and their signs cannot be trusted: for showing just that.
        progress: called with the number of checkpoints done since the last call.

    Raises:
        ConditionError: where ``H + damping`` is not positive definite, naming the damping that would do.
    """
    if not indefinite:
        needed = required_damping(modes, a, hidden=hidden, active=active, depth=depth)
        check_damping(times, needed, damping)
    state = aligned_state(modes, a, active, depth)
    pairs = item_pairs(state.groups.projectors)
    influence = np.empty((len(a), modes.n_items, modes.n_items))
    for checkpoints in state.batches():
        part = state.part(checkpoints)
        influence[checkpoints] = -pairs.matrix(first_order(part, weight_covariances(part, 1.0, damping), pairs))
        if progress:
            progress(len(part.w))
    return influence


def check_damping(times: Array, required: Array, damping: float) -> None:
    """Raise `ConditionError` at the first checkpoint that needs more damping than is given."""
    short = required >= damping
    if short.any() or not np.isfinite(damping):
        k = int(np.argmax(short))
        raise ConditionError(
            "H + damping is positive definite (damping > -lambda_min and damping > 0)",
            f"damping = {damping:g} at t = {times[k]:.4g}, which needs more than {required[k]:.4g}",
            f"use a damping above {float(required.max()):.4g}, what the worst of the {len(times)} checkpoints needs",
        )


def item_gradients(X: Array, Y: Array, W1: Array, W2: Array) -> Array:
    """``(N, P)`` gradients ``g_i`` of the item losses, in the order (W1 row by row, W2 row by row)."""
    P, H = X.shape[1], W1 @ X
    R = Y - W2 @ H
    first = -np.einsum("hi,ni->hni", W2.T @ R, X).reshape(-1, P)
    second = -np.einsum("oi,hi->ohi", R, H).reshape(-1, P)
    return np.concatenate([first, second])


def dense_damped_newton(
    X: Array,
    Y: Array,
    W1: Array,
    W2: Array,
    times: Array,
    *,
    damping: float,
    progress: Progress | None = None,
) -> Array:
    """The same for any two-layer weights ``(T, N_h, N_i)``, ``(T, N_o, N_h)``, from the explicit Hessian.

    Costs N^3 per checkpoint with ``N = N_h (N_i + N_o)``; refused where the matrices would not fit.
    """
    P, h, n_out = X.shape[1], W1.shape[1], W2.shape[1]
    refuse_if_too_large(X.shape[0], h, n_out, P)
    influence = np.empty((len(times), P, P))
    for k in range(len(times)):
        H, g = hessian(X, Y, W1[k], W2[k]), item_gradients(X, Y, W1[k], W2[k])
        smallest = float(scipy.linalg.eigvalsh(H, subset_by_index=[0, 0])[0])
        check_damping(times[k : k + 1], np.array([max(-smallest, 0.0)]), damping)
        H[np.diag_indices_from(H)] += damping
        influence[k] = -g.T @ scipy.linalg.cho_solve(scipy.linalg.cho_factor(H), g)
        if progress:
            progress(1)
    return influence


def refuse_if_too_large(n_inputs: int, hidden: int, n_outputs: int, n_items: int) -> None:
    """Raise before a Hessian is allocated that would not fit; the message names the bytes and the way out."""
    N = hidden * (n_inputs + n_outputs)
    needed = 8.0 * (3 * N**2 + 2 * N * n_items)
    if needed > MEMORY_LIMIT:
        raise WorkbenchError(
            f"a dense Hessian of {N} weights takes {human_bytes(needed)} (limit {human_bytes(MEMORY_LIMIT)}); "
            "use `init` balanced:0.01, whose influence needs no Hessian, a smaller `hidden`, or `measures` "
            "without damped_newton"
        )
