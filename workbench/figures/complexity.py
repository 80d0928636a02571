"""How complex the learned map is: the learning coefficient of its rank, and what a local estimate sees of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from workbench.comparison.prediction import start_of
from workbench.figures.figure import Illustration
from workbench.figures.keys import stage_key
from workbench.figures.learning import stage_marks
from workbench.figures.reading import span, stages
from workbench.figures.style import PAGE, Style
from workbench.figures.validity import AMPLE, curvatures
from workbench.theory import aligned_trajectory, mode_residuals, mode_strengths
from workbench.theory import learning_coefficient as exact_coefficient
from workbench.theory.posterior.hessian import hessian_spectrum

Array = NDArray[np.float64]

#: Eigenvalues of the Hessian held at once; larger networks are evaluated at fewer times.
_LARGEST = 1e7
#: Weights beyond which the chains of `sampled_estimate` would take minutes.
SAMPLED_WEIGHTS = 1500


def ranks(ds: xr.Dataset, times: Array) -> NDArray[np.int64]:
    """``(T,)`` how many modes are at least half learned."""
    return np.asarray((ds["half_rise_time"].values[None, :] <= times[:, None]).sum(axis=1))


def gaussian_estimate(ds: xr.Dataset, times: Array, n_beta: float, gamma: ArrayLike) -> Array:
    """``(T,)`` predicted ``n beta (E[L] - L(w*))`` of the Gaussian local posterior around every checkpoint.

        1/2 sum_h n beta h / (n beta h + gamma)  +  n beta sum_k (g_k mu_k + h_k mu_k^2 / 2)

    over all curvatures h, and over the modes: the gradient has ``g_k = sqrt(2 a_k) e_k`` along ``(Z + X)_kk / sqrt 2``,
    of curvature ``h_k = 3 c a_k - s_k``, and ``mu_k = -n beta g_k / (n beta h_k + gamma)``.
    """
    start, modes = start_of(ds), start_of(ds).modes
    assert start.active is not None
    if n_beta == 0:
        return np.zeros(len(times))  # whatever gamma is, 0 included
    a, e = mode_strengths(start, times), mode_residuals(start, times)
    h = hessian_spectrum(modes, a, start.hidden, start.task.n_inputs, start.task.n_outputs, start.active)
    strength = np.broadcast_to(np.asarray(gamma, dtype=np.float64), times.shape)[:, None]
    spread = (n_beta * h / (n_beta * h + strength)).sum(axis=1) / 2
    g, along = np.sqrt(2 * a) * e, 3 * modes.c * a - modes.s
    mu = -n_beta * g / (n_beta * along + strength)
    return np.asarray(spread + n_beta * (g * mu + along * mu**2 / 2).sum(axis=1))


def sampled_estimate(ds: xr.Dataset, checkpoints: int = 9) -> xr.Dataset | None:
    """The same by Langevin chains at a few checkpoints: ``value`` and ``stderr`` over ``time``; None if too large."""
    start = start_of(ds)
    if start.n_weights > SAMPLED_WEIGHTS:
        return None
    from workbench.simulation import Sampling, sample_local_posterior
    from workbench.simulation.sampling.learning_coefficient import local_learning_coefficient

    t = np.linspace(0, float(ds["time"].values[-1]), checkpoints)
    n_beta = float(ds.attrs["n_beta"])
    samples = sample_local_posterior(
        aligned_trajectory(start, t), n_beta=n_beta, gamma=float(ds.attrs["gamma"]), sampling=Sampling(seed=start.seed)
    )
    coefficient = local_learning_coefficient(samples.estimate, n_beta)
    return xr.Dataset(
        {"value": ("time", coefficient.value), "stderr": ("time", coefficient.stderr)}, coords={"time": t}
    )


def learning_coefficient(ds: xr.Dataset, style: Style = PAGE, sampled: xr.Dataset | None = None) -> Figure:
    """Rank over time, the exact learning coefficient of a truth of that rank, and the local estimate.

    The exact value belongs to a true map of the rank reached, at the minimum of its own loss; a checkpoint on
    the way is no minimum of the loss it is trained on, and the estimate around it sees only directions steeper
    than gamma / (n beta). ``sampled`` (from `sampled_estimate`) adds points with error bars.
    """
    curves = _curves(ds)
    t = curves["time"]
    with style.context():
        figure = style.figure(4.5)
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(0.7, 1.1, 1.2))
        first, _, third, _ = style.sequence(4)
        axes[0].step(t, curves["rank"], where="post", color=first)
        axes[0].set(ylabel="rank $r$", ylim=(0, 1.25 * max(1, int(curves["rank"].max()))))
        axes[0].yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes[0].set_title("modes at least half learned")
        axes[1].step(t, curves["learning_coefficient"], where="post", color=first)
        axes[1].set_ylabel("$\\lambda(r)$")
        axes[1].margins(y=0.3)
        axes[1].set_title("exact, for a true map of that rank ($m$: multiplicity)")
        _multiplicities(axes[1], curves, style)
        axes[2].plot(t, curves["estimate_ample"], color=third, label=f"$\\gamma$ = {AMPLE:g} × least")
        axes[2].plot(t, curves["estimate"], color=first, label=f"$\\gamma$ = {float(ds.attrs['gamma']):.4g}")
        if sampled is not None:
            axes[2].errorbar(
                sampled["time"].values,
                sampled["value"].values,
                yerr=2 * sampled["stderr"].values,
                linestyle="none",
                marker="o",
                color=first,
                markersize=0.35 * style.font,
                markerfacecolor=style.background,
                elinewidth=0.09 * style.font,
                label="chains ± 2 s.e.",
            )
        axes[2].axhline(0, color=style.muted, linewidth=0.1 * style.font)
        axes[2].set(xlabel="flow time $t$", ylabel="$\\hat\\lambda$", xlim=span(t))
        axes[2].set_title("local estimate, $n\\beta\\,(E[L] - L(w^*))$ at the checkpoint")
        for ax in axes:
            stage_marks(style.tidy(ax), stages(ds), style, labels=False)
        handles = [*axes[2].get_legend_handles_labels()[0], *stage_key(ds, style)]
        labels = [str(handle.get_label()) for handle in handles]
        figure.legend(handles, labels, loc="outside lower center", ncols=style.legend_columns(labels))
    return figure


def learning_coefficient_data(ds: xr.Dataset, sampled: xr.Dataset | None = None) -> pd.DataFrame:
    """One row a time: rank, exact coefficient and multiplicity, estimates; sampled ones in rows of their own."""
    table = pd.DataFrame(_curves(ds))
    if sampled is None:
        return table
    points = {"time": sampled["time"], "sampled": sampled["value"], "sampled_stderr": sampled["stderr"]}
    return pd.concat([table, pd.DataFrame({k: v.values for k, v in points.items()})], ignore_index=True)


def _curves(ds: xr.Dataset) -> dict[str, Any]:
    start = start_of(ds)
    weights = start.n_weights
    rising = ds["half_rise_time"].values
    end = float(ds["time"].values[-1])
    t = np.linspace(0, end, int(np.clip(_LARGEST / weights, 20, 300)))
    # The steps stand at the half-rise times themselves.
    t = np.unique(np.concatenate([t, rising[rising <= end]]))
    reached = ranks(ds, t)
    sizes = (start.task.n_inputs, start.hidden, start.task.n_outputs)
    exact = {int(r): exact_coefficient(sizes, int(r)) for r in np.unique(reached)}
    n_beta = float(ds.attrs["n_beta"])
    least = np.maximum(-curvatures(ds, t)[0], 1e-9 * float(start.modes.s[0]))
    return {
        "time": t,
        "rank": reached,
        "learning_coefficient": np.array([float(exact[int(r)].value) for r in reached]),
        "multiplicity": np.array([exact[int(r)].multiplicity for r in reached]),
        "estimate": gaussian_estimate(ds, t, n_beta, float(ds.attrs["gamma"])),
        "estimate_ample": gaussian_estimate(ds, t, n_beta, AMPLE * n_beta * least),
    }


def _multiplicities(ax: Any, curves: dict[str, Any], style: Style) -> None:
    """``m`` above every step that is wide enough for it."""
    t, reached = curves["time"], curves["rank"]
    edges = np.flatnonzero(np.diff(reached, prepend=-1))
    ends = np.append(t[edges[1:]], t[-1])
    needed = 4.5 * style.small / (72 * 0.85 * style.width) * (t[-1] - t[0])
    for k, end in zip(edges, ends, strict=True):
        if end - t[k] >= needed:
            ax.annotate(
                f"$m$ = {curves['multiplicity'][k]}",
                ((t[k] + end) / 2, curves["learning_coefficient"][k]),
                (0, 0.35 * style.font),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=style.small,
                color=style.muted,
            )


FIGURES = (
    Illustration(
        name="learning_coefficient",
        two_layers=True,
        purpose="complexity of what has been learned so far",
        title="Learning coefficient over training",
        caption="Rank reached; exact learning coefficient of a true map of that rank (Aoyagi 2024), which is not "
        "a property of a checkpoint on the way, no minimum of its loss; and the local estimate around the "
        "checkpoint, predicted by a Gaussian (lines) and, where they are shown, by Langevin chains (points, with "
        "a step-size bias of about 2.5%). It sees only curvatures above gamma / (n beta) and is negative where "
        "the loss falls away. With the least ample gamma it approaches the exact value at the end.",
        alt="Steps of rank and learning coefficient over time, and the rising local estimate.",
        draw=lambda s: learning_coefficient(s.ds, s.style, s.sampled),
        table=lambda s: learning_coefficient_data(s.ds, s.sampled),
    ),
)
