"""The local posterior with all layers but one held fixed: exactly Gaussian for a linear network, whatever its depth.

With W_l alone free the output is linear in it, ``f_i = U W_l z_i`` with U the layers above and ``z_i`` the input as the
layers below pass it on, so L is quadratic. With ``A = U^T U = sum_a lambda_a u_a u_a^T`` and
``Z = sum_i z_i z_i^T / P = sum_b mu_b v_b v_b^T`` the change of W_l has independent components in (u_a, v_b),

    variance 1 / p_ab,   p_ab = n beta lambda_a mu_b + gamma,      mean n beta (u_a^T U^T E v_b) / p_ab,
    E = sum_i r_i z_i^T / P

and with residuals r~_i at the mean and ``S_ij = Cov(f_i, f_j) = sum_ab (z_i . v_b)(z_j . v_b) (U u_a)(U u_a)^T / p_ab``

    Cov(l_i, l_j) = r~_i^T S_ij r~_j + |S_ij|^2 / 2

exactly, at every n beta >= 0 and gamma > 0: the Hessian has no negative curvature. ``n beta (E L - L(w*))``, the
restricted (refined) learning coefficient, is exact as well; far from a minimum it is negative.

Source: the restriction to a component follows Wang et al. (2024); derived for this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RestrictedPosterior:
    """What the posterior of one layer says, at T checkpoints.

    Attributes:
        covariance: ``(T, P, P)`` Cov(l_i, l_j), units loss^2.
        volume: ``(T,)`` n beta tr(H C) / 2, half the number of directions that the data hold tighter than gamma does.
        descent: ``(T,)`` n beta (L(mean) - L(w*)), what the checkpoint is from a minimum of this layer; 0 or below.
    """

    covariance: Array
    volume: Array
    descent: Array

    @property
    def learning_coefficient(self) -> Array:
        """``(T,)`` n beta (E L - L(w*))."""
        return self.volume + self.descent

    @property
    def susceptibility(self) -> Array:
        """``(T, P)`` of the layer to every item, ``-Cov(L, l_i - L)`` (Baker et al. 2025).

        Below 0 where the item's loss goes along with the mean loss more than others do.
        """
        with_mean = self.covariance.mean(axis=1)
        return np.asarray(with_mean.mean(axis=1, keepdims=True) - with_mean)


def layer_number(name: str, depth: int) -> int:
    """0 for ``"W1"``, the layer nearest to the inputs.

    Raises:
        WorkbenchError: for a layer that the network lacks.
    """
    number = int(name[1:]) if name[:1] == "W" and name[1:].isdecimal() else 0
    if not 1 <= number <= depth:
        raise WorkbenchError(f"`restrict` {name!r} of a network of {depth} layers; use W1 to W{depth}, or none")
    return number - 1


def restricted_posterior(trajectory: Trajectory, layer: int, *, n_beta: float, gamma: float) -> RestrictedPosterior:
    """The posterior of layer number ``layer`` (0: the first) around every checkpoint of a linear network.

    Raises:
        ConditionError: for other networks, or values that make no posterior.
    """
    if not n_beta >= 0 or not gamma > 0:
        raise ConditionError("n beta >= 0 and gamma > 0", f"n beta = {n_beta:g}, gamma = {gamma:g}", "use the defaults")
    U, z = around(trajectory, layer)
    task, P = trajectory.task, trajectory.task.n_items
    residual = task.Y - U @ trajectory.weights[layer] @ z
    lam, u = np.linalg.eigh(U.swapaxes(1, 2) @ U)
    mu, v = np.linalg.eigh(z @ z.swapaxes(1, 2) / P)
    precision = n_beta * lam[:, :, None] * mu[:, None, :] + gamma
    up, down = U @ u, v.swapaxes(1, 2) @ z
    pull = n_beta * up.swapaxes(1, 2) @ residual @ down.swapaxes(1, 2) / P / precision
    moved = residual - up @ pull @ down
    # (T, P, P, n) coefficients of S_ij on the dyads of U u_a, whose inner products are lambda_a delta.
    s = np.einsum("tbi,tbj,tab->tija", down, down, 1 / precision, optimize=True)
    along = up.swapaxes(1, 2) @ moved
    first = np.einsum("tai,taj,tija->tij", along, along, s, optimize=True)
    second = np.einsum("tija,ta->tij", s**2, lam**2, optimize=True) / 2
    rise = ((moved**2).sum(axis=(1, 2)) - (residual**2).sum(axis=(1, 2))) / (2 * P)
    spread = (lam[:, :, None] * mu[:, None, :] / precision).sum(axis=(1, 2)) / 2
    return RestrictedPosterior(np.asarray(first + second), np.asarray(n_beta * spread), np.asarray(n_beta * rise))


def restricted_curvatures(trajectory: Trajectory, layer: int) -> Array:
    """``(T, 2)`` smallest and largest curvature of the loss in one layer of a linear network, none below 0."""
    U, z = around(trajectory, layer)
    ends = [
        np.linalg.eigvalsh(matrix)[:, [0, -1]]
        for matrix in (U.swapaxes(1, 2) @ U, z @ z.swapaxes(1, 2) / trajectory.task.n_items)
    ]
    return np.asarray(np.maximum(ends[0] * ends[1], 0.0))


def around(trajectory: Trajectory, layer: int) -> tuple[Array, Array]:
    """``(T, N_o, n)`` the layers above, multiplied, and ``(T, n', P)`` the inputs as the layers below pass them on."""
    if trajectory.network.activation != "linear":
        raise ConditionError(
            "a linear network", f"{trajectory.network.activation} hidden layers", "leave `restrict` out"
        )
    T, task = len(trajectory.times), trajectory.task
    U = np.broadcast_to(np.eye(task.n_outputs), (T, task.n_outputs, task.n_outputs))
    for W in trajectory.weights[:layer:-1]:
        U = U @ W
    z = np.broadcast_to(task.X, (T, *task.X.shape))
    for W in trajectory.weights[:layer]:
        z = W @ z
    return np.asarray(U), np.asarray(z)
