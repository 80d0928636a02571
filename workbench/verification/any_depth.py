"""Claims about influence at any depth: end-to-end flow, Hessian blocks, transport of pairs, four measures in one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network, network
from workbench.semantics import task_from_spec
from workbench.theory.flow.aligned import aligned_trajectory, mode_strengths
from workbench.theory.flow.end_to_end import end_to_end_flow, end_to_end_form
from workbench.theory.influence.damped_newton import damped_newton
from workbench.theory.influence.gradient_kernel import gradient_kernel
from workbench.theory.influence.infinite_depth import infinite_depth_kernel
from workbench.theory.influence.leave_one_out import leave_one_out
from workbench.theory.influence.mode_transport import pair_responses
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.influence.transport_forms import difference_transport_form, pair_transport_form
from workbench.theory.modes.strength import mode_state
from workbench.theory.posterior.deep_forms import four_measures_form
from workbench.theory.posterior.local_posterior import local_bif
from workbench.verification.claims import Claim, Outcome, compared, worst
from workbench.verification.reference import (
    autograd_gradients,
    item_losses,
    scalar_flow,
    weight_flow,
)

Array = NDArray[np.float64]
#: Depths whose claims are cheap.
DEPTHS = (3, 4, 5)


def small_network(depth: int, hidden: int = 5) -> Network:
    """Four items on a tree, every mode at 0.05."""
    return network(task_from_spec("tree:2,2"), hidden, "balanced:0.05", depth=depth)


def _end_to_end() -> Outcome:
    times, outcomes = np.linspace(0, 20, 5), []
    for depth in (2, *DEPTHS):
        net = small_network(depth)
        omega = np.array([0.0, 1.0, 2.5, 0.3])
        path = weight_flow(net.task, net.weights, times, omega)
        outcomes.append(compared(end_to_end_flow(net, times, omega, rtol=1e-11)[:, 0], item_losses(net.task, path)))
    return worst(outcomes)


def _end_to_end_rate() -> Outcome:
    """The gradient of explicit balanced layers, carried to the product, in the singular vectors of the product."""
    rng, outcomes = np.random.default_rng(0), []
    for depth in (2, 3, 5):
        frames = [np.linalg.qr(rng.standard_normal((2, 2)))[0] for _ in range(depth + 1)]
        sigma, error = np.array([1.7, 0.4]), rng.standard_normal((2, 2))
        layers = [frames[k + 1] * sigma ** (1 / depth) @ frames[k].T for k in range(depth)]
        moved = np.zeros((2, 2))
        for k in range(depth):
            above, below = np.eye(2), np.eye(2)
            for W in layers[k + 1 :]:
                above = W @ above
            for W in layers[:k]:
                below = W @ below
            moved += above @ above.T @ error @ below.T @ below
        turned, entry = frames[-1].T @ moved @ frames[0], (frames[-1].T @ error @ frames[0])[0, 1]
        predicted = end_to_end_form().function(sigma[0], sigma[1], entry, depth)
        outcomes.append(compared(predicted, turned[0, 1]))
    return worst(outcomes)


def _derivative() -> Outcome:
    times, h, outcomes = np.array([0.0, 8.0, 20.0]), 1e-30, []
    for depth in DEPTHS:
        net = small_network(depth)
        runs = [weight_flow(net.task, net.weights, times, 1 + 4j * h * row) for row in np.eye(4)]
        outputs = []
        for path in runs:
            product = net.task.X.astype(complex)
            for W in path:
                product = W @ product
            outputs.append(0.5 * ((net.task.Y - product) ** 2).sum(axis=-2).imag / h)
        assert net.a0 is not None
        predicted = trajectory_derivative(net.modes, times, a0=net.a0, active=net.active, depth=depth)
        outcomes.append(compared(predicted, np.stack(outputs, axis=1)))
    return worst(outcomes)


def _leave_one_out() -> Outcome:
    times, outcomes = np.array([0.0, 8.0, 20.0]), []
    for depth in DEPTHS:
        net = small_network(depth)
        with_all = item_losses(net.task, weight_flow(net.task, net.weights, times))
        without = [item_losses(net.task, weight_flow(net.task, net.weights, times, 1 - row)) for row in np.eye(4)]
        outcomes.append(compared(leave_one_out(net, times, rtol=1e-11), with_all[:, None] - np.stack(without, axis=1)))
    return worst(outcomes)


def _transport() -> Outcome:
    """The sum of a pair's responses by an ODE that knows the rate from the form."""
    s, c, a0, outcomes = np.array([0.5, 0.3]), 0.125, 0.05, []
    for depth in (2, 3, 4):
        times, form = np.linspace(0, 12, 5), pair_transport_form(depth)

        def rate(y: Array, depth: int = depth) -> Array:
            a, form = y[:2], pair_transport_form(depth)
            w, e = a ** (1 / depth), s - c * a
            P = sum(w[0] ** (2 * (depth - 1 - k)) * w[1] ** (2 * k) for k in range(depth))
            carried = form.function(w[0], w[1], e[0], e[1], c)
            return np.array([*(depth * a ** (2 - 2 / depth) * e), carried * y[2] + P * (e[0] + e[1])])

        computed = scalar_flow(rate, [a0, a0, 0.0], times)[:, 2]
        x, _ = pair_responses(s, np.full(2, a0), times, c=c, depth=depth)
        outcomes.append(compared(x[:, 0, 1] + x[:, 1, 0], computed))
        del form
    return worst(outcomes)


