"""The frozen-input formula against the exact derivative: what each of its three idealisations costs.

A derivation in public teaching material (Iliad Intensive worksheet B.5, section 4.4) differentiates the aligned
solution in the singular vectors of Syx: ``dW/d eps_i = A G + G' - G B``. On the way from it to the exact derivative lie

    inputs     Sxx is not perturbed, though more weight on item i adds eps x_i x_i^T: louder targets, not more of it
    start      the perturbed network is aligned with the perturbed vectors from t = 0: an early change of sign
    rotation   the printed one, M_ab / (s_b - s_a) on both sides, is antisymmetric for symmetric perturbations only

The part of the inputs is exact in modes: the exact response is pushed by ``e_a +- e_b``, that of louder targets by
``s_a +- s_b``, so they differ by what ``c (a_a +- a_b)`` pushes: nothing before anything is learned, more and more
later. The wrong start decays as the flow forgets it.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import theory
from workbench.agreement.events import sign_flips
from workbench.figures.style import Style
from workbench.studies.frozen_input_stages import RATES, STAGES, idealisation_errors, stages_of, trained_stages
from workbench.studies.pairs import groups_far_first, usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]

#: Idealisation k is the difference between stages k and k + 1.
IDEALISATIONS = ("inputs", "start", "rotation")
_MOST_ITEMS = 16


def answer(inquiry: Inquiry) -> StudyResult:
    """All four stages in theory, the first three of them trained as well."""
    networks = usual_networks(inquiry)
    inquiry.allow(1, _MOST_ITEMS, "it retrains twice for every item")
    points, G = 144 if inquiry.quick else 600, max(len(groups_far_first(one.task)[0]) for one in networks.values())
    shares = np.arange(1, points + 1) / points
    curves = np.full((len(networks), len(STAGES), points, G), np.nan)
    trained = np.full((len(networks), 3, 13, G), np.nan)
    errors, gaps = np.full((len(networks), len(IDEALISATIONS), points), np.nan), np.full((len(networks), 3, 2), np.nan)
    names = np.full((len(networks), G), "", dtype=object)
    ends = np.array([theory.settling_time(one) for one in networks.values()])
    with inquiry.bar("frozen input", 2 * len(networks)) as advance:
        for n, network in enumerate(networks.values()):
            labels, masks = groups_far_first(network.task)
            names[n, : len(labels)] = labels
            stages = stages_of(network, shares * ends[n])
            errors[n] = idealisation_errors(stages)
            curves[n, :, :, : len(masks)] = np.stack([stages[..., m].mean(axis=-1) for m in masks], axis=-1)
            advance(1)
            seen, gaps[n] = trained_stages(network, ends[n], stages, shares)
            trained[n, :, :, : len(masks)] = np.stack([seen[..., m].mean(axis=-1) for m in masks], axis=-1)
            advance(1)
    ds = xr.Dataset(
        {
            "influence": (("network", "stage", "share", "group"), curves),
            "influence_simulated": (("network", "stage_simulated", "checkpoint", "group"), trained),
            "error": (("network", "idealisation", "share"), errors, {"long_name": "relative L2, other items"}),
            "simulation_gap": (
                ("network", "stage_simulated", "rate"),
                gaps,
                {"long_name": "relative L2 over time, other items"},
            ),
        },
        coords={
            "network": list(networks),
            "stage": list(STAGES),
            "stage_simulated": list(STAGES[:3]),
            "idealisation": list(IDEALISATIONS),
            "rate": list(RATES),
            "time": (("network", "share"), shares * ends[:, None]),
            "time_simulated": (("network", "checkpoint"), np.linspace(0, 1, 13) * ends[:, None]),
            "pairs": (("network", "group"), names.astype(str)),
            "has_tree": ("network", [one.task.tree_symmetric for one in networks.values()]),
        },
    )
    ds["flip"] = (("network", "stage", "group", "number"), _flips(ds))
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Above: mean influence of groups of pairs by the exact derivative and with one idealisation more at a time "
        "(points: trained). Below: what each idealisation adds, relative to the exact influence of other items.",
        "The frozen formula starts with the wrong sign, follows the exact curve in the middle and stays harmful later; "
        "its error from the inputs grows through training, that of the start decays.",
        _claims(ds),
    )


def _flips(ds: xr.Dataset, most: int = 4) -> Array:
    """``(network, stage, group, 4)`` times of all changes of sign of the mean curves; nan where there are fewer."""
    N, S, _, G = ds["influence"].shape
    flips = np.full((N, S, G, most), np.nan)
    for n, k, g in np.ndindex(N, S, G):
        curve = ds["influence"].values[n, k, :, g]
        if np.isfinite(curve).all():
            times = sign_flips(ds["time"].values[n], curve, 1e-4 * float(np.abs(curve).max()))[:most]
            flips[n, k, g, : len(times)] = times
    return flips


def _listed(times: Array) -> str:
    return ", ".join(f"{t:.2f}" for t in times[np.isfinite(times)]) or "none"


def _finding(ds: xr.Dataset) -> str:
    first, group = ds.isel(network=0), min(1, ds.sizes["group"] - 1)
    flips, times, error = first["flip"].values[:, group], first["time"].values, first["error"].values
    at = {x: float(np.round(x * times[-1], 1)) for x in (0.1, 1 / 3, 0.6)}
    cost = {(k, x): f"{np.interp(t, times, error[k]):.1%}" for k in range(3) for x, t in at.items()}
    inputs = ", ".join(f"{cost[0, x]} at t = {t}" for x, t in at.items())
    return (
        f"Between pairs with {first['pairs'].values[group]} ({first['network'].values}) influence changes sign at "
        f"{_listed(flips[0])} exactly, at {_listed(flips[1])} by louder targets, at {_listed(flips[2])} by the frozen "
        f"formula and at {_listed(flips[3])} with the rotation as printed; of the influence of other items unperturbed "
        f"inputs cost {inputs}; the start {cost[1, 0.1]} and {cost[1, 1 / 3]}, the rotation {cost[2, 0.1]} and "
        f"{cost[2, 1 / 3]} at the first two, and the errors of inputs and rotation partly cancel: from t = {at[1 / 3]} "
        f"on the printed formula is off by {_distance(first, 3):.0%}, the right one by {_distance(first, 2):.0%}."
    )


def _distance(one: xr.Dataset, stage: int) -> float:
    """Relative L2 of the group curves from the exact ones after the first third of training."""
    curves = one["influence"].values[:, one.sizes["share"] // 3 :]
    return float(np.sqrt(np.nansum((curves[stage] - curves[0]) ** 2) / np.nansum(curves[0] ** 2)))


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    error, late = ds["error"].values, slice(ds.sizes["share"] // 3, None)
    first, gap = ds["flip"].values[:, :, :, 0], ds["simulation_gap"].values
    claims = [
        StudyClaim(
            "Trained networks approach what the theory says of the first three stages as the learning rate is halved",
            float((gap[..., 0] / gap[..., 1]).min()),
            ">=",
            1.7,
            f"first order gives 2; at the lower rate they are within {gap[..., 1].max():.2g}, relative L2",
        ),
        StudyClaim(
            "After a third of training the wrong start costs less than unperturbed inputs, everywhere",
            float((error[:, 1, late] / error[:, 0, late]).max()),
            "<=",
            0.1,
            "the flow forgets its start, while c a, the push that unperturbed inputs leave out, only grows",
        ),
        StudyClaim(
            "Unperturbed inputs make the influence of other items wrong by more than all of it before training ends",
            float(error[:, 0].max(axis=1).min()),
            ">=",
            1.0,
            "it is pushed by s for ever, the exact one by what is still to be learned",
        ),
    ]
    if ds["has_tree"].values.any():
        tree = first[ds["has_tree"].values]
        claims.append(
            StudyClaim(
                "On a tree the frozen formula changes sign a first time before the exact influence, in all groups",
                float(np.nanmax(tree[:, 2] / tree[:, 0])) if np.isfinite(tree).all() else float("nan"),
                "<=",
                0.5,
                "aligned with the perturbed vectors the network starts ahead, with the opposite sign",
            )
        )
    return tuple(claims)


def draw(ds: xr.Dataset) -> Figure:
    """A column a network: curves of the stages for three groups, then the errors."""
    style = Style()
    N, G = ds.sizes["network"], ds.sizes["group"]
    colours = [style.faint, *style.sequence(3)]
    with style.context():
        figure = style.figure(1.35 * G + 1.9)
        axes = figure.subplots(G + 1, N, squeeze=False)
        for n in range(N):
            one = ds.isel(network=n)
            for g in range(G):
                _draw_curves(style.tidy(axes[g, n]), one.isel(group=g), colours, style)
            axes[0, n].set_title(f"{one['network'].values}\n{one['pairs'].values[0]}", fontsize=style.small)
            ax = style.tidy(axes[G, n])
            for k, name in enumerate(IDEALISATIONS):
                ax.semilogy(one["time"], np.maximum(one["error"].values[k], 1e-6), color=colours[k + 1], label=name)
            ax.set(xlabel="flow time t", ylim=(1e-5, 30))
        axes[0, 0].set_ylabel("influence (loss)")
        axes[G, 0].set_ylabel("what it adds / exact")
        axes[0, 0].legend(fontsize=style.least)
        axes[G, 0].legend(fontsize=style.least)
    return figure


def _draw_curves(ax: Axes, one: xr.Dataset, colours: list[str], style: Style) -> None:
    ax.axhline(0, color=style.faint, linewidth=0.8)
    looks = [("-", 3.0), ("-", 1.2), ("--", 1.2), (":", 1.2)]
    for k, (stage, (line, width)) in enumerate(zip(STAGES, looks, strict=True)):
        curve = one["influence"].values[k]
        ax.plot(one["time"], curve, line, color=colours[k], linewidth=width, label=stage)
        if k < 3:
            seen = one["influence_simulated"].values[k]
            ax.plot(one["time_simulated"], seen, "o^s"[k], color=colours[k], markersize=2.5)
    reach = 1.6 * float(np.abs(one["influence"].values[0]).max())
    if np.isfinite(reach):
        ax.set_ylim(-reach, reach)
    ax.set_title(str(one["pairs"].values), fontsize=style.least)


STUDY = Study("frozen_input", "What does a formula that freezes the inputs leave out of influence?", answer)
