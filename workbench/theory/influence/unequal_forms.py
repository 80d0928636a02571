"""The response of a pair of modes of two layers of unequal size, derived from the layers themselves.

`unequal_response` evaluates it for whole networks. Source: derived for this project.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import c

_NOTES = "derived for this project"

y_a, y_b, e_a, e_b = sp.symbols("y_a y_b e_a e_b", positive=True)
lam = sp.Symbol("lamda", real=True)


def _weights(y: Any) -> tuple[Any, Any]:
    """``w1, w2`` of a mode with ``w1 + w2 = y`` and ``w2^2 - w1^2 = lambda``."""
    return (y - lam / y) / 2, (y + lam / y) / 2


def _rates(sign: int) -> tuple[Any, Any]:
    """``r_+-`` and ``P_ab``."""
    (x_a, z_a), (x_b, z_b) = _weights(y_a), _weights(y_b)
    P = z_a**2 + x_b**2
    return -c * P + (x_a * z_a + sign * x_b * z_b) * (e_a + sign * e_b) / P, P


def _linearised() -> tuple[Any, Any, Any]:
    """Changes of the product's entries ab and ba, their rates, and what is left of the conserved balance."""
    (x_a, z_a), (x_b, z_b) = _weights(y_a), _weights(y_b)
    eps, X_ab, X_ba, Z_ab, f_a, f_b = sp.symbols("epsilon X_ab X_ba Z_ab f_a f_b", real=True)
    # The balance of a perturbed flow is that of its start: entry (a, b) of W2^T W2 - W1 W1^T does not change.
    Z_ba = (X_ab * x_b + x_a * X_ba - z_a * Z_ab) / z_b
    W1, W2 = sp.Matrix([[x_a, eps * X_ab], [eps * X_ba, x_b]]), sp.Matrix([[z_a, eps * Z_ab], [eps * Z_ba, z_b]])
    E = sp.diag(e_a + c * x_a * z_a, e_b + c * x_b * z_b) + eps * sp.Matrix([[0, f_a], [f_b, 0]]) - c * W2 * W1
    first, second = W2.T * E, E * W1.T

    def slope(M: Any) -> Any:
        return M.applyfunc(lambda entry: sp.diff(entry, eps).subs(eps, 0))

    balance = second.T * W2 + W2.T * second - first * W1.T - W1 * first.T
    return slope(W2 * W1), slope(second * W1 + W2 * first), sp.simplify(slope(balance))


def _mixed_step() -> Step:
    """A mode a with one hidden unit beside a mode b without: both layers' entries, divided by a's weights."""
    x_a, z_a, y, z, s_b, eps, f, g = sp.symbols("w1_a w2_a y z s_b epsilon f_a f_b", real=True)
    L = sp.Symbol("Lambda", real=True)
    W1, W2 = sp.Matrix([[x_a, eps * y]]), sp.Matrix([z_a, eps * z])
    E = sp.diag(e_a + c * x_a * z_a, s_b) + eps * sp.Matrix([[0, f], [g, 0]]) - c * W2 * W1
    moved = [sp.diff(entry, eps).subs(eps, 0) for entry in ((W2.T * E)[1], (E * W1.T)[1])]
    q = x_a**2 + z_a**2
    matrix = sp.Matrix([[-L, s_b], [s_b, L]])
    written = (matrix - c * q / 2 * sp.eye(2)) * sp.Matrix([y, z]) + sp.Matrix([z_a * f, x_a * g])
    mu = sp.sqrt(s_b**2 + L**2)
    return Step(
        "A mode b without a hidden unit: y = x_ab/w2_a and z = x_ba/w1_a obey a constant matrix less c q_a/2, with "
        "Lambda = c lambda/2 and eigenvalues +- sqrt(s_b^2 + Lambda^2)",
        matrix,
        sp.Matrix(
            [
                *(sp.Matrix(moved) - written.subs(L, c * (z_a**2 - x_a**2) / 2)).applyfunc(sp.expand),
                sp.expand((matrix - mu * sp.eye(2)).det()),
                sp.expand((matrix + mu * sp.eye(2)).det()),
            ]
        ),
        why="what it lacks never changes, so that a constant matrix is left",
    )


