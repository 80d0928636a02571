"""``dl_j(t) / d eps_i`` of training on ``L + sum_i eps_i l_i``: the infinitesimal form of leave-one-out.

Analytic: sums over pairs of modes for aligned starts, of two layers of unequal size too, the linearised flow for all
others. Simulated: forward-mode derivatives through every step of gradient descent.
"""

from __future__ import annotations

from workbench import theory
from workbench.influence.measure import Measure
from workbench.influence.quantities import Array, Expectation, Measured, Options
from workbench.influence.work import PARTS, Work, in_parts
from workbench.trajectory import Trajectory


def _analytic(trajectory: Trajectory, options: Options, work: Work) -> Array:
    network, times = trajectory.network, trajectory.times
    with work.bar("derivative, theory", PARTS) as advance:
        if network.active is not None and network.a0 is not None:
            return theory.trajectory_derivative(
                network.modes, times, a0=network.a0, active=network.active, depth=network.depth
            )
        if (unequal := theory.unequal_start(network)) is not None:
            return theory.unequal_derivative(unequal, times)
        return theory.trajectory_derivative_from_start(network, times, progress=in_parts(advance))


def _simulated(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    from workbench.simulation.influence.trajectory_derivative import trajectory_derivative as through_steps
    from workbench.simulation.running.place import Place

    recipe = work.retraining(trajectory)
    with work.bar("derivative, training", recipe.schedule.total) as advance:
        values = through_steps(trajectory.network, recipe, place=Place(work.device), progress=advance, slot=work.slot)
    return Measured(values, attrs={"eta": recipe.schedule.eta})


trajectory_derivative = Measure(
    name="trajectory_derivative",
    title="trajectory derivative, reweighting",
    short="trajectory derivative",
    formula=r"$I_{ij}=\partial l_j(t)/\partial\epsilon_i$  of training on  $L+\sum_i\epsilon_i l_i$",
    definition="dl_j / d eps_i of training on L + sum_i eps_i l_i",
    units="loss",
    meaning="What a little more weight on item i through the whole of training does to the loss of j: the derivative "
    "of the trained loss, not of one step.",
    analytic=_analytic,
    simulated=_simulated,
    by_theory="linearised flow, pair of modes by pair of modes",
    by_simulation="forward-mode derivative through every step of gradient descent",
    retrains=True,
    pace="all steps until $t$, carried along: past help delays the change of sign",
    quick_up_to=10**9,
    expectations=(Expectation("trajectory_derivative", "the derivative through training follows the flow's", "flow"),),
)
