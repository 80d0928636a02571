"""Claims about modes of networks with any number of layers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.theory.modes import depth as forms
from workbench.theory.modes import infinite_depth
from workbench.theory.modes.strength import mode_strength
from workbench.verification.claims import Claim, Outcome, compared, pointwise
from workbench.verification.reference import autograd_gradients, scalar_flow, weight_flow

Array = NDArray[np.float64]


def _strengths() -> Outcome:
    """Rising, falling, vanishing and null modes, D = 1 to 8, as ``x = ln a`` so that small strengths count."""
    times, predicted, computed = np.linspace(0, 25, 26), [], []
    for D in (1, 3, 4, 5, 8):
        for s, a0 in ((0.8, 0.05), (0.8, 3.0), (-0.6, 0.5), (0.0, 0.5)):
            if D == 1 and s < 0:
                continue
            predicted.append(mode_strength(times, s, c=0.6, a0=a0, depth=D))
            flow = scalar_flow(
                lambda x, s=s, D=D: D * np.exp(x * (1 - 2 / D)) * (s - 0.6 * np.exp(x)), np.log(a0), times
            )
            computed.append(np.exp(flow[:, 0]))
    return pointwise(predicted, computed)


def _times(depths: tuple[int, ...], sign: int) -> Outcome:
    predicted, computed = [], []
    s, c, a0, a = 0.8, 0.6, (0.05 if sign > 0 else 0.7), (1.2 if sign > 0 else 0.1)
    for D in depths:
        predicted.append(float(forms.depth_time_form(D, sign)(a=a, s=s, c=c, a0=a0)))
        computed.append(
            quad(lambda x, D=D: 1 / (D * x ** (2 - 2 / D) * (sign * s - c * x)), a0, a, epsabs=0, epsrel=1e-13)[0]
        )
    return pointwise(predicted, computed)


def _explicit() -> Outcome:
    predicted, computed = [], []
    for D in (3, 4):
        phi = forms.explicit_time_form(D)
        predicted.append(float(phi(u=0.9) - phi(u=0.2)))
        computed.append(quad(lambda u, D=D: u ** (1 - D) / (1 - u**D), 0.2, 0.9, epsabs=0, epsrel=1e-13)[0])
    return pointwise(predicted, computed)


def _infinite() -> Outcome:
    times = np.linspace(0, 60, 31)
    predicted, computed = [], []
    for s, a0 in ((1.3, 0.05), (0.7, 0.2), (1.0, 4.0)):
        predicted.append(infinite_depth.infinite_depth_strength(times, s, c=1.0, a0=a0))
        computed.append(scalar_flow(lambda a, s=s: a**2 * (s - a), a0, times)[:, 0])
    back = float(infinite_depth.infinite_depth_form()(a=predicted[0][9], s=1.3, c=1.0, a0=0.05))
    return pointwise(np.append(np.ravel(predicted), back), np.append(np.ravel(computed), times[9]))


def _null() -> Outcome:
    times = np.linspace(0, 50, 26)
    predicted = [forms.null_mode_form(D)(t=times, c=0.6, a0=0.5) for D in (2, 3, 5)]
    computed = [scalar_flow(lambda a, D=D: -D * 0.6 * a ** (3 - 2 / D), 0.5, times)[:, 0] for D in (2, 3, 5)]
    return pointwise(predicted, computed)


def _aligned_layers(depth: int, a: Array) -> tuple[list[Array], Array]:
    """Layers of a balanced aligned network on the tree, hidden width 9, with random hidden frames."""
    start = network(task_from_spec("tree"), 9, "balanced:0.01")
    modes, rng = start.modes, np.random.default_rng(depth)
    frames = [np.linalg.qr(rng.standard_normal((9, 9)))[0][:, :8] for _ in range(depth - 1)]
    sides = [modes.V, *frames, modes.U]
    root = np.diag(a ** (1 / depth))
    return [after @ root @ before.T for before, after in pairwise(sides)], modes.V


def _kernels() -> Outcome:
    task = task_from_spec("tree")
    modes = network(task, 9, "balanced:0.01").modes
    a = 0.9 * modes.s / modes.c * np.linspace(0.95, 0.1, 8)
    predicted, computed = [], []
    for D in (1, 2, 3, 4):
        gradients = autograd_gradients(task, _aligned_layers(D, a)[0])
        predicted.append(gradient_kernel(modes, a[None], depth=D)[0])
        computed.append(-gradients @ gradients.T)
    return compared(predicted, computed)


def _deep_network() -> Outcome:
    """All weights of a three- and a four-layer network follow the gradient."""
    task, times = task_from_spec("tree:2,2"), np.linspace(0, 30, 7)
    modes = network(task, 4, "balanced:0.01").modes
    predicted, computed = [], []
    for D in (3, 4):
        rng = np.random.default_rng(D)
        frames = [np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(D - 1)]
        sides, root = [modes.V, *frames, modes.U], 0.1 ** (1 / D) * np.eye(4)
        layers = [after @ root @ before.T for before, after in pairwise(sides)]
        product = np.eye(4)
        for layer in weight_flow(task, layers, times, rtol=1e-11):
            product = layer @ product
        predicted.append(mode_strength(times[:, None], modes.s, c=modes.c, a0=0.1, depth=D))
        computed.append(np.einsum("ok,top,pk->tk", modes.U, product, modes.V))
    return compared(predicted, computed)


_FAMILY = "Mode dynamics, any depth"
_ODE = "the solver's own error at rtol 1e-12, over thousands of steps"
CLAIMS = (
    Claim(_FAMILY, "a(t) at D = 1, 3, 4, 5, 8: rising, falling, vanishing and null modes",
          ("mode_strength_depth_1", "mode_time_depth_", "null_mode_depth_"), "DOP853 of ln a", 1e-9, _ODE, _strengths),
    Claim(_FAMILY, "time t(a) for s > 0 as a finite sum, D = 3 to 6", ("mode_time_depth_",),
          "adaptive quadrature of dt/da", 1e-10, "epsrel 1e-13 of the quadrature; cancellation in the sum",
          lambda: _times((3, 4, 5, 6), 1)),
    Claim(_FAMILY, "time t(a) for s < 0", ("mode_time_negative_depth_",), "adaptive quadrature of dt/da", 1e-10,
          "epsrel 1e-13 of the quadrature; cancellation in the sum", lambda: _times((3, 4, 5), -1)),
    Claim(_FAMILY, "Phi_3 and Phi_4 in elementary functions", ("phi_",), "adaptive quadrature", 1e-12,
          "epsrel 1e-13 of the quadrature", _explicit),
    Claim(_FAMILY, "infinite depth: Lambert W below and above s/c, and its inverse t(a)", ("infinite_depth_time",),
          "DOP853", 1e-8, "solver error near saturation, where dt/da is large", _infinite),
    Claim(_FAMILY, "a mode without signal decays as a power", ("null_mode_depth_",), "DOP853", 1e-9, _ODE, _null),
    Claim(_FAMILY, "three- and four-layer networks keep to their modes", ("mode_time_depth_",),
          "DOP853 of all weights", 1e-8, "rtol 1e-11, amplified while the modes grow", _deep_network),
    Claim("Influence", "the gradient kernel of 1 to 4 layers", ("gradient_kernel", "gradient_kernel_depth_"),
          "automatic differentiation of explicit networks", 1e-13, "rounding of sums of up to 300 products", _kernels),
)  # fmt: skip
