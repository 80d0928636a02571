"""Which item taught the network what an animal is? Influence on a mode, on a margin and on when a stage is over.

A weight on item i runs the clock of mode k faster by ``P v_ki^2`` (derived in `theory.influence.on_quantities`, any
depth): ``dt_k/deps_i = -P v_ki^2 t_k``. The margin is the readout that tells the two branches of the root apart, 1 when
learned. Crosses and points are trained networks: central differences of retraining, two learning rates extrapolated.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from workbench import theory
from workbench.errors import WorkbenchError
from workbench.figures.style import Style
from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.studies.item_colours import hues, item_colours
from workbench.studies.pairs import usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]

#: Learning rate of the coarser of two trainings, as a share of the largest stable one.
_RATE = 0.1
_MOST_ITEMS = 40


def answer(inquiry: Inquiry) -> StudyResult:
    """Responses of every network's modes, margin and stages to the weight of every item."""
    networks = usual_networks(inquiry)
    inquiry.allow(2, _MOST_ITEMS, "it retrains with every item's weight changed")
    parts = []
    with inquiry.bar("influence on quantities", len(networks)) as advance:
        for one in networks.values():
            parts.append(_responses(one, 101 if inquiry.quick else 201))
            advance(1)
    ds = xr.concat(parts, dim=xr.Variable("network", list(networks)), join="outer")
    caption = (
        "Left: how much earlier each stage is over per weight on each item, as a share of its time (rows: networks; "
        "columns: modes in order of learning). Middle: response of the margin between the root's two branches; lines "
        "theory, points trained. Right: delay of that stage when an item is removed, against first order."
    )
    alt = "Heat maps of modes by items, curves that rise and fall around the stage, and points along the diagonal."
    return StudyResult(_finding(ds), ds, draw, caption, alt, _claims(ds))


def branches(task: SemanticTask) -> NDArray[np.bool_]:
    """``(P,)`` items of one side of the first split: the root's first branch, or one sign of the second mode."""
    levels = task.common_ancestor_level
    if levels is not None:
        return np.asarray(levels[0] >= 1)
    _, _, Vt = np.linalg.svd(task.Y, full_matrices=False)
    return np.asarray(Vt[min(1, len(Vt) - 1)] >= 0)


def margin_readout(task: SemanticTask) -> tuple[Array, Array]:
    """p ``(N_o,)`` and z ``(N_i,)`` of the margin ``p^T W z``, which is 1 for a network that has learned the task."""
    one = branches(task)
    if one.all() or not one.any():
        raise WorkbenchError(f"task {task.name!r} has no two branches to tell apart; use one with two or more items")
    p, z = (part[:, one].mean(axis=1) - part[:, ~one].mean(axis=1) for part in (task.Y, task.X))
    if not p @ p > 0:
        raise WorkbenchError(f"the branches of task {task.name!r} have the same mean properties; use another task")
    return p / (p @ p), z


def _responses(start: Network, points: int) -> xr.Dataset:
    """Both sides for one network."""
    from workbench import simulation

    modes, K = start.modes, start.modes.rank
    input_modes = start.task.X @ modes.V / np.sqrt(modes.c * modes.n_items)
    p, z = margin_readout(start.task)
    readout = np.outer(p @ modes.U, z @ input_modes)
    times = np.linspace(0, theory.settling_time(start), points)
    coarse = simulation.schedule_near(times, simulation.learning_rate(start, _RATE))
    sides = [_trained(start, schedule, input_modes, readout) for schedule in (coarse, coarse.finer(2))]
    stage, margin, strength = (2 * fine - rough for rough, fine in zip(*sides, strict=True))
    X = theory.product_responses(start, coarse.times)
    rises = theory.half_rise_times(start)
    about = int(np.abs(readout[:, :K].diagonal() * modes.s / modes.c).argmax())
    return xr.Dataset(
        {
            "stage_time": ("mode", rises),
            "stage_time_response": (("item", "mode"), theory.stage_time_responses(start)),
            "stage_time_response_simulated": (("item", "mode"), stage),
            "relative_response": (("item", "mode"), theory.stage_time_responses(start) / rises),
            "strength_response": (("item", "moment"), X[..., about, about].T),
            "strength_response_simulated": (("item", "moment"), strength),
            "margin_response": (("item", "moment"), np.einsum("ab,tiab->it", readout, X)),
            "margin_response_simulated": (("item", "moment"), margin),
            "delay_when_removed": ("item", _delays(start, about, float(rises[about]))),
            "delay_to_first_order": ("item", -theory.stage_time_responses(start)[:, about] / modes.n_items),
            "time": ("moment", coarse.times),
            "stage_of_margin": about,
            "name": ("item", list(start.task.items)),
            "branch": ("item", branches(start.task)),
            **hues(start.task),
        },
        coords={"moment": np.arange(len(coarse.times))},  # networks of few steps have fewer checkpoints
    )


