"""Derivation of the matrix Riccati equation of a two-layer linear network and of its solution.

`workbench.theory.flow.exact_solution` evaluates it. Sources: Fukumizu (1998); Braun et al. (2022); Domine et al.
(2024).
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare
from workbench.theory.modes.balanced import VARIABLES, s, t


@cache
def riccati_steps() -> tuple[Step, ...]:
    """From the loss of a symbolic 2-2-2 network to the Riccati equation, and its solution at any size."""
    lam = sp.Symbol("lamda", real=True)
    W1, W2, S = (sp.Matrix(2, 2, sp.symbols(f"{x}_1:3_1:3", real=True)) for x in "xzS")
    loss = ((S - W2 * W1).T * (S - W2 * W1)).trace() / 2
    W1_dot, W2_dot = (-W.applyfunc(lambda w: sp.diff(loss, w)) for W in (W1, W2))
    Q, Q_dot = W1.T.col_join(W2), W1_dot.T.col_join(W2_dot)
    eye = sp.eye(2)
    F = (-lam / 2 * eye).row_join(S.T).col_join(S.row_join(lam / 2 * eye))
    B = W2.T * W2 - W1 * W1.T - lam * eye
    flipped = sp.diag(-eye, eye) * Q * B / 2
    f, e, q, q_T, M_inverse, x = sp.symbols("F e^{Ft} Q_0 Q_0^T M^{-1} QQ^T", commutative=False)
    solution = e * q * M_inverse * q_T * e
    # F commutes with e^{Ft}: the derivative is written with F outermost on either side.
    with_x = f * x + x * f - x * x
    M_inverse_dot = -M_inverse * q_T * e * e * q * M_inverse
    solution_dot = f * solution + e * q * M_inverse_dot * q_T * e + solution * f
    return (
        Step(
            "Gradient flow of the loss |Syx - W2 W1|^2/2 (c = 1), first layer:",
            W1_dot[0, 0],
            (W1_dot - W2.T * (S - W2 * W1)).applyfunc(sp.expand),
            why="both layers are one matrix Q in what follows; this is the half of its flow that belongs to the first",
        ),
        Step(
            "Balance is conserved: d(W2^T W2 - W1 W1^T)/dt is",
            sp.S.Zero,
            (W2_dot.T * W2 + W2.T * W2_dot - W1_dot * W1.T - W1 * W1_dot.T).applyfunc(sp.expand),
            why="the matrix version of equal weights that stay equal",
        ),
        Step(
            "With B = W2^T W2 - W1 W1^T - lambda I, dQ/dt = F Q - Q Q^T Q/2 + diag(-I, I) Q B/2; F =",
            F,
            (Q_dot - (F * Q - Q * Q.T * Q / 2 + flipped)).applyfunc(sp.expand),
            why="what breaks the closed equation is the imbalance B alone",
        ),
        Step(
            "so balance, B = 0, gives the Riccati equation d(QQ^T)/dt =",
            f * x + x * f - x**2,
            sp.expand((f * q - q * q_T * q / 2) * q_T + q * (q_T * f - q_T * q * q_T / 2) - with_x.subs(x, q * q_T)),
            why="for the product Q Q^T, which holds the network's map and both layers' overlaps, the flow closes",
        ),
        Step(
            "Its solution at any size, with M = I + Q0^T Phi Q0 and dM/dt = Q0^T e^{2Ft} Q0:",
            solution,
            sp.expand(solution_dot - (f * solution + solution * f - solution * solution)),
            why="Riccati equations are linear ones in disguise: growth e^{Ft} divided by what it has built",
        ),
    )


@cache
def eigenvalue_form() -> ClosedForm:
    """``mu = sqrt(s^2 + lambda^2/4)``: the rate at which a mode grows from a start with imbalance lambda."""
    lam, theta = sp.Symbol("lamda", real=True), sp.Symbol("theta", positive=True)
    mu = sp.sqrt(s**2 + lam**2 / 4)
    block = sp.Matrix([[-lam / 2, s], [s, lam / 2]])
    # th = atan2(2s, -lambda)/2 written backwards: s and lambda as functions of mu and theta.
    rotated = block.subs({s: mu * sp.sin(2 * theta), lam: -2 * mu * sp.cos(2 * theta)}, simultaneous=True)
    w1, w2 = sp.symbols("w1 w2", real=True)
    q, speed = sp.Matrix([w1, w2]), (s - w1 * w2) * sp.Matrix([w2, w1])
    left = (speed - (block * q - q * (w1**2 + w2**2) / 2).subs(lam, w2**2 - w1**2)).applyfunc(sp.expand)
    up, down = sp.Matrix([sp.cos(theta), sp.sin(theta)]), sp.Matrix([-sp.sin(theta), sp.cos(theta)])
    return ClosedForm(
        name="growth_rate",
        title="Growth rate of a mode from a balanced start",
        quantity=sp.Symbol("mu"),
        expression=mu,
        variables=(
            VARIABLES[s],
            Variable(lam, "imbalance W2^T W2 - W1 W1^T = lambda I at c = 1", "loss / weight^2"),
        ),
        unit="1 / time",
        source="Domine et al. (2024); derived for this project",
        conditions=(Condition(bare(s) >= 0, "s >= 0", "singular values are not negative"),),
        steps=(
            Step(
                "In the singular vectors of Syx, F falls into blocks; of one mode with weights w1, w2:",
                block,
                left,
                why="modes do not mix, so a block of two by two per mode says all",
            ),
            Step(
                "with characteristic polynomial zero at +-mu:",
                mu,
                sp.expand((block - mu * sp.eye(2)).det()),
                why="the growth rate is larger than s: imbalance makes learning faster",
            ),
            Step(
                "With s = mu sin(2 theta), lambda = -2 mu cos(2 theta) the vector of +mu is",
                up,
                sp.simplify(rotated * up - mu * up),
                why="the angle is how the growing direction is shared between the two layers",
            ),
            Step(
                "and that of -mu is",
                down,
                sp.simplify(rotated * down + mu * down),
                why="the two directions are perpendicular, as F is symmetric",
            ),
        ),
    )


@cache
def riccati_form() -> ClosedForm:
    """``(Gamma^T Q Q^T Gamma)_{++}`` of a 1-1-1 network: the part that grows."""
    mu, p, m = sp.Symbol("mu", positive=True), sp.Symbol("q_plus", real=True), sp.Symbol("q_minus", real=True)
    F, q = sp.diag(mu, -mu), sp.Matrix([p, m])
    grown = (F * t).exp() * q
    u = sp.Symbol("u", positive=True)
    Phi = ((2 * F * u).exp()).applyfunc(lambda entry: sp.integrate(entry, (u, 0, t)))
    M = 1 + (q.T * Phi * q)[0]
    X = grown * grown.T / M
    decay = sp.exp(-2 * mu * t)
    expression = 2 * mu * p**2 / (2 * mu * decay + p**2 * (1 - decay) + m**2 * decay * (1 - decay))
    return ClosedForm(
        name="riccati_solution",
        title="Exact solution from a balanced start, one mode in the eigenbasis of F",
        quantity=sp.Symbol("X_{++}"),
        expression=expression,
        variables=(
            VARIABLES[t],
            Variable(mu, "growth rate, eigenvalue of F", "1 / time"),
            Variable(p, "sqrt(c) x start along the growing eigenvector", "time^(-1/2)"),
            Variable(m, "sqrt(c) x start along the decaying eigenvector", "time^(-1/2)"),
        ),
        unit="1 / time",
        source="Fukumizu (1998); Braun et al. (2022); Domine et al. (2024)",
        conditions=(
            Condition(bare(mu) > 0, "mu > 0", "s = lambda = 0 has no mode; exact_factors covers it"),
            Condition(bare(t) >= 0, "t >= 0", "give times after the start of training"),
        ),
        steps=(
            *riccati_steps(),
            Step(
                "Explicitly for F = diag(mu, -mu), which does not commute with Q0 Q0^T: the solution",
                X[0, 0],
                X[0, 0] - expression,
                why="one mode in its own basis, where sympy can check every entry",
            ),
            Step(
                "put back into the Riccati equation leaves",
                sp.S.Zero,
                (sp.diff(X, t) - F * X - X * F + X * X).applyfunc(sp.simplify),
                why="a check that needs none of the steps above",
            ),
            Step("and starts at Q0 Q0^T:", q * q.T, X.subs(t, 0) - q * q.T, why="the solution is that of this start"),
        ),
    )
