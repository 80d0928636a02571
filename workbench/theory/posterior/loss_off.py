"""The local posterior with the loss switched off, n beta = 0: what remains is the geometry of the weights. Exact.

The weights of two linear layers are Gaussian of variance ``v = 1/gamma`` about the checkpoint. With hidden vectors
``p_i = (W1 + dW1) x_i`` and then outputs ``(W2 + dW2) p_i``, Gaussian given p, the law of total covariance has both
terms in closed form. Write z_i = W1 x_i, r_i the residual, n_i = |x_i|^2, rho = x_i . x_j, G = W2^T W2, and
kappa = p_i . p_j, m_i = y_i - W2 p_i::

    Cov(l_i, l_j) = E[ v kappa m_i . m_j + N_o v^2 kappa^2 / 2 ] + Cov( E[l_i | p], E[l_j | p] )

    E kappa           = z_i . z_j + N_h v rho
    E kappa^2         = (E kappa)^2 + v (n_j |z_i|^2 + n_i |z_j|^2 + 2 rho z_i . z_j) + N_h v^2 (n_i n_j + rho^2)
    E[kappa m_i . m_j] = E kappa (r_i . r_j + v rho tr G) + v^2 (n_i n_j + rho^2) tr G
                        - v [ n_j y^_i . r_i + n_i y^_j . r_j + rho (y^_i . r_j + y^_j . r_i) ]
    Cov(E, E)         = v rho b_i . b_j + v^2 rho^2 tr(M^2) / 2,   M = G + N_o v 1,   b_i = N_o v z_i - W2^T r_i

Its first order in v is the gradient kernel. The second is ``tr(H_i H_j) / 2``, which the Gaussian prediction
`local_bif` has, and ``(g_i . grad tr H_j + g_j . grad tr H_i) / 2``, which an expansion of the losses to second order
leaves out. Source: derived for this project.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


def loss_off_covariance(trajectory: Trajectory, gamma: float) -> Array:
    """``Cov(l_i, l_j)`` at n beta = 0, ``(T, P, P)``, units loss^2: two linear layers at every checkpoint, exact."""
    X, W1, W2, v = trajectory.task.X, trajectory.W1, trajectory.W2, 1 / gamma
    N_h, N_o = W1.shape[1], W2.shape[1]
    z = W1 @ X
    out = W2 @ z
    r = trajectory.task.Y - out

    def products(left: Array, right: Array) -> Array:
        return np.asarray(np.einsum("tai,taj->tij", left, right))

    rho, zz, fit = X.T @ X, products(z, z), products(out, r)
    n, G = np.diag(rho), W2.swapaxes(1, 2) @ W2
    size, own, trace = np.einsum("tii->ti", zz), np.einsum("tii->ti", fit), np.einsum("tii->t", G)[:, None, None]
    spread = np.outer(n, n) + rho**2
    kappa = zz + N_h * v * rho
    along = size[:, :, None] * n + n[:, None] * size[:, None, :] + 2 * rho * zz
    kappa_squared = kappa**2 + v * along + N_h * v**2 * spread
    against = own[:, :, None] * n + n[:, None] * own[:, None, :] + rho * (fit + fit.swapaxes(1, 2))
    weighed = kappa * (products(r, r) + v * rho * trace) + v**2 * spread * trace - v * against
    M = G + N_o * v * np.eye(N_h)
    b = N_o * v * z - W2.swapaxes(1, 2) @ r
    curved = np.einsum("tab,tba->t", M, M)[:, None, None]
    return np.asarray(
        v * weighed + N_o * v**2 / 2 * kappa_squared + v * rho * products(b, b) + v**2 * rho**2 * curved / 2
    )


@cache
def loss_off_form() -> ClosedForm:
    """Covariance of two losses of a product of two weights, without the loss: the case N_h = N_o = 1."""
    v, a, b = sp.symbols("v a b", positive=True)
    w1, w2, y_i, y_j, x_i, x_j = sp.symbols("w1 w2 y_i y_j x_i x_j", real=True)
    weights, rho, spread = (w1, w2), x_i * x_j, 2 * x_i**2 * x_j**2
    losses = [(y - w1 * w2 * x) ** 2 / 2 for x, y in ((x_i, y_i), (x_j, y_j))]
    z_i, z_j, r_i, r_j = w1 * x_i, w1 * x_j, y_i - w1 * w2 * x_i, y_j - w1 * w2 * x_j
    kappa = z_i * z_j + v * rho
    squared = kappa**2 + v * (x_j**2 * z_i**2 + x_i**2 * z_j**2 + 2 * rho * z_i * z_j) + v**2 * spread
    against = w2 * (x_j**2 * z_i * r_i + x_i**2 * z_j * r_j + rho * (z_i * r_j + z_j * r_i))
    weighed = kappa * (r_i * r_j + v * rho * w2**2) + v**2 * spread * w2**2 - v * against
    means = v * rho * (v * z_i - w2 * r_i) * (v * z_j - w2 * r_j) + v**2 * rho**2 * (w2**2 + v) ** 2 / 2
    expression = v * weighed + v**2 / 2 * squared + means
    moved = [loss.subs({w1: w1 + a, w2: w2 + b}, simultaneous=True) for loss in losses]
    exact = _mean(moved[0] * moved[1], a, b, v) - _mean(moved[0], a, b, v) * _mean(moved[1], a, b, v)
    series = sp.Poly(sp.expand(expression), v)
    g = [sp.Matrix([sp.diff(loss, w) for w in weights]) for loss in losses]
    H = [sp.hessian(loss, weights) for loss in losses]
    slope = [sp.Matrix([sp.diff(h.trace(), w) for w in weights]) for h in H]
    curved = (H[0] * H[1]).trace() / 2
    slopes = ((g[0].T * slope[1])[0] + (g[1].T * slope[0])[0]) / 2
    kernel = (g[0].T * g[1])[0]
    return ClosedForm(
        name="loss_off_covariance",
        title="Covariance of two losses with the loss switched off",
        quantity=sp.Function("Cov")(v),
        expression=expression,
        variables=(
            Variable(v, "variance of a weight, one over the localization", "weight^2"),
            Variable(w1, "first weight at the checkpoint", "weight"),
            Variable(w2, "second weight", "weight"),
            Variable(x_i, "input of item i"),
            Variable(x_j, "input of item j"),
            Variable(y_i, "target of item i", "weight^2"),
            Variable(y_j, "target of item j", "weight^2"),
        ),
        unit="loss^2",
        source="derived for this project, by the law of total covariance given the hidden unit",
        conditions=(Condition(bare(v) > 0, "1/gamma > 0", "without localization there is no posterior"),),
        steps=(
            Step(
                "It is the mean of the product less the product of the means:",
                expression,
                expression - exact,
                why="with the loss off the weights are normal around the checkpoint, so all moments are known",
            ),
            Step(
                "To first order it is the gradient kernel:",
                kernel,
                series.coeff_monomial(v) - kernel,
                why="small fluctuations see slopes alone: the covariance is the inner product of gradients",
            ),
            Step(
                "The second order has the Hessians and the slopes of their traces:",
                curved + slopes,
                series.coeff_monomial(v**2) - curved - slopes,
                why="wider ones see curvature, which can change the sign",
            ),
        ),
    )


def _mean(polynomial: sp.Expr, a: sp.Symbol, b: sp.Symbol, v: sp.Symbol) -> sp.Expr:
    """Over independent Gaussian a and b of variance v: ``E a^2k = (2k - 1)!! v^k``."""
    moment = [0 if k % 2 else sp.factorial2(k - 1) * v ** (k // 2) for k in range(20)]
    terms = sp.Poly(sp.expand(polynomial), a, b).terms()
    return sp.expand(sum(factor * moment[m] * moment[n] for (m, n), factor in terms))