def _difference_transport() -> Outcome:
    """The power law against an integrated rate, ``d ln Psi/dt = (a' + b' - (s_a + s_b) P)/(a + b)``."""
    s, c, times = np.array([0.5, 0.3]), 0.125, np.array([0.0, 6.0, 12.0])

    def rate(y: Array) -> Array:
        a = y[:2]
        speed = 4 * a**1.5 * (s - c * a)
        P = a[0] ** 1.5 + a[0] * a[1] ** 0.5 + a[0] ** 0.5 * a[1] + a[1] ** 1.5
        return np.array([*speed, (speed.sum() - s.sum() * P) / a.sum() * y[2]])

    computed = scalar_flow(rate, [0.05, 0.05, 1.0], times)[:, 2]
    a, _ = mode_state(times[:, None], s, c=c, a0=0.05, depth=4)
    psi = difference_transport_form()(a_a=a[:, 0], a_b=a[:, 1], s_a=s[0], s_b=s[1], c=c)
    return compared(psi / psi[0], computed)


def _limits() -> Outcome:
    """Scaled to the kernel's size, three measures in their limits; the kernel itself by pairs of modes."""
    outcomes = []
    for depth in DEPTHS:
        net = small_network(depth, 4)
        a, now, big = mode_strengths(net, [10.0]), np.zeros(1), 1e7
        assert net.active is not None and net.a0 is not None
        shape = {"hidden": net.widths, "active": net.active, "depth": depth}
        layers = [W[0] for W in aligned_trajectory(net, [10.0]).weights]
        g = autograd_gradients(net.task, layers)
        newton = big * damped_newton(net.modes, a, now, damping=big, **shape)[0]  # type: ignore[arg-type]
        bif = local_bif(
            net.modes,
            a,
            now,
            n_beta=1.0,
            gamma=big,
            n_outputs=net.task.n_outputs,
            order=1,
            **shape,  # type: ignore[arg-type]
        )[0]
        outcomes += [compared(newton, -g @ g.T), compared(big * bif, -g @ g.T)]
        first = autograd_gradients(net.task, net.weights)
        early = trajectory_derivative(net.modes, [1e-6], a0=net.a0, active=net.active, depth=depth)[0] / 1e-6
        outcomes.append(compared(early, -first @ first.T))
        # Two items: the pair (0, 1) of modes, v = (1, 1)/sqrt 2 and (1, -1)/sqrt 2.
        pair = network(task_from_spec("tree:2"), 2, "balanced:0.05", depth=depth)
        b = mode_strengths(pair, [4.0])
        w, e = b[0] ** (1 / depth), pair.modes.s - pair.modes.c * b[0]
        form = float(four_measures_form()(w_a=w[0], w_b=w[1], e_a=e[0], e_b=e[1], D=depth, P=2))
        own = -4 * depth * e**2 * w ** (2 * depth - 2)
        # K_12 = sum_a K_aa v_a1^2 v_a2^2 + K_01 v v v v, and all products of v are +-1/4.
        outcomes.append(compared((own.sum() - form) / 4, gradient_kernel(pair.modes, b, depth=depth)[0, 0, 1]))
    return worst(outcomes)


