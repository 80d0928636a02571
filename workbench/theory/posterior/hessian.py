"""Hessian of the loss of a balanced aligned two-layer network: blocks, spectrum, and what a local posterior needs.

In mode coordinates ``Z = U^T dW2 R`` and ``X = R^T dW1 V`` the second variation of the loss is
``c |Z A1 + A2 X|^2 - 2 <E, Z X>``. It couples only ``Z_ab, X_ab, Z_ba, X_ba`` of one pair of modes, and the 4 x 4
block of a pair splits under ``Z_ab <-> X_ba, X_ab <-> Z_ba`` into two 2 x 2 blocks B+ and B-.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Step, Variable
from workbench.theory.posterior.pair_blocks import AlignedState, aligned_state, pair_blocks, self_curvatures

Array = NDArray[np.float64]
_NOTES = "derived for this project"


_PAIR = sp.symbols("c a_a a_b s_a s_b", positive=True)
_VARIABLES = tuple(
    Variable(symbol, meaning, unit)
    for symbol, meaning, unit in (
        (_PAIR[1], "strength of mode a", "weight^2"),
        (_PAIR[2], "strength of mode b", "weight^2"),
        (_PAIR[3], "singular value of mode a", "loss / weight^2"),
        (_PAIR[4], "singular value of mode b", "loss / weight^2"),
        (_PAIR[0], "input scale", "loss / weight^4"),
    )
)


@cache
def pair_block_form() -> ClosedForm:
    """Smallest curvature of a pair of learned modes, with the derivation of the blocks B+ and B-."""
    c, a, b, s_a, s_b = _PAIR
    variables, eta = sp.symbols("Z_ab X_ab Z_ba X_ba", real=True), sp.Symbol("eta")
    z_aa, x_aa, z_bb, x_bb = sp.symbols("Z_aa X_aa Z_bb X_bb", real=True)
    Z = sp.Matrix([[z_aa, variables[0]], [variables[2], z_bb]])
    X = sp.Matrix([[x_aa, variables[1]], [variables[3], x_bb]])
    A, E = sp.diag(sp.sqrt(a), sp.sqrt(b)), sp.diag(s_a - c * a, s_b - c * b)
    change = Z * A + A * X
    second = sp.expand(c * sum(entry**2 for entry in change) - 2 * sum((E.T * Z * X)[i, i] for i in range(2)))
    block = sp.hessian(second, variables) / 2
    left = E + c * A * A - c * (A + eta * Z) * (A + eta * X)
    varied = sp.diff(sum(entry**2 for entry in left) / (2 * c), eta, 2).subs(eta, 0)
    plus, minus = (sp.Matrix([[1, 0, 0, sign], [0, 1, sign, 0]]) / sp.sqrt(2) for sign in (1, -1))
    root = c * sp.sqrt(a * b)
    B_plus = sp.Matrix([[c * (a + b) - s_a, root], [root, c * (a + b) - s_b]])
    B_minus = sp.Matrix([[c * (b - a) + s_a, root], [root, c * (a - b) + s_b]])
    low = c * (a + b) - (s_a + s_b) / 2 - sp.sqrt((s_a - s_b) ** 2 / 4 + c**2 * a * b)
    return ClosedForm(
        name="pair_curvature",
        title="Smallest curvature in the symmetric block of two learned modes",
        quantity=sp.Symbol("lambda_ab"),
        expression=low,
        variables=_VARIABLES,
        unit="loss / weight^2",
        source=_NOTES,
        steps=(
            Step(
                "Second variation of the loss of two modes:",
                second,
                sp.expand(varied - second),
                why="the curvature is what damps a Newton step and holds a posterior together",
            ),
            Step(
                "Its block in (Z_ab, X_ab, Z_ba, X_ba):",
                block,
                block - sp.hessian(sp.expand(varied), variables).subs(dict.fromkeys((z_aa, x_aa, z_bb, x_bb), 0)) / 2,
                why="of all weights only these four carry one mode into the other",
            ),
            Step(
                "Even combinations (Z_ab + X_ba, X_ab + Z_ba)/sqrt 2:",
                B_plus,
                plus * block * plus.T - B_plus,
                why="exchanging the layers leaves the block as it is, so it falls into two halves",
            ),
            Step(
                "Odd combinations (Z_ab - X_ba, X_ab - Z_ba)/sqrt 2:",
                B_minus,
                minus * block * minus.T - B_minus,
                why="the other half",
            ),
            Step("Even and odd do not mix:", sp.zeros(2), plus * block * minus.T, why="by the same exchange"),
            Step(
                "The smaller eigenvalue of the even block:",
                low,
                sp.expand((B_plus - low * sp.eye(2)).det()),
                why="where it is below 0 the network stands on a saddle: damping must exceed its size",
            ),
        ),
    )


def hessian_spectrum(
    modes: Modes, a: Array, hidden: int | Sequence[int], n_inputs: int, n_outputs: int, active: int, *, depth: int = 2
) -> Array:
    """All eigenvalues of the Hessian of L on the aligned balanced manifold, ``(T, N)``, ascending.

    Args:
        modes: modes of the task.
        a: ``(T, K)`` strengths of all modes (0 for those without a hidden unit).
        hidden: units of the hidden layers, all alike or one number a layer.
        n_inputs: N_i.
        n_outputs: N_o.
        active: how many modes have a hidden direction of their own, ``min(K, widths)``.
        depth: number of layers D.

    Units loss / weight^2. Agrees with dense eigenvalues to rounding.
    """
    widths = layer_widths(hidden, depth)
    sizes = [n_inputs, *widths, n_outputs]
    n_weights = sum(after * before for before, after in pairwise(sizes))
    if depth == 1:
        curved = n_outputs * modes.n_items
        values = np.r_[np.zeros(n_weights - curved), np.full(curved, modes.c)]
        return np.broadcast_to(values, (len(a), n_weights)).copy()
    state = aligned_state(modes, a, active, depth)
    null = modes.c * state.w ** (2 * depth - 2)
    parts = _curvatures(state, widths)
    flat = n_outputs - modes.rank + modes.n_items - modes.rank
    parts.append((null, state.groups.size * state.groups.learned * flat))
    values = np.concatenate([np.repeat(v, np.asarray(count, dtype=int), axis=1) for v, count in parts], axis=1)
    # The rest lies in directions that no item feels.
    return np.sort(np.pad(values, ((0, 0), (0, n_weights - values.shape[1]))), axis=1)


def curvature_range(
    modes: Modes, a: Array, hidden: int | Sequence[int], active: int, *, depth: int = 2
) -> tuple[Array, Array]:
    """``(T,)`` smallest and ``(T,)`` largest eigenvalue of the Hessian, from the same blocks as `hessian_spectrum`.

    For two layers the smallest obeys ``lambda_min >= -max_k e_k``, with equality as soon as one hidden unit is idle;
    beyond, ``lambda_min >= -(D - 1) max_k e_k max_k w_k^{D-2}`` (`steepest_descent`).
    """
    if depth == 1:
        return np.full(len(a), modes.c), np.full(len(a), modes.c)
    parts = _curvatures(aligned_state(modes, a, active, depth), layer_widths(hidden, depth))
    values = np.concatenate([v[:, np.asarray(count) > 0] for v, count in parts], axis=1)
    return values.min(axis=1), values.max(axis=1)


def layer_widths(hidden: int | Sequence[int], depth: int) -> tuple[int, ...]:
    """``(D - 1,)`` units of the hidden layers."""
    return (hidden,) * (depth - 1) if isinstance(hidden, int) else tuple(hidden)


def _curvatures(state: AlignedState, widths: Sequence[int]) -> list[tuple[Array, Array]]:
    """Eigenvalues ``(T, m)`` and how often each occurs ``(m,)``, but for flat directions and outputs without a mode."""
    D, groups, T = state.depth, state.groups, len(state.w)
    size, learned, signal = groups.size, groups.learned, state.has_output
    first, second = np.triu_indices(len(size))
    both = learned[first] & learned[second]
    first, second = first[both], second[both]
    pairs = np.where(first == second, size[first] * (size[first] - 1) / 2, size[first] * size[second])
    blocks = [_eigenvalues(block) for block in pair_blocks(state, first, second)]
    along, across = self_curvatures(state)
    active = int(size[learned].sum())
    # Beyond two layers a mode without hidden unit has no weight into or out of an idle one that would bend.
    idle = sum(width - active for width in widths) * size * (learned | (signal & (D == 2)))
    bend = np.abs(state.e) * state.w ** (D - 2)
    above, below = np.nonzero(~learned & signal)[0], np.nonzero(learned)[0]
    missing = size[above][:, None] * size[below]
    alone = state.c * state.w[:, None, below] ** (2 * D - 2)
    reach = state.e[:, above, None] * state.w[:, None, below] ** (D - 2)
    return [
        *((block.reshape(T, -1), np.repeat(pairs, D)) for block in blocks),
        (along, size * learned),
        (across, (D - 1) * size * learned),
        ((alone + reach).reshape(T, -1), missing.ravel()),
        ((alone - reach).reshape(T, -1), missing.ravel()),
        (bend, idle),
        (-bend, idle),
    ]


def _eigenvalues(blocks: Array) -> Array:
    """Of symmetric matrices on the last two axes."""
    if blocks.shape[-1] != 2:
        return np.asarray(np.linalg.eigvalsh(blocks))
    mean, half = (blocks[..., 0, 0] + blocks[..., 1, 1]) / 2, (blocks[..., 0, 0] - blocks[..., 1, 1]) / 2
    spread = np.hypot(half, blocks[..., 0, 1])
    return np.stack([mean - spread, mean + spread], axis=-1)


def default_n_beta(modes: Modes) -> float:
    """Inverse temperature at which the local posterior resolves the task's losses: 100 where they are of order 1.

    Only ``n beta`` times a loss has no units. Where the learnable loss is more than a factor 100 from 2, that of the
    default tree, n beta follows it, rounded to one digit.
    """
    return 100.0 if ordinary_loss(modes) else float(f"{200.0 / modes.learnable_loss:.0e}")


def ordinary_loss(modes: Modes) -> bool:
    """Whether the learnable loss is within a factor 100 of that of the default tree, 2."""
    return 0.02 <= modes.learnable_loss <= 200.0


def steepest_descent(modes: Modes, depth: int = 2) -> float:
    """What ``-lambda_min`` never exceeds from a small start on, ``(D - 1) s_1 (s_1/c)^{(D-2)/D}``; s_1 for D = 2.

    The residual part of the Hessian is a sum over the pairs of layers, each of which is at most ``max_k e_k`` times the
    ``D - 2`` layers between, and ``2 sum_{l<m} |Z^l| |Z^m| <= (D - 1) sum_l |Z^l|^2``.
    """
    s = float(modes.s[0])
    return float(max(depth - 1, 1) * s * (s / modes.c) ** (max(depth - 2, 0) / depth))


def required_gamma(modes: Modes, n_beta: float, safety: float = 20.0, *, depth: int = 2) -> float:
    """Localization that makes the local posterior Gaussian at every checkpoint of training.

    The posterior exists where ``gamma > -n beta lambda_min``, which `steepest_descent` bounds; ``safety`` times that
    bound, rounded up to one digit. On the default tree with n beta = 100 and two layers it gives 1000, where the
    Gaussian prediction is within 1% of exact sampling.
    """
    exact = safety * n_beta * steepest_descent(modes, depth)
    digits = 10.0 ** int(np.floor(np.log10(exact)))
    return float(np.ceil(exact / digits - 1e-9) * digits)


def check_local_posterior(times: Array, lambda_min: Array, n_beta: float, gamma: float) -> None:
    """Raise `ConditionError` at the first checkpoint where ``n beta H + gamma`` is not positive definite."""
    if not n_beta >= 0 or not gamma > 0:
        raise ConditionError("n beta >= 0 and gamma > 0", f"n beta = {n_beta:g}, gamma = {gamma:g}", "use the defaults")
    short = -n_beta * lambda_min >= gamma
    if short.any():
        k = int(np.argmax(short))
        needed = float((-n_beta * lambda_min).max())
        raise ConditionError(
            "the local posterior exists (gamma > -n beta lambda_min)",
            f"gamma = {gamma:g} at t = {times[k]:.4g}, where lambda_min = {lambda_min[k]:.4g}",
            f"use gamma above {needed:.4g} (20 times that for an accurate Gaussian prediction), or a smaller n beta",
        )
