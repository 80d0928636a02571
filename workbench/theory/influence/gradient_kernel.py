"""What one gradient step on item i does to the loss of item j: ``-g_i . g_j``, in modes, at any depth.

With ``K_ij = g_i . g_j`` the gradient kernel, a step of size eta on ``l_i`` changes ``l_j`` by ``-eta K_ij``. Every
function and closed form here returns the influence ``-K``: negative helps.
"""

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


def gradient_kernel(modes: Modes, a: Array, *, depth: int = 2) -> Array:
    """Influence of one step on a balanced aligned network, one term a layer::

        -K_ij = -P^2 sum_{l=1}^D (sum_k a_k^{2(D-l)/D} e_k^2 v_ki v_kj) (sum_k a_k^{2(l-1)/D} v_ki v_kj)

    The first sum of layer l is what reaches it from the outputs, the second what reaches it from the inputs; the
    inputs themselves (l = 1) are orthogonal, ``delta_ij``.

    Args:
        modes: modes of the task.
        a: ``(T, K)`` mode strengths, >= 0 beyond two layers.
        depth: number of weight layers D >= 1.

    Returns:
        ``(T, P, P)``, units loss^2 / weight^2; negative where a step on i helps j.
    """
    if depth != int(depth) or depth < 1:
        raise ConditionError("a whole number of layers, depth >= 1", f"depth = {depth}", "use depth 1, 2, 3, ...")
    if depth > 2 and (a < 0).any():
        raise ConditionError("mode strengths a >= 0", f"smallest a = {a.min():g}", "orient the modes so that a0 > 0")
    V = modes.V[:, : modes.rank]
    e2 = (modes.s - modes.c * a) ** 2

    def over_modes(weights: Array) -> Array:
        return np.asarray((V * weights[:, None, :]) @ V.T)

    # Without a hidden layer a may be 0 and still has the power 0.
    powers = [np.ones(a.shape) if layer == 0 else a ** (2 * layer / depth) for layer in range(depth)]
    kernel = np.zeros((len(a), modes.n_items, modes.n_items))
    diagonal = np.arange(modes.n_items)
    kernel[:, diagonal, diagonal] = (powers[depth - 1] * e2) @ (V**2).T
    for layer in range(1, depth):
        kernel += over_modes(powers[depth - 1 - layer] * e2) * over_modes(powers[layer])
    return np.asarray(-(modes.n_items**2) * kernel)


def gradient_kernel_from_weights(X: Array, Y: Array, *layers: Array) -> Array:
    """The same from the weights of any linear network, aligned or not, ``(T, P, P)``::

        -K = - sum_l (G_l^T G_l) o (H_{l-1}^T H_{l-1}),   G_l = (W_D .. W_{l+1})^T (Y - W X),   H_l = W_l .. W_1 X

    Args:
        X: ``(N_i, P)`` inputs, of any kind.
        Y: ``(N_o, P)`` targets.
        layers: ``(T, n_l, n_{l-1})`` weights, from the inputs to the outputs.
    """
    hidden = [X]
    for W in layers:
        hidden.append(W @ hidden[-1])
    back = Y - hidden.pop()
    kernel = np.zeros(())
    for W, inputs in zip(reversed(layers), reversed(hidden), strict=True):
        kernel = kernel + _gram(back) * _gram(inputs)
        back = np.swapaxes(W, -1, -2) @ back
    return np.asarray(-kernel)


def _gram(M: Array) -> Array:
    return np.asarray(np.swapaxes(M, -1, -2) @ M)


def _two_items(depth: int, strengths: tuple[sp.Symbol, sp.Symbol], residuals: tuple[Any, Any]) -> Any:
    """``g_i . g_j`` of an explicit network of two items, by differentiation, with the values of the modes put in."""
    P = sp.Integer(2)
    V, A = sp.Matrix([[1, 1], [1, -1]]) / sp.sqrt(2), sp.diag(*(a ** sp.Rational(1, depth) for a in strengths))
    targets = sp.diag(*(e + c * a for e, a in zip(residuals, strengths, strict=True))) * V.T * sp.sqrt(P / c)
    layers = [sp.Matrix(2, 2, sp.symbols(f"w{layer}_1:3_1:3", real=True)) for layer in range(depth)]
    at: dict[Any, Any] = {}
    for layer, W in enumerate(layers):
        at.update(zip(W, A * V.T if layer == 0 else A, strict=True))
    product = sp.eye(2)
    for W in layers:
        product = W * product
    gradients = []
    for i in range(2):
        r = targets[:, i] - sp.sqrt(c * P) * product[:, i]
        gradients.append(sp.Matrix([sp.diff((r.T * r)[0] / 2, w).subs(at) for W in layers for w in W]))
    return lambda i, j: (gradients[i].T * gradients[j])[0]