def _trained(start: Network, schedule: object, input_modes: Array, readout: Array) -> tuple[Array, Array, Array]:
    """``dt_k/deps_i`` ``(P, K)``, and responses of margin and of its main mode ``(P, T)``."""
    from workbench.simulation import Schedule
    from workbench.studies.reweighted import derivative_by_retraining

    assert isinstance(schedule, Schedule)
    modes, K = start.modes, start.modes.rank
    W, dW = derivative_by_retraining(start, schedule)
    X = np.einsum("oa,itoj,jb->itab", modes.U, dW, input_modes)
    a = np.einsum("oa,toj,ja->ta", modes.U, W, input_modes[:, :K])
    about = int(np.abs(readout[:, :K].diagonal() * modes.s / modes.c).argmax())
    stage = np.full((modes.n_items, K), np.nan)
    for k in range(K):
        spline = CubicSpline(schedule.times, a[:, k])
        roots = spline.solve(modes.s[k] / modes.c / 2, extrapolate=False)
        if len(roots):
            stage[:, k] = -CubicSpline(schedule.times, X[..., k, k].T)(roots[0]) / spline(roots[0], 1)
    return stage, np.einsum("ab,itab->it", readout, X), X[..., about, about]


def _delays(start: Network, mode: int, rise: float) -> Array:
    """``(P,)`` how much later the strength of the mode passes one half when an item is left out, by the flow."""
    modes, P = start.modes, start.task.n_items
    v = start.task.X @ modes.V[:, mode] / np.sqrt(modes.c * P)
    times = np.linspace(0, 3 * rise, 301)
    delays = np.full(P, np.nan)
    for i in range(P):
        layers = theory.layerwise_flow(start, times, item_weights=1 - np.eye(P)[i])
        reached = np.einsum("tpi,i->tp", layers[0], v)
        for W in layers[1:]:
            reached = np.einsum("tqp,tp->tq", W, reached)
        roots = CubicSpline(times, reached @ modes.U[:, mode]).solve(modes.s[mode] / modes.c / 2, extrapolate=False)
        delays[i] = roots[0] - rise if len(roots) else np.nan
    return delays


def _of_stage(one: xr.Dataset, variable: str = "stage_time_response") -> Array:
    """``(P,)`` of the stage of the margin."""
    return np.asarray(one[variable].values[: int(one["branch"].count()), int(one["stage_of_margin"])])


def _finding(ds: xr.Dataset) -> str:
    parts = []
    for name in ds["network"].values:
        one = ds.sel(network=name)
        response = _of_stage(one)
        items, t = one["name"].values, float(one["stage_time"].values[int(one["stage_of_margin"])])
        most, least = int(response.argmin()), int(response.argmax())
        told = f"{name}: the stage that parts the branches is over at t = {t:.2f}; "
        if np.ptp(response) < 1e-9 * np.abs(response).max():
            told += f"every item hastens it alike, by {-response[0]:.2f} per unit of weight"
        else:
            told += f"{items[most]} hastens it most, by {-response[most]:.2f}, "
            told += f"{items[least]} least, by {-response[least]:.2f}"
        parts.append(told)
    first = ds.isel(network=0)
    removed = first["delay_when_removed"] / first["delay_to_first_order"]
    return (
        f"An item hastens a stage by P v^2 t, its share in the mode times the age of the stage ({'; '.join(parts)}); "
        f"removing an item altogether delays it {float(removed.mean()):.2f} times what first order says."
    )


