"""Influence in an aligned network of two layers whose layers differ in size, ``w2^2 - w1^2 = lambda`` in every mode.

With ``a = w1 w2`` and ``e = s - c a`` (weights and strengths from `mode_weights`)::

    -K_ij = -P^2 [ (sum_a e_a^2 v_ai v_aj)(sum_b w1_b^2 v_bi v_bj) + delta_ij sum_a w2_a^2 e_a^2 v_ai^2 ]

The Hessian of a pair of modes in (Z_ab, X_ab, Z_ba, X_ba) no longer splits; its 4 x 4 block is inverted as it is.

**From rich to lazy.** Off the diagonal the sign is that of ``-R_m[e^2] R_m[w1^2]`` on a tree. Residuals decay at the
rates ``sqrt(c^2 lambda^2 + 4 s_k^2)``, the weaker modes slower at every finite lambda, so ``R_m[e^2]`` changes sign at
every lambda: the flip never disappears, what is left of the harm does (`harm_over_help`). Dog on sparrow of the default
tree at a0 = .01: harm over help is 1.2 for lambda -> 0, .18 at 1, .02 at 3, 2e-3 at 5, 1e-6 at 10.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Step, Variable
from workbench.theory.modes.balanced import c
from workbench.theory.modes.unbalanced_weights import mode_weights

Array = NDArray[np.float64]


def unbalanced_kernel(modes: Modes, w1: Array, w2: Array) -> Array:
    """One-step influence ``-K`` from the weights ``(T, K)`` of the modes, ``(T, P, P)``; negative helps."""
    V = modes.V[:, : modes.rank]
    e2 = (modes.s - modes.c * w1 * w2) ** 2
    kernel = ((V * e2[:, None]) @ V.T) * ((V * (w1**2)[:, None]) @ V.T)
    diagonal = np.arange(modes.n_items)
    kernel[:, diagonal, diagonal] += (w2**2 * e2) @ (V**2).T
    return np.asarray(-(modes.n_items**2) * kernel)


def unbalanced_pair_blocks(s: Array, c: float, w1: Array, w2: Array) -> tuple[Array, Array]:
    """Hessian of all pairs of modes in (Z_ab, X_ab, Z_ba, X_ba), ``(K, K, 4, 4)``, and of single ones ``(K, 2, 2)``."""
    e, K = s - c * w1 * w2, len(s)
    F = np.zeros((K, K, 2, 4))
    F[..., 0, 0], F[..., 0, 1] = w1[None, :], w2[:, None]
    F[..., 1, 2], F[..., 1, 3] = w1[:, None], w2[None, :]
    pairs = c * np.swapaxes(F, -1, -2) @ F
    for row, column, bend in ((0, 3, e[:, None]), (1, 2, e[None, :])):
        pairs[..., row, column] -= bend
        pairs[..., column, row] -= bend
    own = c * np.stack([np.stack([w1**2, w1 * w2], -1), np.stack([w1 * w2, w2**2], -1)], -2)
    own[:, 0, 1] -= e
    own[:, 1, 0] -= e
    return pairs, own


def unbalanced_newton(modes: Modes, w1: Array, w2: Array, *, damping: float) -> Array:
    """``-g_i^T (H + damping)^{-1} g_j`` at one checkpoint, ``(P, P)``; every mode has a hidden unit, weights ``(K,)``.

    With ``damping = gamma / n beta``, over n beta, it is the first order of the local BIF at the checkpoint.
    """
    V, e = modes.V[:, : modes.rank], modes.s - modes.c * w1 * w2
    pairs, own = unbalanced_pair_blocks(modes.s, modes.c, w1, w2)
    force = np.stack(np.broadcast_arrays(
        e[:, None] * w1[None, :], e[:, None] * w2[:, None], e[None, :] * w1[:, None], e[None, :] * w2[None, :]
    ), axis=-1)  # fmt: skip
    weights = np.einsum("abk,abkl,abl->ab", force, np.linalg.inv(pairs + damping * np.eye(4)), force) / 2
    alone = np.stack([e * w1, e * w2], axis=-1)
    np.fill_diagonal(weights, np.einsum("ak,akl,al->a", alone, np.linalg.inv(own + damping * np.eye(2)), alone))
    products = V[:, None, :] * V[None, :, :]
    total = np.einsum("ija,ab,ijb->ij", products, weights, products)
    # Inputs without a mode meet the second layer alone: X_ab of curvature c w2_a^2.
    rest = np.eye(modes.n_items) - V @ V.T
    total += ((products * (e**2 * w2**2 / (modes.c * w2**2 + damping))).sum(axis=-1)) * rest
    return np.asarray(-(modes.n_items**2) * total)


def harm_over_help(modes: Modes, source: int, target: int, lam: ArrayLike, *, a0: float, points: int = 4000) -> Array:
    """Largest harm over largest help of one item to another by the one-step influence, for each imbalance lambda."""
    ratios = []
    for value in np.ravel(np.asarray(lam, dtype=np.float64)):
        slowest = np.hypot(modes.c * value, 2 * modes.s[-1])
        t = np.linspace(0.0, (40.0 + np.log(modes.s[0] / (modes.c * a0))) / slowest, points)[:, None]
        w1, w2 = mode_weights(t, modes.s, c=modes.c, a0=a0, lam=value)
        curve = unbalanced_kernel(modes, w1, w2)[:, source, target]
        ratios.append(max(float(curve.max()), 0.0) / -float(curve.min()))
    return np.array(ratios).reshape(np.shape(lam))


@cache
def unbalanced_kernel_form() -> ClosedForm:
    """The one-step influence of two items, from the gradients of an explicit network with unequal layers."""
    e1, e2, x1, x2, z1, z2 = sp.symbols("e1 e2 x1 x2 z1 z2", real=True)
    P = sp.Integer(2)
    V, first, second = sp.Matrix([[1, 1], [1, -1]]) / sp.sqrt(2), sp.diag(x1, x2), sp.diag(z1, z2)
    W1, W2 = (sp.Matrix(2, 2, sp.symbols(f"w{k}_1:3_1:3", real=True)) for k in (1, 2))
    targets = (sp.diag(e1, e2) + c * second * first) * V.T * sp.sqrt(P / c)
    at = dict(zip((*W1, *W2), (*(first * V.T), *second), strict=True))
    gradients = []
    for i in range(2):
        r = targets[:, i] - sp.sqrt(c * P) * (W2 * W1)[:, i]
        gradients.append(sp.Matrix([sp.diff((r.T * r)[0] / 2, w).subs(at) for w in (*W1, *W2)]))
    expression = -(e1**2 - e2**2) * (x1**2 - x2**2)
    own = (e1**2 + e2**2) * (x1**2 + x2**2) + 2 * (e1**2 * z1**2 + e2**2 * z2**2)
    lam, s = sp.symbols("lamda s", positive=True)
    slow = sp.sqrt(c**2 * lam**2 + 4 * s**2)
    return ClosedForm(
        name="unbalanced_kernel",
        title="One-step influence between two items in a network with unequal layers",
        quantity=-sp.Symbol("K_12"),
        expression=expression,
        variables=(
            Variable(e1, "residual of the mean mode", "loss / weight^2"),
            Variable(e2, "residual of the contrast mode", "loss / weight^2"),
            Variable(x1, "first-layer weight of the mean mode", "weight"),
            Variable(x2, "first-layer weight of the contrast mode", "weight"),
        ),
        unit="loss^2 / weight^2",
        source="derived for this project",
        steps=(
            Step("Differentiate the losses of an explicit network of two items, pair (1, 2):", expression,
                 sp.expand((gradients[0].T * gradients[1])[0] + expression),
             why="a check against derivatives of an explicit network, which know nothing of modes"),
            Step("and pair (1, 1), where the second layer adds its own:", -own,
                 sp.expand((gradients[0].T * gradients[0])[0] - own),
             why="one-hot items share no input, so that this part is on the diagonal alone"),
            Step("Late residuals decay at sqrt(c^2 lambda^2 + 4 s^2), slower the weaker the mode; its slope in s is",
                 sp.diff(slow, s), sp.simplify(sp.diff(slow, s) - 4 * s / slow),
             why="late influence is about what is learned last, the weakest mode"),
        ),
    )  # fmt: skip