def _in_modes(depth: int, strengths: tuple[sp.Symbol, sp.Symbol], residuals: tuple[Any, Any]) -> Any:
    """The sum over layers for the same two items, ``v_1 = (1, 1)/sqrt 2`` and ``v_2 = (1, -1)/sqrt 2``."""

    def over_modes(values: list[Any], i: int, j: int) -> Any:
        return (values[0] + (values[1] if i == j else -values[1])) / 2

    def power(k: int, factors: tuple[Any, Any] = (1, 1)) -> list[Any]:
        return [a ** sp.Rational(2 * k, depth) * f for a, f in zip(strengths, factors, strict=True)]

    squares = (residuals[0] ** 2, residuals[1] ** 2)
    return lambda i, j: (
        4
        * sum(
            over_modes(power(depth - layer, squares), i, j) * over_modes(power(layer - 1), i, j)
            for layer in range(1, depth + 1)
        )
    )


def _layer_step() -> Step:
    """One layer of a network of any depth: the gradient is an outer product, so its square is a product of sums."""
    D, layer = sp.symbols("D l", positive=True)
    w, e, v, u = (sp.symbols(f"{x}_1:3", positive=True) for x in "wevu")
    above = [w_k ** (D - layer) * e_k for w_k, e_k in zip(w, e, strict=True)]
    below = [w_k ** (layer - 1) for w_k in w]
    on_i, on_j = ([[x * y[a] * z * y[b] for b, z in enumerate(below)] for a, x in enumerate(above)] for y in (v, u))
    inner = sum(on_i[a][b] * on_j[a][b] for a in range(2) for b in range(2))
    reached = sum(x**2 * v[a] * u[a] for a, x in enumerate(above)), sum(z**2 * v[b] * u[b] for b, z in enumerate(below))
    product = reached[0] * reached[1]
    return Step(
        "In modes layer l of item i has the gradient -P w_a^(D-l) e_a v_ai w_b^(l-1) v_bi (row a, column b); two "
        "modes, any D and l: its product with that of item j (here v_aj = u_a) is",
        product,
        sp.expand(inner - product),
        "an item moves the weights through what it excites (v, w) and through its error (e): to influence one another, "
        "two items must share both",
    )


@cache
def kernel_form(depth: int = 2) -> ClosedForm:
    """The influence of one step in modes, from the gradients of an explicit two-item network of this depth."""
    strengths, singular = sp.symbols("a1 a2", positive=True), sp.symbols("s1 s2", positive=True)
    e = (singular[0] - c * strengths[0], singular[1] - c * strengths[1])
    explicit, modes = _two_items(depth, strengths, e), _in_modes(depth, strengths, e)
    expression = -sp.factor(modes(0, 1))
    unit = "weight^2" if depth == 2 else f"weight^{depth}"
    return ClosedForm(
        name="gradient_kernel" if depth == 2 else f"gradient_kernel_depth_{depth}",
        title=f"One-step influence in a balanced aligned network of {depth} layers, two items (the pair that differs)",
        quantity=-sp.Symbol("K_12"),
        expression=expression,
        variables=(
            Variable(singular[0], "singular value of the mean mode", f"loss / {unit}"),
            Variable(singular[1], "singular value of the contrast mode", f"loss / {unit}"),
            Variable(strengths[0], "strength of the mean mode", unit),
            Variable(strengths[1], "strength of the contrast mode", unit),
            Variable(c, "input scale", f"loss / weight^{2 * depth}"),
        ),
        unit="loss^2 / weight^2",
        source="derived for this project; TracIn summand of Pruthi et al. (2020)",
        conditions=(Condition(bare(c) > 0, "c positive", "c = 1/P for one-hot items"),),
        steps=(
            _layer_step(),
            Step(
                "Two items, modes mean and contrast; differentiate the losses of an explicit network, pair (1, 2):",
                expression,
                sp.expand(explicit(0, 1) + expression),
                why="a check against derivatives of an explicit network, which know nothing of modes",
            ),
            Step(
                "and pair (1, 1), where the inputs overlap too:",
                -sp.factor(modes(0, 0)),
                sp.expand(explicit(0, 0) - modes(0, 0)),
                why="an item shares its input with itself alone, so the first layer has its part here",
            ),
        ),
    )
