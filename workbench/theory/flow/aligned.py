"""The predicted trajectory of an aligned network: every mode on its own closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.modes.balanced import mode_strength_form, residual_form
from workbench.theory.modes.rise_time import half_rise_time, rise_time
from workbench.theory.modes.strength import mode_state
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]


def mode_strengths(start: Network, times: ArrayLike) -> Array:
    """``(T, K)`` predicted strengths of all modes; those beyond the hidden width stay at 0."""
    if start.active is None or start.a0 is None:
        raise ConditionError(
            "balanced aligned initial weights",
            f"init {start.init}",
            "use init balanced:a0, or exact_solution for other starts",
        )
    a = np.zeros((len(np.asarray(times)), start.modes.rank))
    a[:, : start.active] = _learned(start, times)[0]
    return a


def mode_residuals(start: Network, times: ArrayLike) -> Array:
    """``(T, K)`` residuals ``e = s - c a`` without cancellation at late times; s itself for modes never learned."""
    e = np.broadcast_to(start.modes.s, (len(np.asarray(times)), start.modes.rank)).copy()
    e[:, : start.active] = _learned(start, times)[1]
    return e


def _learned(start: Network, times: ArrayLike) -> tuple[Array, Array]:
    """``(T, active)`` strengths and residuals of the modes that have hidden units."""
    assert start.a0 is not None and start.active is not None
    t, s, c = np.asarray(times, dtype=np.float64)[:, None], start.modes.s[: start.active], start.modes.c
    if start.depth == 2:
        return mode_strength_form()(t=t, s=s, c=c, a0=start.a0), residual_form()(t=t, s=s, c=c, a0=start.a0)
    return mode_state(t, s, c=c, a0=start.a0, depth=start.depth)


def initial_strengths(start: Network) -> Array:
    """``(K,)`` strength each mode starts with, weight^2; 0 for modes without hidden direction.

    Of two layers of unequal size the strength ``w1 w2``. An unaligned network of two layers is projected on the
    directions that grow: ``|W1 v_a + W2^T u_a|^2 / 4``, of mean ``sigma^2 N_h / 2`` for Gaussian weights. Its modes
    then grow as aligned ones do until they meet. Of any other depth or activation every mode gets the root mean square
    strength of the initial map, in the same sense a guess.
    """
    modes = start.modes
    if start.a0 is not None and start.active is not None:
        return np.where(np.arange(len(modes.s)) < start.active, start.a0, 0.0)
    if start.init is not None and start.init.kind == "unequal":
        return np.where(np.arange(len(modes.s)) < start.hidden, start.init.scale, 0.0)
    if start.depth != 2 or start.activation != "linear":
        return np.full(len(modes.s), _map_strength(start))
    V_in = start.task.X @ modes.V[:, : len(modes.s)] / np.sqrt(modes.c * start.task.n_items)
    growing = start.W1 @ V_in + start.W2.T @ modes.U[:, : len(modes.s)]
    return np.asarray((growing**2).sum(axis=0) / 4)


def _map_strength(start: Network) -> float:
    """Root mean square over pairs of modes of ``u_k^T f(V_in)_l``."""
    modes, here = start.modes, Trajectory(start, "predicted", np.zeros(1), tuple(W[None] for W in start.weights))
    V = modes.V[:, : modes.rank] / np.sqrt(modes.c * modes.n_items)
    return float(np.sqrt(np.mean((modes.U.T @ here.outputs[0] @ V) ** 2)))


def _imbalance(start: Network) -> float:
    """lambda of an aligned start of unequal layers, else 0."""
    return start.init.lam if start.init is not None else 0.0


def half_rise_times(start: Network) -> Array:
    """``(K,)`` half-rise times: when each stage happens; infinite for modes that are never learned.

    Exact for an aligned start of a linear network, an estimate for any other (see `initial_strengths`).
    """
    s, c, a0 = start.modes.s, start.modes.c, initial_strengths(start)
    rising = (a0 > 0) & (2 * c * a0 < s)
    times = np.full(len(s), np.inf)
    if rising.any():
        lam = _imbalance(start)
        times[rising] = half_rise_time(s[rising], c=c, a0=a0[rising], depth=start.depth, lam=lam)
    return times


def aligned_trajectory(start: Network, times: ArrayLike) -> Trajectory:
    """Weights of the gradient flow from an aligned start of any depth, ``W_l = R_l a^{1/D} R_{l-1}^T``.

    ``R_0 = V_in`` and ``R_D = U``; of two layers ``W1 = R sqrt(a) V_in^T``, ``W2 = U sqrt(a) R^T``.

    Source: Saxe, McClelland & Ganguli (2014). Exact, not an approximation, under the conditions checked.
    """
    a = mode_strengths(start, times)
    assert start.active is not None and start.frames is not None
    K, modes, task = start.active, start.modes, start.task
    root = a[:, None, :K] ** (1 / start.depth)
    V_in = task.X @ modes.V[:, :K] / np.sqrt(modes.c * task.n_items)
    chain = [V_in, *start.frames, modes.U[:, :K]]
    return Trajectory(
        network=start,
        side="predicted",
        times=np.asarray(times, dtype=np.float64),
        weights=tuple((after * root) @ before.T for before, after in pairwise(chain)),
    )


def settling_time(start: Network, remaining: float = 0.005) -> float:
    """When all but a fraction ``remaining`` of the learnable loss is gone, and a quarter of that time more.

    An unaligned start is treated as an aligned one in which every mode is as strong as the weakest.
    """
    modes, K = start.modes, min(start.hidden, start.modes.rank)
    a0, s = float(initial_strengths(start)[:K].min()), modes.s[:K]
    a0_safe, depth, lam = min(a0, 0.49 * float(s[-1]) / modes.c), start.depth, _imbalance(start)

    def excess(t: float) -> float:
        e = mode_state(t, s, c=modes.c, a0=a0_safe, depth=depth, lam=lam)[1]
        return float((e**2).sum() / (s**2).sum()) - remaining

    share = 1 - 0.5 * np.sqrt(remaining)
    longest = float(rise_time(share, s, c=modes.c, a0=a0_safe, depth=depth, lam=lam).max())
    return 1.25 * float(scipy.optimize.brentq(excess, 0.0, longest))
