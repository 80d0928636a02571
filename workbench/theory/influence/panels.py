"""Amounts of pairs of modes that grow by known rates and are pushed by known forces, panel by panel.

``dA/dt = r A + f`` for the two amounts, + and -, of every pair of G modes: the solution
``A(t) = int_0^t Psi(t, u) f(u) du``, ``d ln Psi/dt = r``, by Gauss-Legendre panels between the times asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.theory.flow.weighted_flow import Window
from workbench.theory.influence.sech_integrals import NODES, WEIGHTS

Array = NDArray[np.float64]
#: ``(r_+, f_+), (r_-, f_-)`` at n times, each ``(n, G, G)``.
PairRates = tuple[tuple[Array, Array], tuple[Array, Array]]

#: Largest growth exponent of one panel, for which 16 nodes reach rounding error.
_PANEL = 2.0
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


def carried(
    times: Array, G: int, bound: Callable[[Array], Array], rates: Callable[[Array], PairRates], window: Window
) -> Array:
    """``(T, 2, G, G)`` both amounts of all pairs at ascending ``times``, from 0 at t = 0.

    Args:
        bound: ``(n,)`` ends of strides to a ``(n - 1,)`` bound on the rates in each.
        rates: ``(n,)`` times to the rates and forces then.
        window: the forces act only between these times.
    """
    last = times.max(initial=0.0)
    stops = np.unique(np.concatenate([times, np.clip(window, 0, last)]))
    amounts, now = np.zeros((len(times), 2, G, G)), np.zeros((2, G, G))
    row = int(len(times) > 0 and times[0] == stops[0])  # nothing has happened yet: at t = 0, or before the window opens
    for panels in _panels(stops, G, bound):
        growth, pushed = _panel_integrals(panels, G, rates, window)
        for k, end in enumerate(panels[1:]):
            now = growth[k] * now + pushed[k]
            if row < len(times) and end == times[row]:
                amounts[row] = now
                row += 1
    return amounts


def _panels(stops: Array, G: int, bound: Callable[[Array], Array]) -> Iterator[Array]:
    """Ends of the panels in batches, each a run that begins where the last one ended."""
    if len(stops) < 2:
        return
    # Within a stride that doubles, a bound on the rates from its two ends is not too crude.
    finer = np.unique(np.concatenate([stops, stops[-1] * 2.0 ** -np.arange(1, 12)]))
    finer = finer[finer >= stops[0]]
    counts = np.maximum(1, np.ceil(bound(finer) * np.diff(finer) / _PANEL)).astype(int)
    ends = np.concatenate([finer[:1], *(_divided(finer[k], finer[k + 1], n) for k, n in enumerate(counts))])
    size = max(1, _BATCH // (len(NODES) * G**2))
    for first in range(0, len(ends) - 1, size):
        yield ends[first : first + size + 1]


def _divided(left: float, right: float, count: int) -> Array:
    points = np.linspace(left, right, count + 1)[1:]
    points[-1] = right
    return points


def _panel_integrals(ends: Array, G: int, rates: Callable[[Array], PairRates], window: Window) -> tuple[Array, Array]:
    """``(n, 2, G, G)``: ``Psi`` over each panel, and what the forces add in it."""
    half = np.diff(ends) / 2
    u = (ends[:-1] + half)[:, None] + half[:, None] * NODES
    inside = half * ((ends[:-1] >= window[0]) & (ends[1:] <= window[1]))
    growth, pushed = [], []
    for pair in rates(u.ravel()):
        rate, force = (x.reshape(len(half), len(NODES), G, G) for x in pair)
        carrying = np.exp(np.einsum("qp,npab,n->nqab", _REMAINING, rate, half))
        growth.append(np.exp(np.einsum("q,nqab,n->nab", WEIGHTS, rate, half)))
        pushed.append(np.einsum("q,nqab,nqab,n->nab", WEIGHTS, carrying, force, inside))
    return np.stack(growth, axis=1), np.stack(pushed, axis=1)
