"""From one measure of influence to the next, one ingredient at a time: the rungs of `why_peaks_differ`.

memory       weight in the last tau of training, over tau: from the kernel (0) to the exact derivative (1)
curvature    g_i . (H + d)^{-1} g_j, from d = infinity (the kernel) to 1.1 times what positivity needs
temperature  the local posterior at gamma = 4 times the need: its maximum moves; second order as n beta falls
removal      a share x of the item's weight taken away, from the derivative (0) to leave-one-out (1)
convention   leave-one-out, the others taking over a share of the lost weight, from 0 to 1 (renormalised)
step         the derivative through steps of gradient descent, up to .6 of the largest stable learning rate
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from workbench import theory
from workbench.influence import MEASURES
from workbench.influence.curvatures import curvatures
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]
Rung = tuple[str, float]

#: Ingredient: its values, the first where it is absent; label of the axis.
LADDERS: dict[str, tuple[tuple[float, ...], str]] = {
    "memory": ((0, 1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1), "window / length of training"),
    "curvature": ((np.inf, 100, 20, 4, 2, 1.1), "damping / what is needed"),
    "temperature": ((np.inf, 100, 10, 1, 0.1), "n beta / default"),
    "removal": ((0, 0.01, 0.1, 0.25, 0.5, 0.75, 1), "share of the weight removed"),
    "convention": ((0, 0.02, 0.1, 0.25, 0.5, 1), "share taken over"),
    "step": ((0, 0.03, 0.1, 0.3, 0.6), "learning rate / largest stable"),
}
RUNGS: tuple[Rung, ...] = tuple((name, float(value)) for name, (values, _) in LADDERS.items() for value in values)


def predicted_rungs(predicted: Trajectory, rungs: tuple[Rung, ...] = RUNGS) -> Iterator[tuple[int, Array]]:
    """Index and influence ``(T, P, P)`` of the rungs that the theory has; each on a scale of its own."""
    rules: dict[str, Callable[[Trajectory, float], Array]] = {
        "memory": _remembered,
        "curvature": _curved,
        "temperature": _posterior,
        "removal": _removed,
        "convention": _taken_over,
    }
    for k, (name, value) in enumerate(rungs):
        if name in rules:
            yield k, rules[name](predicted, value)
        elif value == 0:
            yield k, _remembered(predicted, 1.0)


def _measured(predicted: Trajectory, measure: str, **options: Any) -> Array:
    return np.asarray(MEASURES[measure](predicted, **options).values)


def needed_damping(predicted: Trajectory) -> float:
    """What makes ``H + damping`` positive definite at every checkpoint."""
    return float(np.maximum(-curvatures(predicted)[:, 0], 0).max())


def _remembered(predicted: Trajectory, share: float) -> Array:
    if share in (0.0, 1.0):
        return _measured(predicted, "gradient_kernel" if share == 0 else "trajectory_derivative")
    network, last = predicted.network, float(predicted.times[-1])
    assert network.a0 is not None
    recent = [
        theory.trajectory_derivative(
            network.modes,
            [t],
            a0=network.a0,
            active=network.active,
            depth=network.depth,
            window=(max(0.0, t - share * last), t),
        )
        for t in predicted.times.tolist()
    ]
    return np.concatenate(recent)


def short_memory_flips(predicted: Trajectory, mask: NDArray[np.bool_], shares: Sequence[float]) -> Array:
    """First changes of sign of a group's mean influence for windows of these shares, as roots, near the kernel's."""
    network, last = predicted.network, float(predicted.times[-1])
    assert network.a0 is not None

    def mean(t: float, share: float) -> float:
        window = (max(0.0, t - share * last), t)
        given: dict[str, Any] = {"a0": network.a0, "active": network.active, "depth": network.depth}
        return float(theory.trajectory_derivative(network.modes, [t], window=window, **given)[0, mask].mean())

    curve = _remembered(predicted, 0.0)[:, mask].mean(axis=1)
    k = int(np.flatnonzero((curve[:-1] < 0) & (curve[1:] >= 0))[0])
    begin, end = float(predicted.times[max(k - 1, 0)]), float(predicted.times[min(k + 2, len(curve) - 1)])
    return np.array([brentq(mean, begin, end, args=(share,), xtol=1e-11) for share in shares])


def _curved(predicted: Trajectory, factor: float) -> Array:
    if factor == np.inf:
        return _remembered(predicted, 0.0)
    return _measured(predicted, "damped_newton", damping=factor * needed_damping(predicted))


def _posterior(predicted: Trajectory, share: float) -> Array:
    if share == np.inf:
        return _curved(predicted, 4.0)
    n_beta = share * theory.default_n_beta(predicted.network.modes)
    return _measured(predicted, "local_bif", n_beta=n_beta, gamma=4 * needed_damping(predicted) * n_beta)


def _removed(predicted: Trajectory, share: float) -> Array:
    if share == 0:
        return _remembered(predicted, 1.0)
    return _without(predicted, 1 - share * np.eye(predicted.task.n_items))


def _taken_over(predicted: Trajectory, share: float) -> Array:
    P = predicted.task.n_items
    return _without(predicted, (1 - np.eye(P)) * (1 + share / (P - 1)))


def _without(predicted: Trajectory, weights: Array) -> Array:
    losses = theory.weighted_flow(predicted.network, predicted.times, np.vstack([np.ones(len(weights)), weights]))
    return np.asarray(losses[:, :1] - losses[:, 1:])


def trained_rungs(predicted: Trajectory) -> Iterator[tuple[int, Array, Array]]:
    """Index, times and influence of the rungs that are simulated: the steps, and the ends of the other ladders."""
    from workbench import simulation

    network, times = predicted.network, np.append(0.0, predicted.times)
    rates = LADDERS["step"][0][1:]
    for rate in rates:
        schedule = simulation.schedule_near(times, simulation.learning_rate(network, rate))
        yield RUNGS.index(("step", rate)), schedule.times, simulation.trajectory_derivative(network, schedule)
    schedule = simulation.schedule_near(times, simulation.learning_rate(network, rates[0]))
    run = simulation.train(network, schedule)
    measured: dict[Rung, tuple[str, dict[str, Any]]] = {
        ("memory", 0.0): ("gradient_kernel", {}),
        ("memory", 1.0): ("trajectory_derivative", {}),
        ("curvature", 2.0): ("damped_newton", {"damping": 2 * needed_damping(predicted)}),
        ("removal", 1.0): ("leave_one_out", {}),
        ("convention", 1.0): ("leave_one_out", {"convention": "renormalised"}),
    }
    for rung, (measure, options) in measured.items():
        yield RUNGS.index(rung), run.times, MEASURES[measure](run, **options).values
