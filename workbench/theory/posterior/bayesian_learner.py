"""An exactly solvable Bayesian learner of a hierarchy: every mode learned on its own, in two phases.

With modes that do not talk to each other the item losses are ``l_i = sum_k v_ki^2 q_k``, so::

    Cov(l_i, l_j) = sum_k v_ki^2 v_kj^2 [ pi_U pi_V (E[q_k|U] - E[q_k|V])^2
                                          + pi_U Var(q_k|U) + pi_V Var(q_k|V) ]

the law of total covariance over the 2^K phases. Every term is >= 0: this learner has no sign flips. They come
from the coupling of the modes through the hidden layer; see `coupled_posterior`.
Source: derived for this project.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import Modes
from workbench.theory.posterior.mode_prior import ModePrior
from workbench.theory.posterior.scalar_posterior import ScalarPosterior, scalar_posterior

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BayesianLearner:
    """Posterior of all modes along n beta.

    Attributes:
        modes: modes of the task.
        n_beta: ``(T,)``.
        posteriors: K scalar posteriors, one a mode.

    Within a degenerate level the numbers are those of the Haar basis of `Modes`: independence of the modes is
    a statement about a basis.
    """

    modes: Modes
    n_beta: Array
    posteriors: tuple[ScalarPosterior, ...]

    def per_mode(self, quantity: str) -> Array:
        """``(T, K)`` of any field of `ScalarPosterior`, such as ``"mass_unlearned"`` or ``"between"``."""
        return np.stack([getattr(posterior, quantity) for posterior in self.posteriors], axis=1)

    def _pairs(self, quantity: str) -> Array:
        V2 = self.modes.V[:, : self.modes.rank] ** 2
        return np.asarray(np.einsum("tk,ik,jk->tij", self.per_mode(quantity), V2, V2, optimize=True))

    @cached_property
    def mass_unlearned(self) -> Array:
        """``(T, K)`` pi_U of every mode."""
        return self.per_mode("mass_unlearned")

    @cached_property
    def mass_learned(self) -> Array:
        """``(T, K)`` pi_V of every mode."""
        return self.per_mode("mass_learned")

    @cached_property
    def mean_loss(self) -> Array:
        """``(T, P)`` E[l_i]."""
        return np.asarray(self.per_mode("mean") @ (self.modes.V[:, : self.modes.rank] ** 2).T)

    @cached_property
    def covariance(self) -> Array:
        """``(T, P, P)`` Cov(l_i, l_j), unit loss^2; the BIF is minus this."""
        return self._pairs("variance")

    @cached_property
    def between(self) -> Array:
        """``(T, P, P)`` the between-phase term of the covariance."""
        return self._pairs("between")

    @cached_property
    def within(self) -> Array:
        """``(T, P, P)`` the within-phase term of the covariance."""
        return self._pairs("within")


def bayesian_learner(
    modes: Modes,
    n_beta: ArrayLike,
    *,
    gamma: float,
    depth: int = 2,
    hidden: int = 1,
    locations: ArrayLike | None = None,
) -> BayesianLearner:
    """Exact posterior of independent modes at every n beta.

    Args:
        modes: modes of the task.
        n_beta: ``(T,)`` values of inverse temperature times number of items.
        gamma: localization, the inverse prior variance of every weight.
        depth: D, layers per mode (unit of a: weight^D).
        hidden: N_h hidden units a mode has to itself (depth 2 only).
        locations: ``(K, 2)`` weights (w1, w2) around which each mode is localised (depth 2, one hidden unit);
            0 unless given.

    Raises:
        ConditionError: for a prior that is not available, or values out of range.
    """
    grid = np.atleast_1d(np.asarray(n_beta, dtype=np.float64))
    K = modes.rank
    if locations is None:
        places: list[tuple[float, float] | None] = [None] * K
    else:
        given = np.asarray(locations, dtype=np.float64)
        if given.shape != (K, 2):
            raise ConditionError(
                "one pair of weights per mode", f"locations of shape {given.shape}", f"give shape ({K}, 2)"
            )
        places = [(float(w), float(v)) for w, v in given]
    known: dict[object, ScalarPosterior] = {}
    posteriors = []
    for s, place in zip(modes.s, places, strict=True):
        # Degenerate modes share one posterior.
        key = (float(f"{s:.12g}"), place)
        if key not in known:
            prior = ModePrior(gamma, depth, hidden, place)
            known[key] = scalar_posterior(float(s), modes.c, grid, prior, n_items=modes.n_items)
        posteriors.append(known[key])
    return BayesianLearner(modes, grid, tuple(posteriors))
