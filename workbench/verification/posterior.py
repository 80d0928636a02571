"""Claims about the local posterior around a checkpoint."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network, network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.theory.flow.aligned import aligned_trajectory, mode_strengths
from workbench.theory.posterior.local_posterior import local_bif
from workbench.theory.posterior.loss_off import loss_off_covariance
from workbench.trajectory import Trajectory
from workbench.verification.claims import Claim, Outcome, compared, measured
from workbench.verification.reference import autograd_gradients, autograd_hessian, item_losses

Array = NDArray[np.float64]
Layers = list[Array]


def _predicted(start: Network, t: float, n_beta: float, gamma: float) -> tuple[Array, Layers]:
    times = np.array([t])
    path, a = aligned_trajectory(start, times), mode_strengths(start, times)
    assert start.active is not None
    bif = local_bif(
        start.modes,
        a,
        times,
        n_beta=n_beta,
        gamma=gamma,
        hidden=start.hidden,
        n_outputs=start.task.n_outputs,
        active=start.active,
    )
    return -bif[0], [path.W1[0], path.W2[0]]


def _unpack(w: Array, layers: Layers) -> Layers:
    cut = layers[0].size
    return [w[:cut].reshape(layers[0].shape), w[cut:].reshape(layers[1].shape)]


def _maximum(task: SemanticTask, layers: Layers, n_beta: float, gamma: float) -> tuple[Array, Array]:
    """Weights at the maximum of the posterior and its precision there, by Newton steps with automatic derivatives."""
    star = np.concatenate([layer.ravel() for layer in layers])
    w = star.copy()
    for _ in range(12):
        here = _unpack(w, layers)
        precision = n_beta * autograd_hessian(task, here) + gamma * np.eye(len(w))
        step = np.linalg.solve(precision, n_beta * autograd_gradients(task, here).mean(axis=0) + gamma * (w - star))
        w = w - step
        if np.abs(step).max() < 1e-14:
            break
    return w, precision


def _dense() -> Outcome:
    """``g^T C g + tr(H_i C H_j C)/2`` at the maximum, everything by automatic differentiation, 69 weights."""
    start = network(task_from_spec("tree"), 3, "balanced:0.01")
    predicted, layers = _predicted(start, 8.0, 100.0, 1000.0)
    w, precision = _maximum(start.task, layers, 100.0, 1000.0)
    at, C = _unpack(w, layers), np.linalg.inv(precision)
    g = autograd_gradients(start.task, at)
    spread = np.array([autograd_hessian(start.task, at, item=i) @ C for i in range(8)])
    return compared(predicted, g @ C @ g.T + 0.5 * np.einsum("iab,jba->ij", spread, spread))


def _exact_covariance(task: SemanticTask, layers: Layers, n_beta: float, gamma: float) -> Array:
    """All three weights of a network with two items integrated by Gauss-Hermite quadrature, 30 nodes each."""
    w, precision = _maximum(task, layers, n_beta, gamma)
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    z = np.array(list(product(nodes, repeat=3)))
    points = w + np.linalg.solve(np.linalg.cholesky(precision).T, z.T).T
    star = np.concatenate([layer.ravel() for layer in layers])
    losses = item_losses(task, [points[:, :2].reshape(-1, 1, 2), points[:, 2:].reshape(-1, 1, 1)])
    energy = n_beta * losses.mean(axis=1) + gamma / 2 * ((points - star) ** 2).sum(axis=1) - (z**2).sum(axis=1) / 2
    p = np.prod(np.array(list(product(weights, repeat=3))), axis=1) * np.exp(energy.min() - energy)
    p /= p.sum()
    centred = losses - p @ losses
    return np.asarray((centred * p[:, None]).T @ centred)


def _errors() -> list[Outcome]:
    """Against the exact posterior at gamma = 20 n beta s_1, n beta = 20, 80, 320."""
    task = SemanticTask("two items", ("one", "other"), ("size",), np.array([[1.0, 0.5]]))
    start, outcomes = network(task, 1, "balanced:0.02"), []
    for n_beta in (20.0, 80.0, 320.0):
        gamma = 20 * n_beta * float(start.modes.s[0])
        predicted, layers = _predicted(start, 3.0, n_beta, gamma)
        outcomes.append(compared(predicted, _exact_covariance(task, layers, n_beta, gamma)))
    return outcomes


def _order() -> Outcome:
    small, large = (outcome.difference for outcome in _errors()[1:])
    order = float(np.log(small / large) / np.log(4))
    return measured(1.0, order, lambda p: abs(order - p))


def _loss_off() -> Outcome:
    """Two items, inputs, hidden units and outputs: quadrature over all 8 weights, whose 5 nodes are exact."""
    rng = np.random.default_rng(0)
    task = SemanticTask("two items", ("one", "other"), ("p", "q"), rng.normal(size=(2, 2)), X=rng.normal(size=(2, 2)))
    layers, v = [rng.normal(size=(2, 2)), rng.normal(size=(2, 2))], 0.1
    start = network(task, 2, "gaussian:0.1")
    path = Trajectory(start, "predicted", np.zeros(1), tuple(one[None] for one in layers))
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    points = np.concatenate([one.ravel() for one in layers]) + v**0.5 * np.array(list(product(nodes, repeat=8)))
    p = np.prod(np.array(list(product(weights, repeat=8))), axis=1)
    losses = item_losses(task, [points[:, :4].reshape(-1, 2, 2), points[:, 4:].reshape(-1, 2, 2)])
    centred = losses - (p @ losses) / p.sum()
    return compared(loss_off_covariance(path, 1 / v)[0], (centred * p[:, None]).T @ centred / p.sum())


CLAIMS = (
    Claim("Local posterior", "covariance of losses, second order at the localised maximum, in mode blocks",
          ("pair_curvature",), "dense matrices by automatic differentiation", 1e-11,
          "rounding, times the condition number of the precision", _dense),
    Claim("Local posterior", "it is that of the exact posterior within 1% at 20 times the gamma needed, n beta = 80",
          (), "quadrature over all weights of a network with two items", 0.01,
          "reference values of exact sampling, computed independently", lambda: _errors()[1]),
    Claim("Local posterior", "and closes in on it as 1/gamma", (), "the same at n beta = 80 and 320", 0.05,
          "the order of convergence, with a rest of the next order", _order),
    Claim("Local posterior", "with the loss switched off the covariance of two linear layers is exact",
          ("loss_off_covariance",), "quadrature over all weights of a network with two hidden units", 1e-12,
          "rounding", _loss_off),
)  # fmt: skip
