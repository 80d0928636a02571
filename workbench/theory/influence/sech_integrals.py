"""Two integrals of a hyperbolic secant against an exponential, behind the response of a pair of modes.

``sech x_a(u)``, ``x_a(u) = s_a u - ln(kappa_a)/2``, is the pulse ``2 sqrt(alpha e)/s_a`` with which mode a is
learned. Both integrals are differences of two Gauss functions ``2F1(1, r; 1+r; -e^{2 x_a})``, ``r = (s_a +-
s_b)/(2 s_a)``; evaluated as integrals they neither overflow nor meet the poles of the antiderivative at s_b =
s_a, 3 s_a, 5 s_a, ...
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from sympy.core.function import ArgumentIndexError

from workbench.theory.closed_form import Step

Array = NDArray[np.float64]

#: Largest growth exponent of one Gauss-Legendre panel. The poles of the pulse lie pi/2 off the real axis
#: of x, more than 1.5 half-widths away, so 16 nodes reach rounding error.
PANEL = 2.0
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


def panel_nodes(width: float, rate: float) -> tuple[Array, Array]:
    """Nodes in (0, width) and weights of composite Gauss-Legendre quadrature, for variation at ``rate``."""
    n = max(1, int(np.ceil(rate * width / PANEL)))
    half = width / (2 * n)
    left = np.arange(n) * 2 * half
    return (left[:, None] + half * (1 + NODES)).ravel(), np.tile(half * WEIGHTS, n)


def sech_of(t: Any, s: Any, kappa: Any) -> Any:
    """``sech(s t - ln(kappa)/2) = 2 sqrt(kappa) e^{-st}/(1 + kappa e^{-2st})``, which cannot overflow."""
    return 2 * sp.sqrt(kappa) * sp.exp(-s * t) / (1 + kappa * sp.exp(-2 * s * t))


def _integral(t: float, s_a: float, s_b: float, kappa_a: float, backwards: bool) -> float:
    u, w = panel_nodes(t, max(s_a, s_b))
    x = np.abs(s_a * u - np.log(kappa_a) / 2)
    return float(w @ (2 * np.exp(-x - s_b * (t - u if backwards else u)) / (1 + np.exp(-2 * x))))


def _convolution(t: ArrayLike, s_a: ArrayLike, s_b: ArrayLike, kappa_a: ArrayLike) -> Any:
    return np.vectorize(_integral, otypes=[float])(t, s_a, s_b, kappa_a, True)[()]


def _transform(t: ArrayLike, s_a: ArrayLike, s_b: ArrayLike, kappa_a: ArrayLike) -> Any:
    return np.vectorize(_integral, otypes=[float])(t, s_a, s_b, kappa_a, False)[()]


class SechConvolution(sp.Function):  # type: ignore[misc]
    """``Lambda(t, s_a, s_b, kappa_a) = int_0^t e^{-s_b (t-u)} sech x_a(u) du``."""

    nargs = 4
    _imp_ = staticmethod(_convolution)

    @classmethod
    def eval(cls, t: Any, s_a: Any, s_b: Any, kappa_a: Any) -> Any:
        """0 at t = 0."""
        return sp.S.Zero if t == 0 else None

    def fdiff(self, argindex: int = 1) -> Any:
        """``dLambda/dt = sech x_a(t) - s_b Lambda``."""
        t, s_a, s_b, kappa_a = self.args
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return sech_of(t, s_a, kappa_a) - s_b * self


class SechTransform(sp.Function):  # type: ignore[misc]
    """``Gamma(t, s_a, s_b, kappa_a) = int_0^t e^{-s_b u} sech x_a(u) du``."""

    nargs = 4
    _imp_ = staticmethod(_transform)

    @classmethod
    def eval(cls, t: Any, s_a: Any, s_b: Any, kappa_a: Any) -> Any:
        """0 at t = 0."""
        return sp.S.Zero if t == 0 else None

    def fdiff(self, argindex: int = 1) -> Any:
        """``dGamma/dt = e^{-s_b t} sech x_a(t)``."""
        t, s_a, s_b, kappa_a = self.args
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return sp.exp(-s_b * t) * sech_of(t, s_a, kappa_a)


@cache
def sech_steps() -> tuple[Step, ...]:
    """``int e^{p x} sech x dx = 2 e^{(1+p) x}/(1+p) 2F1(1, r; 1+r; -e^{2x})``, ``r = (1+p)/2``."""
    p, x, z = sp.symbols("p x z", real=True)
    n = sp.Symbol("n", integer=True, nonnegative=True)
    r = sp.Symbol("r", positive=True)
    coefficient = r / (r + n)
    antiderivative = 2 * sp.exp((1 + p) * x) / (1 + p) * sp.hyper((1, (1 + p) / 2), ((3 + p) / 2,), -sp.exp(2 * x))
    return (
        Step(
            "Coefficient of z^n in 2F1(1, r; 1+r; z); successive ones have the ratio (n + r)/(n + 1 + r):",
            coefficient,
            sp.simplify(coefficient.subs(n, n + 1) / coefficient - (n + r) / (n + 1 + r)),
            why="the integral that is needed next is a Gauss function; this is its series",
        ),
        Step(
            "so (z d/dz + r) 2F1 = r sum z^n, coefficient by coefficient:",
            r / (1 - z),
            sp.simplify((n + r) * coefficient - r),
            why="which gives its derivative without a limit",
        ),
        Step(
            "The pulse of a mode integrates to Gauss functions (p = +- s_b/s_a): int e^{px} sech x dx =",
            antiderivative,
            (2 * sp.exp((1 + p) * x) / (1 + sp.exp(2 * x)) - sp.exp(p * x) / sp.cosh(x)).rewrite(sp.exp),
            why="a mode acts while it is being learned, a pulse in time; the other mode weighs it by an exponential",
        ),
    )
