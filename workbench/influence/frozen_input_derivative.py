"""``dl_j(t) / d eps_i`` of training on ``Syx + eps_i y_i x_i^T``: more weight on an item's outputs, none on its inputs.

Analytic: the aligned solution, differentiated in the singular vectors of Syx (the frozen-input formula of public
teaching material), or the flow of louder targets from the start as it is. Simulated: retraining with louder targets.
"""

from __future__ import annotations

from dataclasses import replace

from workbench import theory
from workbench.influence.measure import Measure
from workbench.influence.option import Option
from workbench.influence.quantities import Array, Expectation, Measured, Options
from workbench.influence.work import PARTS, Work, in_parts
from workbench.semantics.doubled import doubled_targets, louder
from workbench.theory.influence.frozen_input import rotated_start
from workbench.trajectory import Trajectory

#: Its square is far below rounding of 1.
_TINY = 1e-30


def _choose_start(trajectory: Trajectory, options: Options) -> str:
    return "kept" if trajectory.network.active is None else "rotated"


def _analytic(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    network, times, start = trajectory.network, trajectory.times, options["start"]
    with work.bar("louder targets, theory", PARTS) as advance:
        if network.active is not None and network.a0 is not None:
            values = theory.frozen_input_derivative(
                network.modes, times, a0=network.a0, active=network.active, depth=network.depth, start=start
            )
        else:
            P = network.task.n_items
            weights = louder(P, 1j * _TINY * P)
            losses = theory.weighted_flow(
                replace(network, task=doubled_targets(network.task)),
                times,
                weights,
                rtol=1e-10,
                progress=in_parts(advance),
            )
            values = losses[..., :P].imag / _TINY
    return Measured(values, attrs={"start": start})


def _simulated(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    from workbench.simulation.influence.frozen_input import STEP, frozen_input_derivative
    from workbench.simulation.running.place import Place

    recipe, network, start = work.retraining(trajectory), trajectory.network, options["start"]
    starts = None
    if start == "rotated":
        items = range(network.task.n_items)
        starts = [(rotated_start(network, i, 1 + STEP), rotated_start(network, i, 1 - STEP)) for i in items]
    with work.bar("louder targets, retrain", recipe.schedule.total) as advance:
        values: Array = frozen_input_derivative(
            network, recipe, starts=starts, place=Place(work.device), progress=advance, slot=work.slot
        )
    return Measured(values, attrs={"start": start, "eta": recipe.schedule.eta})


frozen_input_derivative = Measure(
    name="frozen_input_derivative",
    title="frozen-input derivative, louder targets",
    short="frozen input",
    formula=r"$I_{ij}=\partial l_j(t)/\partial\epsilon_i$  of training on  $\Sigma_{yx}+\epsilon_i y_i x_i^T$",
    definition="dl_j / d eps_i of training on Syx + eps_i y_i x_i^T, Sxx unchanged",
    units="loss",
    meaning="What a little more weight on the outputs of item i, and none on its inputs, does to the loss of j: louder "
    "targets, not more of the item.",
    analytic=_analytic,
    simulated=_simulated,
    by_theory="singular vectors of the perturbed task",
    by_simulation="retraining with targets a little larger and smaller",
    options=(
        Option(
            "start",
            "word",
            "rotated: aligned with the perturbed task, as the formula takes it; kept: as it is; auto: rotated where "
            "the network is aligned",
            choose=_choose_start,
            choices=("rotated", "kept"),
        ),
    ),
    retrains=True,
    pace="all steps until $t$, of a task with louder targets",
    expectations=(
        Expectation("frozen_input_derivative", "the derivative by louder targets follows the closed form", "flow"),
    ),
)
