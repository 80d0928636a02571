"""Claims about influence between layers of unequal size, from rich to lazy."""

from __future__ import annotations

import numpy as np

from workbench.influence import damped_newton, gradient_kernel
from workbench.networks import Network, network
from workbench.semantics import Hierarchy, task_from_spec
from workbench.theory.flow.exact_solution import exact_solution
from workbench.theory.flow.unequal_start import unequal_start
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.unbalanced import (
    harm_over_help,
    unbalanced_kernel,
    unbalanced_kernel_form,
    unbalanced_newton,
)
from workbench.theory.influence.unequal_response import unequal_derivative
from workbench.theory.modes.unbalanced_weights import mode_weights
from workbench.verification.claims import Claim, Outcome, compared, pointwise, worst
from workbench.verification.reference import autograd_gradients, autograd_hessian, weight_flow


def _unbalanced() -> Outcome:
    """Kernel, damped influence and the form of two items, against automatic differentiation of explicit weights."""
    task, outcomes = task_from_spec("tree"), []
    modes = network(task, 8, "balanced:0.01").modes
    for lam in (-0.7, 0.3, 5.0):
        w1, w2 = (w[0] for w in mode_weights(np.array([[4.0]]), modes.s, c=modes.c, a0=0.01, lam=lam))
        R = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
        layers = ((R * w1) @ (task.X @ modes.V / np.sqrt(modes.c * 8)).T, (modes.U * w2) @ R.T)
        g, H = autograd_gradients(task, layers), autograd_hessian(task, layers)
        outcomes.append(compared(unbalanced_kernel(modes, w1[None], w2[None])[0], -g @ g.T))
        newton = -g @ np.linalg.solve(H + 2 * np.eye(len(H)), g.T)
        outcomes.append(compared(unbalanced_newton(modes, w1, w2, damping=2.0), newton))
    pair = Hierarchy((2,)).indicator_task()
    two = network(pair, 2, "balanced:0.05").modes
    w1, w2 = (w[0] for w in mode_weights(np.array([[1.0]]), two.s, c=two.c, a0=0.05, lam=0.4))
    layers = (np.diag(w1) @ (pair.X @ two.V / np.sqrt(two.c * 2)).T, two.U * w2)
    e, g = two.s - two.c * w1 * w2, autograd_gradients(pair, layers)
    form = unbalanced_kernel_form()(e1=e[0], e2=e[1], x1=w1[0], x2=w1[1])
    outcomes.append(compared(form, -(g @ g.T)[0, 1]))
    return worst(outcomes)


def _cousins() -> Outcome:
    """The cousins' flip, dog on sparrow, at lambda = .1, 1, 5: largest harm over largest help of explicit weights."""
    task, ratios, lams = task_from_spec("tree"), [], (0.1, 1.0, 5.0)
    modes = network(task, 8, "balanced:0.01").modes
    V_in = task.X @ modes.V / np.sqrt(modes.c * 8)
    for lam in lams:
        w1, w2 = (w[0] for w in mode_weights(np.array([[0.0]]), modes.s, c=modes.c, a0=0.01, lam=lam))
        times = np.linspace(0, 45, 901)
        path = weight_flow(task, (w1[:, None] * V_in.T, modes.U * w2), times, rtol=1e-10)
        hidden = path[0] @ task.X
        R = task.Y - path[1] @ hidden
        curve = -(R[:, :, 0] * R[:, :, 2]).sum(axis=1) * (hidden[:, :, 0] * hidden[:, :, 2]).sum(axis=1)
        ratios.append(curve.max() / -curve.min())
    return pointwise(harm_over_help(modes, 0, 2, lams, a0=0.01), ratios)


def _predicted() -> Outcome:
    """The measures' own analytic sides, which know nothing of modes here, on aligned layers of unequal size."""
    task, times, outcomes = task_from_spec("tree:2,2"), np.array([1.0, 4.0, 9.0]), []
    modes = network(task, 4, "balanced:0.05").modes
    R = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    for lam in (-0.3, 0.3, 3.0):
        (x,), (z,) = mode_weights(np.zeros((1, 1)), modes.s, c=modes.c, a0=0.05, lam=lam)
        layers = ((R * x) @ (task.X @ modes.V / np.sqrt(modes.c * 4)).T, (modes.U * z) @ R.T)
        path = exact_solution(Network(task, layers), times)
        w1, w2 = mode_weights(times[:, None], modes.s, c=modes.c, a0=0.05, lam=lam)
        outcomes.append(compared(unbalanced_kernel(modes, w1, w2), gradient_kernel(path).values))
        newton = np.stack([unbalanced_newton(modes, *w, damping=2.0) for w in zip(w1, w2, strict=True)])
        outcomes.append(compared(newton, damped_newton(path, damping=2.0).values))
    return worst(outcomes)


def _derivative() -> Outcome:
    """Derivative through training of unequal layers, every mode with a hidden unit and two without one."""
    times, outcomes = np.array([1.0, 4.0, 9.0, 15.0]), []
    for hidden, lam in ((4, -0.7), (4, 1e-3), (4, 0.3), (2, 3.0)):
        start = network(task_from_spec("tree:2,2"), hidden, f"unequal:0.02:{lam:g}")
        unequal = unequal_start(start)
        assert unequal is not None
        by_flow = trajectory_derivative_from_start(start, times, rtol=1e-12)
        outcomes.append(compared(unequal_derivative(unequal, times), by_flow))
    return worst(outcomes)


_FAMILY = "Influence"
CLAIMS = (
    Claim(_FAMILY, "kernel and damped influence of unequal layers, lambda = -.7, .3, 5", ("unbalanced_kernel",),
          "automatic differentiation of explicit weights", 1e-12,
          "rounding, times the condition number of H + damping", _unbalanced),
    Claim(_FAMILY, "the modes' sums are what the measures predict for unequal layers by matrices",
          ("unbalanced_kernel",), "Riccati solution and dense Hessian of explicit weights, lambda = -.3, .3, 3", 1e-11,
          "rounding, times the condition number of H + damping", _predicted),
    Claim(_FAMILY, "derivative through training of unequal layers, two quadratures a pair, lambda = -.7, 1e-3, .3, 3",
          ("unequal_transport_sum", "unequal_transport_difference"), "linearised flow of all weights, DOP853", 1e-9,
          "the solver's own error at rtol 1e-12", _derivative),
    Claim(_FAMILY, "the cousins' harm over help at lambda = .1, 1, 5", ("unbalanced_kernel",),
          "explicit gradients along DOP853 of all weights", 0.01, "largest values on a grid 0.05 apart", _cousins),
)  # fmt: skip