def _largest(error: xr.DataArray, size: xr.DataArray) -> float:
    """Over the networks, the largest error relative to the largest value."""
    parts = [np.abs(x.transpose("network", ...).values).reshape(x.sizes["network"], -1) for x in (error, size)]
    errors, sizes = (np.nanmax(part, axis=1) for part in parts)
    return float((errors / sizes).max())


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    analytic, trained = ds["stage_time_response"], ds["stage_time_response_simulated"]
    apart = _largest(analytic - trained, analytic)
    margin, seen = ds["margin_response"], ds["margin_response_simulated"]
    off = _largest(margin - seen, margin)
    P = ds["name"].notnull().sum("item")
    whole = trained.sum("item", min_count=1) / ds["stage_time"] + P  # of stages that training reaches
    bound, why = 4 * _RATE**2, "relative; second order of the learning rate after extrapolation, times growth"
    return (
        StudyClaim("The time of a stage answers to an item's weight as -P v^2 t", apart, "<=", bound, why),
        StudyClaim("The margin answers as the sum over pairs of modes says", off, "<=", bound, why),
        StudyClaim(
            "The responses of a stage to all items add up to -P t: weighing all more runs every clock faster",
            float(np.abs(whole).max() / ds.sizes["item"]),
            "<=",
            bound,
            why,
        ),
        StudyClaim(
            "No item ever delays the learning of the margin, in any of these networks",
            -float((margin.min(("item", "moment")) / abs(margin).max(("item", "moment"))).min()),
            "<=",
            0.01,
            "share of the largest response; 1% is invisible; no theorem: items of larger tables do",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """Rows are networks."""
    style = Style()
    N = ds.sizes["network"]
    with style.context():
        figure = style.figure(2.1 * N + 0.2)
        axes = figure.subplots(N, 3, squeeze=False, width_ratios=(1.2, 1.5, 1))
        for row, name in enumerate(ds["network"].values):
            one = ds.sel(network=name)
            P, K = int(one["branch"].count()), int(one["stage_time"].count())
            items = [str(item) for item in one["name"].values[:P]]
            _heat(style, figure, axes[row, 0], one["relative_response"].values[:P, :K], items, str(name))
            colours = item_colours(style, one)
            ax = style.tidy(axes[row, 1])
            for i, colour in enumerate(colours):
                ax.plot(one["time"], one["margin_response"][i], color=colour, label=items[i])
                ax.plot(one["time"], one["margin_response_simulated"][i], "o", color=colour, markersize=1.6)
            ax.set(ylabel="d margin / d weight")
            ax = style.tidy(axes[row, 2])
            first, seen = one["delay_to_first_order"].values[:P], one["delay_when_removed"].values[:P]
            most = 1.15 * float(np.nanmax([first, seen]))
            ax.axline((0, 0), slope=1, color=style.faint)
            ax.scatter(first, seen, s=10, color=colours)
            ax.set(ylabel="delay when removed", xlim=(0, most), ylim=(0, most))
            if P <= 12:
                axes[row, 1].legend(fontsize=style.least, ncols=2, loc="upper right")
        axes[-1, 0].set_xlabel("mode, in order of learning")
        axes[-1, 1].set_xlabel("flow time t")
        axes[-1, 2].set_xlabel("to first order")
    return figure


def _heat(style: Style, figure: Figure, ax: object, values: Array, items: list[str], name: str) -> None:
    from matplotlib.axes import Axes

    assert isinstance(ax, Axes)
    size = float(np.nanmax(np.abs(values)))
    image = ax.imshow(values, cmap=style.diverging(), vmin=-size, vmax=size, aspect="auto")
    ax.set_yticks(range(len(items)), items, fontsize=style.least if len(items) <= 12 else 3)
    ax.set_xticks(range(values.shape[1]), [str(k + 1) for k in range(values.shape[1])], fontsize=style.least)
    ax.set_title(f"{name}: change of stage time / time")
    figure.colorbar(image, ax=ax).ax.tick_params(labelsize=style.least)


STUDY = Study("influence_on_quantity", "Which item teaches the network what an animal is?", answer)
