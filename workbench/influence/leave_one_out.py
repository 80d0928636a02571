"""``l_j`` with item i in training minus ``l_j`` without it, at every checkpoint.

Analytic: the gradient flow of all held-out problems, integrated to rounding. Simulated: retraining by gradient descent
with the trajectory's own learning rate, all items in one batch; where that would take long, with two coarser ones,
eta and 2 eta, from which ``2 I(eta) - I(2 eta)`` is right up to second order (Richardson).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench import theory
from workbench.influence.measure import Measure
from workbench.influence.quantities import Array, Expectation, Measured, Options
from workbench.influence.retraining import CONVENTION
from workbench.influence.work import PARTS, Work, in_parts
from workbench.store import Slot
from workbench.trajectory import Trajectory

if TYPE_CHECKING:
    from workbench.simulation import Recipe


def _analytic(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    convention = options["convention"]
    with work.bar("leave-one-out, theory", PARTS) as advance:
        change = theory.leave_one_out(
            trajectory.network, trajectory.times, convention=convention, progress=in_parts(advance)
        )
    return Measured(change, attrs={"convention": convention})


def _simulated(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    from workbench import simulation

    recipe, convention, P = work.retraining(trajectory), options["convention"], trajectory.task.n_items
    network, schedule = trajectory.network, recipe.schedule
    runs = np.vstack([np.ones(P), simulation.leave_one_out_weights(P, convention)])
    place, twice = simulation.Place(work.device), work.twice
    steps = schedule.total + (0 if twice is None else twice.schedule.total)
    with work.bar("leave-one-out, retrain", steps) as advance:

        def change(training: Recipe, slot: Slot) -> Array:
            losses = simulation.retrained_losses(network, training, runs, place=place, progress=advance, slot=slot)
            return losses[:, :1] - losses[:, 1:]

        if twice is None:
            return Measured(change(recipe, work.slot), attrs={"convention": convention, "eta": schedule.eta})
        # I(eta) = I + eta I' + O(eta^2): what is linear in the learning rate cancels.
        values = 2 * change(recipe, work.slot.part("once")) - change(twice, work.slot.part("twice"))
    return Measured(values, attrs={"convention": convention, "eta": schedule.eta, "extrapolated": 1})


leave_one_out = Measure(
    name="leave_one_out",
    title="leave-one-out, retraining",
    short="leave-one-out",
    formula=r"$I_{ij}=l_j(t)-l_j(t)|_{\mathrm{without}\ i}$",
    definition="l_j with item i in training minus l_j without it",
    units="loss",
    meaning="What training with item i, compared with training without it, does to the loss of j.",
    analytic=_analytic,
    simulated=_simulated,
    by_theory="gradient flow of every held-out problem",
    by_simulation="every held-out problem trained by gradient descent",
    options=(CONVENTION,),
    retrains=True,
    extrapolates=True,
    whole_item=True,
    pace="all steps until $t$ without the item: past help delays the change of sign",
    quick_up_to=64,
    expectations=(Expectation("leave_one_out", "leave-one-out by retraining follows the flow", "flow"),),
)
