"""The loss switched off: what is left of the local BIF at n beta = 0, where only the geometry of the weights remains.

The control is known exactly (`theory.posterior.loss_off`): the kernel over gamma and three orders more. What the
usual n beta adds to it is what the data say through the posterior. The control is also the one place where the error of
the Gaussian prediction is known without sampling.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import theory
from workbench.agreement.events import sign_flips
from workbench.figures.reading import HELPS_HARMS
from workbench.figures.style import PAGE
from workbench.influence import gradient_kernel, local_bif
from workbench.networks import Network
from workbench.studies.pairs import EVENTS, events_of, groups_far_first, usual_networks
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.theory.posterior.loss_off import loss_off_covariance

Array = NDArray[np.float64]

#: Smaller than usual, so that the second order in 1/gamma is large enough to be seen in samples: any will do at 0.
_GAMMA_SAMPLED = 100.0


def answer(inquiry: Inquiry) -> StudyResult:
    """Kernel, control and usual BIF over training, and the control sampled."""
    networks = usual_networks(inquiry)
    start, points = next(iter(networks.values())), 41 if inquiry.quick else 121
    ds, *others = (_curves(one, points) for one in networks.values())
    elsewhere = [_events(one) for one in others]
    ds = xr.merge(
        [ds, _sampled(start, inquiry), xr.concat(elsewhere, dim=xr.Variable("elsewhere", list(networks)[1:]))],
        combine_attrs="no_conflicts",
    )
    ds.attrs.update(task=start.task.name)
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Left: mean influence of groups of pairs at the usual n beta (lines), with the loss off (dashed, exact) and "
        "the kernel over gamma (dotted), relative to the largest of each group; signed square roots, so that late "
        "training shows. Right: sampled over predicted, loss off, pooled over all entries.",
        "Dashed lines follow solid ones, late return to help included; dotted ones stay harmful.",
        _claims(ds),
    )


def _events(curves: xr.Dataset) -> xr.Dataset:
    """Of another network, whose groups of pairs are its own, at most three: last changes of sign and first flips."""
    names = {"last_change": "last_change_elsewhere", "event_time": "event_time_elsewhere", "group": "other_group"}
    kept = curves[["last_change", "event_time"]].rename(names)
    return kept.assign_coords(other_group=np.arange(kept.sizes["other_group"])).drop_attrs()


def _curves(start: Network, points: int) -> xr.Dataset:
    times = np.linspace(0, 1.6 * theory.settling_time(start), points)[1:]
    path = theory.predict(start, times)
    chosen = local_bif.resolve(path, {})
    gamma, n_beta = float(chosen["gamma"]), float(chosen["n_beta"])
    off = local_bif(path, n_beta=0.0, gamma=gamma).values
    whole = {
        "kernel": gradient_kernel(path).values / gamma,
        "off": off,
        # Beyond two layers the closed form is the Gaussian's.
        "off, exact": -loss_off_covariance(path, gamma) if start.depth == 2 else off,
        "usual": local_bif(path, n_beta=n_beta, gamma=gamma).values,
    }
    names, masks = groups_far_first(start.task)
    curves = np.array([[one[:, mask].mean(axis=1) for mask in masks] for one in whole.values()])
    other = ~np.eye(start.task.n_items, dtype=bool)
    added = relative((whole["usual"] - whole["off"])[:, other], whole["usual"][:, other])
    missing = relative((whole["off"] - whole["off, exact"])[:, other], whole["off, exact"][:, other])
    signs = [[_last_change(times, curve) for curve in one] for one in curves]
    return xr.Dataset(
        {
            "influence": (("posterior", "group", "time"), curves, {"units": "loss^2"}),
            "event_time": (("posterior", "group", "event"), [events_of(times, one, masks) for one in whole.values()]),
            "last_change": (("posterior", "group"), signs, {"long_name": "last change of sign, to help at the end"}),
            "added": ("time", added, {"long_name": "what the usual n beta adds, relative, pairs of different items"}),
            "missing": ("time", missing, {"long_name": "relative error of the Gaussian prediction at n beta = 0"}),
        },
        coords={"posterior": list(whole), "group": names, "time": times, "event": list(EVENTS)},
        attrs={"gamma": gamma, "n_beta": n_beta},
    )


def relative(difference: Array, whole: Array) -> Array:
    """Norm over norm at every time."""
    return np.asarray(np.linalg.norm(difference, axis=1) / np.linalg.norm(whole, axis=1))


def _last_change(times: Array, curve: Array) -> float:
    """When influence last turns from harm to help; nan where it harms at the end."""
    flips = sign_flips(times, curve)
    return float(flips[-1]) if len(flips) and curve[-1] < 0 else float("nan")


def _sampled(start: Network, inquiry: Inquiry) -> xr.Dataset:
    """The control sampled around a trained network, against the Gaussian prediction and the exact closed form."""
    from workbench.simulation import Schedule, train

    checkpoints = 4 if inquiry.quick else 8
    trained = train(start, Schedule.even(theory.settling_time(start), checkpoints + 1, eta=0.01))
    path = theory.predict(start, trained.times)
    draws = 1200 if inquiry.quick else 2400
    total = checkpoints + 1
    with inquiry.bar("loss off", total) as advance:
        seen = local_bif(trained, n_beta=0.0, gamma=_GAMMA_SAMPLED, sampler="hmc", draws=draws, seed=inquiry.seed)
        advance(total)
    plain = local_bif(path, n_beta=0.0, gamma=_GAMMA_SAMPLED).values
    whole = -loss_off_covariance(path, _GAMMA_SAMPLED)
    parts = np.stack(
        [seen[f"parts_{k}"].values for k in range(len([c for c in seen.coords if str(c)[:6] == "parts_"]))]
    )
    table = np.array([[pooled_slope(parts[:, t], one[t]) for t in range(total)] for one in (plain, whole)])
    return xr.Dataset(
        {
            "slope": (("prediction", "checkpoint"), table[..., 0], {"long_name": "sampled over predicted, pooled"}),
            "slope_stderr": (("prediction", "checkpoint"), table[..., 1]),
        },
        coords={"prediction": ["Gaussian prediction", "exact"], "checkpoint": trained.times},
        attrs={"gamma_sampled": _GAMMA_SAMPLED},
    )


def pooled_slope(parts: Array, predicted: Array) -> tuple[float, float]:
    """Sum of sampled times predicted over sum of predicted squared, and its error from independent parts (K, P, P)."""
    slopes = (parts * predicted).sum(axis=(1, 2)) / (predicted**2).sum()
    return float(slopes.mean()), float(slopes.std(ddof=1) / len(slopes) ** 0.5)


def _surest(ds: xr.Dataset, prediction: int) -> float:
    """Largest deviation of a slope from 1, in standard errors, over the checkpoints."""
    one = ds.isel(prediction=prediction)
    return float((np.abs(one["slope"] - 1) / one["slope_stderr"]).max())


def _moved(first: xr.DataArray) -> float:
    """Largest relative shift of a first flip by the usual n beta."""
    first = first.sel(event="flip 1")
    shift = np.abs(first.sel(posterior="usual").values / first.sel(posterior="off").values - 1)
    return float(np.nanmax(shift)) if np.isfinite(shift).any() else float("nan")


def _lacking(changes: xr.DataArray) -> float:
    """Groups that do not turn back to help without the loss, and those that do by the kernel."""
    away, back = np.isnan(changes.sel(posterior="off, exact")), np.isfinite(changes.sel(posterior="kernel"))
    return float(away.sum() + back.sum())


def _finding(ds: xr.Dataset) -> str:
    changes = ds["last_change"]
    times = "; ".join(
        f"{name} {usual:.1f} with, {off:.1f} without, exactly {exact:.1f}"
        for name, usual, off, exact in zip(
            ds["group"].values, *(changes.sel(posterior=p).values for p in ("usual", "off", "off, exact")), strict=True
        )
    )
    n_beta, gamma, small = (ds.attrs[name] for name in ("n_beta", "gamma", "gamma_sampled"))
    k = int(np.abs(ds["slope"].values[0] - 1).argmax())
    plain, exact = (f"{ds['slope'].values[p, k]:.2f} +- {ds['slope_stderr'].values[p, k]:.2f}" for p in (0, 1))
    return (
        f"Of the BIF at the usual n beta = {n_beta:g} (gamma = {gamma:g}) the loss itself makes "
        f"{float(ds['added'].median()):.0%} (median over training); it moves no first change of sign by more than "
        f"{_moved(ds['event_time']):.1%}. The return to help late in training, which the kernel lacks, is geometry of "
        f"the weights: it comes with the loss and without it (t: {times}). Against the exact covariance the Gaussian "
        f"prediction is off by up to {float(ds['missing'].max()):.1%} at that gamma; at gamma = {small:g} samples are "
        f"{plain} of the prediction and {exact} of the exact one."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    moved = [_moved(ds[name]) for name in ("event_time", "event_time_elsewhere")]
    return (
        StudyClaim(
            "Samples with the loss off are those of the exact closed form",
            _surest(ds, 1),
            "<=",
            5.0,
            "standard errors at the worst checkpoint; Student's t with 7 degrees of freedom, up to 9 times, exceeds 5 "
            "in 1 of 70 cases",
        ),
        StudyClaim(
            "The same samples refute the Gaussian prediction at a gamma ten times too small",
            _surest(ds, 0),
            ">=",
            5.0,
            "standard errors at the worst checkpoint: what the claim above would have caught",
        ),
        StudyClaim(
            "Without the loss, too, every group of pairs turns back to help late in training, and by the kernel none "
            "does",
            _lacking(ds["last_change"]) + _lacking(ds["last_change_elsewhere"]),
            "<=",
            0.0,
            f"groups for which one of the two is not so, {' and '.join(ds['elsewhere'].values)} among them, which were "
            "first run after the sentence was written",
        ),
        StudyClaim(
            "The usual n beta moves first changes of sign by less than a twentieth",
            float(np.max(moved)),
            "<=",
            0.05,
            "gamma is 20 times the largest n beta s: to first order the posterior moves the weights by 1/20; all "
            "networks",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """Curves, and sampled over predicted."""
    with PAGE.context():
        figure = PAGE.figure(2.9)
        left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
        PAGE.tidy(left).axhline(0, color=PAGE.muted, linewidth=0.7)
        styles = {"usual": "-", "off, exact": "--", "kernel": ":"}
        for group, colour in zip(ds["group"].values, PAGE.sequence(ds.sizes["group"]), strict=True):
            largest = float(np.abs(ds["influence"].sel(group=group)).max())
            for posterior, line in styles.items():
                curve = ds["influence"].sel(group=group, posterior=posterior).values / largest
                shown = np.sign(curve) * np.abs(curve) ** 0.5
                left.plot(ds["time"], shown, line, color=colour, label=str(group) if line == "-" else None)
        left.set(xlabel="flow time t", ylabel=HELPS_HARMS)
        left.legend(loc="upper right")
        PAGE.tidy(right).axhline(1, color=PAGE.muted, linewidth=0.7)
        for k, colour in enumerate(PAGE.sequence(2)):
            one = ds.isel(prediction=k)
            right.errorbar(
                ds["checkpoint"] + 0.15 * k, one["slope"], 2 * one["slope_stderr"], fmt="o", color=colour, markersize=3,
                label=str(ds["prediction"].values[k]),
            )  # fmt: skip
        right.set(xlabel="flow time t", ylabel="sampled over predicted, loss off")
        right.legend()
    return figure


STUDY = Study("loss_off", "What is left of the local BIF when the loss is switched off?", answer)
