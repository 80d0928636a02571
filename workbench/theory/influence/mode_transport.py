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

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.theory.flow.weighted_flow import ALWAYS, Window, checked_times, checked_window
from workbench.theory.influence.sech_integrals import NODES, WEIGHTS
from workbench.theory.modes.strength import mode_state

Array = NDArray[np.float64]

#: Largest growth exponent of one panel, for which 16 nodes reach rounding error.
_PANEL = 2.0
#: A mode whose residual is below this share of its singular value no longer moves.
_LEARNED = 1e-20
#: Numbers in the arrays of one batch of panels.
_BATCH = 2**20
#: ``int_{-1}^{x_q}`` of the polynomial through the nodes, and the integral over the whole panel less that.
_CUMULATIVE = np.array(
    [
        np.polynomial.legendre.legval(NODES, np.polynomial.legendre.legint(column, lbnd=-1))
        for column in np.linalg.inv(np.polynomial.legendre.legvander(NODES, 15)).T
    ]
).T
_REMAINING = WEIGHTS - _CUMULATIVE


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
    t, back = np.unique(checked_times(times), return_inverse=True)
    begin, end = checked_window(window)
    if (a0 < 0).any() and depth > 1:
        raise ConditionError("a0 >= 0", f"a0 = {a0.min():g}", "orient the modes so that a0 > 0")
    G, last = len(s), t.max(initial=0.0)
    stops = np.unique(np.concatenate([t, np.clip(window, 0, last)]))
    responses, amounts = np.zeros((len(t), G, G)), [np.zeros((G, G)), np.zeros((G, G))]
    row = int(len(t) > 0 and t[0] == stops[0])  # nothing has happened yet: at t = 0, or before the window opens
    for panels in _panels(stops, s, a0, c, depth):
        growth, pushed = _panel_integrals(panels, s, a0, c, depth, (begin, end), outputs_only)
        for k, now in enumerate(panels[1:]):
            amounts = [growth[sign][k] * amounts[sign] + pushed[sign][k] for sign in (0, 1)]
            if row < len(t) and now == t[row]:
                responses[row] = (amounts[0] + amounts[1]) / 2
                row += 1
    residuals = _state(t[:, None], s, a0, c, depth)[1]
    return responses[back], residuals[back]


def _state(t: Array, s: Array, a0: Array, c: float, depth: int) -> tuple[Array, Array]:
    """Strengths and residuals; modes without a hidden unit stay at 0 and s."""
    a, e = mode_state(t, s, c=c, a0=a0, depth=depth)
    return (a, e) if depth == 1 else (np.where(a0 > 0, a, 0.0), np.where(a0 > 0, e, s))


def _panels(stops: Array, s: Array, a0: Array, c: float, depth: int) -> Iterator[Array]:
    """Ends of the panels in batches, each a run that begins where the last one ended."""
    if len(stops) < 2:
        return
    # Within a stride that doubles, a bound on the rates from its two ends is not too crude.
    finer = np.unique(np.concatenate([stops, stops[-1] * 2.0 ** -np.arange(1, 12)]))
    finer = finer[finer >= stops[0]]
    a, e = _state(finer[:, None], s, a0, c, depth)
    largest, left = np.maximum(a[1:], a[:-1]), np.abs(e[:-1])
    w = largest if depth == 1 else largest ** (1 / depth)
    moving = (left > _LEARNED * s) & (a0 > 0)
    rates = depth * np.abs(w) ** max(depth - 2, 0) * left + depth * c * np.abs(w) ** (2 * depth - 2)
    bound = np.where(moving | (a0 == 0), rates, 0.0).max(axis=1)
    counts = np.maximum(1, np.ceil(bound * np.diff(finer) / _PANEL)).astype(int)
    ends = np.concatenate([finer[:1], *(_divided(finer[k], finer[k + 1], n) for k, n in enumerate(counts))])
    size = max(1, _BATCH // (len(NODES) * len(s) ** 2))
    for first in range(0, len(ends) - 1, size):
        yield ends[first : first + size + 1]


def _divided(left: float, right: float, count: int) -> Array:
    points = np.linspace(left, right, count + 1)[1:]
    points[-1] = right
    return points


def _panel_integrals(
    ends: Array, s: Array, a0: Array, c: float, depth: int, window: Window, outputs_only: bool
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """``(+, -)`` of ``Psi`` over each panel, and of what the reweighting adds in it; each ``(n, G, G)``."""
    half, G = np.diff(ends) / 2, len(s)
    u = (ends[:-1] + half)[:, None] + half[:, None] * NODES
    a, e = _state(u.reshape(-1, 1), s, a0, c, depth)
    *rates, P = (x.reshape(len(half), len(NODES), G, G) for x in transport_rates(a, e, c, depth))
    force = np.broadcast_to(s, e.shape) if outputs_only else e
    force = force.reshape(len(half), len(NODES), G)
    inside = half * ((ends[:-1] >= window[0]) & (ends[1:] <= window[1]))
    growth, pushed = [], []
    for rate, sign in zip(rates, (1, -1), strict=True):
        whole = np.einsum("q,nqab,n->nab", WEIGHTS, rate, half)
        carried = np.exp(np.einsum("qp,npab,n->nqab", _REMAINING, rate, half))
        source = P * (force[:, :, :, None] + sign * force[:, :, None, :])
        growth.append(np.exp(whole))
        pushed.append(np.einsum("q,nqab,nqab,n->nab", WEIGHTS, carried, source, inside))
    return (growth[0], growth[1]), (pushed[0], pushed[1])
