"""What the learning rate does to a run, to first order, as the errors that are then to be expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.agreement.differences import relative_l2
from workbench.errors import ConditionError
from workbench.influence import (
    Measure,
    Work,
    damped_newton,
    gradient_kernel,
    leave_one_out,
    trajectory_derivative,
    window_removal,
)
from workbench.networks import Network
from workbench.theory.flow.descent_flow import descent_loss_shift, descent_trajectory
from workbench.theory.flow.reduction import reduced_flow
from workbench.theory.flow.weighted_flow import ALWAYS
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Weights of all runs up to which the effect on retraining is integrated: some seconds.
_MOST_WEIGHTS = 100_000
#: Change of an item's weight of which a difference is taken.
_CHANGE = 1e-3


def without_closed_effect(start: Network, asked: Sequence[Measure]) -> list[Measure]:
    """Measures for which the effect of the learning rate is integrated: of an unaligned start all, else one's own."""
    known = (gradient_kernel, damped_newton)
    return [m for m in asked if start.active is None or (m.expects("closed form") and m not in known)]


def step_errors(
    predicted: Trajectory,
    asked: Sequence[Measure],
    chosen: Mapping[str, Mapping[str, Any]],
    analytic: Mapping[str, Array],
    etas: tuple[float, float],
) -> dict[str, float]:
    """Expected differences between training and flow, one a claim.

    Of mode strengths over their last values, of the loss over the first, of measures relative L2: of all pairs where
    they know nothing of the steps before, else of other items.

    Args:
        analytic: ``(T, P, P)`` predictions of the measures.
        etas: learning rate of training, and of retraining.
    """
    moved, modes = descent_trajectory(predicted.network, predicted.times, etas[0]), predicted.network.modes
    expected = {
        "mode_strengths": float(np.abs((moved.mode_strengths - predicted.mode_strengths) * modes.c / modes.s).max()),
        "loss": float(np.abs(moved.loss - predicted.loss).max() / predicted.loss[0]),
    }
    off = ~np.eye(predicted.task.n_items, dtype=bool)
    for measure in asked:
        if measure.name not in analytic:
            continue
        values = analytic[measure.name]
        if measure.expects("closed form"):
            # Moved weights may need a little more damping than is given: then nothing is expected.
            with suppress(ConditionError):
                moved_values = measure.measure(moved, chosen[measure.name], Work()).values
                expected[measure.name] = relative_l2(values, moved_values)
        elif (
            shift := _through_training(predicted.network, predicted.times, measure, chosen[measure.name])
        ) is not None:
            expected[measure.name] = relative_l2(values[:, off], (values + etas[1] * shift)[:, off])
    return expected


def _through_training(network: Network, times: Array, measure: Measure, options: Mapping[str, Any]) -> Array | None:
    """``(T, P, P)`` effect on a measure that retrains, over the learning rate; None where it is not integrated."""
    P = network.task.n_items
    if reduced_flow(network).size * 2 * P > _MOST_WEIGHTS:
        return None
    ones = np.ones((1, P))
    if measure is trajectory_derivative:
        # eps_i in L + sum eps_i l_i is a weight of 1 + P eps_i.
        more, less = (descent_loss_shift(network, times, ones + sign * _CHANGE * np.eye(P)) for sign in (1, -1))
        return P * (more - less) / (2 * _CHANGE)
    if measure not in (leave_one_out, window_removal):
        return None
    faster = 1.0 if options["convention"] == "unnormalised" else P / (P - 1)
    begin, end = ALWAYS if measure is leave_one_out else options["window"]
    runs = np.vstack([ones, (1 - np.eye(P)) * faster])
    shift = descent_loss_shift(network, times, runs, window=(float(begin), float(end)))
    return shift[:, :1] - shift[:, 1:]
