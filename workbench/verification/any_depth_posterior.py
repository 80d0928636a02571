"""Claims about the Hessian and the local posterior at any depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.theory.flow.aligned import aligned_trajectory, mode_strengths
from workbench.theory.influence.damped_newton import damped_newton
from workbench.theory.posterior.deep_forms import deep_block_form, unique_gamma_form
from workbench.theory.posterior.dense_depth import dense_bif
from workbench.theory.posterior.hessian import hessian_spectrum
from workbench.theory.posterior.local_posterior import local_bif
from workbench.verification.any_depth import DEPTHS, FAMILY, small_network
from workbench.verification.claims import Claim, Outcome, compared, worst
from workbench.verification.reference import autograd_gradients, autograd_hessian

Array = NDArray[np.float64]


def _spectra() -> Outcome:
    outcomes = []
    for depth, hidden in ((3, 6), (4, 5), (5, 4)):
        net = small_network(depth, hidden)
        a = mode_strengths(net, [14.0])
        layers = [W[0] for W in aligned_trajectory(net, [14.0]).weights]
        assert net.active is not None
        predicted = hessian_spectrum(net.modes, a, net.widths, 4, net.task.n_outputs, net.active, depth=depth)[0]
        outcomes.append(compared(predicted, np.linalg.eigvalsh(autograd_hessian(net.task, layers))))
    return worst(outcomes)


def _block() -> Outcome:
    """The form of one pair against its own dense Hessian, of two modes in layers of two units."""
    outcomes, w, s, c = [], np.array([0.9, 0.6]), np.array([0.5, 0.3]), 0.25
    for depth in (2, 3, 4):
        e = s - c * w**depth
        j = w[0] ** np.arange(depth - 1, -1, -1) * w[1] ** np.arange(depth)
        flow, step = np.diag(w), 1e-4

        def loss(z: Array, depth: int = depth, flow: Array = flow) -> float:
            product = np.eye(2)
            for layer in range(depth):
                product = (flow + np.array([[0, z[layer]], [z[2 * depth - 1 - layer], 0]])) @ product
            return float(((np.diag(s) - c * product) ** 2).sum() / (2 * c))

        # Along Z_ab = j, Z_ba = j reversed, over sqrt 2: the even direction.
        along = np.concatenate([j, j]) / np.sqrt(2)
        h = [loss(k * step * along) for k in (-2, -1, 0, 1, 2)]
        curvature = (-h[0] + 16 * h[1] - 30 * h[2] + 16 * h[3] - h[4]) / (12 * step**2)
        predicted = deep_block_form(depth)(w_a=w[0], w_b=w[1], e_a=e[0], e_b=e[1], c=c)
        outcomes.append(compared(predicted, curvature))
    return worst(outcomes)


def _posterior() -> Outcome:
    outcomes = []
    for depth in DEPTHS:
        net, gamma = small_network(depth, 4), 60.0
        a = mode_strengths(net, [12.0])
        assert net.active is not None
        shape = {"hidden": net.widths, "active": net.active, "depth": depth}
        layers = [W[0] for W in aligned_trajectory(net, [12.0]).weights]
        g, H = autograd_gradients(net.task, layers), autograd_hessian(net.task, layers)
        newton = damped_newton(net.modes, a, np.zeros(1), damping=2.0, **shape)[0]  # type: ignore[arg-type]
        outcomes.append(compared(newton, -g @ np.linalg.solve(H + 2.0 * np.eye(len(H)), g.T)))
        # At n beta -> 0 the maximum is the checkpoint itself; both orders of the covariance, dense.
        tiny = 1e-9
        bif = local_bif(
            net.modes,
            a,
            np.zeros(1),
            n_beta=tiny,
            gamma=gamma,
            n_outputs=net.task.n_outputs,
            **shape,  # type: ignore[arg-type]
        )[0]
        items = np.array([autograd_hessian(net.task, layers, item=i) for i in range(4)]) / gamma
        outcomes.append(compared(bif, -(g @ g.T / gamma + 0.5 * np.einsum("inm,jmn->ij", items, items))))
    return worst(outcomes)


def _at_the_maximum() -> Outcome:
    """Both orders of the local BIF where the posterior is highest, from the Hessians of explicit weights."""
    times, outcomes = np.array([6.0, 12.0, 30.0]), []
    for depth in DEPTHS:
        net = small_network(depth, 4)
        a, layers = mode_strengths(net, times), aligned_trajectory(net, times).weights
        n_beta, gamma = 100.0, 5000.0
        by_hessians = dense_bif(net.task.X, net.task.Y, layers, times, n_beta=n_beta, gamma=gamma)
        by_modes = local_bif(
            net.modes,
            a,
            times,
            n_beta=n_beta,
            gamma=gamma,
            n_outputs=net.task.n_outputs,
            hidden=net.widths,
            active=4,
            depth=depth,
        )
        # Covariances are of size 1 / gamma.
        outcomes.append(compared(gamma * by_modes, gamma * by_hessians))
    return worst(outcomes)


def _unique() -> Outcome:
    outcomes, grid = [], np.linspace(0, 3, 300_001)
    for depth in (3, 4, 6):
        s, c = 0.5, 0.125
        force = grid ** (depth - 1) * (s - c * grid**depth)
        slope = float(np.diff(force).max() / (grid[1] - grid[0]))
        outcomes.append(compared(unique_gamma_form()(s=s, c=c, D=depth), slope))
    return worst(outcomes)


CLAIMS = (
    Claim(FAMILY, "all eigenvalues of the Hessian of 3 to 5 layers", ("pair_blocks_depth_",),
          "dense eigenvalues of the Hessian by automatic differentiation", 1e-13, "rounding of eigenvalues of order 1",
          _spectra),
    Claim(FAMILY, "the curvature along a pair's even gradient", ("pair_blocks_depth_",),
          "fourth-order differences of the loss of two modes", 1e-6, "rounding over the step squared, 1e-16 / 1e-8",
          _block),
    Claim(FAMILY, "damped influence and local covariance of 3 to 5 layers", ("pair_blocks_depth_",),
          "dense matrices by automatic differentiation", 1e-8, "n beta = 1e-9, which moves the maximum that much",
          _posterior),
    Claim(FAMILY, "local BIF, both orders, at the localised maximum of 3 to 5 layers", ("pair_blocks_depth_",),
          "explicit Hessians at the maximum found among all weights", 1e-10, "rounding, over gamma of its tolerance",
          _at_the_maximum),
    Claim(FAMILY, "the localisation beyond which the posterior has one maximum", ("unique_gamma",),
          "largest slope on a grid of 300,000 points", 1e-6, "spacing of the grid", _unique),
)  # fmt: skip
