"""Claims about influence through training: derivative, leave-one-out, windows, symmetry."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from workbench.networks import Network, network
from workbench.semantics import rumelhart_task, task_from_spec
from workbench.simulation import Schedule, retrained_losses
from workbench.theory import layerwise_flow, leave_one_out
from workbench.theory.flow.balanced_starts import balanced_start
from workbench.theory.influence import mode_response, turning_points
from workbench.theory.influence.on_quantities import stage_time_response_form
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.symmetry import influence_classes
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.influence.window_removal import window_removal
from workbench.theory.modes.balanced import residual_form
from workbench.verification.claims import Claim, Outcome, compared, measured
from workbench.verification.reference import flow_with_window, item_losses, weight_flow

Array = NDArray[np.float64]
_TIMES = np.array([0.0, 2.0, 5.0, 9.0, 14.0, 22.0])
#: Imaginary weight that carries a derivative: its square is below the rounding of 1.
_STEP = 1e-20


def _aligned(hidden: int = 8, a0: float = 0.01) -> Network:
    return network(task_from_spec("tree"), hidden, f"balanced:{a0}")


def _by_complex_step(start: Network, source: int, window: tuple[float, float] = (0.0, np.inf)) -> Array:
    """``(T, P)`` derivative of all losses by ``eps_source``: 1 + P eps is the weight of the item in the mean loss."""
    omega = np.ones(start.task.n_items, dtype=complex)
    omega[source] += 1j * _STEP
    window = (window[0], min(window[1], float(_TIMES[-1])))
    losses = flow_with_window(start.task, (start.W1, start.W2), _TIMES, omega, window)
    return np.asarray(start.task.n_items * losses.imag / _STEP)


def _derivative() -> Outcome:
    start = _aligned(9)
    predicted = trajectory_derivative(start.modes, _TIMES, a0=0.01, active=8)[:, 0]
    windowed = trajectory_derivative(start.modes, _TIMES, a0=0.01, active=8, window=(4.0, 11.0))[:, 0]
    computed = [_by_complex_step(start, 0), _by_complex_step(start, 0, (4.0, 11.0))]
    return compared([predicted, windowed], computed)


def _stage_time() -> Outcome:
    """Of 'animal or plant' on the table: crossings of one half, with 1 +- .001 of an item's weight."""
    start, source, mode, step = network(task_from_spec("table:rumelhart"), 8, "balanced:0.01"), 1, 1, 1e-3
    modes, P = start.modes, start.task.n_items
    half, times = float(modes.s[mode] / modes.c / 2), np.linspace(4, 7, 121)
    crossings = []
    for sign in (1, -1):
        W1, W2 = layerwise_flow(start, times, item_weights=1 + sign * step * np.eye(P)[source], rtol=1e-11)
        a = np.einsum("o,toh,thi,i->t", modes.U[:, mode], W2, W1, modes.V[:, mode])
        crossings.append(CubicSpline(times, a).solve(half, extrapolate=False)[0])
    at = {"P": P, "v": modes.V[source, mode], "s": modes.s[mode], "c": modes.c, "a0": start.a0}
    predicted = stage_time_response_form()(**at)
    return compared(predicted, (crossings[0] - crossings[1]) * P / (2 * step))


def _derivative_of_any_start() -> Outcome:
    predicted, computed = [], []
    for start in (balanced_start(task_from_spec("tree:2,2"), 5, 0.3, scale=0.05), _gaussian()):
        predicted.append(trajectory_derivative_from_start(start, _TIMES, rtol=1e-11)[:, 1])
        computed.append(_by_complex_step(start, 1))
    return compared(predicted, computed)


def _gaussian() -> Network:
    return network(task_from_spec("tree:2,2"), 6, "gaussian:0.1")


def _small_reweighting() -> Outcome:
    """Every item weighted by 1 +- delta, gradient descent with two learning rates, extrapolated to zero."""
    start, delta, slopes = _aligned(), 1e-3, []
    runs = np.vstack([1 + delta * np.eye(8), 1 - delta * np.eye(8)])
    for eta in (0.02, 0.01):
        losses = retrained_losses(start, Schedule.at(_TIMES, eta), runs)
        slopes.append(8 * (losses[:, :8] - losses[:, 8:]) / (2 * delta))
    return compared(trajectory_derivative(start.modes, _TIMES, a0=0.01), 2 * slopes[1] - slopes[0])


