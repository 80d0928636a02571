"""Gradient flow of small layers by its Taylor series: few long steps to almost rounding.

The flow is polynomial in the weights, so the coefficients of ``W_l(t + h) = sum_m W_l^(m) h^m`` follow in turn,

    (m + 1) W_l^(m+1) = sum_k B_l^(k) F_{l-1}^(m-k)^T,    F_l = W_l F_{l-1},    B_{l-1} = W_l^T B_l,    B_D = E

with ``F_1 = W_1`` and ``E = Syx - W Sxx``. A sum over k is one product of a row of blocks and a column of blocks in
reverse order. A step is as long as its last terms allow, several times one of Runge-Kutta of order 8 at the same error,
at a cost that grows with the square of the order: for layers so small that calls cost more than their arithmetic.

Source: Jorba & Zou (2005) for the control of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError

Array = NDArray[np.float64]
#: ``y`` of one state to the ``(ORDER + 1, size)`` coefficients of its series.
Series = Callable[[Any], Any]

#: Terms of the series after the first.
ORDER = 16
#: More steps are not made.
_MOST_STEPS = 100_000


class _Rows:
    """Blocks of coefficients side by side, ``(..., p, (ORDER + 1) q)``, or one above the other in reverse order."""

    def __init__(self, shape: tuple[int, ...], *, across: bool) -> None:
        *runs, p, q = shape
        blocks = np.empty((*runs, p, (ORDER + 1) * q) if across else (*runs, (ORDER + 1) * p, q))
        starts = [m * q if across else (ORDER - m) * p for m in range(ORDER + 1)]
        #: Views of coefficient m, and of all up to m.
        self.at = [blocks[..., s : s + q] if across else blocks[..., s : s + p, :] for s in starts]
        self.upto = [blocks[..., : s + q] if across else blocks[..., s:, :] for s in starts]


def layer_series(shapes: Sequence[tuple[int, ...]], Syx: Array, Sxx: Array) -> Series:
    """Coefficients of the flow of layers of these shapes, ``(R, h_l, h_{l-1})`` or, of one run, without R.

    Args:
        shapes: of the layers, from the inputs to the outputs.
        Syx: ``(R, q, n)`` or ``(q, n)`` covariance of targets and inputs, as the run weighs the items.
        Sxx: ``(R, n, n)`` or ``(n, n)``.
    """
    depth, product = len(shapes), np.dot if len(shapes[0]) == 2 else np.matmul
    cuts = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)]).tolist()
    n = shapes[0][-1]

    def turned(shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-2], shape[-1], shape[-2])

    reached = [(*shape[:-1], n) for shape in shapes]  # F_l
    W, Wt = ([_Rows(s, across=True) for s in kind] for kind in (shapes, map(turned, shapes)))
    F, Ft = ([_Rows(s, across=False) for s in kind] for kind in (reached, map(turned, reached)))
    B, Bv = ([_Rows(s, across=a) for s in reached] for a in (True, False))

    def series(y: Any) -> Any:
        coefficients = np.empty((ORDER + 1, cuts[-1]))
        coefficients[0] = y
        for m in range(ORDER):
            now = [coefficients[m, i:j].reshape(s) for (i, j), s in zip(pairwise(cuts), shapes, strict=True)]
            below = now[0]
            for k in range(1, depth):
                F[k - 1].at[m][...], Ft[k - 1].at[m][...] = below, below.swapaxes(-1, -2)
                W[k].at[m][...], Wt[k].at[m][...] = now[k], now[k].swapaxes(-1, -2)
                below = product(W[k].upto[m], F[k - 1].upto[m])
            error = -product(below, Sxx)
            if m == 0:
                error += Syx
            nxt, scale = coefficients[m + 1], 1.0 / (m + 1)
            for k in range(depth - 1, 0, -1):
                B[k].at[m][...], Bv[k].at[m][...] = error, error
                nxt[cuts[k] : cuts[k + 1]] = product(B[k].upto[m], Ft[k - 1].upto[m]).ravel()
                error = product(Wt[k].upto[m], Bv[k].upto[m])
            nxt[: cuts[1]] = error.ravel()
            nxt *= scale
        return coefficients

    return series


def march(series: Series, begin: float, y: Any, times: Array, *, rtol: float) -> Iterator[tuple[int, Any]]:
    """The flow from ``y`` at time ``begin`` through ascending ``times >= begin``: index of the time, and the state.

    Args:
        rtol: size of the last terms that are kept, over that of the largest weight.
    """
    k = 0
    while k < len(times) and times[k] <= begin:
        yield k, y
        k += 1
    now = begin
    for _ in range(_MOST_STEPS):
        if k == len(times):
            return
        terms = series(y)
        size = np.abs(terms).max(axis=1).tolist()
        # Of two terms, in case one vanishes by symmetry; a start at 0 is as large as its first term.
        steps = [
            max((rtol * size[0] / size[m]) ** (1 / m), (rtol * size[1] / size[m]) ** (1 / (m - 1)))
            for m in (ORDER - 1, ORDER)
            if size[m] > 0
        ]
        end = min(now + min(steps, default=np.inf), float(times[-1]))
        if not end > now:
            break
        reached = int(np.searchsorted(times, end, side="right"))
        for state in np.vander(times[k:reached] - now, ORDER + 1, increasing=True) @ terms:
            yield k, state
            k += 1
        y, now = (end - now) ** np.arange(ORDER + 1) @ terms, end
    raise WorkbenchError(f"the flow cannot be integrated past t = {now:.4g}; use a larger rtol")
