"""``l_j`` with item i always in training minus ``l_j`` with it absent from t0 to t1.

Analytic: the gradient flow, restarted at t0 and t1. Simulated: retraining, all windows and items in one batch.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from workbench import theory
from workbench.errors import WorkbenchError
from workbench.influence.measure import Measure
from workbench.influence.option import Option
from workbench.influence.quantities import PAIR, Array, Expectation, Measured, Options
from workbench.influence.retraining import CONVENTION
from workbench.influence.work import PARTS, Work, in_parts
from workbench.trajectory import Trajectory


def first_stage(trajectory: Trajectory, options: Options) -> tuple[float, float]:
    """From 0 to the first half-rise time: before anything is learned."""
    rises = theory.half_rise_times(trajectory.network)
    return 0.0, float(min(rises[rises > 0].min(initial=np.inf), trajectory.times[-1]))


def _analytic(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    with work.bar("window removal, theory", PARTS) as advance:
        removed = theory.window_removal(
            trajectory.network,
            trajectory.times,
            _pairs(options["window"]),
            convention=options["convention"],
            progress=in_parts(advance),
        )
    return _measured(removed, options)


def _simulated(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    from workbench.simulation.influence.window_removal import window_removal as by_retraining
    from workbench.simulation.running.place import Place

    recipe = work.retraining(trajectory)
    with work.bar("window removal, retrain", recipe.schedule.total) as advance:
        removed = by_retraining(
            trajectory.network,
            recipe,
            _pairs(options["window"]),
            convention=options["convention"],
            place=Place(work.device),
            progress=advance,
            slot=work.slot,
        )
    return _measured(removed, options, eta=recipe.schedule.eta)


def _pairs(window: ArrayLike) -> list[tuple[float, float]]:
    return [(float(begin), float(end)) for begin, end in np.reshape(np.asarray(window, dtype=np.float64), (-1, 2))]


def _measured(removed: Array, options: Options, **attrs: float) -> Measured:
    """Of one window (time, source, target); of several with a first dimension and coordinates begin and end."""
    recorded = {"convention": options["convention"], **attrs}
    window: NDArray[np.float64] = np.asarray(options["window"], dtype=np.float64)
    if window.ndim == 1:
        begin, end = window.tolist()
        return Measured(removed[0], attrs=recorded | {"window_begin": begin, "window_end": end})
    ends = {"begin": ("window", window[:, 0]), "end": ("window", window[:, 1])}
    return Measured(removed, attrs=recorded, dims=("window", *PAIR), coords=ends)


def _refuse(predicted: Trajectory, options: Options, work: Work) -> None:
    last = float(predicted.times[-1])
    for begin, end in _pairs(options["window"]):
        if begin >= last:
            raise WorkbenchError(
                f"`window` {begin:g}:{end:g} begins after the last flow time, {last:.4g}, so nothing could come of "
                "it; give an earlier one, or a larger `t_max`"
            )


def _notes(options: Options, simulated: xr.DataArray | None) -> list[str]:
    begin, end = options["window"]
    return [f"window_removal: each item absent from t = {begin:.4g} to {end:.4g}"]


window_removal = Measure(
    name="window_removal",
    title="window removal, retraining",
    short="window removal",
    formula=r"$I_{ij}=l_j(t)-l_j(t)|_{\mathrm{without}\ i\ \mathrm{from}\ t_0\ \mathrm{to}\ t_1}$",
    definition="l_j with item i always in training minus l_j without it in a window of time",
    units="loss",
    meaning="What item i, seen in one stretch of training and not only before and after it, does to the loss of j "
    "from then on: when an item matters, not only whether.",
    analytic=_analytic,
    simulated=_simulated,
    by_theory="gradient flow, restarted where the window begins and ends",
    by_simulation="every held-out problem trained by gradient descent",
    options=(
        Option(
            "window",
            "window",
            "in flow time; auto: from 0 to the first half-rise time",
            choose=first_stage,
            metavar="T0:T1",
        ),
        CONVENTION,
    ),
    retrains=True,
    whole_item=True,
    pace="the steps of one stretch, felt from then on",
    refuse=_refuse,
    notes=_notes,
    expectations=(Expectation("window_removal", "window removal by retraining follows the flow", "flow"),),
)