def _infinite_depth() -> Outcome:
    """Two neighbouring extrapolations of explicit gradients, over D, to 1/D = 0."""
    net = small_network(2)
    a = np.array([[1.9, 0.7, 0.3, 0.3]])
    V, U, scale = net.modes.V, net.modes.U, np.sqrt(net.modes.c * net.modes.n_items)

    def kernel(depth: int) -> Array:
        root = np.diag(a[0] ** (1 / depth))
        layers = [root @ V.T * scale / (net.modes.c * net.modes.n_items), *[root] * (depth - 2), U @ root]
        g = autograd_gradients(net.task, layers)
        return np.asarray(-g @ g.T / depth)

    rows = [kernel(depth) for depth in (8, 16, 32, 64)]
    for order in (1, 2, 3):
        rows = [(2**order * finer - coarser) / (2**order - 1) for coarser, finer in pairwise(rows)]
    return compared(infinite_depth_kernel(net.modes, a)[0], rows[0])


FAMILY = "Influence at any depth"
_ODE = "the solvers' own errors, at rtol 1e-11 and 1e-12"
CLAIMS = (
    Claim(FAMILY, "the product of balanced layers moves by itself, whatever the items weigh", ("end_to_end_rate",),
          "DOP853 of every layer, 2 to 5 layers", 1e-9, _ODE, _end_to_end),
    Claim(FAMILY, "its rate between two of its singular vectors", ("end_to_end_rate",),
          "gradients of explicit layers in random frames, 2, 3 and 5 layers", 1e-13, "rounding", _end_to_end_rate),
    Claim(FAMILY, "the derivative through the training of 3 to 5 layers", ("pair_transport_depth_",),
          "DOP853 of every layer with an imaginary item weight", 1e-9, _ODE, _derivative),
    Claim(FAMILY, "leave-one-out of 3 to 5 layers, the removed item's own loss included", ("end_to_end_rate",),
          "DOP853 of every layer", 1e-9, _ODE, _leave_one_out),
    Claim(FAMILY, "the rate at which a pair of modes carries its responses", ("pair_transport_depth_",),
          "DOP853 of strengths and response", 1e-9, _ODE, _transport),
    Claim(FAMILY, "the transport of a difference is a product of powers in four layers", ("difference_transport",),
          "DOP853 of its logarithmic derivative", 1e-9, _ODE, _difference_transport),
    Claim(FAMILY, "the kernel is the limit of damped Newton, local BIF and derivative", ("four_measures",),
          "gradients by automatic differentiation", 1e-6, "first order in 1/damping, 1/gamma and t, all 1e-7 to 1e-6",
          _limits),
    Claim(FAMILY, "the kernel over D has a limit for infinite depth", ("infinite_depth_gain",),
          "gradients of 8 to 64 layers by automatic differentiation, extrapolated in 1/D", 1e-6,
          "what is left is of fourth order, (1/8 ... 1/64)^4", _infinite_depth),
)  # fmt: skip
