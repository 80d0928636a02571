"""The simulated side of a state: train, then measure, small enough to follow a resting hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench import influence
from workbench.errors import WorkbenchError
from workbench.explorer.model import by_group, start_of, width
from workbench.explorer.scene import Scene
from workbench.explorer.state import ExplorerState
from workbench.networks import Init, Network, network
from workbench.theory.modes.groups import ModeGroups

if TYPE_CHECKING:
    from workbench.simulation import Schedule

Array = NDArray[np.float64]
Progress = Callable[[float], None]

#: Checkpoints of the training, and those of them around which SGLD samples.
CHECKPOINTS, SAMPLED = 25, 9
_SAMPLING = {"chains": 4, "draws": 200}
#: More steps than this are no answer to a resting hand.
MAX_STEPS = 100_000
#: The simulation depends on nothing else; source, targets and time only pick from it.
_KEY = ("task", "table", "prepare", "activation", "depth", "hidden", "a0", "start", "lam", "eta", "measure", "seed")


class Cancelled(Exception):
    """A newer state has made this simulation pointless."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """What simulation found for a state.

    Attributes:
        key: what the simulation depends on.
        times: ``(T,)``; strengths ``(T, G)`` by group of modes; loss ``(T,)``.
        influence_times: ``(T',)``; influence and stderr ``(T', P, P)``; stderr is None where nothing is random.
        eta: step size that hits the checkpoints.
    """

    key: tuple[object, ...]
    times: Array
    strengths: Array
    loss: Array
    influence_times: Array
    influence: Array
    stderr: Array | None
    eta: float


def simulation_key(state: ExplorerState) -> tuple[object, ...]:
    """Two states with the same key have the same simulation."""
    key = tuple(getattr(state, name) for name in _KEY)
    return (*key, *state.asked.values())


def simulate(state: ExplorerState, scene: Scene, end: float, progress: Progress) -> Simulated:
    """Train from the state's start to flow time ``end`` and measure influence there; the same state, the same numbers.

    ``progress`` gets the fraction done, and may raise to stop the work.
    """
    if end / state.eta > MAX_STEPS:
        raise WorkbenchError(
            f"training to t = {end:.4g} with step size {state.eta:.3g} takes {end / state.eta:.2g} steps "
            f"(limit {MAX_STEPS:g}); use a larger step size"
        )
    schedule, measure = _schedule(end, state.eta), influence.MEASURES[state.measure]
    total, share, done = schedule.total, 0.3 if measure.retrains or measure.sampled else 1.0, 0

    def training(steps: int) -> None:
        nonlocal done
        done += steps
        progress(share * done / total)

    progress(0.0)
    groups = scene.groups(width(state, scene))
    if state.activation != "linear" and (state.measure != "gradient_kernel" or state.depth == 1 or state.lam != 0):
        raise WorkbenchError(
            f"{state.activation} units are simulated with the gradient kernel, at depth 2 or more and λ = 0; "
            "choose these, or the linear activation"
        )
    if state.activation == "linear":
        return _linear(state, scene, groups, schedule, training, progress)
    return _nonlinear(state, scene, groups, schedule, training)


def _schedule(end: float, eta: float) -> Schedule:
    """Checkpoints on whole steps of just this size, up to the last before ``end``."""
    from workbench.simulation import Schedule

    total = int(end / eta + 1e-9)
    if total < 1:
        raise WorkbenchError(f"one step of {eta:.3g} is longer than the training, {end:.3g}; use a smaller step size")
    steps = np.unique(np.linspace(0, total, min(CHECKPOINTS, total + 1)).round().astype(int))
    return Schedule(eta, tuple(int(n) for n in steps))


def _linear(
    state: ExplorerState,
    scene: Scene,
    groups: ModeGroups,
    schedule: Schedule,
    training: Callable[[int], None],
    progress: Progress,
) -> Simulated:
    from workbench import simulation
    from workbench.trajectory import Trajectory

    run = simulation.train(start_of(state, scene), schedule, progress=training)
    at, done = run, 0.0

    def bar(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        def report(steps: int) -> None:
            nonlocal done
            done += steps
            progress(min(1.0, 0.3 + 0.7 * done / total))

        return nullcontext(report)

    measure = influence.MEASURES[state.measure]
    options: dict[str, float] = {name: value for name, value in _SAMPLING.items() if name in measure.option_names}
    options |= state.asked
    if measure.sampled:
        some = np.linspace(0, len(run.times) - 1, SAMPLED).round().astype(int)
        at = Trajectory(run.network, "trained", run.times[some], tuple(W[some] for W in run.weights), run.eta)
    measured = measure.measure(at, measure.resolve(at, options), influence.Work(bar=bar, seed=state.seed))
    stderr = measured["stderr"].values if "stderr" in measured.coords else None
    return Simulated(
        simulation_key(state),
        run.times,
        by_group(run.mode_strengths, groups),
        run.loss,
        at.times,
        measured.values,
        stderr,
        run.eta,
    )


def _nonlinear(
    state: ExplorerState, scene: Scene, groups: ModeGroups, schedule: Schedule, training: Callable[[int], None]
) -> Simulated:
    from workbench.simulation.influence.gradient_kernel import gradient_kernel
    from workbench.simulation.training.descent import train_networks
    from workbench.simulation.training.recipes import Recipe

    # From the first weights of the linear network.
    net = network(scene.task, state.hidden, Init("balanced", state.a0), depth=state.depth, seed=state.seed)
    net = Network(scene.task, net.weights, state.activation, net.init, net.seed)  # type: ignore[arg-type]
    run = train_networks([net], Recipe(schedule), progress=training)[0]
    strengths = by_group(run.mode_strengths, groups)
    key, eta = simulation_key(state), run.eta
    return Simulated(key, run.times, strengths, run.loss, run.times, gradient_kernel(run), None, eta)
