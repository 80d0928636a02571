"""Is a peak of the covariance a change of phase? One mode of a shallow and of a deep network, exactly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.figures.figure import Illustration
from workbench.figures.style import PAGE, Style
from workbench.theory import phase_comparison
from workbench.theory.posterior.mode_prior import ModePrior
from workbench.theory.posterior.phase_comparison import PhaseComparison
from workbench.theory.posterior.scalar_posterior import ScalarPosterior, scalar_posterior

Array = NDArray[np.float64]

#: Layers of the two networks.
DEPTHS = (2, 3)
#: gamma (s/c)^(2/D), the localization without units: cold enough for phases, warm enough to see them overlap.
COLD = 30.0
#: n beta relative to the transition.
RATIOS = np.geomspace(0.4, 4.0, 160)


@lru_cache(maxsize=8)
def phases_of(depth: int) -> tuple[PhaseComparison, ScalarPosterior]:
    """A mode of a network of ``depth`` layers, localised at 0, in units in which s = c = P = 1.

    Every mode is this one after rescaling: a by s/c, n beta by c/s^2, gamma by (s/c)^(-2/D), q by P s^2/c.
    """
    phases = phase_comparison(depth, COLD)
    prior = ModePrior(COLD, depth)
    return phases, scalar_posterior(1.0, 1.0, phases.transition * RATIOS, prior, cut=phases.cut)


def phase_decomposition(style: Style = PAGE) -> Figure:
    """Masses of the phases, and the variance of the mode's loss split into within and between phases.

    ``Var q = pi_U Var(q|U) + pi_V Var(q|V) + pi_U pi_V (E[q|U] - E[q|V])^2``, along n beta in units of the
    low-temperature transition (Lee et al. 2025 for the decomposition). Two layers change continuously: no two
    phases, and the peak is not where pi_U = pi_V. Three layers do have two.
    """
    with style.context():
        figure = style.figure(3.9)
        axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(0.8, 1.2))
        for column, depth in enumerate(DEPTHS):
            phases, posterior = phases_of(depth)
            kind = "continuous" if depth == 2 else "two phases"
            axes[0, column].set_title(f"{depth} layers: {kind}")
            _masses(style.tidy(axes[0, column]), phases, posterior, style)
            _split(style.tidy(axes[1, column]), phases, posterior, style)
            axes[1, column].set_xlabel("$n\\beta$ / transition")
            for ax in axes[:, column]:
                _marks(ax, phases, style)
        axes[0, 0].set_ylabel("probability")
        axes[1, 0].set_ylabel("Var $q$ / its maximum")
        axes[1, 0].set_xscale("log")
        for ax in axes[1]:
            ax.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
            ax.minorticks_off()
        unique = {
            str(name): handle
            for ax in (axes[0, 1], axes[1, 1])
            for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            list(unique.values()),
            list(unique),
            loc="outside lower center",
            ncols=min(3, style.legend_columns(list(unique))),
        )
    return figure


def phase_decomposition_data(ds: xr.Dataset) -> pd.DataFrame:
    """One row a depth and n beta, in the units of the strongest mode of a task.

    Masses, within and between part of Var q (loss^2), and the marked places.
    """
    s, c = float(ds["singular_value"].values[0]), float(ds.attrs["input_scale"])
    cold, large = c / s**2, (ds.sizes["item"] * s**2 / c) ** 2
    tables = []
    for depth in DEPTHS:
        phases, posterior = phases_of(depth)
        tables.append(
            pd.DataFrame(
                {
                    "depth": depth,
                    "n_beta": cold * posterior.n_beta,
                    "mass_unlearned": posterior.mass_unlearned,
                    "mass_learned": posterior.mass_learned,
                    "within": large * posterior.within,
                    "between": large * posterior.between,
                    "variance": large * posterior.variance,
                    "gamma": phases.gamma / (s / c) ** (2 / depth),
                    "transition": cold * phases.transition,
                    "equal_mass": cold * phases.equal_mass,
                    "peak": np.nan if phases.peak is None else cold * phases.peak,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _masses(ax: Axes, phases: PhaseComparison, posterior: ScalarPosterior, style: Style) -> None:
    first, _, third, _ = style.sequence(4)
    x = posterior.n_beta / phases.transition
    ax.plot(x, posterior.mass_unlearned, color=third, label="unlearned $\\pi_U$")
    ax.plot(x, posterior.mass_learned, color=first, label="learned $\\pi_V$")
    ax.set_ylim(-0.04, 1.04)


def _split(ax: Axes, phases: PhaseComparison, posterior: ScalarPosterior, style: Style) -> None:
    x, top = posterior.n_beta / phases.transition, float(posterior.variance.max())
    within, total = posterior.within / top, posterior.variance / top
    # Grey, as the hues above say learned and unlearned.
    ax.fill_between(x, 0, within, color=style.faint, linewidth=0, label="within phases")
    ax.fill_between(x, within, total, color=style.muted, linewidth=0, label="between phases")
    ax.plot(x, total, color=style.ink, linewidth=0.13 * style.font)
    ax.set_ylim(0, 1.08)


def _marks(ax: Axes, phases: PhaseComparison, style: Style) -> None:
    width = 0.12 * style.font
    if phases.peak is not None:
        ax.axvline(phases.peak / phases.transition, color=style.ink, linewidth=width, label="peak of Var $q$")
    ax.axvline(
        phases.equal_mass / phases.transition,
        color=style.muted,
        linestyle=(0, (3, 2)),
        linewidth=width,
        label="$\\pi_U = \\pi_V$",
    )


FIGURES = (
    Illustration(
        name="phase_decomposition",
        purpose="is the peak of a covariance a change of phase?",
        title="Is the peak a change of phase?",
        caption="Exact posterior of one mode as data accumulate (n beta relative to the low-temperature "
        "transition), localised at 0 with gamma (s/c)^(2/D) = 30. The variance of its loss is split into what "
        "varies within each phase and what the mixture of phases adds. Two layers have one minimum: the peak is "
        "not where the phases weigh the same. Three layers have two, and it is.",
        alt="Masses of two phases and the variance split into within and between phases, for two and three layers.",
        draw=lambda s: phase_decomposition(s.style),
        table=lambda s: phase_decomposition_data(s.ds),
    ),
)
