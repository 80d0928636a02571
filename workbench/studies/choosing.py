"""Choosing n beta, gamma and step size, with the answer known: maps of what people sweep for in the dark.

At a checkpoint in the middle of training and at one near its end SGLD of fixed length samples the local posterior at
every (n beta, gamma, step). HMC without bias from its step says what is right; the Gaussian prediction says how many
draws a pair of items needs. A setting is accepted by the criteria of sampling guides: the loss is finite, has
settled, has not fallen below that of the checkpoint (a positive learning coefficient), and chains agree (R-hat).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench import theory
from workbench.errors import WorkbenchError
from workbench.figures.style import PAGE
from workbench.influence import local_bif, trajectory_derivative
from workbench.influence.curvatures import curvatures
from workbench.networks import network
from workbench.studies.pairs import enough
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Steps times the largest precision: the usual one, and one that is stable (below 4) and much too large.
STEPS = (0.1, 2.0)
#: Variances further off than this are wrong.
_WRONG = 0.2
_RHAT = 1.1


def answer(inquiry: Inquiry) -> StudyResult:
    """The map at two checkpoints."""
    task = inquiry.task_or("tree")
    start = network(task, hidden=enough(task), init="auto", seed=inquiry.seed)
    end = theory.settling_time(start)
    times = np.array([0.28 * end, 0.85 * end])
    n_betas = np.array([1.0, 100.0, 1e4]) if inquiry.quick else 10.0 ** np.arange(0, 5)
    # gamma over n beta s_1: below 1 there may be no posterior, from 20 on the Gaussian prediction is good.
    ratios = np.array([1.5, 20.0, 400.0]) if inquiry.quick else np.array([0.5, 1.5, 5.0, 20.0, 100.0, 400.0])
    path = theory.predict(start, times)
    shape = (len(times), len(n_betas), len(ratios))
    arrays = {name: np.full(shape, np.nan) for name in ("snr", "signs")}
    arrays |= {name: np.full((*shape, len(STEPS)), np.nan) for name in ("error", "accepted", "rhat", "rise")}
    derivative = trajectory_derivative(path).values
    with inquiry.bar("choosing", int(np.prod(shape))) as advance:
        for k in range(len(times)):
            one = Trajectory(path.network, "trained", times[k : k + 1], tuple(W[k : k + 1] for W in path.weights), 0.0)
            for b, n_beta in enumerate(n_betas):
                for r, ratio in enumerate(ratios):
                    gamma = float(ratio * n_beta * start.modes.s[0])
                    cell = _one(path, one, k, float(n_beta), gamma, derivative[k], inquiry)
                    for name, value in cell.items():
                        arrays[name][k, b, r] = value
                    advance(1)
    dims = ("checkpoint", "n_beta", "ratio")
    ds = xr.Dataset(
        {name: (dims if value.ndim == 3 else (*dims, "step"), value) for name, value in arrays.items()},
        coords={"checkpoint": times, "n_beta": n_betas, "ratio": ratios, "step": list(STEPS)},
        attrs={"task": task.name},
    )
    return StudyResult(
        _finding(ds),
        ds,
        draw,
        "Error of the sampled variances against HMC by n beta and gamma over n beta s_1, at two checkpoints (rows) "
        "and two steps; framed: accepted by a sampling guide's criteria; grey: no posterior. Right: share of pairs "
        "whose BIF has the sign of the exact derivative, with the draws (powers of ten) that the median pair needs for "
        "a signal of 3.",
        "Six maps; frames stand around wrong cells as well as right ones.",
        _claims(ds),
    )


def _one(
    path: Trajectory, one: Trajectory, k: int, n_beta: float, gamma: float, derivative: Array, inquiry: Inquiry
) -> dict[str, Any]:
    """All that is known of one setting at checkpoint k; nothing where there is no posterior."""
    low, high = n_beta * curvatures(path)[k] + gamma
    if low <= 0:
        return {}
    other = ~np.eye(path.task.n_items, dtype=bool)
    values: dict[str, Any] = {"error": np.full(len(STEPS), np.nan), "accepted": np.zeros(len(STEPS))}
    values |= {name: np.full(len(STEPS), np.nan) for name in ("rhat", "rise")}
    try:
        here = tuple(W[k : k + 1] for W in path.weights)
        C = -local_bif(Trajectory(path.network, "predicted", path.times[k : k + 1], here), n_beta, gamma).values[0]
        size = np.sqrt(np.outer(np.diag(C), np.diag(C)) + C**2)
        values["snr"] = float(np.median((np.abs(C) / size)[other]))
        values["signs"] = float((np.sign(-C) == np.sign(derivative))[other].mean())
    except WorkbenchError:
        pass  # the posterior has several maxima: no prediction
    exact = _chains(one, n_beta, gamma, (low, high), None, inquiry)
    for s, step in enumerate(STEPS):
        seen = _chains(one, n_beta, gamma, (low, high), step / high, inquiry)
        if seen is None:
            continue
        variance, mean, rhat, settled = seen
        values["rise"][s], values["rhat"][s] = mean, rhat
        values["accepted"][s] = float(settled and mean > 0 and rhat < _RHAT)
        if exact is not None:
            values["error"][s] = float((variance * exact[0]).sum() / (exact[0] ** 2).sum() - 1)
    return values


def _chains(
    one: Trajectory, n_beta: float, gamma: float, ends: tuple[float, float], step: float | None, inquiry: Inquiry
) -> tuple[Array, float, float, bool] | None:
    """Variances ``(P,)``, rise of the mean loss, R-hat, whether it has settled; None where chains diverge."""
    from workbench.simulation import Sampling, plan, sample_local_posterior

    # Everybody runs a fixed number of steps; HMC, the referee, is as long as it must be.
    fixed: dict[str, Any] = {"burn_in": 200, "thin": 10, "step": step, "sampler": "sgld"}
    draws = 200 if inquiry.quick else 400
    sampling = Sampling(
        chains=4, draws=draws, seed=inquiry.seed, traces=True, force_short=True,
        **(fixed if step is not None else {"sampler": "hmc"}),
    )  # fmt: skip
    lowest, highest = ((end - gamma) / n_beta for end in ends)
    planned = plan(one, n_beta, gamma, sampling, curvatures=np.array([[lowest, highest]]))
    try:
        samples = sample_local_posterior(one, n_beta=n_beta, gamma=gamma, sampling=sampling, planned=planned)
    except WorkbenchError:
        return None
    assert samples.traces is not None
    mean = samples.traces[0].mean(axis=2)
    halves = [part.mean(axis=1) for part in np.split(mean, 2, axis=1)]
    drift, noise = float(np.mean(halves[1] - halves[0])), float(np.std(mean, axis=1).mean())
    return (
        np.diag(samples.estimate.covariance[0]),
        float(samples.estimate.excess[0]),
        float(samples.estimate.rhat[0].max()),
        abs(drift) < noise,
    )


def _shares(ds: xr.Dataset) -> tuple[Array, Array]:
    """By step: of the accepted settings the share that is wrong, and of the right ones the share that is refused."""
    accepted, wrong = ds["accepted"].values > 0, np.abs(ds["error"].values) > _WRONG
    known = np.isfinite(ds["error"].values)
    axes = (0, 1, 2)
    bad = (accepted & wrong & known).sum(axis=axes) / np.maximum((accepted & known).sum(axis=axes), 1)
    lost = (~accepted & ~wrong & known).sum(axis=axes) / np.maximum((~wrong & known).sum(axis=axes), 1)
    return bad, lost


def _finding(ds: xr.Dataset) -> str:
    bad, lost = _shares(ds)
    low, high = float(np.nanmin(ds["snr"])), float(np.nanmax(ds["snr"]))
    negative = float((ds["rise"] < 0).sum() / np.isfinite(ds["rise"]).sum())
    signs = [float(ds["signs"].isel(checkpoint=k).mean()) for k in range(2)]
    return (
        f"Of the settings that a sampling guide's criteria accept {bad[0]:.0%} have variances more than {_WRONG:.0%} "
        f"wrong at the usual step and {bad[1]:.0%} at a step {STEPS[1] / STEPS[0]:.0f} times as large, which no trace "
        f"shows; of the right ones they refuse {lost[0]:.0%}, since in {negative:.0%} of all cases the loss falls "
        f"below that of the checkpoint. A pair's signal per draw is {low:.3f} to {high:.2f} of its noise whatever n "
        f"beta and gamma, and the BIF has the sign of the exact derivative for {signs[0]:.0%} of pairs in the middle "
        f"of training and {signs[1]:.0%} late."
    )


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    bad, lost = _shares(ds)
    tight = ds.where(ds["ratio"] >= 20, drop=True)
    return (
        StudyClaim(
            "At the usual step and gamma from 20 n beta s on, variances are right whatever n beta is",
            float(np.abs(tight["error"].isel(step=0)).max()),
            "<=",
            _WRONG,
            "largest relative error against HMC: 2.6% of bias, and some 5% of noise of each of the two",
        ),
        StudyClaim(
            "A step twenty times too large passes the criteria and is wrong",
            float(bad[1]),
            ">=",
            0.5,
            "share of the accepted settings with variances more than a fifth off: the criteria look at the loss over "
            "time",
        ),
        StudyClaim(
            "The criteria refuse settings that are right",
            float(lost[0]),
            ">=",
            0.2,
            "share of those within a fifth at the usual step: before a minimum a posterior may well lie lower than "
            "its centre",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """Maps by checkpoint."""
    with PAGE.context():
        figure = PAGE.figure(3.6)
        axes = figure.subplots(2, 3)
        for k in range(2):
            one = ds.isel(checkpoint=k)
            for s, ax in enumerate(axes[k, :2]):
                image = ax.imshow(
                    one["error"].isel(step=s), cmap=PAGE.signed(), vmin=-1, vmax=1, origin="lower", aspect="auto"
                )
                _frame(ax, one["accepted"].isel(step=s).values)
                ax.set_title(f"t = {float(one['checkpoint']):.3g}, step {STEPS[s]:g} / precision")
            figure.colorbar(image, ax=axes[k, 1], label="relative error of variances")
            signs = axes[k, 2].imshow(one["signs"], cmap=PAGE.amount(), vmin=0, vmax=1, origin="lower", aspect="auto")
            figure.colorbar(signs, ax=axes[k, 2], label="share of right signs")
            needed = np.log10(9 / one["snr"].values ** 2)  # at three times the noise
            for (b, r), value in np.ndenumerate(needed):
                if np.isfinite(value):
                    ink = PAGE.background if float(one["signs"].values[b, r]) > 0.6 else PAGE.ink
                    shown = f"$10^{{{value:.0f}}}$"
                    axes[k, 2].text(r, b, shown, ha="center", va="center", fontsize=PAGE.least, color=ink)
        for ax in axes.ravel():
            PAGE.tidy(ax)
            ax.set_xticks(range(ds.sizes["ratio"]), [f"{x:g}" for x in ds["ratio"].values])
            ax.set_yticks(range(ds.sizes["n_beta"]), [f"{x:g}" for x in ds["n_beta"].values])
        for ax in axes[1]:
            ax.set_xlabel("gamma / (n beta s$_1$)")
        for ax in axes[:, 0]:
            ax.set_ylabel("n beta")
    return figure


def _frame(ax: Any, accepted: Array) -> None:
    from matplotlib.patches import Rectangle

    for (b, r), yes in np.ndenumerate(accepted):
        if yes > 0:
            ax.add_patch(Rectangle((r - 0.46, b - 0.46), 0.92, 0.92, fill=False, edgecolor=PAGE.ink, linewidth=1.2))


STUDY = Study("choosing", "Which n beta, gamma and step size are right, and do the usual criteria see it?", answer)
