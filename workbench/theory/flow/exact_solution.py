"""The exact flow of a two-layer linear network from any balanced start, aligned with the data or not.

With ``Q = [W1^T; W2]``, ``Sxx = c I`` and **balance** ``W2^T W2 - W1 W1^T = lambda I`` the products of the
weights obey a matrix Riccati equation (derived in `workbench.theory.flow.riccati`; written for c = 1)::

    d(Q Q^T)/dt = F Q Q^T + Q Q^T F - (Q Q^T)^2,        F = [[-lambda/2 I, Syx^T], [Syx, lambda/2 I]]
    Q Q^T(t)    = e^{Ft} Q0 [I + Q0^T Phi Q0]^{-1} Q0^T e^{Ft},     Phi = int_0^t e^{2 F u} du

for any rank of Syx and any widths, bottlenecks included. For general c: Q -> sqrt(c) Q, lambda -> c lambda.
Sources: Fukumizu (1998); Braun, Domine, Fitzgerald & Saxe (2022); Domine et al. (2024); for the conditions
and the stable evaluation derived for this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Growth ``mu_max dt`` of one step: one QR step loses all digits beyond about 25, and hardly any up to this.
RESTART = 6.0


@dataclass(frozen=True, eq=False)
class Eigenbasis:
    """``F = Gamma diag(mu) Gamma^T`` with ``(N_i + N_o,)`` eigenvalues mu and the eigenvectors as columns."""

    mu: Array
    Gamma: Array


def eigenbasis(Syx: Array, lam: float) -> Eigenbasis:
    """Eigenpairs of F from the singular vectors of Syx ``(N_o, N_i)``.

    ``mu = +-sqrt(s^2 + lambda^2/4)`` with ``(V cos th; U sin th)`` and ``(-V sin th; U cos th)``,
    ``th = atan2(2 s, -lambda)/2``; null inputs have ``mu = -lambda/2``, null outputs ``+lambda/2``.
    """
    n_out, n_in = Syx.shape
    U, s, Vt = np.linalg.svd(Syx, full_matrices=True)
    k = len(s)
    mu = np.hypot(s, lam / 2)
    theta = np.arctan2(2 * s, -lam) / 2
    V, cos, sin = Vt.T, np.cos(theta), np.sin(theta)
    Gamma = np.zeros((n_in + n_out, n_in + n_out))
    Gamma[:n_in, :k], Gamma[n_in:, :k] = V[:, :k] * cos, U[:, :k] * sin
    Gamma[:n_in, k : 2 * k], Gamma[n_in:, k : 2 * k] = -V[:, :k] * sin, U[:, :k] * cos
    Gamma[:n_in, 2 * k : n_in + k] = V[:, k:]
    Gamma[n_in:, n_in + k :] = U[:, k:]
    null = np.full(n_in - k, -lam / 2), np.full(n_out - k, lam / 2)
    return Eigenbasis(np.concatenate([mu, -mu, *null]), Gamma)


def _propagators(mu: Array, dt: float) -> tuple[Array, Array]:
    """``psi = sqrt(int_0^dt e^{2 mu u} du)`` and ``e^{mu dt}/psi``, both bounded for mu dt <= RESTART."""
    nonzero = np.where(mu == 0, 1.0, mu)
    psi = np.sqrt(np.where(mu == 0, dt, np.expm1(2 * nonzero * dt) / (2 * nonzero)))
    return psi, np.exp(mu * dt) / psi


def _step(q: Array, mu: Array, dt: float) -> tuple[Array, Array]:
    """One restart interval in the eigenbasis: the factor after dt, and R with ``R^T R = I + q^T Phi q``.

    Rows sorted by size and columns pivoted: then Householder QR is accurate row by row, however unequal they
    are.
    """
    psi, growth = _propagators(mu, dt)
    stacked = np.vstack([psi[:, None] * q, np.eye(q.shape[1])])
    order = np.argsort(-np.abs(stacked).max(axis=1))
    orthonormal, R, pivots = scipy.linalg.qr(stacked[order], mode="economic", pivoting=True, check_finite=False)
    unsorted = np.empty_like(orthonormal)
    unsorted[order] = orthonormal
    return growth[:, None] * unsorted[: len(q)], R[:, np.argsort(pivots)]


def exact_factors(
    W1: Array,
    W2: Array,
    Syx: Array,
    c: float,
    times: ArrayLike,
    lam: float = 0.0,
    *,
    restart: float = RESTART,
) -> tuple[Array, Array]:
    """Weights along the flow, from the Riccati solution restarted every ``mu_max dt <= restart``.

    The balance condition is **not** checked here (see `balance_residual`). If ``Sxx = c Pi`` with a
    projector Pi pass ``W1 Pi``; the rest of W1 stays frozen. Cost: one QR of ``(N_i + N_o + N_h, N_h)`` per
    step.

    Args:
        W1: ``(N_h, N_i)`` initial first layer.
        W2: ``(N_o, N_h)`` initial second layer.
        Syx: ``(N_o, N_i)`` input-output covariance.
        c: input scale, ``Sxx = c I``.
        times: ``(T,)`` flow times >= 0, in any order.
        lam: the conserved imbalance ``W2^T W2 - W1 W1^T = lam I``.
        restart: largest growth exponent of one step.

    Returns:
        W1 ``(T, N_h, N_i)`` and W2 ``(T, N_o, N_h)``. Outputs, losses, kernels and every other quantity that
        no rotation of the hidden units changes are exact up to rounding, however large the steps; the
        rotation itself follows the flow only to second order in the step, so take small steps where it
        matters.
    """
    t_values = np.asarray(times, dtype=np.float64)
    if t_values.ndim != 1 or not np.isfinite(t_values).all() or (t_values < 0).any():
        raise ConditionError(
            "a one-dimensional array of finite times >= 0",
            f"shape {t_values.shape}, smallest {t_values.min(initial=np.inf):g}",
            "count times from the start of training",
        )
    basis = eigenbasis(np.asarray(Syx, dtype=np.float64), c * lam)
    n_in = W1.shape[1]
    q = basis.Gamma.T @ (np.sqrt(c) * np.vstack([W1.T, W2]))
    checkpoints, back = np.unique(t_values, return_inverse=True)
    fastest = float(np.abs(basis.mu).max())
    factors, triangles, last_step = np.empty((len(checkpoints), *q.shape)), [np.eye(q.shape[1])], []
    now = 0.0
    for index, checkpoint in enumerate(checkpoints):
        steps = int(np.ceil(fastest * (checkpoint - now) / restart)) or int(checkpoint > now)
        for _ in range(steps):
            q, R = _step(q, basis.mu, (checkpoint - now) / steps)
            triangles.append(R)
        now, factors[index] = checkpoint, q
        last_step.append(len(triangles) - 1)
    turned = basis.Gamma @ factors @ _rotations(np.stack(triangles))[last_step] / np.sqrt(c)
    return np.swapaxes(turned[back, :n_in], 1, 2).copy(), turned[back, n_in:].copy()


def _rotations(triangles: Array) -> Array:
    """Accumulated polar factors of the R of each step.

    They turn ``e^{Ft} Q0 R^{-1}`` into ``e^{Ft} Q0 M^{-1/2}``, which is smooth in time.
    """
    left, _, right = np.linalg.svd(triangles)
    turns = left @ right
    for k in range(1, len(turns)):
        turns[k] = turns[k] @ turns[k - 1]
    return np.asarray(turns)


def balance_residual(W1: Array, W2: Array, lam: float) -> float:
    """Largest singular value of ``W2^T W2 - W1 W1^T - lambda I``, in units of weight^2.

    Divided by the strongest mode's final strength s_1/c it is the size of the error of `exact_solution`.
    """
    return float(np.linalg.norm(W2.T @ W2 - W1 @ W1.T - lam * np.eye(W1.shape[0]), 2))


def measured_lambda(W1: Array, W2: Array) -> float:
    """The lambda that balances the layers in the mean: ``tr(W2^T W2 - W1 W1^T) / N_h``."""
    return float((np.vdot(W2, W2) - np.vdot(W1, W1)) / W1.shape[0])


def seen_weights(start: Network) -> tuple[Array, float]:
    """``W1 Pi`` (what the items can feel of W1) and the input scale c."""
    task, c = start.task, start.modes.c
    return start.W1 if task.one_hot else start.W1 @ task.Sxx / c, c


def exact_solution(
    start: Network, times: ArrayLike, *, lam: float | None = None, balance_tolerance: float = 1e-8
) -> Trajectory:
    """The gradient flow from any balanced start, as a `Trajectory`.

    Gaussian starts are not balanced; for them the formula is used with lambda = 0 on the raw weights, which
    is wrong by O(sigma^2): on the 8-item tree with 16 hidden units by 9e-5 of the final map at sigma = 0.01,
    1.2e-2 at 0.1, 0.67 at 1. `balance_residual` measures the violation.

    Args:
        start: task and initial weights; the inputs must be orthogonal and of equal length (``Sxx = c Pi``).
        times: ``(T,)`` flow times >= 0.
        lam: lambda in ``W2^T W2 - W1 Pi W1^T = lambda I``; measured (mean of the diagonal) unless given, and
            0 for a Gaussian start.
        balance_tolerance: largest `balance_residual` accepted, as a fraction of s_1/c, the strongest mode's
            final strength. Gaussian starts are exempt.

    Returns:
        Weights ``W1 = Qhat[:N_i]^T``, ``W2 = Qhat[N_i:]``, determined **up to one rotation of the hidden
        units** per checkpoint. The part of W1 that no item sees stays frozen, in the original frame of the
        hidden units.
    """
    W1, c = seen_weights(start)
    gaussian = start.gaussian
    if lam is None:
        lam = 0.0 if gaussian else measured_lambda(W1, start.W2)
    allowed = balance_tolerance * float(start.modes.s[0]) / c
    residual = balance_residual(W1, start.W2, lam)
    if not gaussian and residual > allowed:
        raise ConditionError(
            f"balance, W2^T W2 - W1 W1^T = {lam:.6g} I within {allowed:.3g}",
            f"a deviation of {residual:.3g}",
            "use balanced_start, init balanced:a0, or integrate the flow numerically",
        )
    W1_t, W2_t = exact_factors(W1, start.W2, start.task.Syx, c, times, lam)
    return Trajectory(start, "predicted", np.asarray(times, dtype=np.float64), (W1_t + (start.W1 - W1), W2_t))
