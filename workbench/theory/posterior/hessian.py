"""Hessian of the loss of a balanced aligned two-layer network: blocks, spectrum, and what a local posterior needs.

In mode coordinates ``Z = U^T dW2 R`` and ``X = R^T dW1 V`` the second variation of the loss is
``c |Z A1 + A2 X|^2 - 2 <E, Z X>``. It couples only ``Z_ab, X_ab, Z_ba, X_ba`` of one pair of modes, and the 4 x 4
block of a pair splits under ``Z_ab <-> X_ba, X_ab <-> Z_ba`` into two 2 x 2 blocks B+ and B-.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Step, Variable

Array = NDArray[np.float64]
_NOTES = "derived for this project"


@cache
def pair_block_form() -> ClosedForm:
    """Smallest curvature of a pair of learned modes, with the derivation of the blocks B+ and B-."""
    c, a, b, s_a, s_b = sp.symbols("c a_a a_b s_a s_b", positive=True)
    variables = sp.symbols("Z_ab X_ab Z_ba X_ba", real=True)
    z_aa, x_aa, z_bb, x_bb = sp.symbols("Z_aa X_aa Z_bb X_bb", real=True)
    Z = sp.Matrix([[z_aa, variables[0]], [variables[2], z_bb]])
    X = sp.Matrix([[x_aa, variables[1]], [variables[3], x_bb]])
    A, E = sp.diag(sp.sqrt(a), sp.sqrt(b)), sp.diag(s_a - c * a, s_b - c * b)
    change = Z * A + A * X
    second = sp.expand(c * sum(entry**2 for entry in change) - 2 * sum((E.T * Z * X)[i, i] for i in range(2)))
    block = sp.hessian(second, variables) / 2
    plus = sp.Matrix([[1, 0, 0, 1], [0, 1, 1, 0]]) / sp.sqrt(2)
    minus = sp.Matrix([[1, 0, 0, -1], [0, 1, -1, 0]]) / sp.sqrt(2)
    root = c * sp.sqrt(a * b)
    B_plus = sp.Matrix([[c * (a + b) - s_a, root], [root, c * (a + b) - s_b]])
    B_minus = sp.Matrix([[c * (b - a) + s_a, root], [root, c * (a - b) + s_b]])
    low = c * (a + b) - (s_a + s_b) / 2 - sp.sqrt((s_a - s_b) ** 2 / 4 + c**2 * a * b)
    return ClosedForm(
        name="pair_curvature",
        title="Smallest curvature in the symmetric block of two learned modes",
        quantity=sp.Symbol("lambda_ab"),
        expression=low,
        variables=(
            Variable(a, "strength of mode a", "weight^2"),
            Variable(b, "strength of mode b", "weight^2"),
            Variable(s_a, "singular value of mode a", "loss / weight^2"),
            Variable(s_b, "singular value of mode b", "loss / weight^2"),
            Variable(c, "input scale", "loss / weight^4"),
        ),
        unit="loss / weight^2",
        source=_NOTES,
        steps=(
            Step("Second variation of the loss of two modes:", second),
            Step("Its block in (Z_ab, X_ab, Z_ba, X_ba):", block),
            Step("Even combinations (Z_ab + X_ba, X_ab + Z_ba)/sqrt 2:", B_plus, plus * block * plus.T - B_plus),
            Step("Odd combinations (Z_ab - X_ba, X_ab - Z_ba)/sqrt 2:", B_minus, minus * block * minus.T - B_minus),
            Step("Even and odd do not mix:", sp.zeros(2), plus * block * minus.T),
            Step(
                "The smaller eigenvalue of the even block:",
                low,
                sp.expand((B_plus - low * sp.eye(2)).det()),
            ),
        ),
    )


def hessian_spectrum(modes: Modes, a: Array, hidden: int, n_inputs: int, n_outputs: int, active: int) -> Array:
    """All eigenvalues of the Hessian of L on the aligned balanced manifold, ``(T, N_h (N_i + N_o))``, ascending.

    Args:
        modes: modes of the task.
        a: ``(T, K)`` strengths of all modes (0 for those without a hidden unit).
        hidden: N_h.
        n_inputs: N_i.
        n_outputs: N_o.
        active: how many modes have a hidden direction of their own, ``min(N_h, K)``.

    Units loss / weight^2. Agrees with dense eigenvalues to rounding.
    """
    T, K, r, c, P = len(a), active, modes.rank, modes.c, modes.n_items
    learned, s = a[:, :K], modes.s
    first, second = np.triu_indices(K, 1)
    a1, a2, s1, s2 = learned[:, first], learned[:, second], s[first], s[second]
    root_plus = np.sqrt((s1 - s2) ** 2 / 4 + c**2 * a1 * a2)
    root_minus = np.sqrt(((s1 - s2) / 2 - c * (a1 - a2)) ** 2 + c**2 * a1 * a2)
    e = s - c * a
    idle = hidden - K
    unlearned = s[K:]
    null = (n_outputs - r) + (P - r)
    parts = [
        c * (a1 + a2) - (s1 + s2) / 2 + root_plus,
        c * (a1 + a2) - (s1 + s2) / 2 - root_plus,
        (s1 + s2) / 2 + root_minus,
        (s1 + s2) / 2 - root_minus,
        3 * c * learned - s[:K],
        s[:K] - c * learned,
        (c * learned[:, :, None] + unlearned).reshape(T, -1),
        (c * learned[:, :, None] - unlearned).reshape(T, -1),
        np.repeat(c * learned, null, axis=1),
        np.repeat(e, idle, axis=1),
        np.repeat(-e, idle, axis=1),
        np.zeros((T, idle * null + hidden * (n_inputs - P))),
    ]
    return np.sort(np.concatenate(parts, axis=1), axis=1)


def curvature_range(modes: Modes, a: Array, hidden: int, active: int) -> tuple[Array, Array]:
    """``(T,)`` smallest and ``(T,)`` largest eigenvalue of the Hessian, from the same blocks as `hessian_spectrum`.

    The smallest obeys ``lambda_min >= -max_k e_k``, with equality as soon as one hidden unit is idle.
    """
    learned, s, c = a[:, :active], modes.s, modes.c
    e = np.maximum(s - c * a, 0)
    first, second = np.triu_indices(active, 1)
    a1, a2, s1, s2 = learned[:, first], learned[:, second], s[first], s[second]
    mean = c * (a1 + a2) - (s1 + s2) / 2
    spread = np.sqrt((s1 - s2) ** 2 / 4 + c**2 * a1 * a2)
    odd = np.sqrt(((s1 - s2) / 2 - c * (a1 - a2)) ** 2 + c**2 * a1 * a2)
    high = [3 * c * learned - s[:active], s[:active] - c * learned, mean + spread, (s1 + s2) / 2 + odd]
    low = [3 * c * learned - s[:active], mean - spread]
    if active < modes.rank:
        high.append(c * learned + s[active])
        low.append(c * learned - s[active])
    if hidden > active:
        high.append(e)
        low.append(-e)
    return np.concatenate(low, axis=1).min(axis=1), np.concatenate(high, axis=1).max(axis=1)


def default_n_beta(modes: Modes) -> float:
    """Inverse temperature at which the local posterior resolves the task's losses: 100 where they are of order 1.

    Only ``n beta`` times a loss has no units. Where the learnable loss is more than a factor 100 from 2, that of the
    default tree, n beta follows it, rounded to one digit.
    """
    return 100.0 if ordinary_loss(modes) else float(f"{200.0 / modes.learnable_loss:.0e}")


def ordinary_loss(modes: Modes) -> bool:
    """Whether the learnable loss is within a factor 100 of that of the default tree, 2."""
    return 0.02 <= modes.learnable_loss <= 200.0


def required_gamma(modes: Modes, n_beta: float, safety: float = 20.0) -> float:
    """Localization that makes the local posterior Gaussian at every checkpoint of training.

    The posterior exists where ``gamma > n beta max_k e_k``, and ``e_k`` never exceeds the largest singular value;
    ``safety`` times that bound, rounded up to one digit. On the default tree with n beta = 100 it gives 1000,
    where the Gaussian prediction is within 1% of exact sampling.
    """
    exact = safety * n_beta * float(modes.s[0])
    digits = 10.0 ** int(np.floor(np.log10(exact)))
    return float(np.ceil(exact / digits - 1e-9) * digits)


def check_local_posterior(times: Array, lambda_min: Array, n_beta: float, gamma: float) -> None:
    """Raise `ConditionError` at the first checkpoint where ``n beta H + gamma`` is not positive definite."""
    if not n_beta > 0 or not gamma > 0:
        raise ConditionError("n beta > 0 and gamma > 0", f"n beta = {n_beta:g}, gamma = {gamma:g}", "use the defaults")
    short = -n_beta * lambda_min >= gamma
    if short.any():
        k = int(np.argmax(short))
        needed = float((-n_beta * lambda_min).max())
        raise ConditionError(
            "the local posterior exists (gamma > -n beta lambda_min)",
            f"gamma = {gamma:g} at t = {times[k]:.4g}, where lambda_min = {lambda_min[k]:.4g}",
            f"use gamma above {needed:.4g} (20 times that for an accurate Gaussian prediction), or a smaller n beta",
        )
