"""Gradient kernel ``K_ij = grad l_i . grad l_j`` of an aligned balanced network of any depth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.semantics.modes import Modes
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import c

Array = NDArray[np.float64]


def gradient_kernel_deep(modes: Modes, a: Array, depth: int) -> Array:
    """Kernel of a network with ``depth`` balanced aligned layers, the sum of one term a layer::

        K_ij = P^2 sum_{l=1}^D (sum_k a_k^{2(D-l)/D} e_k^2 v_ki v_kj) (sum_k a_k^{2(l-1)/D} v_ki v_kj)

    The first sum of layer l is what reaches it from the outputs, the second what reaches it from the inputs;
    the inputs themselves (l = 1) are orthogonal, ``delta_ij``.

    Args:
        modes: modes of the task.
        a: ``(T, K)`` mode strengths >= 0.
        depth: number of weight layers D >= 1.

    Returns:
        ``(T, P, P)``, units loss^2 / weight^2; positive where a step on i helps j.
    """
    if depth != int(depth) or depth < 1:
        raise ConditionError("a whole number of layers, depth >= 1", f"depth = {depth}", "use depth 1, 2, 3, ...")
    if depth > 1 and (a < 0).any():
        raise ConditionError("mode strengths a >= 0", f"smallest a = {a.min():g}", "orient the modes so that a0 > 0")
    V = modes.V[:, : modes.rank]
    e2 = (modes.s - modes.c * a) ** 2

    def over_modes(weights: Array) -> Array:
        return np.asarray((V * weights[:, None, :]) @ V.T)

    # Depth 1 has no power of a to take, and its a may be negative.
    powers = [np.ones(a.shape) if layer == 0 else a ** (2 * layer / depth) for layer in range(depth)]
    kernel = over_modes(powers[depth - 1] * e2) * np.eye(modes.n_items)
    for layer in range(1, depth):
        kernel += over_modes(powers[depth - 1 - layer] * e2) * over_modes(powers[layer])
    return np.asarray(modes.n_items**2 * kernel)


@cache
def deep_kernel_form() -> ClosedForm:
    """The kernel at depth 3, derived from the gradients of an explicit network on two items."""
    s1, s2, u1, u2 = sp.symbols("s1 s2 u1 u2", positive=True)
    P = sp.Integer(2)
    V, A = sp.Matrix([[1, 1], [1, -1]]) / sp.sqrt(2), sp.diag(u1, u2)
    scale = sp.sqrt(c * P)
    targets = sp.diag(s1, s2) * V.T * sp.sqrt(P / c)
    weights = sp.symbols("w1_1:3_1:3 w2_1:3_1:3 w3_1:3_1:3", real=True)
    W1, W2, W3 = (sp.Matrix(2, 2, weights[4 * layer : 4 * layer + 4]) for layer in range(3))
    at = dict(zip(weights, [*(A * V.T), *A, *A], strict=True))
    gradients = []
    for i in range(2):
        r = targets[:, i] - scale * (W3 * W2 * W1)[:, i]
        gradients.append(sp.Matrix([sp.diff((r.T * r)[0] / 2, w) for w in weights]).subs(at))
    e = (s1 - c * u1**3, s2 - c * u2**3)

    def in_modes(i: int, j: int) -> Any:
        def over_modes(first: Any, second: Any) -> Any:
            return first * V[i, 0] * V[j, 0] + second * V[i, 1] * V[j, 1]

        return P**2 * sum(
            over_modes(u1 ** (2 * (3 - layer)) * e[0] ** 2, u2 ** (2 * (3 - layer)) * e[1] ** 2)
            * over_modes(u1 ** (2 * (layer - 1)), u2 ** (2 * (layer - 1)))
            for layer in (1, 2, 3)
        )

    def from_gradients(i: int, j: int) -> Any:
        return (gradients[i].T * gradients[j])[0]

    layer, k, i, j, D, n_modes, n_items = sp.symbols("l k i j D K P")
    e_k, a_k, v = sp.IndexedBase("e"), sp.IndexedBase("a"), sp.IndexedBase("v")
    general = n_items**2 * sp.Sum(
        sp.Sum(a_k[k] ** (2 * (D - layer) / D) * e_k[k] ** 2 * v[k, i] * v[k, j], (k, 1, n_modes))
        * sp.Sum(a_k[k] ** (2 * (layer - 1) / D) * v[k, i] * v[k, j], (k, 1, n_items)),
        (layer, 1, D),
    )
    return ClosedForm(
        name="gradient_kernel_depth_3",
        title="Gradient kernel of a balanced aligned three-layer network, two items (the pair that differs)",
        quantity=sp.Symbol("K_12"),
        expression=sp.factor(in_modes(0, 1)),
        variables=(
            Variable(s1, "singular value of the mean mode", "loss / weight^3"),
            Variable(s2, "singular value of the contrast mode", "loss / weight^3"),
            Variable(u1, "weight of the mean mode in each layer, a^(1/3)", "weight"),
            Variable(u2, "weight of the contrast mode in each layer, a^(1/3)", "weight"),
            Variable(c, "input scale", "loss / weight^6"),
        ),
        unit="loss^2 / weight^2",
        source="derived for this project",
        conditions=(Condition(bare(c) > 0, "c positive", "c = 1/P for one-hot items"),),
        steps=(
            Step("For any depth the gradients of layer l give one term of", general),
            Step(
                "Two items, a = u^3; differentiate the losses of an explicit network, pair (1, 2):",
                sp.factor(in_modes(0, 1)),
                sp.expand(from_gradients(0, 1) - in_modes(0, 1)),
            ),
            Step(
                "and pair (1, 1), where the inputs overlap:",
                sp.factor(in_modes(0, 0)),
                sp.expand(from_gradients(0, 0) - in_modes(0, 0)),
            ),
        ),
    )