def unequal_difference_form() -> ClosedForm:
    """``Psi_-`` of `unequal_transport_form`."""
    return unequal_transport_form(-1)


@cache
def unequal_transport_form(sign: int = 1) -> ClosedForm:
    """``Psi_+-``, up to its value at the start: ``(w2_a w2_b +- w1_a w1_b) sqrt(e_a e_b)``."""
    which, word = ("+", "sum") if sign > 0 else ("-", "difference")
    x_a, z_a, x_b, z_b = sp.symbols("w1_a w2_a w1_b w2_b", positive=True)
    expression = (z_a * z_b + sign * x_a * x_b) * sp.sqrt(e_a * e_b)
    change, moved, balance = _linearised()
    rate, P = _rates(sign)
    f_a, f_b = sp.symbols("f_a f_b", real=True)
    left = moved[0, 1] + sign * moved[1, 0] - rate * (change[0, 1] + sign * change[1, 0]) - P * (f_a + sign * f_b)
    in_y = dict(zip((x_a, z_a, x_b, z_b), (*_weights(y_a), *_weights(y_b)), strict=True))
    logarithm = sp.log((z_a * z_b + sign * x_a * x_b).subs(in_y)) + sp.log(e_a) / 2 + sp.log(e_b) / 2
    along = sum(
        sp.diff(logarithm, y) * y * e - sp.diff(logarithm, e) * c * e * sum(w**2 for w in _weights(y))
        for y, e in ((y_a, e_a), (y_b, e_b))
    )
    both = (z_a * z_b + x_a * x_b) * (z_a * z_b - x_a * x_b) - lam * (z_a**2 + x_b**2)
    return ClosedForm(
        name=f"unequal_transport_{word}",
        title=f"Transport of the {word} of a pair's responses in two layers of unequal size, up to its start",
        quantity=sp.Symbol(f"Psi_{which}"),
        expression=expression,
        variables=(
            Variable(x_a, "first-layer weight of mode a", "weight"),
            Variable(z_a, "second-layer weight of mode a", "weight"),
            Variable(x_b, "first-layer weight of mode b", "weight"),
            Variable(z_b, "second-layer weight of mode b", "weight"),
            Variable(e_a, "residual of mode a", "loss / weight^2"),
            Variable(e_b, "residual of mode b", "loss / weight^2"),
        ),
        unit="loss",
        source=_NOTES,
        conditions=(
            Condition(
                sp.And(*(bare(x) > 0 for x in (x_a, z_a, x_b, z_b, e_a, e_b))),
                "weights and residuals positive",
                "integrate the rate of the derivation instead",
            ),
        ),
        steps=(
            Step("The balance w2^2 - w1^2 = lambda of both modes and between them is conserved for every weighting of "
                 "the items; with Y = (w1 + w2)^2 the weights are", sp.Matrix(_weights(y_a)), balance,
             why="with the balance fixed one number says both weights of a mode"),
            Step(f"Linearise both layers: x_ab {which} x_ba, driven by P_ab (f_a {which} f_b), P_ab = w2_a^2 + w1_b^2, "
                 "moves by itself times", rate, sp.simplify(left),
             why="how a small disturbance that carries mode a into mode b is carried along"),
            Step("Along the flow, w1' = w2 e, w2' = w1 e, e' = -c (w1^2 + w2^2) e, that is the logarithmic derivative "
                 "of", expression, sp.simplify(along - rate),
             why="a rate that is a logarithmic derivative needs no integral"),
            Step("Without a difference of products, for lambda of any size, w2_a w2_b - w1_a w1_b is",
                 lam * (z_a**2 + x_b**2) / (z_a * z_b + x_a * x_b), sp.simplify(both.subs(in_y)),
             why="the difference loses its digits where lambda is small beside the weights"),
            _mixed_step(),
        ),
    )  # fmt: skip
