"""Prior of one mode strength ``a = w_D ... w_1`` under Gaussian weights, exact and in log space.

With independent weights N(0, 1/gamma) (a localization at 0) and ``z = gamma |a|^(2/D)``::

    p(a) = (gamma / 2 pi)^(D/2) 2^(D-1) J_D(z),      J_1 = exp(-z/2),   J_2 = K_0(z),
    J_D(z) = int dx exp(-z e^{2x} / 2) J_{D-1}(z e^{-2x/(D-1)})

(x is the share of one layer in log a). Two layers with N_h hidden units have the order ``nu = (N_h - 1)/2``::

    p(a) = gamma^(nu+1) |a|^nu K_nu(gamma |a|) / (sqrt(pi) 2^nu Gamma(N_h / 2))

Source: derived for this project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import scipy
import sympy as sp
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare

Array = NDArray[np.float64]
NOTES = "derived for this project"
#: Integrands below exp(-this) of their maximum are left out.
_DEPTH_OF_TAIL = 45.0


def _bessel_density(gamma: sp.Symbol, hidden: sp.Symbol, x: sp.Symbol, z: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """A candidate for the density of a at x, and its absolute moment z."""
    nu, order = sp.Symbol("nu", positive=True), (hidden - 1) / 2
    mellin = sp.integrate(x ** (z + nu) * sp.besselk(nu, x), (x, 0, sp.oo), conds="none").subs(nu, order)
    scale = gamma ** (order + 1) / (sp.sqrt(sp.pi) * 2**order * sp.gamma(hidden / 2))
    return scale * x**order * sp.besselk(order, gamma * x), 2 * scale * mellin / gamma ** (z + order + 1)


@cache
def prior_spread_form() -> ClosedForm:
    """``E[a^2]`` of a two-layer mode before any data, with the derivation of the Bessel density of a."""
    gamma, hidden, x = sp.symbols("gamma hidden x", positive=True)
    z = sp.Symbol("z", positive=True)
    normal = sp.sqrt(gamma / (2 * sp.pi)) * sp.exp(-gamma * x**2 / 2)
    moment_of_weight = sp.integrate(2 * x**z * normal, (x, 0, sp.oo))
    shell = 2 * (gamma / 2) ** (hidden / 2) / sp.gamma(hidden / 2) * x ** (hidden - 1) * sp.exp(-gamma * x**2 / 2)
    moment_of_layer = sp.integrate(x**z * shell, (x, 0, sp.oo))
    product = moment_of_weight * moment_of_layer
    density, moment = _bessel_density(gamma, hidden, x, z)
    return ClosedForm(
        name="prior_spread",
        title="Mean square strength of a two-layer mode under the prior",
        quantity=sp.Symbol("E_a2"),
        expression=hidden / gamma**2,
        variables=(
            Variable(gamma, "localization (inverse prior variance of a weight)", "1 / weight^2"),
            Variable(hidden, "hidden units that share the mode"),
        ),
        unit="weight^4",
        conditions=(
            Condition(sp.And(bare(gamma) > 0, bare(hidden) >= 1), "gamma > 0 and hidden >= 1", "give a proper prior"),
        ),
        source=NOTES,
        steps=(
            Step(
                "Given |w_1|, a is normal; its absolute moment z is that of one weight,",
                moment_of_weight,
                sp.gammasimp(moment_of_weight.subs(z, 2)) - 1 / gamma,
                why="a product of a normal vector with one of given length is normal",
            ),
            Step(
                "times that of the length of the first layer,",
                moment_of_layer,
                sp.gammasimp(moment_of_layer.subs(z, 2)) - hidden / gamma,
                why="lengths of normal vectors have known moments, and moments of products multiply",
            ),
            Step(
                "The density with a Bessel function of order (N_h - 1)/2; its integral less 1 is",
                density,
                sp.gammasimp(moment.subs(z, 0)) - 1,
                why="a candidate must be a density first",
            ),
            Step(
                "has the same Mellin transform, so it is the density of a:",
                moment,
                sp.gammasimp(moment / product) - 1,
                why="moments of every order determine the density",
            ),
            Step(
                "At z = 2:",
                hidden / gamma**2,
                sp.gammasimp(product.subs(z, 2)) - hidden / gamma**2,
                why="the mean square is what a prior of this width means for a mode",
            ),
        ),
    )


def log_bessel_k(order: float, x: Array) -> Array:
    """``log K_nu(x)`` for x > 0, also where scipy's kve overflows (small x) or is nan (x above about 1e9)."""
    x = np.asarray(x, dtype=np.float64)
    with np.errstate(all="ignore"):
        direct = np.log(scipy.special.kve(order, np.minimum(x, 1e8))) - x
        far = 0.5 * np.log(np.pi / (2 * x)) - x + np.log1p((4 * order**2 - 1) / (8 * x))
        terms = np.zeros_like(x)
        for k in range(min(60, int(np.ceil(order)))):
            terms += (
                np.exp(scipy.special.gammaln(order - k) - scipy.special.gammaln(order) - scipy.special.gammaln(k + 1.0))
                * (-(x**2) / 4) ** k
            )
        near = scipy.special.gammaln(order) - np.log(2) + order * np.log(2 / x) + np.log(terms)
    return np.where(x > 1e8, far, np.where(np.isfinite(direct), direct, near))


