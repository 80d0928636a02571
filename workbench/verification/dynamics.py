"""Claims about two-layer mode dynamics and the exact matrix solution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.theory import exact_solution
from workbench.theory.flow import riccati
from workbench.theory.flow.aligned import mode_strengths
from workbench.theory.flow.balanced_starts import balanced_start
from workbench.theory.modes import balanced as mode_dynamics
from workbench.theory.modes import unbalanced, unbalanced_weights
from workbench.theory.modes.step_size import step_size_shift
from workbench.theory.modes.strength import mode_strength
from workbench.trajectory import Trajectory
from workbench.verification.claims import Claim, Outcome, compared, measured, pointwise
from workbench.verification.reference import item_losses, scalar_flow, weight_flow

Array = NDArray[np.float64]
_TIMES = np.linspace(0.0, 40.0, 41)
_PROBLEMS = [(s, c, a0) for s in (0.125, 0.4841, 1.7) for c in (0.125, 1.0) for a0 in (1e-3, 0.05)]


def _strength() -> Outcome:
    predicted = [mode_dynamics.mode_strength_form()(t=_TIMES, s=s, c=c, a0=a0) for s, c, a0 in _PROBLEMS]
    computed = [scalar_flow(lambda a, s=s, c=c: 2 * a * (s - c * a), a0, _TIMES)[:, 0] for s, c, a0 in _PROBLEMS]
    return pointwise(predicted, computed)


def _residual() -> Outcome:
    """From its own equation, so that nothing cancels late: ``de/dt = -2 e (s - e)``."""
    predicted = [mode_dynamics.residual_form()(t=_TIMES, s=s, c=c, a0=a0) for s, c, a0 in _PROBLEMS]
    computed = [
        np.exp(scalar_flow(lambda x, s=s: -2 * (s - np.exp(x)), np.log(s - c * a0), _TIMES)[:, 0])
        for s, c, a0 in _PROBLEMS
    ]
    return pointwise(predicted, computed)


def _half_rise() -> Outcome:
    predicted, computed = [], []
    for s, c, a0 in _PROBLEMS:
        predicted.append(float(mode_dynamics.half_rise_form()(s=s, c=c, a0=a0)))

        def short(t: float, s: float = s, c: float = c, a0: float = a0) -> float:
            reached = scalar_flow(lambda a: 2 * a * (s - c * a), a0, np.array([0.0, t]))[-1, 0]
            return float(reached - s / (2 * c))

        computed.append(brentq(short, 0.5 * predicted[-1], 2 * predicted[-1], xtol=1e-12))
    return pointwise(predicted, computed)


def _whole_network() -> Outcome:
    """Losses of a network whose 368 weights all follow the gradient, against sums over modes."""
    start, a0 = network(task_from_spec("tree"), 16, "balanced:0.01"), 0.01
    times, modes = np.linspace(0, 30, 16), start.modes
    layers = weight_flow(start.task, (start.W1, start.W2), times, rtol=1e-11)
    loss = item_losses(start.task, layers).mean(axis=1)
    parts = [mode_dynamics.mode_loss_form()(t=times, s=s, c=modes.c, a0=a0) for s in modes.s]
    learned = Trajectory(start, "trained", times, (layers[0], layers[1])).mode_strengths
    strengths = compared(mode_strengths(start, times), learned)
    losses = compared(np.sum(parts, axis=0), loss)
    return max(strengths, losses, key=lambda outcome: outcome.difference)


def _shift_order() -> Outcome:
    """Order at which gradient descent of a mode departs from flow plus shift, from three learning rates; all depths."""
    s, c, a0, end = 0.4841, 0.125, 0.01, 6.0
    orders = []
    for depth in (1, 2, 3, 4):
        flow, left = mode_strength(end, s, c=c, a0=a0, depth=depth), []
        for eta in (0.02, 0.01, 0.005):
            w = a0 ** (1 / depth)
            for _ in range(round(end / eta)):
                w += eta * w ** (depth - 1) * (s - c * w**depth)
            shift = step_size_shift(flow, s - c * flow, eta=eta, s=s, c=c, a0=a0, depth=depth)
            left.append(abs(w**depth - float(flow) - float(shift)))
        orders.append(float(np.log2(left[1] / left[2])))
    worst = max(orders, key=lambda order: abs(order - 2.0))
    return measured(2.0, worst, lambda p: abs(worst - p))


def _unbalanced() -> Outcome:
    predicted, computed = [], []
    for lam in (-2.0, -1e-3, 0.0, 0.3, 5.0):
        for s in (-0.4, 0.0, 0.7):
            w1, w2 = unbalanced_weights.initial_pair(0.02, lam)
            ours = unbalanced_weights.mode_weights(_TIMES[:21], s, c=0.5, a0=0.02, lam=lam)
            flow = scalar_flow(
                lambda w, s=s: (s - 0.5 * w[0] * w[1]) * w[::-1], np.array([float(w1), float(w2)]), _TIMES[:21]
            )
            # A mode is w1 w2: both weights may change sign together.
            predicted.append([ours[0] ** 2, ours[1] ** 2, ours[0] * ours[1]])
            computed.append([flow[:, 0] ** 2, flow[:, 1] ** 2, flow[:, 0] * flow[:, 1]])
    return compared(predicted, computed)


def _unbalanced_strength() -> Outcome:
    predicted, computed = [], []
    for lam in (-0.5, 0.01, 3.0):
        predicted.append(unbalanced.unbalanced_form()(t=_TIMES, s=0.6, c=0.5, a0=0.01, lamda=lam))
        computed.append(
            scalar_flow(lambda a, lam=lam: np.sqrt(lam**2 + 4 * a**2) * (0.6 - 0.5 * a), 0.01, _TIMES)[:, 0]
        )
    return pointwise(predicted, computed)


def _lazy() -> Outcome:
    """Largest distance from the lazy exponential at lambda = 1, 10, 100 (s = c = 1, a0 = .01)."""
    gaps = []
    for lam in (1.0, 10.0, 100.0):
        t = np.linspace(0, 20 / lam, 2001)
        exact = scalar_flow(lambda a, lam=lam: np.sqrt(lam**2 + 4 * a**2) * (1 - a), 0.01, t)[:, 0]
        gaps.append(np.abs(unbalanced.lazy_limit_form()(t=t, s=1.0, c=1.0, a0=0.01, lamda=lam) - exact).max())
    return pointwise([0.125, 2e-3, 2e-5], gaps)


def _stable_manifold() -> Outcome:
    """The saddle is unstable off the manifold, so the product is integrated along it: w2 = -w1."""
    times = np.linspace(0, 15, 31)
    predicted = unbalanced.stable_manifold_form()(t=times, s=0.6, c=0.5, b0=0.3)
    w = scalar_flow(lambda w: -(0.6 + 0.5 * w**2) * w, np.sqrt(0.3), times)[:, 0]
    return pointwise(predicted, -(w**2))


def _exact() -> Outcome:
    predicted, computed = [], []
    times, task = np.array([0.0, 2.0, 6.0, 12.0, 25.0]), task_from_spec("tree")
    for lam, hidden in ((0.0, 10), (0.4, 9), (-0.3, 7), (0.0, 3)):
        start = balanced_start(task, hidden, lam, scale=0.02)
        path = exact_solution(start, times)
        flow = weight_flow(task, (start.W1, start.W2), times)
        predicted.append(path.W2 @ path.W1)
        computed.append(flow[1] @ flow[0])
    return compared(predicted, computed)


def _long_time() -> Outcome:
    start = balanced_start(task_from_spec("tree"), 12, 0.0, scale=1e-3)
    path = exact_solution(start, np.array([2000.0]))
    return compared(path.W2[0] @ path.W1[0], start.task.Y)


def _gaussian() -> Outcome:
    """Power of sigma with which the error from unbalanced Gaussian weights falls."""
    task, times, errors = task_from_spec("tree"), np.linspace(0, 40, 21), []
    for sigma in (0.04, 0.02, 0.01):
        start = network(task, 16, f"gaussian:{sigma}")
        flow = weight_flow(task, (start.W1, start.W2), times, rtol=1e-9)
        path = exact_solution(start, times)
        errors.append(np.abs(path.W2 @ path.W1 - flow[1] @ flow[0]).max())
    power = float(np.log2(errors[1] / errors[2]))
    return measured(2.0, power, lambda p: abs(power - p))


def _riccati() -> Outcome:
    s, lam, c = 0.7, 0.4, 1.0
    mu = float(riccati.eigenvalue_form()(s=s, lamda=lam))
    F = np.array([[-lam / 2, s], [s, lam / 2]])
    values, vectors = np.linalg.eigh(F)
    w1, w2 = (float(w) for w in unbalanced_weights.initial_pair(0.02, lam))
    times = np.linspace(0, 12, 13)
    flow = scalar_flow(lambda w: (s - c * w[0] * w[1]) * w[::-1], np.array([w1, w2]), times)
    plus, minus = vectors[:, 1], vectors[:, 0]
    grown = riccati.riccati_form()(t=times, mu=mu, q_plus=plus @ [w1, w2], q_minus=minus @ [w1, w2])
    return compared(np.append(grown, mu), np.append((flow @ plus) ** 2, values[1]))


_FAMILY, _MATRIX = "Mode dynamics, two layers", "Exact matrix solution"
_ODE = "the solver's own error at rtol 1e-12, over thousands of steps"
CLAIMS = (
    Claim(_FAMILY, "a mode grows as a(t)", ("mode_strength",), "DOP853, 12 modes to t = 40", 1e-9, _ODE, _strength),
    Claim(_FAMILY, "its residual e(t) keeps all digits late in training", ("mode_residual",),
          "DOP853 of ln e, to e = 1e-60", 1e-8, "rtol 1e-12 of a logarithm of size 140, over many steps", _residual),
    Claim(_FAMILY, "half-rise times", ("half_rise_time",), "root of the integrated mode", 1e-9, _ODE, _half_rise),
    Claim(_FAMILY, "strengths and loss of a whole aligned network are those of its modes",
          ("mode_loss", "mode_strength"), "DOP853 of all 368 weights", 1e-8, "rtol 1e-11, amplified by e^(2 s t)",
          _whole_network),
    Claim(_FAMILY, "flow plus shift is gradient descent up to second order in the learning rate",
          ("step_size_shift",), "gradient descent with three learning rates, 1 to 4 layers", 0.05,
          "the order of convergence, with a third-order rest", _shift_order),
    Claim(_FAMILY, "both weights of a mode at any imbalance and sign of s, up to a common sign", ("unbalanced_weight",),
          "DOP853, 15 problems", 1e-9, _ODE, _unbalanced),
    Claim(_FAMILY, "strength of a mode with unequal layers", ("unbalanced_strength",), "DOP853", 1e-9, _ODE,
          _unbalanced_strength),
    Claim(_FAMILY, "distance from the lazy limit at lambda = 1, 10, 100: .125, 2e-3, 2e-5", ("lazy_strength",),
          "DOP853; reference values", 0.05, "one to three digits are given", _lazy),
    Claim(_FAMILY, "a mode of the wrong sign decays", ("stable_manifold",), "DOP853 along the manifold", 1e-9, _ODE,
          _stable_manifold),
    Claim(_MATRIX, "W2 W1 from any balanced start, lambda = 0, .4, -.3, with a bottleneck", ("riccati_solution",),
          "DOP853 of all weights", 1e-10, _ODE, _exact),
    Claim(_MATRIX, "at t = 2000 the solution is at the target", ("riccati_solution",), "the fixed point of the flow",
          1e-10, "rounding of 2,000 restarts", _long_time),
    Claim(_MATRIX, "from Gaussian weights its error falls as sigma^2", ("riccati_solution",),
          "DOP853 at sigma = .04, .02, .01", 0.1, "the order of convergence, with a rest of order sigma^4", _gaussian),
    Claim(_MATRIX, "a mode in the eigenbasis of F, and the growth rate", ("riccati_solution", "growth_rate"),
          "DOP853 and dense eigenvalues", 1e-9, _ODE, _riccati),
)  # fmt: skip
