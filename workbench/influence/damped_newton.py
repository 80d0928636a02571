"""``-g_i . (H + damping)^{-1} g_j``: the classical influence function, at the checkpoint itself.

Analytic: the Hessian's blocks in modes for aligned networks, the explicit Hessian of the predicted weights otherwise
(beyond two layers of small networks only).
Simulated: the exact Hessian of the trained weights.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench import theory
from workbench.errors import WorkbenchError, human_bytes
from workbench.influence.curvatures import curvatures
from workbench.influence.measure import Measure
from workbench.influence.networks import unknown_hessian
from workbench.influence.option import Option
from workbench.influence.quantities import Array, Expectation, Measured, Options, Request
from workbench.influence.work import Work
from workbench.theory.influence.damped_newton import check_damping, refuse_if_too_large
from workbench.theory.posterior.dense_posterior import MEMORY_LIMIT
from workbench.trajectory import Trajectory


def _choose_damping(trajectory: Trajectory, options: Options) -> float:
    """Twice what no checkpoint exceeds: of two layers, twice the largest singular value of the task."""
    network = trajectory.network
    if network.activation == "linear" and network.task.input_scale is not None:
        return theory.default_damping(network.modes, depth=network.depth)
    needed = float(np.maximum(-curvatures(trajectory)[:, 0], 0).max())
    return 2 * needed or float(network.modes.s[0])


def _analytic(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    network, times, damping = trajectory.network, trajectory.times, options["damping"]
    with work.bar("damped newton, theory", len(times)) as advance:
        task = trajectory.task
        if network.active is None and network.depth != 2:
            values = theory.dense_newton(task.X, task.Y, trajectory.weights, times, damping=damping, progress=advance)
        elif network.active is None:
            values = theory.dense_damped_newton(
                task.X, task.Y, trajectory.W1, trajectory.W2, times, damping=damping, progress=advance
            )
        else:
            values = theory.damped_newton(
                network.modes,
                theory.mode_strengths(network, times),
                times,
                damping=damping,
                hidden=network.widths,
                active=network.active,
                depth=network.depth,
                progress=advance,
            )
    return Measured(values, attrs={"damping": damping})


def _simulated(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    from workbench import simulation

    damping = options["damping"]
    with work.bar("damped newton, trained", len(trajectory.times)) as advance:
        values: Array = simulation.damped_newton(trajectory, damping, progress=advance)
    return Measured(values, attrs={"damping": damping})


def _refuse_size(request: Request, options: Options) -> None:
    task, sizes, needed = request.task, request.sizes, 24.0 * request.n_weights**2
    if len(sizes) == 3 and request.init.kind != "balanced" and request.predicted:
        refuse_if_too_large(task.n_inputs, sizes[1], task.n_outputs, task.n_items)
    elif len(sizes) != 3 and needed > MEMORY_LIMIT:
        raise WorkbenchError(
            f"a dense Hessian of {request.n_weights} weights takes {human_bytes(needed)} (limit "
            f"{human_bytes(MEMORY_LIMIT)}); use a smaller `hidden` or `depth`, or `measures` without damped_newton"
        )


def _refuse(predicted: Trajectory, options: Options, work: Work) -> None:
    check_damping(predicted.times, np.maximum(-curvatures(predicted)[:, 0], 0), options["damping"])


def _notes(options: Options, simulated: xr.DataArray | None) -> list[str]:
    return [f"damped_newton: damping = {options['damping']:.4g}"]


damped_newton = Measure(
    name="damped_newton",
    title="damped Newton, influence function",
    short="damped Newton",
    formula=r"$I_{ij}=-\nabla l_i\cdot(H+\delta)^{-1}\nabla l_j$",
    definition="-g_i . (H + damping)^{-1} g_j at the checkpoint",
    units="loss",
    meaning="What one Newton step on item i, damped where the loss curves down, does to the loss of j: the classical "
    "influence function.",
    analytic=_analytic,
    simulated=_simulated,
    by_theory="blocks of the Hessian in singular modes",
    by_simulation="exact Hessian of the trained network",
    options=(
        Option(
            "damping",
            "number",
            "added to the Hessian, whose negative eigenvalues it must exceed at every checkpoint; auto: twice what "
            "none exceeds, of two linear layers the largest singular value",
            choose=_choose_damping,
            zero=True,  # refused where the smallest curvature is known, with the value that would do
            metavar="X",
            symbol="damping δ",
            unit="loss/weight²",
            ends=(1e-2, 1e3),
        ),
    ),
    pace="one step of Newton at $t$: most where the loss is flat",
    unpredicted=unknown_hessian,
    refuse_size=_refuse_size,
    refuse=_refuse,
    notes=_notes,
    expectations=(
        Expectation("damped_newton", "the damped influence function follows the closed form", "closed form"),
    ),
)