def log_product_kernel(z: Array, depth: int) -> Array:
    """``log J_D(z)`` for z > 0: the log density of a product of D normal weights, up to a constant."""
    z = np.asarray(z, dtype=np.float64)
    if depth == 1:
        return -z / 2
    if depth == 2:
        return log_bessel_k(0.0, z)
    low, high, smooth = _kernel_table(depth)
    u = np.clip(np.log(z), low, high)
    # Beyond the table J_D = const z^{-(D-1)/2} e^{-Dz/2} to 1e-13; below it no quadrature has any weight.
    return np.asarray(smooth(u) - (depth - 1) / 2 * np.log1p(z) - depth * z / 2)


@cache
def _kernel_table(depth: int) -> tuple[float, float, Callable[[Array], Array]]:
    """Spline over log z of ``log J_D + D z / 2 + (D - 1)/2 log(1 + z)``, which is slowly varying."""
    from scipy.interpolate import make_interp_spline

    d = depth - 1
    u = np.arange(-56.0, 31.0, 0.03)
    z = np.exp(u)[:, None]
    # Beyond these ends the exponent below is under -_DEPTH_OF_TAIL, by exp(y) - 1 - y >= y^2 / 2.
    right, left = 2 * _DEPTH_OF_TAIL / z, 2 * _DEPTH_OF_TAIL / (z * d)
    x_right = np.minimum(np.sqrt(right / 2), 0.5 * np.log1p(2 * right) + 0.5)
    x_left = np.minimum(np.sqrt(2 * left), np.log1p(2 * left) + 1) * d / 2
    share = np.linspace(0.0, 1.0, 1001)
    x = -x_left + (x_left + x_right) * share
    exponent = -(z / 2) * (np.expm1(2 * x) + d * np.expm1(-2 * x / d))
    inner = z * np.exp(-2 * x / d)
    log_values = exponent + log_product_kernel(inner, d) + d * inner / 2
    log_J = scipy.special.logsumexp(log_values, axis=1) + np.log((x_left + x_right)[:, 0] * share[1])
    smooth: Any = make_interp_spline(u, log_J + d / 2 * np.log1p(z[:, 0]), k=5)
    return float(u[0]), float(u[-1]), smooth