def _on_tree() -> Outcome:
    """The forms themselves: two hypergeometric responses a pair of levels, summed over the tree."""
    start, t, cover = _aligned(), 9.0, (8, 4, 2, 1)
    s = [float(start.modes.s[start.modes.level[:8] == k][0]) for k in range(4)]  # type: ignore[index]
    at = {"t": t, "c": start.modes.c, "a0": 0.01}
    values = {f"e_{k}": float(residual_form()(s=s[k], **at)) for k in range(4)}
    for k in range(4):
        for j in range(4):
            if k == j:
                values[f"m_{k}{j}"] = float(mode_response.equal_mode_response_form()(s=s[k], **at))
            else:
                values[f"m_{k}{j}"] = float(mode_response.mode_response_form()(s_a=s[k], s_b=s[j], **at))
    predicted = [float(mode_response.tree_derivative_form(cover, m)(c=start.modes.c, **values)) for m in range(4)]
    row = _by_complex_step(start, 0)[int(np.flatnonzero(t == _TIMES)[0])]
    return compared(predicted, row[[4, 2, 1, 0]])


def _derivative_flips() -> Outcome:
    grid, flips_seen = np.linspace(0.1, 40, 300), []
    for target in (4, 2, 1):
        curve = turning_points.derivative_curve(_aligned().modes, 0, target, a0=0.01)
        flips_seen.append(turning_points.sign_flips(curve, grid))
    return compared(flips_seen, [[6.31, 8.89], [7.67, 11.87], [10.85, 17.97]], scale=1.0)


def _leave_one_out() -> Outcome:
    start, predicted, computed = _aligned(), [], []
    together = item_losses(start.task, weight_flow(start.task, (start.W1, start.W2), _TIMES))
    for convention, others in (("unnormalised", 1.0), ("renormalised", 8 / 7)):
        omega = np.full(8, others)
        omega[2] = 0.0
        without = item_losses(start.task, weight_flow(start.task, (start.W1, start.W2), _TIMES, omega))
        predicted.append(leave_one_out(start, _TIMES, convention=convention)[:, 2])  # type: ignore[arg-type]
        computed.append(together - without)
    return compared(predicted, computed)


def _retraining() -> Outcome:
    """Gradient descent with two learning rates, extrapolated to zero."""
    start = _aligned()
    runs, losses = np.vstack([np.ones(8), 1 - np.eye(8)]), []
    for eta in (0.02, 0.01):
        schedule = Schedule.at(_TIMES, eta)
        losses.append(retrained_losses(start, schedule, runs))
    limit = 2 * losses[1] - losses[0]
    return compared(leave_one_out(start, _TIMES), limit[:, :1] - limit[:, 1:])


def _closed_leave_one_out() -> Outcome:
    """Relative error of the projected exact solution on kept items, at a0 = 1e-2 and 1e-3."""
    errors = []
    for a0 in (1e-2, 1e-3):
        start, times = _aligned(8, a0), np.linspace(0.0, 30.0, 31)
        off = ~np.eye(8, dtype=bool)
        closed = leave_one_out(start, times, method="closed_form")[:, off]
        ode = leave_one_out(start, times, rtol=1e-11)[:, off]
        errors.append(float(np.linalg.norm(closed - ode) / np.linalg.norm(ode)))
    expected = (1.3e-4, 6e-6)
    worst = max(error / most for error, most in zip(errors, expected, strict=True))
    return measured(1.0, worst, lambda p: worst * p)


def _leave_one_out_flips() -> Outcome:
    grid, flips_seen = np.linspace(0.1, 20, 120), []
    for target in (4, 2, 1):
        curve = turning_points.leave_one_out_curve(_aligned(), 0, target)
        flips_seen += list(turning_points.sign_flips(curve, grid))
    return compared(flips_seen, [6.69, 10.02, 8.58, 14.69, 13.76], scale=1.0)


