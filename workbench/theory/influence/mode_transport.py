"""How a pair of modes carries a small change of the product matrix through training, at any depth.

Linearise the end-to-end flow (`end_to_end`) along a balanced aligned path and write ``X_ab = P v_ai v_bi x_ab`` for the
response of its entry (a, b) to the weight of item i. Sum and difference of x_ab and x_ba do not mix
(`pair_transport_form` has the derivation)::

    d/dt (x_ab +- x_ba) = r_+- (x_ab +- x_ba) + P_ab (e_a +- e_b)
    P_ab = sum_k w_a^{2(D-1-k)} w_b^{2k}
    r_+  = -c P_ab + (w_a + w_b) (e_a S_ab + e_b S_ba) / sum_k w_a^{D-1-k} w_b^k
    r_-  = -c P_ab + (w_a^2 - w_b^2) (e_a S_ab - e_b S_ba) / (w_a^D + w_b^D)
    S_ab = sum_{k<=D-2} (D-1-k) w_a^{2(D-2-k)} w_b^{2k},        w_a = a_a^{1/D}

with ``r_+-`` written so that nothing cancels, at equal strengths or between learned and unlearned modes. The solution
is two scalar quadratures a pair, here by Gauss-Legendre panels between the times asked for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.flow.weighted_flow import ALWAYS, Window, checked_times, checked_window
from workbench.theory.influence.panels import PairRates, carried
from workbench.theory.modes.strength import mode_state

Array = NDArray[np.float64]

#: A mode whose residual is below this share of its singular value no longer moves.
_LEARNED = 1e-20


def _homogeneous(first: Array, second: Array, degree: int, falling: bool = False) -> Array:
    """``sum_{k<=degree} x^{degree-k} y^k`` of all pairs ``(..., G, G)``; ``falling``: times ``degree + 1 - k``."""
    x, y = first[..., :, None], second[..., None, :]
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for k in range(degree + 1):
        total = total + (degree + 1 - k if falling else 1) * x ** (degree - k) * y**k
    return total


def transport_rates(a: Array, e: Array, c: float, depth: int) -> tuple[Array, Array, Array]:
    """``r_+``, ``r_-`` and ``P_ab`` of all pairs, ``(n, G, G)``, from strengths and residuals ``(n, G)``."""
    w = a if depth == 1 else a ** (1 / depth)
    P = _homogeneous(w**2, w**2, depth - 1)
    S = _homogeneous(w**2, w**2, depth - 2, falling=True)
    e_S, back = e[:, :, None] * S, e[:, None, :] * np.swapaxes(S, 1, 2)
    total, square = w[:, :, None] + w[:, None, :], w[:, :, None] ** 2 - w[:, None, :] ** 2
    together = _homogeneous(w, w, depth - 1)
    apart = w[:, :, None] ** depth + w[:, None, :] ** depth
    plus = np.divide(total * (e_S + back), together, out=np.zeros_like(P), where=together != 0)
    minus = np.divide(square * (e_S - back), apart, out=np.zeros_like(P), where=apart != 0)
    return plus - c * P, minus - c * P, P


def pair_responses(
    s: Array,
    a0: Array,
    times: ArrayLike,
    *,
    c: float,
    depth: int = 2,
    window: Window = ALWAYS,
    outputs_only: bool = False,
) -> tuple[Array, Array]:
    """``x_ab(t)`` of all pairs of modes, and the residuals ``e_a(t)``.

    Args:
        s: ``(G,)`` singular values >= 0.
        a0: ``(G,)`` strengths at t = 0, >= 0, unequal if you like, above s/c too; 0 for modes without a hidden unit.
        times: ``(T,)`` flow times >= 0.
        c: input scale.
        depth: number of layers D.
        window: the item weights differ from 1 only between these times.
        outputs_only: the weights enlarge Syx and not Sxx: the push is ``P_ab (s_a +- s_b)``.

    Returns:
        ``(T, G, G)``, units of weight^2 times time, and ``(T, G)``, units of loss / weight^2 (for D = 2).
    """
    if (a0 < 0).any() and depth > 1:
        raise ConditionError("a0 >= 0", f"a0 = {a0.min():g}", "orient the modes so that a0 > 0")

    def bound(ends: Array) -> Array:
        a, e = _state(ends[:, None], s, a0, c, depth)
        largest, left = np.maximum(a[1:], a[:-1]), np.abs(e[:-1])
        w = np.abs(largest if depth == 1 else largest ** (1 / depth))
        moving = (left > _LEARNED * s) & (a0 > 0)
        rates = depth * w ** max(depth - 2, 0) * left + depth * c * w ** (2 * depth - 2)
        return np.asarray(np.where(moving | (a0 == 0), rates, 0.0).max(axis=1))

    def rates(u: Array) -> PairRates:
        a, e = _state(u[:, None], s, a0, c, depth)
        plus, minus, P = transport_rates(a, e, c, depth)
        force = np.broadcast_to(s, e.shape) if outputs_only else e
        above, below = force[:, :, None], force[:, None, :]
        return (plus, P * (above + below)), (minus, P * (above - below))

    t, back = np.unique(checked_times(times), return_inverse=True)
    amounts = carried(t, len(s), bound, rates, checked_window(window))
    residuals = _state(t[:, None], s, a0, c, depth)[1]
    return (amounts.sum(axis=1) / 2)[back], residuals[back]


def _state(t: Array, s: Array, a0: Array, c: float, depth: int) -> tuple[Array, Array]:
    """Strengths and residuals; modes without a hidden unit stay at 0 and s."""
    a, e = mode_state(t, s, c=c, a0=a0, depth=depth)
    return (a, e) if depth == 1 else (np.where(a0 > 0, a, 0.0), np.where(a0 > 0, e, s))
