"""Derivative of the losses through the training history: ``dl_j(t) / d eps_i`` for ``L + sum_i eps_i l_i``.

For an aligned start in closed form, mode pair by mode pair (`mode_response` has the derivation)::

    dl_j/deps_i = -(P^2/c) sum_{a,b} (v_ai v_bi)(v_aj v_bj) e_a(t) m_ab(t)

Here all pairs are evaluated at once, by Gauss-Legendre quadrature of the solution of the linearised flow,
carried from one time to the next by its propagators ``rho_a = sqrt(alpha_a e_a)|_t / sqrt(alpha_a e_a)|_u``
and ``e^{-s_b (t-u)}``. Early on ``dl_j/deps_i = -t K_ij``. Source: derived for this project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import Modes
from workbench.theory.flow.weighted_flow import checked_times
from workbench.theory.influence.sech_integrals import panel_nodes
from workbench.theory.modes.groups import ModeGroups, mode_groups

Array = NDArray[np.float64]

#: Largest growth exponent between two stops.
_STRIDE = 200.0


def started_groups(modes: Modes, a0: float, active: int | None = None) -> tuple[ModeGroups, Array]:
    """The groups of all P modes, null modes too, and ``(G,)`` ``c a`` of each at t = 0: 0 without a hidden unit."""
    if not a0 > 0:
        raise ConditionError("a0 > 0", f"a0 = {a0:g}", "use the a0 of the start")
    groups = mode_groups(modes, active, null=True)
    return groups, np.where(groups.learned, modes.c * a0, 0.0)


def _denominator(s: Array, alpha0: Array, t: Array | float) -> Array:
    """``s alpha0 / alpha(t) = alpha0 (1 - E) + s E``, ``E = e^{-2st}``: bounded for every alpha0."""
    return np.asarray(alpha0 * -np.expm1(-2 * s * t) + s * np.exp(-2 * s * t))


def _decay(s: Array, alpha0: Array, t: Array | float) -> tuple[Array, Array]:
    """``alpha`` and ``e`` at times t ``(n, 1)``; modes without a hidden unit stay at 0 and s."""
    learned = alpha0 > 0
    denominator = np.where(learned, _denominator(s, alpha0, t), 1.0)
    alpha = s * alpha0 / denominator
    return alpha, np.where(learned, s * (s - alpha0) * np.exp(-2 * s * t) / denominator, s)


def _ratio(s: Array, alpha0: Array, t: float, u: Array | float) -> Array:
    """``rho(t, u) = sqrt(alpha e)|_t / sqrt(alpha e)|_u``; ``e^{s(t-u)}`` for modes without a hidden unit."""
    learned = alpha0 > 0
    later = np.where(learned, _denominator(s, alpha0, t), 1.0)
    change = np.exp(-s * (t - u)) * _denominator(s, alpha0, u) / later
    return np.where(learned, change, np.exp(s * (t - u)))


def pair_responses(
    s: Array, alpha0: Array, times: ArrayLike, window: tuple[float, float] = (0.0, np.inf)
) -> tuple[Array, Array]:
    """``m_ab(t)`` of all pairs of modes, and the residuals ``e_a(t)``.

    Args:
        s: ``(G,)`` singular values >= 0.
        alpha0: ``(G,)`` ``c a_a(0)`` >= 0, unequal if you like, above s too.
        times: ``(T,)`` flow times >= 0.
        window: the item weights differ from 1 only between these times.

    Returns:
        ``(T, G, G)`` and ``(T, G)``, in units of loss / weight^2.
    """
    t, back = np.unique(checked_times(times), return_inverse=True)
    begin, end = window
    if not 0 <= begin <= end:
        raise ConditionError("0 <= begin <= end of the window", f"({begin:g}, {end:g})", "give the earlier time first")
    both, one = np.zeros((len(s), len(s))), np.zeros((len(s), len(s)))
    responses, rate = np.empty((len(t), len(s), len(s))), float(max(s.max(), alpha0.max()))
    last = t.max(initial=0.0)
    # One factor of rho_a rho_b may grow while the other decays: short strides keep both within range.
    stops = np.unique(np.concatenate([t, np.clip(window, 0, last), np.arange(0, last, _STRIDE / rate)]))
    now, row = 0.0, 0
    for stop in stops:
        rho = _ratio(s, alpha0, stop, now)
        both, one = np.outer(rho, rho) * both, rho[:, None] * np.exp(-s * (stop - now)) * one
        if stop > now and begin <= now < end:
            pushed_both, pushed_one = _push(s, alpha0, now, stop, rate)
            both, one = both + pushed_both, one + pushed_one
        now = float(stop)
        if row < len(t) and stop == t[row]:
            responses[row] = (both + one - one.T) / 2
            row += 1
    return responses[back], _decay(s, alpha0, t[:, None])[1][back]


def _push(s: Array, alpha0: Array, now: float, stop: float, rate: float) -> tuple[Array, Array]:
    """What the reweighting adds between two times to I++ and I+-: the integrals over their propagators."""
    nodes, w = panel_nodes(stop - now, rate)
    u = now + nodes[:, None]
    alpha, e = _decay(s, alpha0, u)
    rho = _ratio(s, alpha0, stop, u)
    slow = np.exp(-s * (stop - u))
    w_rho = w[:, None] * rho
    half = (w_rho * e * alpha).T @ rho + (w_rho * e).T @ (rho * alpha)
    return half + half.T, (w_rho * alpha * e).T @ slow - (w_rho * alpha).T @ (e * slow)


def trajectory_derivative(
    modes: Modes,
    times: ArrayLike,
    *,
    a0: float,
    active: int | None = None,
    window: tuple[float, float] = (0.0, np.inf),
) -> Array:
    """``dl_j(t)/deps_i`` on an aligned balanced trajectory, ``(T, source P, target P)``; negative = helpful.

    Args:
        modes: modes of the task.
        times: ``(T,)`` flow times >= 0.
        a0: initial strength of every mode that has a hidden unit.
        active: how many modes have one, ``min(N_h, K)``; all unless given.
        window: eps_i acts only between these flow times; from start to end unless given.

    Units of the loss per unit of eps (eps_i = -1/P is leave-one-out). Accurate to rounding (1e-13 of the
    largest entry) at every t.
    """
    groups, alpha0 = started_groups(modes, a0, active)
    m, e = pair_responses(groups.s, alpha0, times, window)
    H = groups.projectors.reshape(len(groups.s), -1)
    # The form is symmetric in i and j: half the pairs are enough.
    upper = np.triu_indices(modes.n_items)
    pairs = H[:, upper[0] * modes.n_items + upper[1]]
    derivative = np.empty((len(m), modes.n_items, modes.n_items))
    for k, weights in enumerate(e[:, :, None] * m):
        half = -(modes.n_items**2) / modes.c * ((weights @ pairs) * pairs).sum(axis=0)
        derivative[k][upper] = half
        derivative[k].T[upper] = half
    return derivative
