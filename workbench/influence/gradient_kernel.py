"""``-g_i . g_j``: what one gradient step on the source does to the target, per learning rate.

Analytic: sums over modes for aligned networks, Gram matrices of the predicted weights otherwise. Simulated: per-item
gradients of the trained weights.
"""

from __future__ import annotations

from workbench import theory
from workbench.influence.measure import Measure
from workbench.influence.quantities import Array, Expectation, Options
from workbench.influence.work import Work
from workbench.trajectory import Trajectory


def _analytic(trajectory: Trajectory, options: Options, work: Work) -> Array:
    task, network = trajectory.task, trajectory.network
    if network.active is None:
        return theory.gradient_kernel_from_weights(task.X, task.Y, *trajectory.weights)
    strengths = theory.mode_strengths(network, trajectory.times)
    return theory.gradient_kernel(network.modes, strengths, depth=network.depth)


def _simulated(trajectory: Trajectory, options: Options, work: Work) -> Array:
    from workbench import simulation

    return simulation.gradient_kernel(trajectory)


gradient_kernel = Measure(
    name="gradient_kernel",
    title="gradient kernel, one step",
    short="gradient kernel",
    formula=r"$I_{ij}=-\nabla l_i\cdot\nabla l_j$",
    definition="-g_i . g_j at the checkpoint, g_i = grad l_i",
    units="loss^2 / weight^2",
    meaning="What one small training step on item i does to the loss of item j: minus the inner product of the "
    "gradients of their losses.",
    analytic=_analytic,
    simulated=_simulated,
    by_theory="sums over singular modes",
    by_simulation="per-item gradients of the trained network",
    pace="what one step does at $t$: largest while both items are wrong, and alike inside",
    quick_up_to=10**9,
    expectations=(
        Expectation("gradient_kernel", "the gradient kernel follows the closed form", "closed form"),
        Expectation("gradient_kernel_flips", "sign flips of the kernel come when predicted", "flips"),
    ),
)
