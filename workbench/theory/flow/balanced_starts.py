"""Starts for the exact matrix solution that are balanced but not aligned, and whether they reach the target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.networks import Init, Network
from workbench.semantics import SemanticTask, singular_modes
from workbench.theory.flow.exact_solution import measured_lambda, seen_weights
from workbench.theory.modes.unbalanced_weights import initial_pair

Array = NDArray[np.float64]


def balanced_start(task: SemanticTask, hidden: int, lam: float = 0.0, seed: int = 0, scale: float = 0.01) -> Network:
    """A random lambda-balanced start that is not aligned with the data.

    ``W1 = R S1 V^T`` and ``W2 = U S2 R^T`` with random orthonormal U, V, R and
    ``S2, S1 = sqrt((sqrt(lambda^2 + 4 A^2) +- lambda)/2)``, A the singular values of W2 W1.

    Args:
        task: items with orthogonal inputs of equal length.
        hidden: N_h; lambda > 0 needs N_h <= N_o, lambda < 0 needs N_h <= the number of items.
        lam: lambda, in units of weight^2.
        seed: for the directions and for A.
        scale: largest singular value of the initial map W2 W1, weight^2, comparable with an aligned start's
            a0.
    """
    n_out, n_in = task.n_outputs, task.n_items
    room, side = (n_out, "properties (lambda > 0)") if lam > 0 else (n_in, "items (lambda < 0)")
    if lam and hidden > room:
        raise ConditionError(
            f"hidden <= number of {side}: lambda I needs that many orthogonal directions",
            f"hidden = {hidden} for {room}",
            f"use at most {room} hidden units, or lambda = 0",
        )
    if hidden < 1 or not scale > 0:
        raise ConditionError(
            "hidden >= 1 and scale > 0", f"hidden = {hidden}, scale = {scale:g}", "give such as 16 and 0.01"
        )
    modes = singular_modes(task)
    rng = np.random.default_rng([seed, 0xBA1])
    product = rng.standard_normal((n_out, hidden)) @ rng.standard_normal((hidden, n_in))
    U, drawn, Vt = np.linalg.svd(product)
    R = np.linalg.qr(rng.standard_normal((hidden, hidden)))[0]
    A = np.zeros(hidden)
    rank = min(hidden, len(drawn))
    A[:rank] = scale * drawn[:rank] / drawn[0]
    S1, S2 = initial_pair(A, lam)
    k2, k1 = min(hidden, n_out), min(hidden, n_in)
    V_in = task.X @ Vt[:k1].T / np.sqrt(modes.c * n_in)
    return Network(
        task,
        ((R[:, :k1] * S1[:k1]) @ V_in.T, (U[:, :k2] * S2[:k2]) @ R[:, :k2].T),
        init=Init("balanced", scale),
        seed=seed,
    )


def reaches_target(start: Network) -> bool:
    """Whether the flow learns every mode of the task.

    It does where the rows of ``Gamma_+^T Q0`` that belong to the modes are linearly independent.
    `exact_solution` holds without it, but the flow then ends at a saddle that misses a mode. Ways to fail:

    * fewer hidden units than modes, or an aligned start with a mode at strength 0;
    * the **determinant obstruction**: as many items as properties as modes, and lambda = 0. The sign of
      ``det(W2 W1)`` is then conserved and the flow reaches Syx only if ``det(W2 W1) det(Syx) > 0``: half of
      the random balanced starts fail, at every width.

    The saddle is unstable: in floating point, rounding error leaves it after a time of about 36/s of the
    missing mode, in `exact_solution` as in training.
    """
    W1, c = seen_weights(start)
    modes, task = start.modes, start.task
    lam = 0.0 if start.gaussian else c * measured_lambda(W1, start.W2)
    V_in = task.X @ modes.V[:, : modes.rank] / np.sqrt(c * task.n_items)
    theta = np.arctan2(2 * modes.s, -lam)[:, None] / 2
    q = np.cos(theta) * (W1 @ V_in).T + np.sin(theta) * (modes.U.T @ start.W2)
    if modes.rank > start.hidden:
        return False
    singular = np.linalg.svd(q, compute_uv=False)
    # An obstructed row is zero up to the rounding of a measured lambda, 1e-16 of the weights.
    return bool(singular[-1] > 1e-9 * singular[0])