def _windows() -> Outcome:
    start, windows = _aligned(), [(0.0, 6.0), (4.0, 11.0)]
    together = item_losses(start.task, weight_flow(start.task, (start.W1, start.W2), _TIMES))
    omega = np.ones(8)
    omega[0] = 0.0
    computed = [
        together - flow_with_window(start.task, (start.W1, start.W2), _TIMES, omega, window) for window in windows
    ]
    return compared(window_removal(start, _TIMES, windows)[:, :, 0], computed)


def _classes() -> Outcome:
    """Orbits of ordered pairs under all 8! permutations that leave ``Y^T Y`` unchanged."""
    everything = np.array(list(permutations(range(8))))
    predicted, computed = [], []
    for task in (task_from_spec("tree"), rumelhart_task()):
        gram = task.Y.T @ task.Y
        kept = everything[(gram[everything[:, :, None], everything[:, None, :]] == gram).all(axis=(1, 2))]
        first = np.arange(64).reshape(8, 8)[kept[:, :, None], kept[:, None, :]].min(axis=0)
        classes = influence_classes(task)
        predicted.append(classes[:, :, None, None] == classes)
        computed.append(first[:, :, None, None] == first)
    return compared(predicted, computed, scale=1.0)


_FAMILY = "Influence through training"
_COMPLEX = "DOP853 of all weights with an imaginary item weight of 1e-20"
_ODE = "the solver's own error at rtol 1e-12, over thousands of steps"
CLAIMS = (
    Claim(_FAMILY, "trajectory derivative of an aligned start, whole and restricted to a window",
          ("mode_response", "equal_mode_response"), _COMPLEX, 1e-9, _ODE, _derivative),
    Claim(_FAMILY, "trajectory derivative on the tree, from its hypergeometric forms",
          ("tree_derivative_m", "mode_response", "equal_mode_response"), _COMPLEX, 1e-9, _ODE, _on_tree),
    Claim(_FAMILY, "how much earlier a stage is over for a weight on an item", ("stage_time_response",),
          "the flow of all weights with 1 +- .001 of the weight, its crossings of one half", 1e-5,
          "square of the step, times growth", _stage_time),
    Claim(_FAMILY, "trajectory derivative of lambda-balanced and Gaussian starts", (), _COMPLEX, 1e-9,
          "rtol 1e-11 of the linearised flow", _derivative_of_any_start),
    Claim(_FAMILY, "trajectory derivative is what retraining with a slightly changed weight gives", ("mode_response",),
          "gradient descent with item weights 1 +- 0.001, extrapolated from two learning rates", 1e-3,
          "second order of the learning rate, (0.02)^2, times growth", _small_reweighting),
    Claim(_FAMILY, "it flips to harmful and back: 6.31, 8.89 / 7.67, 11.87 / 10.85, 17.97", ("mode_response",),
          "reference values, computed independently", 5.1e-3, "two decimals are given", _derivative_flips),
    Claim(_FAMILY, "leave-one-out, both conventions", (), "DOP853 of all weights without the item", 1e-7,
          "rtol 1e-9 of the integrator, times growth", _leave_one_out),
    Claim(_FAMILY, "leave-one-out is what retraining gives", (),
          "gradient descent without each item, extrapolated from two learning rates", 1e-3,
          "second order of the learning rate, (0.02)^2, times growth", _retraining),
    Claim(_FAMILY, "leave-one-out as projected exact solution: error 1.3e-4 at a0 = .01, 6e-6 at .001",
          ("riccati_solution",), "the flow of every held-out problem (ratio of errors)", 1.1,
          "two digits are given", _closed_leave_one_out),
    Claim(_FAMILY, "leave-one-out flips: 6.69, 10.02 / 8.58, 14.69 / 13.76", (),
          "reference values, computed independently", 5.1e-3, "two decimals are given", _leave_one_out_flips),
    Claim(_FAMILY, "removal of an item within a window", (), "DOP853 of all weights, stopped at its ends", 1e-7,
          "rtol 1e-9 of the integrator, times growth", _windows),
    Claim(_FAMILY, "classes of equal influence on the tree and the Rumelhart table", (),
          "brute force: all 40,320 permutations of 8 items", 0.0, "exact", _classes),
)  # fmt: skip
