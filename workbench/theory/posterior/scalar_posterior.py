"""Exact posterior of one mode: two phases, their masses and moments, by quadrature in log space.

A mode with strength a contributes ``e^2 / 2c``, ``e = s - c a``, to the loss, so its posterior and the
part of the item losses that it moves are::

    p(a | data) prop p(a) exp(-n beta (s - c a)^2 / (2 c))
    l_i = v_i^2 q(a) + const,      q = (P / 2c)(s - c a)^2

Phase U (unlearned) is a < cut, phase V (learned) a > cut.  Source: derived for this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.posterior.mode_prior import ModePrior

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
#: Where the density is below exp(-this) of its maximum it is left out.
_DEPTH_OF_TAIL = 60.0


@dataclass(frozen=True, eq=False)
class ScalarPosterior:
    """Phases of one mode along n beta; every array is ``(T,)``.

    Attributes:
        n_beta: inverse temperature times number of items.
        cut: strength that separates the phases, ``(T,)``.
        mass_unlearned: pi_U.
        mass_learned: pi_V.
        mean_unlearned: ``E[q | U]``, unit loss x P; 0 where the phase has no mass.
        mean_learned: ``E[q | V]``.
        variance_unlearned: ``Var(q | U)``.
        variance_learned: ``Var(q | V)``.
        mean: ``E[q]``.
        variance: ``Var q``, computed without regard to phases.
        strength: ``E[a]``.
        log_evidence: ``log E_prior[exp(-n beta e^2 / 2c)]``.
    """

    n_beta: Array
    cut: Array
    mass_unlearned: Array
    mass_learned: Array
    mean_unlearned: Array
    mean_learned: Array
    variance_unlearned: Array
    variance_learned: Array
    mean: Array
    variance: Array
    strength: Array
    log_evidence: Array

    @property
    def between(self) -> Array:
        """``(T,)`` between-phase part of Var q, ``pi_U pi_V (E[q|U] - E[q|V])^2``."""
        gap = self.mean_unlearned - self.mean_learned
        return np.asarray(self.mass_unlearned * self.mass_learned * gap**2)

    @property
    def within(self) -> Array:
        """``(T,)`` within-phase part, ``pi_U Var(q|U) + pi_V Var(q|V)``."""
        return np.asarray(self.mass_unlearned * self.variance_unlearned + self.mass_learned * self.variance_learned)


def phase_boundary(depth: int, s: float, c: float) -> float:
    """Strength that separates unlearned (below) from learned (above).

    Depth >= 3: the top of the barrier between the two minima at coexistence, the smaller root x = c a / s of
    ``(1 - x) x^(1 - 2/D) = (1 / (D-1)) ((D-2) / (D-1))^(1 - 2/D)``. Depth 1 and 2 have one minimum and no
    barrier; there the boundary is half of the final strength by convention.
    """
    if not (depth >= 1 and s > 0 and c > 0):
        raise ConditionError("depth >= 1, s > 0, c > 0", f"depth = {depth}, s = {s:g}, c = {c:g}", "use depth=2")
    if depth <= 2:
        return s / (2 * c)
    power, learned = 1 - 2 / depth, (depth - 2) / (depth - 1)
    level = learned**power / (depth - 1)
    top_of_left_side = (depth - 2) / (2 * depth - 2)
    root = scipy.optimize.brentq(lambda x: (1 - x) * x**power - level, 0.0, top_of_left_side, xtol=1e-15)
    return float(root) * s / c


def _log_posterior(prior: ModePrior, s: float, c: float, n_beta: float, a: Array) -> Array:
    return np.asarray(prior.log_density(a) - n_beta * (s - c * a) ** 2 / (2 * c))


def _window(prior: ModePrior, s: float, c: float, n_beta: float) -> tuple[float, float]:
    """Strengths outside of which the posterior is below exp(-400) of its value at the centre of the prior."""
    tail, gap = 400.0, s / c - prior.centre
    lowest, highest = prior.interval(tail + n_beta * c * gap**2 / 2)
    spread = np.sqrt(2 * tail / (n_beta * c)) if n_beta > 0 else np.inf
    if prior.location is None:
        return max(-spread, prior.interval(tail)[0]), min(s / c + spread, highest)
    wide = np.sqrt(gap**2 + spread**2)
    return max(s / c - wide, lowest), min(s / c + wide, highest)


def posterior_nodes(prior: ModePrior, s: float, c: float, n_beta: float, cut: float) -> tuple[Array, Array, float]:
    """Strengths ``(N,)``, probabilities ``(N,)``, log evidence: Gauss-Legendre on panels split until smooth.

    Panels shrink geometrically towards a = 0, where the prior has its logarithmic singularity, end at the
    cut, and are halved until the log density changes by less than 1.5 over each that matters.
    """
    low, high = _window(prior, s, c, n_beta)
    typical = prior.gamma ** (-prior.depth / 2)
    powers = 2.0 ** -np.arange(0, 60 + max(0, int(np.log2(max(abs(low), abs(high)) / typical))))
    seeds = np.concatenate([low * powers, high * powers, np.linspace(low, high, 66), [s / c, prior.centre, cut]])
    edges = np.unique(seeds[(seeds >= low) & (seeds <= high) & (seeds != 0)])
    left, right = edges[:-1], edges[1:]
    # The one panel around 0 is narrower than 1e-17 of anything: no mass there.
    left, right = left[left * right > 0], right[left * right > 0]

    def log_p(a: Array) -> Array:
        return _log_posterior(prior, s, c, n_beta, a)

    f_left, f_right = log_p(left), log_p(right)
    done: list[tuple[Array, Array, Array]] = []
    top = max(float(f_left.max()), float(f_right.max()))
    for _ in range(200):
        middle = (left + right) / 2
        f_middle = log_p(middle)
        top = max(top, float(f_middle.max()))
        values = np.stack([f_left, f_middle, f_right])
        curvature = n_beta * c + (0.0 if prior.location is None else prior.gamma / np.abs(middle))
        highest = values.max(axis=0) + curvature * (right - left) ** 2 / 8
        split = (highest > top - _DEPTH_OF_TAIL) & (np.ptp(values, axis=0) > 1.5)
        done.append((left[~split], right[~split], highest[~split]))
        if not split.any():
            break
        left, right = np.r_[left[split], middle[split]], np.r_[middle[split], right[split]]
        f_left, f_right = np.r_[f_left[split], f_middle[split]], np.r_[f_middle[split], f_right[split]]
    left, right, highest = (np.concatenate(parts) for parts in zip(*done, strict=True))
    matters = highest > top - _DEPTH_OF_TAIL
    half = (right - left)[matters, None] / 2
    a = ((left + right)[matters, None] / 2 + half * _NODES).ravel()
    weight = np.exp(log_p(a) - top) * (half * _WEIGHTS).ravel()
    total = float(weight.sum())
    return a, weight / total, float(np.log(total) + top)


def scalar_posterior(
    s: float,
    c: float,
    n_beta: ArrayLike,
    prior: ModePrior,
    *,
    n_items: int = 1,
    cut: float | None = None,
) -> ScalarPosterior:
    """Masses, means and variances of the two phases of one mode at every n beta.

    Args:
        s: singular value of the mode, unit loss / weight^2.
        c: input scale (1/P for one-hot items).
        n_beta: ``(T,)`` values >= 0.
        prior: localization, depth and width.
        n_items: P, which scales q.
        cut: strength between the phases; `phase_boundary` unless given.

    Raises:
        ConditionError: if s or c is not positive or an n beta is negative.
    """
    grid = np.atleast_1d(np.asarray(n_beta, dtype=np.float64))
    if not (s > 0 and c > 0):
        raise ConditionError("s > 0 and c > 0", f"s = {s:g}, c = {c:g}", "give a mode that the data have")
    if not (np.isfinite(grid).all() and (grid >= 0).all()):
        raise ConditionError("n beta >= 0", f"n beta = {grid.min():g}", "give finite values from 0 on")
    where = phase_boundary(prior.depth, s, c) if cut is None else float(cut)
    rows = []
    for value in grid:
        a, p, log_evidence = posterior_nodes(prior, s, c, float(value), where)
        q = n_items / (2 * c) * (s - c * a) ** 2
        learned = a > where
        mean = float(p @ q)
        row = [float(p[~learned].sum()), float(p[learned].sum())]
        moments = [_moments(p[phase], q[phase]) for phase in (~learned, learned)]
        row += [moments[0][0], moments[1][0], moments[0][1], moments[1][1]]
        rows.append([*row, mean, float(p @ (q - mean) ** 2), float(p @ a), log_evidence])
    return ScalarPosterior(grid, np.full(len(grid), where), *np.array(rows).T)


def _moments(p: Array, q: Array) -> tuple[float, float]:
    mass = float(p.sum())
    if mass == 0.0:
        return 0.0, 0.0
    mean = float(p @ q) / mass
    return mean, float(p @ (q - mean) ** 2) / mass
