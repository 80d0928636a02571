"""Gaussian prediction of the local Bayesian influence function for an aligned network, mode block by mode block.

The local posterior around a checkpoint w* is ``exp(-n beta L(w) - gamma |w - w*|^2 / 2)``. It is expanded at its
maximum (the localised MAP), which stays aligned: ``u_k = sqrt(a_k)`` solves the cubic
``n beta u (s - c u^2) = gamma (u - u*)``. With ``C = (n beta H + gamma)^{-1}`` there,

    Cov(l_i, l_j) = g_i^T C g_j + tr(H_i C H_j C) / 2,

and H_i is the quadratic form ``|f_i|^2 - 2 p_i . q_i`` of three short vectors that are linear in the weights
(change of the output, ``p = dW2^T r_i``, ``q = dW1 x_i``), so Wick's theorem turns the trace into sums over pairs
of modes. Nothing of the size of the Hessian is ever formed: P^2 K^2 operations and P^2 K numbers per checkpoint.

Source: Kreer et al. (2025) for the BIF; the Gaussian prediction was derived for this project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.semantics.modes import Modes
from workbench.theory.posterior.hessian import check_local_posterior, curvature_range

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PairCovariances:
    """Posterior covariances of the weights in mode coordinates, one ``(P, P)`` array a kind, entry (a, b).

    ``ZZ = Var Z_ab``, ``XX = Var X_ab``, ``ZX = Cov(Z_ab, X_ab)``, ``ZT = Cov(Z_ab, Z_ba) = Cov(X_ab, X_ba)``,
    ``ZXT = Cov(Z_ab, X_ba)``. ``idle_*`` are those of a hidden unit without a mode, ``null_ZZ`` those of
    a property direction without a mode, ``(P,)``.
    """

    ZZ: Array
    XX: Array
    ZX: Array
    ZT: Array
    ZXT: Array
    idle_ZZ: Array
    idle_ZXT: Array
    null_ZZ: Array


def quartic_variance(hidden: int, n_outputs: int, gamma: float) -> float:
    """Variance of ``|dW2 dW1 x|^2 / 2``, the part of an item's loss that the prediction leaves out; x of length 1.

    Where gamma alone holds the weights: ``|dW1 x|^2`` and, given it, ``|dW2 dW1 x|^2`` are chi-square of N_h and N_o
    degrees of freedom over gamma, so it is ``N_h N_o (2 N_h + 2 N_o + 4) / (4 gamma^4)``, units loss^2.
    """
    return hidden * n_outputs * (2 * hidden + 2 * n_outputs + 4) / (4 * gamma**4)


def localised_map(u_star: Array, s: Array, c: float, n_beta: float, gamma: float) -> Array:
    """Root weight ``u`` of every mode at the maximum of the local posterior, same shape as ``u_star``.

    Solves ``g(u) = n beta c u^3 + (gamma - n beta s) u - gamma u* = 0``. Where the posterior exists at u*, the slope
    there is positive; g is convex for u > 0 and g(0) < 0, so it has one root beyond the least point of g, Newton's
    first step from u* lands at or above it, and all further ones fall to it. No damping is needed, and none for the
    other directions: at the root ``gamma - n beta e = gamma u* / u > 0`` for every learned mode, so that
    ``n beta H + gamma`` is positive there, too.
    """
    u = u_star.copy()
    for _ in range(60):
        value = n_beta * u * (c * u**2 - s) + gamma * (u - u_star)
        step = value / (n_beta * (3 * c * u**2 - s) + gamma)
        u -= step
        if np.abs(step).max(initial=0.0) <= 1e-15 * max(1.0, float(u.max(initial=0.0))):
            break
    return u


def pair_covariances(u: Array, s: Array, c: float, n_beta: float, gamma: float) -> PairCovariances:
    """Invert ``n beta B+- + gamma`` of every pair of modes in closed form; ``u`` and ``s`` are ``(P,)``."""
    a = u**2
    e = s - c * a
    off = n_beta * c * np.outer(u, u)

    def inverse(sign: int) -> tuple[Array, Array, Array]:
        pp = n_beta * (c * a[None, :] - sign * e[:, None]) + gamma
        qq = n_beta * (c * a[:, None] - sign * e[None, :]) + gamma
        det = pp * qq - off**2
        return qq / det, -off / det, pp / det

    (pp, pq, qq), (pp_odd, pq_odd, qq_odd) = inverse(+1), inverse(-1)
    ZZ, ZXT = (pp + pp_odd) / 2, (pp - pp_odd) / 2
    ZX, ZT, XX = (pq + pq_odd) / 2, (pq - pq_odd) / 2, (qq + qq_odd) / 2
    # A mode with itself has two variables, not four: curvatures 2ca - e (Z + X) and e (Z - X).
    even, odd = 1 / (n_beta * (2 * c * a - e) + gamma), 1 / (n_beta * e + gamma)
    k = np.arange(len(u))
    ZZ[k, k] = XX[k, k] = (even + odd) / 2
    ZX[k, k] = ZXT[k, k] = (even - odd) / 2
    ZT[k, k] = 0.0
    idle = gamma**2 - (n_beta * e) ** 2
    return PairCovariances(ZZ, XX, ZX, ZT, ZXT, gamma / idle, n_beta * e / idle, 1 / (n_beta * c * a + gamma))


def local_bif(
    modes: Modes,
    a: Array,
    times: Array,
    *,
    n_beta: float,
    gamma: float,
    hidden: int,
    n_outputs: int,
    active: int,
    progress: Callable[[int], None] | None = None,
) -> Array:
    """Predicted ``BIF(i, j) = -Cov(l_i, l_j)`` at every checkpoint, ``(T, P, P)``, units loss^2.

    Args:
        modes: modes of the task.
        a: ``(T, K)`` mode strengths at the checkpoints.
        times: ``(T,)``, for error messages.
        n_beta: inverse temperature times number of items.
        gamma: localization.
        hidden: N_h; units without a mode widen the posterior too.
        n_outputs: N_o, likewise.
        active: how many modes have a hidden unit, ``min(N_h, K)``.
        progress: called with 1 after every checkpoint.

    Raises:
        ConditionError: where ``n beta H + gamma`` is not positive definite.
    """
    check_local_posterior(times, curvature_range(modes, a, hidden, active)[0], n_beta, gamma)
    pairs = item_pairs(modes)
    bif = np.empty((len(a), modes.n_items, modes.n_items))
    for k, strengths in enumerate(a):
        u_star = np.zeros(modes.n_items)
        u_star[:active] = np.sqrt(strengths[:active])
        u = localised_map(u_star, modes.s_all, modes.c, n_beta, gamma)
        posterior = pair_covariances(u, modes.s_all, modes.c, n_beta, gamma)
        first = first_order_covariance(posterior, pairs, u, modes)
        second = _second_order(posterior, pairs, u, modes, active, hidden - active, n_outputs - modes.rank)
        bif[k] = -(first + second)
        if progress:
            progress(1)
    return bif


def _output_covariances(posterior: PairCovariances, u: Array) -> tuple[Array, Array]:
    """Covariance of the change of output mode a: with itself through input b, and with output mode b."""
    q = posterior
    same = u[None, :] ** 2 * q.ZZ + 2 * np.outer(u, u) * q.ZX + u[:, None] ** 2 * q.XX
    other = 2 * np.outer(u, u) * q.ZT + u[None, :] ** 2 * q.ZXT + u[:, None] ** 2 * q.ZXT.T
    np.fill_diagonal(other, 0.0)
    return same, other


def item_pairs(modes: Modes) -> Array:
    """``(P^2, P)`` products ``v_ai v_aj``, one row a pair of items (i, j)."""
    return np.asarray((modes.V[:, None, :] * modes.V[None, :, :]).reshape(-1, modes.n_items))


def first_order_covariance(posterior: PairCovariances, pairs: Array, u: Array, modes: Modes) -> Array:
    """``g_i^T C g_j``, ``(P, P)``, with ``pairs`` from `item_pairs`."""
    P = modes.n_items
    e = modes.s_all - modes.c * u**2
    same, other = _output_covariances(posterior, u)
    weights = P**2 * (e[:, None] ** 2 * same + np.outer(e, e) * other)
    return np.asarray(((pairs @ weights) * pairs).sum(axis=1).reshape(P, P))


def _second_order(
    posterior: PairCovariances, pairs: Array, u: Array, modes: Modes, active: int, idle: int, null_outputs: int
) -> Array:
    """``tr(H_i C H_j C) / 2``, ``(P, P)``: Wick sums over f.f, f.(p, q) and (p, q).(p, q)."""
    P, c, r, K, q = modes.n_items, modes.c, modes.rank, active, posterior
    e = modes.s_all - c * u**2
    V2 = modes.V**2
    same, other = _output_covariances(q, u)

    def to_items(per_pair: Array) -> Array:
        return np.asarray(per_pair.reshape(P, P))

    # |f_i|^2 with |f_j|^2
    ff = ((pairs @ same[:r].T) ** 2).sum(axis=1) + null_outputs * (pairs @ (u**2 * q.null_ZZ)) ** 2
    total = 0.5 * (c * P) ** 2 * (to_items(ff) + V2[:, :r] @ (other[:r, :r] ** 2) @ V2[:, :r].T)

    # |f_i|^2 with p_j . q_j, and the same with i and j exchanged
    fp = (u[None, :] * q.ZZ + u[:, None] * q.ZX) * e[:, None]
    fq = u[None, :] * q.ZXT + u[:, None] * q.ZT
    single = fp * fq
    np.fill_diagonal(single, 0.0)
    apart = c * P**2 * V2[:, :K] @ single[:r, :K].T @ V2[:, :r].T
    fp_same = (u[None, :] * q.ZT + u[:, None] * q.ZXT.T) * e[None, :]
    np.fill_diagonal(fp_same, u * (np.diag(q.ZZ) + np.diag(q.ZX)) * e)
    fq_same = u[None, :] * q.ZX + u[:, None] * q.XX
    together = c * P**2 * ((pairs @ fp_same[:K].T) * (pairs @ fq_same[:K].T)).sum(axis=1)
    total -= apart + apart.T + 2 * to_items(together)

    # p_i . q_i with p_j . q_j
    e2 = (e**2)[:, None]
    pp_qq = (pairs @ (q.ZZ * e2)[:, :K]) * (pairs @ q.XX[:K].T) + (pairs @ (q.ZXT * e[:, None])[:, :K]) ** 2
    idle_term = (pairs @ (q.idle_ZZ * e**2)) * (pairs @ q.idle_ZZ) + (pairs @ (q.idle_ZXT * e)) ** 2
    cross = (q.ZT**2 + _off_diagonal(q.ZX) ** 2)[:K, :K] * np.outer(e[:K], e[:K])
    total += P**2 * (to_items(pp_qq.sum(axis=1) + idle * idle_term) + V2[:, :K] @ cross @ V2[:, :K].T)
    return np.asarray(total)


def _off_diagonal(matrix: Array) -> Array:
    return matrix - np.diag(np.diag(matrix))
