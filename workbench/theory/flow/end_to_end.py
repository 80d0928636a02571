"""The product of the layers moves by itself: the end-to-end flow of a balanced network of any depth.

A balanced start, ``W_{l+1}^T W_{l+1} = W_l W_l^T``, stays balanced whatever weight each item has at any time, and the
product ``W = W_D ... W_1`` obeys, with ``E = (1/P) sum_i w_i r_i x_i^T``,

    dW/dt = sum_{l=1}^D (W W^T)^{(D-l)/D} E (W^T W)^{(l-1)/D}          (power 0: the identity)

In the singular vectors of W, of singular values sigma, that is ``P_ab E_ab`` entry by entry, ``P_ab = sum_l
sigma_a^{2(D-l)/D} sigma_b^{2(l-1)/D}``. No hidden rotation is left to be known, so losses, the removed item's own
included, follow from W alone. `weighted_flow` integrates the layers instead, to the same numbers and without a singular
value decomposition a step.

Source: Arora, Cohen & Hazan (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.flow.reduction import ReducedFlow, reduced_flow
from workbench.theory.flow.runge_kutta import march
from workbench.theory.flow.weighted_flow import ALWAYS, Window, checked_times, checked_window

Array = NDArray[np.float64]
SOURCE = "Arora, Cohen & Hazan (2018); derived for this project"

#: Largest departure from balance, as a share of the largest squared weight.
_BALANCE = 1e-8


def imbalance(network: Network) -> float:
    """Largest singular value of ``W_{l+1}^T W_{l+1} - W_l W_l^T`` over all l, over that of ``W_l W_l^T``.

    0 for one layer. Of the first layer only what the inputs feel counts.
    """
    seen = (network.weights[0] @ reduced_flow(network).bases[0], *network.weights[1:])
    size = max(float(np.linalg.norm(W, 2)) for W in seen) ** 2
    gaps = [float(np.linalg.norm(above.T @ above - below @ below.T, 2)) for below, above in pairwise(seen)]
    return max(gaps, default=0.0) / (size or 1.0)


def end_to_end_flow(
    network: Network,
    times: ArrayLike,
    item_weights: ArrayLike,
    *,
    window: Window = ALWAYS,
    rtol: float = 1e-10,
) -> Array:
    """Item losses ``(T, R, P)`` of runs that weigh the items, from the product of the layers alone.

    Arguments as in `weighted_flow`; the network must be linear and balanced.

    Raises:
        ConditionError: for layers that are not balanced; `weighted_flow` takes any start.
    """
    gap = imbalance(network)
    if network.activation != "linear" or gap > _BALANCE:
        raise ConditionError(
            f"balanced linear layers, W_(l+1)^T W_(l+1) = W_l W_l^T within {_BALANCE:g}",
            f"{network.activation} layers, {gap:.3g} of the largest",
            "use weighted_flow, which takes any start",
        )
    flow, (begin, end) = reduced_flow(network), checked_window(window)
    t, back = np.unique(checked_times(times), return_inverse=True)
    omega = np.atleast_2d(np.asarray(item_weights, dtype=np.float64))
    product = flow.layers[0]
    for layer in flow.layers[1:]:
        product = layer @ product
    rank = int(np.linalg.matrix_rank(product)) if network.depth > 1 else min(product.shape)
    W, now = np.repeat(product[None], len(omega), axis=0), 0.0
    losses, last = np.empty((len(t), *omega.shape)), float(t.max(initial=0.0))
    for weights, until in ((np.ones_like(omega), begin), (omega, end), (np.ones_like(omega), np.inf)):
        inside = np.flatnonzero((t >= now) & (t < until))
        stops = t[inside] if until > last else np.append(t[inside], until)
        rate, atol = _right_hand_side(flow, weights, network.depth, rank), 0.1 * rtol * float(np.abs(W).max())
        if until > now and len(stops):
            for k, y in march(rate, now, W.ravel(), stops, rtol=rtol, atol=atol):
                state = y.reshape(W.shape)
                if k < len(inside):
                    losses[inside[k]] = flow.losses([state])
                else:
                    W = state
        now = max(now, until)
    return losses[back]


def _right_hand_side(flow: ReducedFlow, item_weights: Array, depth: int, rank: int) -> Callable[[float, Any], Any]:
    shape = (len(item_weights), *flow.Syx.shape)
    share = item_weights[:, None, :] / flow.n_items

    def rate(_: float, y: Any) -> Any:
        W = y.reshape(shape)
        error = ((flow.targets - W @ flow.inputs) * share) @ flow.inputs.T
        left, sigma, right = np.linalg.svd(W)
        above, below = (np.zeros((shape[0], size)) for size in shape[1:])
        # The flow keeps the rank; a power below 1 would blow the rounding of a zero up.
        above[:, :rank] = below[:, :rank] = sigma[:, :rank] ** (2 / depth)
        turned = np.swapaxes(left, 1, 2) @ error @ np.swapaxes(right, 1, 2)
        turned *= sum(above[:, :, None] ** (depth - 1 - k) * below[:, None, :] ** k for k in range(depth))
        return (left @ turned @ right).ravel()

    return rate


def _balance_step() -> Step:
    """Balance is conserved between any two layers, whatever the error E is; the symbols do not commute."""
    X, Xt, Y, Yt, B, Bt, F, Ft, E, Et = sp.symbols("X X^T Y Y^T B B^T F F^T E E^T", commutative=False)
    above, above_t = Bt * E * Ft * Yt, Y * F * Et * B
    below, below_t = Xt * Bt * E * Ft, F * Et * B * X
    change = Xt * above + above_t * X - below * Yt - Y * below_t
    return Step(
        "Layers X = W_{l+1} and Y = W_l between the products B above and F below move by B^T E F^T Y^T and "
        "X^T B^T E F^T: d(X^T X - Y Y^T)/dt is",
        sp.S.Zero,
        sp.expand(change),
        why="balance of neighbouring layers is conserved, whatever stands around them",
    )


def _product_step(depth: int = 3) -> Step:
    """Three balanced layers in different frames: what their gradients do to the product is the end-to-end flow."""
    u = sp.symbols("u_1:3", positive=True)
    E, A = sp.Matrix(2, 2, sp.symbols("E_1:3_1:3", real=True)), sp.diag(*u)
    # Rotations by the angles of Pythagorean triangles: exact, and different in every layer.
    triangles = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25))[: depth + 1]
    R = [sp.Matrix([[x, -y], [y, x]]) / z for x, y, z in triangles]
    layers = [R[k + 1] * A * R[k].T for k in range(depth)]

    def product(first: int, last: int) -> Any:
        total = sp.eye(2)
        for W in layers[first:last]:
            total = W * total
        return total

    moved, formula = sp.zeros(2), sp.zeros(2)
    for k in range(depth):
        above, below = product(k + 1, depth), product(0, k)
        moved += above * (above.T * E * below.T) * below
        formula += R[depth] * A ** (2 * (depth - 1 - k)) * R[depth].T * E * R[0] * A ** (2 * k) * R[0].T
    return Step(
        "Balanced layers W_l = R_l diag(w) R_{l-1}^T have (W W^T)^{(D-l)/D} = R_D diag(w)^{2(D-l)} R_D^T, and likewise "
        "W^T W; of three such layers dW/dt = sum_l W_{>l} (dW_l/dt) W_{<l} less the end-to-end flow is",
        sp.zeros(2),
        (moved - formula).applyfunc(sp.expand),
        why="the product of the layers then moves by an equation of its own",
    )


@cache
def end_to_end_form() -> ClosedForm:
    """``P_ab E_ab``: how fast the entry of the product that joins two of its singular vectors moves."""
    a, b, E, D = sp.symbols("a b E_ab D", positive=True)
    k = sp.Symbol("k", integer=True, nonnegative=True)
    x, y = a ** (2 / D), b ** (2 / D)
    expression = (a**2 - b**2) / (x - y) * E
    q = sp.Symbol("q", positive=True)
    count = sp.Symbol("n", integer=True, positive=True)
    geometric = sp.simplify(sp.summation(q**k, (k, 0, count - 1)).args[1][0] - (1 - q**count) / (1 - q))
    one = sp.Symbol("a", positive=True)
    limit = sp.limit((one**2 - b**2) / (one ** sp.Rational(2, 3) - b ** sp.Rational(2, 3)), b, one)
    return ClosedForm(
        name="end_to_end_rate",
        title="Rate of the product of balanced layers between two of its singular vectors, at any depth",
        quantity=sp.Symbol("dW_ab/dt"),
        expression=expression,
        variables=(
            Variable(a, "singular value of the output's vector", "weight^D"),
            Variable(b, "singular value of the input's vector", "weight^D"),
            Variable(E, "entry of (1/P) sum_i w_i r_i x_i^T", "loss / weight^D"),
            Variable(D, "number of layers"),
        ),
        unit="weight^D / time",
        source=SOURCE,
        conditions=(
            Condition(sp.And(bare(a) >= 0, bare(b) >= 0, bare(D) >= 1), "a, b >= 0 and D >= 1", "give singular values"),
            Condition(sp.Ne(*bare(a, b)), "a and b differ", "use the limit D a^(2 - 2/D) E_ab"),
        ),
        steps=(
            _balance_step(),
            _product_step(),
            Step(
                "In the singular vectors of W the sum over layers is geometric, with q = (b/a)^(2/D) and D = n terms:",
                sp.Sum(a ** (2 * (D - 1 - k) / D) * b ** (2 * k / D), (k, 0, D - 1)) * E,
                geometric,
                why="each layer contributes a power of the two singular values",
            ),
            Step(
                "so that the rate is",
                expression,
                sp.powsimp(sp.expand(expression / E * (x - y)) - a**2 + b**2),
                why="the geometric sum, written without a quotient of small numbers",
            ),
            Step(
                "For b -> a it is D a^(2 - 2/D) E, the equation of a mode of its own; for three layers:",
                3 * one ** sp.Rational(4, 3),
                sp.simplify(limit - 3 * one ** sp.Rational(4, 3)),
                why="the limit must be the rate of a single mode",
            ),
        ),
    )
