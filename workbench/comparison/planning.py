"""Learning rate and length of a comparison, chosen before any long work starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.settings import Settings, Spacing
from workbench.comparison.training import optimizer_of, plain
from workbench.errors import WorkbenchError
from workbench.influence.networks import bilinear
from workbench.networks import Network
from workbench.parallel import cores
from workbench.semantics import input_stretch
from workbench.theory import half_rise_times, initial_strengths, settling_time

if TYPE_CHECKING:
    from workbench.simulation import Schedule
    from workbench.simulation.training.optimizers import Optimizer

Array = NDArray[np.float64]

#: Aim for mode strengths within this relative error of the flow.
STRENGTH_ERROR = 1e-3
#: Training, and retraining without each item, may each take about this long before a learning rate is raised.
_SECONDS = 45.0
_STEP_SECONDS = 1.2e-5
_FLOPS_PER_SECOND = 2e10
#: Adam moves a weight by about the learning rate a step: how far in units of the strongest mode's root, in how many.
#: Directions of inputs that vary less than this part of the mean are not waited for.
_LEAST_STRETCH = 0.05
_ADAM_SPAN, _ADAM_STEPS = 10.0, 4000
#: A schedule that would take longer is a slip of the keyboard.
_HOURS = 6.0
#: Checkpoints that fall before the first mode is half learned, at least.
_BEFORE_FIRST_STAGE = 8
#: Retraining that would take longer at an accurate rate is done at two coarser ones and extrapolated to none,
_WORTH_EXTRAPOLATING = 5.0
#: the smaller of which shifts mode strengths by this: what is then left is of second order, and below `STRENGTH_ERROR`.
_EXTRAPOLATED_ERROR = 0.02


@dataclass(frozen=True)
class Schedules:
    """Learning rates of the network itself and of the retrained ones, at the same flow times.

    Attributes:
        twice: the retraining once more at twice its rate, where its effect is taken out by extrapolation; else None.
    """

    training: Schedule
    retraining: Schedule
    notes: list[str]
    twice: Schedule | None = None

    def seconds(self, start: Network, *, retrains: bool) -> float:
        """About how long training takes on this machine if nothing else runs on it, retraining included."""
        steps = self.retraining.total + (self.twice.total if self.twice is not None else 0)
        again = steps * _seconds_per_step(start, start.task.n_items + 1) if retrains else 0.0
        return self.training.total * _seconds_per_step(start, 1) + again


def planned_schedules(start: Network, settings: Settings) -> Schedules:
    """The schedules that the settings ask for."""
    eta, end = settings.eta, settings.t_max
    if settings.eta_fraction is not None:
        eta = fraction_of_stable(start, settings.eta_fraction, optimizer_of(settings))
    if settings.optimizer == "adam":
        end = end or _ADAM_SPAN * float(start.modes.s[0] / start.modes.c) ** (1 / start.depth)
        eta = eta or end / _ADAM_STEPS
    simple = start.activation == "linear" and start.task.input_scale is not None
    if end is None and not (simple and (start.active is not None or start.depth == 2)):
        # A guess from the linear network; layers have to align first, and the least varied inputs are learned last.
        end = float(f"{2 * settling_time(start) / max(input_stretch(start.task)[0], _LEAST_STRETCH):.2g}")
    retrained = [measure for measure in settings.asked if measure.retrains]
    chosen = choose_schedules(
        start,
        settings.checkpoints,
        end,
        eta,
        retrains=bool(retrained),
        extrapolates=plain(settings) and all(measure.extrapolates for measure in retrained),
        spacing=settings.spacing,
    )
    # Retrained runs see the batches and the memory of the run they are compared with only at one learning rate.
    return chosen if plain(settings) else replace(chosen, training=chosen.retraining)


def choose_schedules(
    start: Network,
    checkpoints: int,
    t_max: float | None,
    eta: float | None,
    *,
    retrains: bool = False,
    extrapolates: bool = False,
    spacing: Spacing = "even",
) -> Schedules:
    """Checkpoints and learning rates, and what the user should know about them.

    A mode of singular value s is off by at most ``eta s ln(kappa) / 2`` in relative strength (theory: the step-size
    shift). The learning rates keep that below `STRENGTH_ERROR` unless the work would take too long; they never
    exceed half of the largest stable one, ``1 / s_max``. Other depths go by the curvature where training ends in place
    of ``2 s_max``, other activations by that of the linear network.

    Args:
        retrains: whether a measure trains once more for every item.
        extrapolates: whether those that do can do it at two learning rates and extrapolate to none.
    """
    end = t_max if t_max is not None else float(f"{settling_time(start):.2g}")
    s, a0 = float(start.modes.s[0]), float(initial_strengths(start)[0])
    two = start.depth == 2 and (start.init is None or start.init.kind != "unequal")
    white = two and start.task.input_scale is not None
    s_max = s if white else 1 / fraction_of_stable(replace(start, activation="linear"), 1.0)
    log_kappa = float(np.log(max(s / (start.modes.c * a0), math.e)))
    sharpness = s_max * log_kappa / 2
    first = log_kappa / (2 * s) if two else float(half_rise_times(start).min())
    grid = _grid(start, end, checkpoints, first, spacing)
    runs = start.task.n_items + 1 if retrains else 1
    largest_step = eta if eta is not None else 0.5 / s_max
    _refuse_endless(end / largest_step, _seconds_per_step(start, runs), largest_step)
    if eta is not None:
        return _of_given_rate(grid, eta, s_max)
    accurate, notes, twice = STRENGTH_ERROR / sharpness, [], None
    seconds = end * _seconds_per_step(start, runs)
    coarse = _hit(grid, min(max(accurate, seconds / _SECONDS), 0.5 / s_max))
    if extrapolates and runs > 1 and seconds / accurate > _WORTH_EXTRAPOLATING:
        twice = _hit(grid, min(2 * max(_EXTRAPOLATED_ERROR / sharpness, 1.5 * seconds / _SECONDS), 0.5 / s_max))
        coarse = twice.finer(2)
    fine = min(max(accurate, end * _seconds_per_step(start, 1) / _SECONDS), coarse.eta)
    parts = coarse.eta / fine
    # Whole parts of the retraining's step: more than asked for, but no more than the time allows.
    training = coarse.finer(max(1, int(np.ceil(parts - 1e-9) if fine <= accurate else np.floor(parts))))
    for what, schedule in (("training", training), ("retraining without each item", coarse)):
        if schedule.eta > 1.01 * accurate and (schedule is training or runs > 1):
            if schedule is coarse and twice is not None:
                notes.append(
                    f"retraining without each item took learning rates {twice.eta:.2g} and {coarse.eta:.2g}, from "
                    "which influence was extrapolated to none"
                )
                continue
            notes.append(
                f"learning rate of {what}: {schedule.eta:.2g} instead of {accurate:.2g}, to keep it short; expect "
                f"mode strengths off by up to {100 * schedule.eta * sharpness:.2g}% while they rise "
                f"(`eta` {accurate:.2g} is accurate but slower)"
            )
    return Schedules(training, coarse, notes, twice)


def _of_given_rate(grid: Array, eta: float, s_max: float) -> Schedules:
    """The learning rate that the user gave, or the nearest below it of which the checkpoints are multiples."""
    shortest = float(np.diff(grid).min())
    if eta > 1.001 * shortest:
        raise WorkbenchError(
            f"`eta` {eta:.3g} is longer than the {shortest:.3g} of flow time between two checkpoints, and the largest "
            f"stable one is about {1 / s_max:.3g}; use at most {shortest:.3g}, or fewer `checkpoints`"
        )
    schedule, notes = _hit(grid, eta), []
    if eta * s_max >= 1:
        notes.append(f"eta {eta:g} is above the largest stable learning rate, about {1 / s_max:.3g}")
    if abs(schedule.eta - eta) > 1e-3 * eta:
        notes.append(f"learning rate {schedule.eta:.4g} in place of {eta:g}, so that the checkpoints are whole steps")
    return Schedules(schedule, schedule, notes)


def _refuse_endless(steps: float, seconds_per_step: float, eta: float) -> None:
    hours = steps * seconds_per_step / 3600
    if hours > _HOURS:
        raise WorkbenchError(
            f"{steps:.2g} training steps of {eta:.2g} would take about {hours:.2g} hours (limit {_HOURS:g}); "
            "use a larger `eta`, a smaller `t_max` or a smaller `hidden`"
        )


def fraction_of_stable(start: Network, fraction: float, optimizer: Optimizer | None = None) -> float:
    """A learning rate as a fraction of the largest at which training can settle, ``1 / s_max`` for two layers."""
    from workbench.simulation import learning_rate

    return learning_rate(start, fraction, optimizer)


def _grid(start: Network, end: float, checkpoints: int, first_stage: float, spacing: Spacing) -> Array:
    """Log-spaced times; the stages and even times between them; or even times (denser early, by a power law, where
    the first stage would otherwise be missed)."""
    from workbench.simulation import log_spaced_times, stage_times

    if spacing == "log":
        return log_spaced_times(min(first_stage, end) / _BEFORE_FIRST_STAGE, end, checkpoints)
    if spacing == "stages":
        rises = half_rise_times(start)
        gaps = len(stage_times(rises, end, 0)) - 1
        if gaps + 1 > checkpoints:
            raise WorkbenchError(f"`checkpoints` {checkpoints} for {gaps - 1} stages; give at least {gaps + 1}")
        return stage_times(rises, end, (checkpoints - 1) // gaps - 1)
    fraction = np.linspace(0.0, 1.0, checkpoints)
    before = min(_BEFORE_FIRST_STAGE, checkpoints // 4) / (checkpoints - 1)
    if first_stage >= before * end:
        return np.asarray(end * fraction)
    return np.asarray(end * fraction ** min(3.0, np.log(first_stage / end) / np.log(before)))


def _hit(grid: Array, eta: float) -> Schedule:
    """The largest learning rate up to ``eta`` of which every time is close to its own multiple."""
    from workbench.simulation import Schedule

    shortest = float(np.diff(grid).min())
    even = np.allclose(np.diff(grid), shortest)
    finest = shortest / max(1, int(np.ceil(shortest / eta - 1e-9)))
    return Schedule.at(grid, finest if even else min(eta, shortest))


def _seconds_per_step(start: Network, runs: int) -> float:
    task = start.task
    if not bilinear(start):
        return 40 * _STEP_SECONDS + 6.0 * runs * start.n_weights * task.n_items / _FLOPS_PER_SECOND
    outputs = min(task.n_outputs, start.modes.rank + (0 if start.active is not None else start.hidden))
    side_by_side = min(runs, cores())
    return _STEP_SECONDS + 6.0 * runs * start.hidden * outputs * task.n_inputs / (_FLOPS_PER_SECOND * side_by_side)
