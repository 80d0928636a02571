"""Derivative through training of two aligned layers of unequal size, ``w2^2 - w1^2 = lambda``: two quadratures a pair.

Balance, ``W2^T W2 - W1 W1^T = lambda I`` on the hidden units that are used, holds for every weighting of the items. The
response x_ab of the product separates for every lambda into sum and difference (`unequal_transport_form`)::

    d/dt (x_ab +- x_ba) = r_+- (x_ab +- x_ba) + P_ab (e_a +- e_b),     P_ab = w2_a^2 + w1_b^2
    r_+- = -c P_ab + (a_a +- a_b)(e_a +- e_b) / P_ab = d/dt ln[ (w2_a w2_b +- w1_a w1_b) sqrt(e_a e_b) ]

so its transport is elementary. A mode b without a hidden unit is felt by a alone: ``x_ab = w2_a y``, ``x_ba = w1_a z``,

    d(y, z)/dt = [ -c q_a/2 + [[-c lambda/2, s_b], [s_b, c lambda/2]] ] (y, z) + (w2_a e_a, w1_a s_b),  q = w1^2 + w2^2

a constant matrix beside a number: its eigenvectors, of ``+-sqrt(s_b^2 + c^2 lambda^2/4)``, separate it. Source: derived
for this project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.theory.flow.unequal_start import UnequalStart
from workbench.theory.flow.weighted_flow import ALWAYS, Window, checked_times, checked_window
from workbench.theory.influence.panels import PairRates, carried
from workbench.theory.influence.trajectory_derivative import in_items
from workbench.theory.modes.groups import mode_groups
from workbench.theory.modes.unbalanced_weights import mode_weights, unequal_residual

Array = NDArray[np.float64]

#: A mode whose residual is below this share of its singular value no longer moves.
_LEARNED = 1e-20


def unequal_responses(
    s: Array, w1: Array, w2: Array, times: ArrayLike, *, c: float, lam: float, window: Window = ALWAYS
) -> tuple[Array, Array]:
    """``x_ab(t)`` of all pairs of modes ``(T, G, G)``, and the residuals ``e_a(t)`` ``(T, G)``.

    Args:
        s: ``(G,)`` singular values >= 0.
        w1, w2: ``(G,)`` weights at t = 0; both 0 for modes without a hidden unit.
        times: ``(T,)`` flow times >= 0. c: input scale. lam: imbalance ``w2^2 - w1^2``.
        window: the item weights differ from 1 only between these times.
    """
    learned = w1 * w2 > 0
    pair, mixed = learned[:, None] & learned, learned[:, None] & ~learned
    # Eigenvectors (cos, sin) and (-sin, cos) of [[-L, s_b], [s_b, L]], L = c lambda/2, of eigenvalues +-mu.
    mu, angle = np.hypot(s, c * lam / 2), np.arctan2(s, -c * lam / 2) / 2
    cos, sin = np.cos(angle), np.sin(angle)

    def state(t: Array) -> tuple[Array, Array, Array]:
        first, second = (np.zeros((len(t), len(s))) for _ in range(2))
        first[:, learned], second[:, learned] = mode_weights(
            t[:, None], s[learned], c=c, a0=(w1 * w2)[learned], lam=lam
        )
        e = np.broadcast_to(s, first.shape).copy()
        e[:, learned] = unequal_residual(t[:, None], s[learned], c=c, a0=(w1 * w2)[learned], lam=lam)
        return first, second, e

    def bound(ends: Array) -> Array:
        first, second, e = state(ends)
        moving = np.where(learned, np.abs(e[:-1]) > _LEARNED * s, True)
        q = np.maximum((first**2 + second**2)[1:], (first**2 + second**2)[:-1])
        return np.asarray(np.where(moving, 2 * np.abs(e[:-1]) + c * q, 0.0).max(axis=1) + c * abs(lam))

    def rates(u: Array) -> PairRates:
        first, second, e = state(u)
        q, a = first**2 + second**2, first * second
        P = (q[:, :, None] + q[:, None, :]) / 2
        push = second * e, first  # of (y, z), the latter times s_b
        signs = []
        for sign, along in ((1, (cos, sin)), (-1, (-sin, cos))):
            sums = (x[:, :, None] + sign * x[:, None, :] for x in (a, e))
            both = np.divide(np.multiply(*sums), P, out=np.zeros_like(P), where=P > 0) - c * P
            alone = sign * mu - c * q[:, :, None] / 2
            felt = along[0] * push[0][:, :, None] + along[1] * push[1][:, :, None] * s
            force = P * (e[:, :, None] + sign * e[:, None, :])
            signs.append((np.where(pair, both, np.where(mixed, alone, 0.0)), np.where(pair, force, felt * mixed)))
        return signs[0], signs[1]

    t, back = np.unique(checked_times(times), return_inverse=True)
    plus, minus = np.moveaxis(carried(t, len(s), bound, rates, checked_window(window)), 1, 0)
    first, second, e = state(t)
    x_ab = second[:, :, None] * (cos * plus - sin * minus) * mixed
    x_ba = first[:, :, None] * (sin * plus + cos * minus) * mixed
    x = np.where(pair, (plus + minus) / 2, x_ab + np.swapaxes(x_ba, 1, 2))
    return x[back], e[back]


def unequal_derivative(start: UnequalStart, times: ArrayLike, *, window: Window = ALWAYS) -> Array:
    """``dl_j(t)/deps_i`` ``(T, source P, target P)`` of training on ``L + sum_i eps_i l_i``; negative helps."""
    modes, rest = start.modes, np.zeros(start.modes.n_items - start.active)
    w1, w2 = np.concatenate([start.w1, rest]), np.concatenate([start.w2, rest])
    groups = mode_groups(modes, start.active, null=True, apart=np.stack([w1, w2]))
    first = groups.first
    x, e = unequal_responses(groups.s, w1[first], w2[first], times, c=modes.c, lam=start.lam, window=window)
    return in_items(groups, e[:, :, None] * x)
