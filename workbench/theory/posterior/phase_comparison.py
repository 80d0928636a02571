"""Does the covariance peak where the two phases weigh the same? For one mode, exactly, at any depth.

Two layers: no. The transition is continuous; as gamma grows the peak tends to ``n beta s / gamma = 1`` and
``pi_U = pi_V`` (at the conventional cut) to 2. Three layers or more: yes, if the cut lies on the barrier.
Source: derived for this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.theory.posterior.coexistence import coexistence_temperature_form
from workbench.theory.posterior.mode_prior import ModePrior
from workbench.theory.posterior.scalar_posterior import ScalarPosterior, phase_boundary, scalar_posterior

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PhaseComparison:
    """Where one mode's covariance peaks against where its phases balance.

    Attributes:
        depth: D.
        gamma: localization.
        s: singular value.
        c: input scale.
        cut: strength that separates the phases.
        transition: n beta of the low-temperature transition, gamma / s for D = 2 and n_c beta for D >= 3.
        equal_mass: n beta at which pi_U = pi_V.
        peak: n beta at which Var q has its highest interior maximum; None if it has none.
        between_share: between-phase share of Var q at that peak; None likewise.
    """

    depth: int
    gamma: float
    s: float
    c: float
    cut: float
    transition: float
    equal_mass: float
    peak: float | None
    between_share: float | None

    @property
    def first_order(self) -> bool:
        """Whether there are two phases at low temperature."""
        return self.depth >= 3


def transition_temperature(depth: int, gamma: float, s: float, c: float) -> float:
    """n beta at which a mode is learned in the low-temperature limit, for depth >= 2."""
    if depth < 2:
        raise ConditionError("depth >= 2", f"depth = {depth}", "a single layer has no transition; use depth=2")
    if depth == 2:
        return gamma / s
    return float(coexistence_temperature_form()(D=depth, gamma=gamma, s=s, c=c))


def phase_comparison(
    depth: int, gamma: float, s: float = 1.0, c: float = 1.0, *, cut: float | None = None
) -> PhaseComparison:
    """Locate the peak of Var q, the balance of the phases and the transition of one mode.

    Args:
        depth: D >= 2.
        gamma: localization.
        s: singular value.
        c: input scale.
        cut: strength between the phases; `phase_boundary` unless given. For D >= 3 a cut at half of the
            final strength runs through the learned phase itself (at D = 3 it is its most probable strength at
            coexistence), which moves pi_U = pi_V and lowers the between-phase share.

    Raises:
        ConditionError: for depth < 2 or values that are not positive.
    """
    prior = ModePrior(gamma, depth)
    boundary = phase_boundary(depth, s, c) if cut is None else float(cut)
    transition = transition_temperature(depth, gamma, s, c)

    def posterior(log_ratio: float | Array) -> ScalarPosterior:
        return scalar_posterior(s, c, transition * np.exp(np.atleast_1d(log_ratio)), prior, cut=boundary)

    def imbalance(log_ratio: float) -> float:
        phases = posterior(log_ratio)
        return float(phases.mass_unlearned[0] - phases.mass_learned[0])

    balance = float(scipy.optimize.brentq(imbalance, -3.0, 5.0, xtol=1e-13))
    steepness = abs(imbalance(balance + 1e-5) - imbalance(balance - 1e-5)) / 2e-5
    # A sharp transition is over within a few 1/steepness: look there more closely.
    near = balance + np.linspace(-12, 12, 49) / max(steepness, 4.0)
    grid = np.unique(np.concatenate([np.linspace(-2.0, 2.5, 120), near]))
    variance = posterior(grid).variance
    inner = variance[1:-1]
    tops = 1 + np.flatnonzero((inner > variance[:-2]) & (inner > variance[2:]))
    peak = share = None
    if tops.size:
        top = int(tops[np.argmax(variance[tops])])
        optimum = scipy.optimize.minimize_scalar(
            lambda x: -float(posterior(x).variance[0] / variance[top]),
            bounds=(grid[top - 1], grid[top + 1]),
            method="bounded",
            options={"xatol": 1e-10},
        )
        at_peak = posterior(float(optimum.x))
        peak, share = float(at_peak.n_beta[0]), float(at_peak.between[0] / at_peak.variance[0])
    equal = float(transition * np.exp(balance))
    return PhaseComparison(depth, gamma, s, c, boundary, transition, equal, peak, share)
