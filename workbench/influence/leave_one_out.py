"""``l_j`` with item i in training minus ``l_j`` without it, at every checkpoint.

Analytic: the gradient flow of all held-out problems, integrated to rounding. Simulated: retraining by gradient descent
with the trajectory's own learning rate, all items in one batch.
"""

from __future__ import annotations

import numpy as np

from workbench import theory
from workbench.influence.measure import Measure
from workbench.influence.quantities import Expectation, Measured, Options
from workbench.influence.retraining import CONVENTION
from workbench.influence.work import PARTS, Work, in_parts
from workbench.trajectory import Trajectory


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
    with work.bar("leave-one-out, retrain", schedule.total) as advance:
        place = simulation.Place(work.device)
        losses = simulation.retrained_losses(network, recipe, runs, place=place, progress=advance, slot=work.slot)
    return Measured(losses[:, :1] - losses[:, 1:], attrs={"convention": convention, "eta": schedule.eta})


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
    whole_item=True,
    pace="all steps until $t$ without the item: past help delays the change of sign",
    quick_up_to=64,
    expectations=(Expectation("leave_one_out", "leave-one-out by retraining follows the flow", "flow"),),
)
