"""The kernel's derivative along a change of the items' inner products, by perturbation theory of the modes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.theory.modes.strength import mode_state

Array = NDArray[np.float64]


def kernel_slope(gram: Array, direction: Array, times: Array, a0: float = 0.01) -> Array:
    """``(T, P, P)`` derivative of the influence -K by sigma at G, for one-hot items and balanced starts at a0."""
    P = len(gram)
    nu, V = np.linalg.eigh(gram)
    s, c = np.sqrt(np.maximum(nu, 0)) / P, 1 / P
    inside = V.T @ direction @ V

    def states(values: Array) -> tuple[Array, Array]:
        return mode_state(times[:, None], np.sqrt(np.maximum(values, 0)) / P, c=c, a0=a0, depth=2)

    def changed(function: Callable[[Array, Array], Array]) -> tuple[Array, Array]:
        """A function of G, and its derivative along the direction."""
        a, e = states(nu)
        f = function(a, e)
        h = 1e-5 * nu.max()
        (a1, e1), (a0_, e0) = states(nu + h), states(nu - h)
        slope = (function(a1, e1) - function(a0_, e0)) / (2 * h)
        gap = nu[:, None] - nu[None, :]
        close = np.abs(gap) < 1e-6 * nu.max()
        divided = np.where(close, slope[:, :, None], (f[:, :, None] - f[:, None, :]) / np.where(close, 1, gap))
        return (V * f[:, None, :]) @ V.T, V @ (divided * inside) @ V.T

    assert s.min() > 0
    (f, df), (g, dg) = changed(lambda a, e: e**2), changed(lambda a, e: a)
    _, dself = changed(lambda a, e: a * e**2)
    own = np.eye(P) * dself.diagonal(axis1=1, axis2=2)[:, None, :]
    return np.asarray(-(P**2) * (df * g + f * dg + own))
