"""The same Gaussian prediction for any weights, from the explicit Hessian: the reference, and the unaligned case.

Costs N^3 per checkpoint with ``N = N_h (N_i + N_o)`` weights; `local_posterior` does aligned networks without it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError, human_bytes

Array = NDArray[np.float64]

#: A Hessian and the item covariances beyond this are refused.
MEMORY_LIMIT = 2e9


def hessian(X: Array, Y: Array, W1: Array, W2: Array) -> Array:
    """``(N, N)`` Hessian of ``L = |Y - W2 W1 X|^2 / 2P`` in the order (W1 row by row, W2 row by row)."""
    P, (h, n_in), n_out = X.shape[1], W1.shape, W2.shape[0]
    Sxx, E = X @ X.T / P, (Y - W2 @ W1 @ X) @ X.T / P
    first = np.kron(W2.T @ W2, Sxx)
    second = np.kron(np.eye(n_out), W1 @ Sxx @ W1.T)
    mixed = np.einsum("oh,bg->hbog", W2, Sxx @ W1.T) - np.einsum("ob,hg->hbog", E, np.eye(h))
    mixed = mixed.reshape(h * n_in, n_out * h)
    return np.block([[first, mixed], [mixed.T, second]])


def _gradient(X: Array, Y: Array, W1: Array, W2: Array) -> Array:
    E = (Y - W2 @ W1 @ X) @ X.T / X.shape[1]
    return np.concatenate([-(W2.T @ E).ravel(), -(E @ W1.T).ravel()])


def refuse_if_too_large(n_inputs: int, hidden: int, n_outputs: int, n_items: int) -> None:
    """Raise before allocating: the message names the bytes and what to do instead."""
    N = hidden * (n_inputs + n_outputs)
    rows = n_items * (n_outputs + 2 * hidden)
    needed = 8.0 * (3 * N**2 + 2 * N * rows + rows**2)
    if needed > MEMORY_LIMIT:
        raise WorkbenchError(
            f"a dense Hessian of {N} weights and the covariances of {n_items} items take {human_bytes(needed)} "
            f"(limit {human_bytes(MEMORY_LIMIT)}); use `init` balanced:0.01, whose prediction needs no Hessian, "
            "a smaller `hidden`, or `measures` without local_bif"
        )


def dense_map(X: Array, Y: Array, W1: Array, W2: Array, n_beta: float, gamma: float) -> tuple[Array, Array]:
    """Weights at the maximum of the local posterior that lies downhill from (W1, W2), by damped Newton's method.

    Minimises ``F(w) = n beta L(w) + gamma |w - w*|^2 / 2`` from w*, where ``A = n beta H + gamma`` is its Hessian:

        w <- w - h (A + mu)^{-1} grad F,   mu = 0 where A >= 1e-8 gamma, else n beta |E|,   h = 1, 1/2, 1/4, ...

    until F falls as Armijo's condition asks. Since ``2 |<E, dW2 dW1>| <= |E| (|dW1|^2 + |dW2|^2)`` with the spectral
    norm of ``E = (Y - W2 W1 X) X^T / P``, ``H >= -|E|`` everywhere: either way ``A + mu >= 1e-8 gamma``.

    It converges: F never rises, so that all w stay in ``F(w) <= F(w*)``, which gamma makes compact; there the
    eigenvalues of ``A + mu`` lie between two positive numbers, so that the directions keep a bounded angle to
    ``-grad F`` and ``grad F -> 0`` (Zoutendijk). Once near a maximum of the posterior the steps are Newton's own, and
    the digits double.

    Raises:
        ConditionError: where the maximum is so flat that 100 steps do not reach it.
    """
    star = np.concatenate([W1.ravel(), W2.ravel()])
    split = W1.size

    def layers(w: Array) -> tuple[Array, Array]:
        return w[:split].reshape(W1.shape), w[split:].reshape(W2.shape)

    def F(w: Array) -> float:
        V1, V2 = layers(w)
        distance = w - star
        return float(n_beta * ((Y - V2 @ V1 @ X) ** 2).sum() / (2 * X.shape[1]) + gamma / 2 * (distance @ distance))

    def force(w: Array) -> Array:
        return np.asarray(n_beta * _gradient(X, Y, *layers(w)) + gamma * (w - star))

    def step(w: Array, force: Array) -> Array:
        return _newton_step(X, Y, *layers(w), n_beta, gamma, force)

    return layers(descend(star, F, force, step, gamma, sufficient_gamma(X, Y, W1, W2, n_beta)))


def descend(
    start: Array,
    height: Callable[[Array], float],
    force: Callable[[Array], Array],
    step_along: Callable[[Array, Array], Array],
    gamma: float,
    enough: float,
) -> Array:
    """Newton's method from ``start``, each step shortened until the height falls as Armijo's condition asks.

    ``step_along(w, force)`` solves for the step; gamma, and one that would be enough, are for the message.
    """
    w = start.copy()
    for _ in range(100):
        pull = force(w)
        step = step_along(w, pull)
        if np.abs(step).max() <= 1e-13 * max(1.0, np.abs(w).max()):
            return w - step
        here, descent, h = height(w), float(pull @ step), 1.0
        # Near the maximum a decrease drowns in the rounding of F, and Newton's full step is the right one.
        drowned = descent <= 1e-11 * here
        while not drowned and height(w - h * step) > here * (1 + 1e-14) - 1e-4 * h * descent and h > 1e-12:
            h /= 2
        w -= h * step
    raise ConditionError(
        "the local posterior has a maximum that is not flat",
        f"gamma = {gamma:g}, where 100 steps of Newton's method do not reach one",
        f"use gamma above {enough:.4g}, or a smaller n beta",
    )


def _newton_step(X: Array, Y: Array, W1: Array, W2: Array, n_beta: float, gamma: float, force: Array) -> Array:
    """``(A + mu)^{-1} force`` as `dense_map` has it."""
    precision = n_beta * hessian(X, Y, W1, W2)
    diagonal = np.diag_indices_from(precision)
    precision[diagonal] += gamma * (1 - 1e-8)
    try:
        scipy.linalg.cho_factor(precision)
        mu = 0.0
    except np.linalg.LinAlgError:
        E = (Y - W2 @ W1 @ X) @ X.T / X.shape[1]
        mu = n_beta * float(np.linalg.norm(E, 2))
    precision[diagonal] += 1e-8 * gamma + mu
    return np.asarray(scipy.linalg.cho_solve(scipy.linalg.cho_factor(precision), force))


def sufficient_gamma(X: Array, Y: Array, W1: Array, W2: Array, n_beta: float) -> float:
    """A gamma beyond which the posterior around (W1, W2) is locally Gaussian at its maximum, whatever the weights.

    There ``L <= L(w*)``, hence ``H >= -|E| >= -sqrt(2 L(w*) lambda_max(X X^T / P))``.
    """
    P = X.shape[1]
    loss = float(((Y - W2 @ W1 @ X) ** 2).sum() / (2 * P))
    return n_beta * float(np.sqrt(2 * loss * np.linalg.norm(X, 2) ** 2 / P))


def item_features(X: Array, Y: Array, W1: Array, W2: Array) -> Array:
    """``(P, N_o + 2 N_h, N)``: the linear maps f_i, p_i, q_i with ``H_i = |f|^2 - 2 p.q`` as quadratic forms."""
    P, (h, n_in), n_out = X.shape[1], W1.shape, W2.shape[0]
    H, R = W1 @ X, Y - W2 @ W1 @ X
    features = np.zeros((P, n_out + 2 * h, h * n_in + n_out * h))
    on_first, on_second = features[:, :, : h * n_in], features[:, :, h * n_in :]
    on_first[:, :n_out] = np.einsum("oh,bi->iohb", W2, X).reshape(P, n_out, -1)
    on_second[:, :n_out] = np.einsum("op,hi->ioph", np.eye(n_out), H).reshape(P, n_out, -1)
    on_second[:, n_out : n_out + h] = np.einsum("oi,hg->igoh", R, np.eye(h)).reshape(P, h, -1)
    on_first[:, n_out + h :] = np.einsum("bi,hg->ighb", X, np.eye(h)).reshape(P, h, -1)
    return features


def dense_local_bif(
    X: Array,
    Y: Array,
    W1: Array,
    W2: Array,
    times: Array,
    *,
    n_beta: float,
    gamma: float,
    progress: Callable[[int], None] | None = None,
) -> Array:
    """``(T, P, P)`` predicted ``-Cov(l_i, l_j)``: second order at the localised MAP, any two-layer weights."""
    P, n_out, h = X.shape[1], W2.shape[1], W1.shape[1]
    refuse_if_too_large(X.shape[0], h, n_out, P)
    bif = np.empty((len(times), P, P))
    for k, t in enumerate(times):
        smallest = float(scipy.linalg.eigvalsh(hessian(X, Y, W1[k], W2[k]), subset_by_index=[0, 0])[0])
        if n_beta * smallest + gamma <= 0:
            raise ConditionError(
                "the local posterior exists (gamma > -n beta lambda_min)",
                f"gamma = {gamma:g} at t = {t:.4g}, where lambda_min = {smallest:.4g}",
                f"use gamma above {-n_beta * smallest:.4g}, or a smaller n beta",
            )
        maximum = dense_map(X, Y, W1[k], W2[k], n_beta, gamma)
        try:
            bif[k] = -_covariance_at(X, Y, *maximum, n_beta, gamma)
        except np.linalg.LinAlgError as error:
            raise ConditionError(
                "the local posterior is a Gaussian at its maximum (n beta H + gamma > 0 there)",
                f"gamma = {gamma:g} at t = {t:.4g}",
                f"use gamma above {sufficient_gamma(X, Y, W1[k], W2[k], n_beta):.4g}, or a smaller n beta",
            ) from error
        if progress:
            progress(1)
    return bif


def _covariance_at(X: Array, Y: Array, W1: Array, W2: Array, n_beta: float, gamma: float) -> Array:
    P, h, n_out = X.shape[1], W1.shape[0], W2.shape[0]
    precision = n_beta * hessian(X, Y, W1, W2)
    precision[np.diag_indices_from(precision)] += gamma
    features = item_features(X, Y, W1, W2)
    n = features.shape[1]
    flat = features.reshape(P * n, -1)
    solved = scipy.linalg.cho_solve(scipy.linalg.cho_factor(precision), flat.T)
    G = (flat @ solved).reshape(P, n, P, n).transpose(0, 2, 1, 3)
    R = Y - W2 @ W1 @ X
    first = np.einsum("ai,ijab,bj->ij", R, G[:, :, :n_out, :n_out], R, optimize=True)
    # M G^T M exchanges p and q and flips their sign: H_i = F_i^T M F_i with M = diag(1, [[0, -1], [-1, 0]]).
    order = np.r_[0:n_out, n_out + h : n, n_out : n_out + h]
    sign = np.r_[np.ones(n_out), -np.ones(2 * h)]
    swapped = G[:, :, order][:, :, :, order] * np.outer(sign, sign)
    return np.asarray(first + 0.5 * (G * swapped).sum(axis=(2, 3)))