def _log_localised(a: Array, gamma: float, w0: float, v0: float) -> Array:
    """``log int dtheta exp(-gamma/2 [(w - w0)^2 + (v - v0)^2])`` on w v = a, ``w = +-|a|^(1/2) e^theta``."""
    size = np.abs(a)
    v_sign = np.sign(a)
    w2 = np.stack([np.roots([1, -w0, 0, v0 * value, -(value**2)]) for value in a])
    w2 = np.where((np.abs(w2.imag) < 1e-6 * np.abs(w2)) & (np.abs(w2) > 0), w2.real, np.sqrt(size)[:, None])
    nearest = ((w2 - w0) ** 2 + (a[:, None] / w2 - v0) ** 2).min(axis=1)
    reach = np.sqrt(nearest + 2 * _DEPTH_OF_TAIL / gamma)
    parts = []
    for sign in (1.0, -1.0):
        w_most = np.maximum(sign * w0 + reach, 0.0)
        v_most = np.maximum(sign * v_sign * v0 + reach, 0.0)
        open_ = w_most * v_most > size
        with np.errstate(divide="ignore", invalid="ignore"):
            low = np.where(open_, np.log(size / v_most), 0.0)
            high = np.where(open_, np.log(w_most), 0.0)
        # Nodes closer than half a standard deviation: the trapezoid rule is then exact to rounding.
        step = 0.4 / np.sqrt(1 + gamma * float(np.maximum(w_most, v_most)[open_].max(initial=0.0)) ** 2)
        nodes = int(np.clip((high - low).max(initial=0.0) / step, 60, 20000))
        w = np.exp(low[:, None] + (high - low)[:, None] * np.linspace(0, 1, nodes + 1))
        log_f = -gamma / 2 * ((sign * w - w0) ** 2 + (sign * a[:, None] / w - v0) ** 2)
        with np.errstate(divide="ignore"):
            parts.append(scipy.special.logsumexp(log_f, axis=1) + np.log((high - low) / nodes))
    return np.asarray(np.logaddexp(*parts))


@dataclass(frozen=True)
class ModePrior:
    """Gaussian prior of the weights of one mode, seen as a prior of its strength a.

    Attributes:
        gamma: localization, the inverse prior variance of every weight.
        depth: D, how many layers multiply.
        hidden: N_h, hidden units that share the mode (two layers only).
        location: (w0, v0), where the two weights are localised (one hidden unit, two layers); 0 unless given.
    """

    gamma: float
    depth: int = 2
    hidden: int = 1
    location: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        given = f"gamma = {self.gamma:g}, depth = {self.depth}, hidden = {self.hidden}"
        if not (0 < self.gamma < np.inf and self.depth >= 1 and self.hidden >= 1):
            raise ConditionError("gamma > 0, depth >= 1 and hidden >= 1", given, "use gamma=100, depth=2, hidden=1")
        if self.hidden > 1 and self.depth != 2:
            raise ConditionError("several hidden units need depth 2", given, "use hidden=1 or depth=2")
        if self.location is not None and (self.hidden, self.depth) != (1, 2):
            raise ConditionError(
                "a localization away from 0 needs depth 2 and one hidden unit", given, "leave location out"
            )

        if self.location is not None and self.gamma > 1e8:
            raise ConditionError(
                "gamma <= 1e8 with a location",
                given,
                "use the Gaussian prediction local_bif for so narrow a prior",
            )

    @property
    def centre(self) -> float:
        """Strength at which the weights are localised."""
        return 0.0 if self.location is None else self.location[0] * self.location[1]

    def log_density(self, a: Array) -> Array:
        """``log p(a)``, normalised, for a != 0 (same shape)."""
        size, D, nu = np.abs(a), self.depth, (self.hidden - 1) / 2
        if self.location is not None:
            return np.asarray(_log_localised(a, self.gamma, *self.location) + np.log(self.gamma / (2 * np.pi)))
        if self.hidden > 1:
            norm = (
                (nu + 1) * np.log(self.gamma)
                - np.log(np.pi) / 2
                - nu * np.log(2)
                - scipy.special.gammaln(self.hidden / 2)
            )
            return np.asarray(norm + nu * np.log(size) + log_bessel_k(nu, self.gamma * size))
        norm = D / 2 * np.log(self.gamma / (2 * np.pi)) + (D - 1) * np.log(2)
        return np.asarray(norm + log_product_kernel(self.gamma * size ** (2 / D), D))

    def interval(self, tail: float) -> tuple[float, float]:
        """Strengths outside of which the density is below ``exp(-tail)`` of that near the centre."""
        if self.location is None:
            spare = tail + 4 * (self.hidden - 1)
            reach = float((2 * spare / (self.depth * self.gamma)) ** (self.depth / 2))
            return -reach, reach
        r = float(np.sqrt(2 * tail / self.gamma))
        sides = [[x - r, x + r] for x in self.location]
        corners = [w * v for w in sides[0] for v in sides[1]]
        return min(corners), max(corners)
