"""Claims about influence at a checkpoint: kernel, sign flips, Hessian, damped influence function."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from workbench.networks import Network, network
from workbench.semantics import Hierarchy, task_from_spec
from workbench.theory.flow.aligned import aligned_trajectory, mode_strengths
from workbench.theory.influence import flips
from workbench.theory.influence import gradient_kernel as kernel
from workbench.theory.influence.damped_newton import damped_newton, damped_pair_form
from workbench.theory.influence.item_curves import item_curves
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.modes.spectrum import hierarchy_spectrum
from workbench.theory.posterior import hessian
from workbench.verification.claims import Claim, Outcome, compared, measured
from workbench.verification.reference import autograd_gradients, autograd_hessian, weight_flow

Array = NDArray[np.float64]
_TREE = Hierarchy((2, 2, 2))
_PAIRS = ((0, 4), (0, 2), (0, 1))
_TIMES = np.array([3.0, 8.0, 14.0])


def _start(hidden: int = 8) -> Network:
    return network(task_from_spec("tree"), hidden, "balanced:0.01")


def _levels() -> Array:
    return hierarchy_spectrum(_TREE).singular_values(q0=1, q1=1, q2=1, q3=1)


def _kernel() -> Outcome:
    start = _start()
    path = aligned_trajectory(start, _TIMES)
    g = [autograd_gradients(start.task, layers) for layers in zip(path.W1, path.W2, strict=True)]
    computed = np.array([-x @ x.T for x in g])
    predicted = kernel.gradient_kernel(start.modes, mode_strengths(start, _TIMES))
    on_tree = flips.kernel_on_tree(_TREE, _levels(), _TIMES, a0=0.01)
    pairs = np.array([computed[:, i, j] for i, j in _PAIRS])
    by_item = item_curves(start.modes, 0).influence(mode_strengths(start, _TIMES))
    size = float(np.abs(computed).max())
    outcomes = [
        compared(predicted, computed, scale=size),
        compared(on_tree, pairs, scale=size),
        compared(by_item, computed[:, 0], scale=size),
    ]
    return max(outcomes, key=lambda x: x.difference)


def _integrated_kernel() -> tuple[Array, Array]:
    """Influence -K of the three kinds of pairs on a fine grid, from the flow of all weights."""
    start, times = _start(), np.linspace(0, 16, 641)
    W1, W2 = weight_flow(start.task, (start.W1, start.W2), times, rtol=1e-11)
    Y, X = start.task.Y, start.task.X
    hidden = W1 @ X
    R = Y - W2 @ hidden
    back = np.swapaxes(W2, 1, 2) @ R
    return times, np.stack(
        [
            -np.einsum("to,to->t", R[:, :, i], R[:, :, j]) * np.einsum("th,th->t", hidden[:, :, i], hidden[:, :, j])
            - np.einsum("th,th->t", back[:, :, i], back[:, :, j]) * (X.T @ X)[i, j]
            for i, j in _PAIRS
        ]
    )


def _flips() -> Outcome:
    """Sign changes of explicit gradients along the integrated flow, by a spline of the curve."""
    from scipy.interpolate import CubicSpline

    times, curves = _integrated_kernel()
    computed = []
    for curve in curves:
        k = int(np.flatnonzero(np.diff(np.sign(curve)))[-1])
        computed.append(brentq(CubicSpline(times, curve), times[k], times[k + 1], xtol=1e-13))
    predicted = [float(roots[0]) for roots in flips.flip_times(_TREE, _levels(), a0=0.01)]
    return compared(predicted, computed, scale=1.0)


def _published_flips() -> Outcome:
    predicted = [float(roots[0]) for roots in flips.flip_times(_TREE, _levels(), a0=0.01)]
    equation = [
        float(
            brentq(
                lambda t, m=m: float(
                    flips.flip_equation_form(_TREE.cover, m)(
                        t=t, c=1 / 8, a0=0.01, **{f"s_{k}": s for k, s in enumerate(_levels())}
                    )
                ),
                roots - 1,
                roots + 1,
                xtol=1e-12,
            )
        )
        for m, roots in enumerate(predicted)
    ]
    return compared([predicted, equation], [5.819262, 7.092165, 10.196517], scale=1.0)


def _flip_limit() -> Outcome:
    """Dog on sparrow at a0 = 1e-16; the limit is slow because s1/s2 is close to sqrt 2."""
    s = _levels()
    limit = float(flips.flip_limit_form()(s=s[1], s_next=s[2], beta=np.sqrt(2), c=1 / 8, a0=1e-16))
    return compared(limit, flips.flip_times(_TREE, s, a0=1e-16)[1][0], scale=1.0)


def _peaks() -> Outcome:
    times, curves = _integrated_kernel()
    computed = [(times[np.argmax(curve)], times[np.argmin(curve)]) for curve in curves]
    predicted: list[tuple[float, float]] = []
    for turning in flips.peak_times(_TREE, _levels(), a0=0.01):
        values = flips.kernel_on_tree(_TREE, _levels(), turning, a0=0.01)[len(predicted)]
        predicted.append((turning[np.argmax(values)], turning[np.argmin(values)]))
    return compared(predicted, computed, scale=1.0)


def _spectrum() -> Outcome:
    predicted, computed = [], []
    for hidden in (6, 9):
        start = _start(hidden)
        path, a = aligned_trajectory(start, _TIMES), mode_strengths(start, _TIMES)
        assert start.active is not None
        predicted.append(hessian.hessian_spectrum(start.modes, a, hidden, 8, 15, start.active).ravel())
        computed.append(
            np.ravel(
                [
                    np.linalg.eigvalsh(autograd_hessian(start.task, layers))
                    for layers in zip(path.W1, path.W2, strict=True)
                ]
            )
        )
    return compared(np.concatenate(predicted), np.concatenate(computed), scale=1.0)


def _pair_curvature() -> Outcome:
    """The formula for one pair of modes against the smallest eigenvalue of its own 4 x 4 block."""
    a, b, s_a, s_b, c = 1.3, 0.4, 0.5, 0.35, 0.125
    e_a, e_b, p, q = s_a - c * a, s_b - c * b, np.sqrt(a), np.sqrt(b)
    block = np.array(
        [
            [c * q * q, c * p * q, 0, -e_a],
            [c * p * q, c * p * p, -e_b, 0],
            [0, -e_b, c * p * p, c * p * q],
            [-e_a, 0, c * p * q, c * q * q],
        ]
    )
    predicted = hessian.pair_block_form()(a_a=a, a_b=b, s_a=s_a, s_b=s_b, c=c)
    return compared(predicted, np.linalg.eigvalsh(block)[0])


def _lambda_min() -> Outcome:
    times = np.array([0, 3, 7, 10, 14, 20, 30.0])
    start = _start(16)
    low, _ = hessian.curvature_range(start.modes, mode_strengths(start, times), 16, 8)
    return compared(low, [-0.483, -0.462, -0.238, -0.150, -0.094, -0.050, -0.0065], scale=1.0)


def _damped() -> Outcome:
    start = _start(7)
    path, a = aligned_trajectory(start, _TIMES), mode_strengths(start, _TIMES)
    assert start.active is not None
    predicted = damped_newton(start.modes, a, _TIMES, damping=0.6, hidden=7, active=start.active)
    computed = []
    for layers in zip(path.W1, path.W2, strict=True):
        g, H = autograd_gradients(start.task, layers), autograd_hessian(start.task, layers)
        computed.append(-g @ np.linalg.solve(H + 0.6 * np.eye(len(H)), g.T))
    return compared(predicted, computed)


def _damped_pair() -> Outcome:
    """On a tree of two items both modes make one pair: ``-H_0 H_1 c_01`` and half of c_aa each."""
    task = Hierarchy((2,)).indicator_task()
    start = network(task, 2, "balanced:0.05")
    a = mode_strengths(start, [4.0])[0]
    path, e, d = aligned_trajectory(start, [4.0]), start.modes.s - start.modes.c * a, 0.9
    g, H = (f(task, (path.W1[0], path.W2[0])) for f in (autograd_gradients, autograd_hessian))

    def pair(i: int, j: int) -> float:
        form = damped_pair_form()
        return float(form(a_a=a[i], a_b=a[j], e_a=e[i], e_b=e[j], c=start.modes.c, d=d, P=2))

    predicted = -(pair(0, 0) / 2 + pair(1, 1) / 2 - pair(0, 1)) / 4
    return compared(predicted, -(g @ np.linalg.solve(H + d * np.eye(len(H)), g.T))[0, 1])


def _plateau() -> Outcome:
    """Correlation over all pairs with the exact trajectory derivative at t = 2, damping 0.001."""
    start, times = _start(16), np.array([2.0])
    truth = trajectory_derivative(start.modes, times, a0=0.01)[0].ravel()
    a = mode_strengths(start, times)
    small, enough = (
        damped_newton(start.modes, a, times, damping=d, hidden=16, active=8, indefinite=True)[0].ravel()
        for d in (1e-3, 2 * float(start.modes.s[0]))
    )
    wrong, right = np.corrcoef(small, truth)[0, 1], np.corrcoef(enough, truth)[0, 1]
    return measured(-1.0, float(wrong), lambda p: max(abs(float(wrong) - p), 1 - float(right)))


_FAMILY = "Influence"
CLAIMS = (
    Claim(_FAMILY, "gradient kernel in modes, on the tree, and of one item", ("gradient_kernel", "tree_kernel_m"),
          "automatic differentiation of the predicted weights", 1e-13, "rounding of sums of 184 products", _kernel),
    Claim(_FAMILY, "sign flips of the kernel at a0 = .01: 5.819262, 7.092165, 10.196517", ("flip_equation_m",),
          "reference values, computed independently", 6e-7, "six decimals are given", _published_flips),
    Claim(_FAMILY, "the kernel of a whole network flips there", ("flip_equation_m",),
          "explicit gradients along DOP853 of all weights", 1e-6, "cubic spline with 40 points a unit of time", _flips),
    Claim(_FAMILY, "the flip of dog on sparrow for a0 -> 0", ("flip_limit",), "root of the flip equation at a0 = 1e-16",
          1e-3, "the limit is approached slowly, as s1/s2 is close to sqrt 2", _flip_limit),
    Claim(_FAMILY, "the kernel peaks and troughs when predicted", ("tree_kernel_m",),
          "explicit gradients along DOP853 of all weights", 0.013, "half of the spacing of the grid, 1/40", _peaks),
    Claim(_FAMILY, "all eigenvalues of the Hessian, with a bottleneck and with an idle unit", ("pair_curvature",),
          "dense eigenvalues of the Hessian by automatic differentiation", 1e-13, "rounding of eigenvalues of order 1",
          _spectrum),
    Claim(_FAMILY, "the smallest curvature of a pair of modes", ("pair_curvature",), "eigenvalues of its 4 x 4 block",
          1e-13, "rounding", _pair_curvature),
    Claim(_FAMILY, "smallest curvature of the tree along training: -.483, ..., -.0065", ("pair_curvature",),
          "reference values, computed independently", 5.1e-4, "three decimals are given", _lambda_min),
    Claim(_FAMILY, "the damped influence function of an aligned network, through a bottleneck", ("damped_pair",),
          "dense solve with gradients and Hessian by automatic differentiation", 1e-12,
          "rounding, times the condition number of H + damping, below 30", _damped),
    Claim(_FAMILY, "what a pair of modes contributes to it", ("damped_pair",), "dense solve on a tree of two items",
          1e-12, "rounding", _damped_pair),
    Claim(_FAMILY, "undamped it has the wrong sign on the first plateau (r = -.98), damped the right one (r = 1.00)",
          ("damped_pair",), "the exact trajectory derivative", 0.1, "correlations beyond .9 either way", _plateau),
)  # fmt: skip
