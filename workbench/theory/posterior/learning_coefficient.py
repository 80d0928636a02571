"""Learning coefficient of deep linear networks: how posterior volume shrinks around the zero-loss set.

Near a true map of rank r the free energy of n samples is ``n L0 + lambda log n - (m - 1) log log n + O(1)``;
lambda is the learning coefficient (real log canonical threshold) and m its multiplicity. Both are exact
rational numbers that depend on the layer sizes and r alone (Aoyagi 2024; two layers: Aoyagi & Watanabe 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import sympy as sp

from workbench.errors import WorkbenchError
from workbench.theory.closed_form import ClosedForm, Condition, Step, Variable, bare

AOYAGI = "Aoyagi (2024); Aoyagi & Watanabe (2005) for two layers"


class LearningCoefficient(NamedTuple):
    """``(lambda, m)``: the coefficient of log n in the free energy, and its multiplicity."""

    value: Fraction
    multiplicity: int


def learning_coefficient(sizes: Sequence[int], rank: int = 0) -> LearningCoefficient:
    """Learning coefficient of ``W_L ... W_1`` at a true map of the given rank.

    With ``M = sort(H - r)``, ``S_k = M_1 + ... + M_k``, k the first k >= 2 with ``S_k < (k - 1) M_{k+1}``
    (else L + 1), ``ell = k - 1``, ``S = S_k`` and ``a = S - (ceil(S / ell) - 1) ell``::

        lambda = [r (H_1 + H_{L+1}) - r^2] / 2 + a (ell - a) / (4 ell) - (ell - 1) S^2 / (4 ell)
                 + (1/2) sum_{i<j<=k} M_i M_j,                m = a (ell - a) + 1

    Args:
        sizes: ``H_1 .. H_{L+1}``, the L + 1 layer sizes from inputs to outputs, L >= 1.
        rank: r of a true map that the network can realise.

    It is the minimum over the zero-loss set; at a saddle of training it is the value of the matched truth of
    that rank, not a property of the saddle, which is no minimum of the loss.

    >>> learning_coefficient((8, 16, 15), rank=4)
    LearningCoefficient(value=Fraction(59, 1), multiplicity=2)
    """
    H = _checked(sizes, rank)
    r, L = int(rank), len(H) - 1
    M = sorted(h - r for h in H)
    k = next((k for k in range(2, L + 1) if sum(M[:k]) < (k - 1) * M[k]), L + 1)
    ell, S = k - 1, sum(M[:k])
    a = S - (-(-S // ell) - 1) * ell
    pairs = sum(M[i] * M[j] for j in range(k) for i in range(j))
    value = (
        Fraction(r * (H[0] + H[-1]) - r**2, 2)
        + Fraction(a * (ell - a), 4 * ell)
        - Fraction((ell - 1) * S**2, 4 * ell)
        + Fraction(pairs, 2)
    )
    return LearningCoefficient(value, a * (ell - a) + 1)


def rank_zero_two_layer(n_inputs: int, hidden: int, n_outputs: int) -> LearningCoefficient:
    """Two layers, true map 0: a sum over the singular values of W_1.

        lambda = (1/2) sum_{i=1}^{min(Ni,Nh)} min(No, |Ni - Nh| + 2i - 1),      m = 1 + number of ties

    A tie is a term whose two arguments are equal. The terms are the exponents of the singular
    values: the Jacobian gives ``|Ni - Nh| + 2i - 1``, integrating out W_2 gives No.
    """
    Ni, Nh, No = _checked((n_inputs, hidden, n_outputs), 0)
    exponents = [abs(Ni - Nh) + 2 * i - 1 for i in range(1, min(Ni, Nh) + 1)]
    return LearningCoefficient(Fraction(sum(min(No, p) for p in exponents), 2), 1 + exponents.count(No))


def _checked(sizes: Sequence[int], rank: int) -> tuple[int, ...]:
    H = tuple(int(h) for h in sizes)
    if len(H) < 2 or any(h < 1 or h != given for h, given in zip(H, sizes, strict=True)):
        raise WorkbenchError(
            f"layer sizes {tuple(sizes)}; give at least two whole numbers >= 1, inputs first, such as (8, 16, 15)"
        )
    if rank != int(rank) or not 0 <= rank <= min(H):
        raise WorkbenchError(
            f"rank {rank} for layer sizes {H}; "
            f"a network of these sizes realises ranks 0 to {min(H)}, its smallest layer"
        )
    return H


@cache
def scalar_volume_form() -> ClosedForm:
    """Volume of ``(w1 w2)^2 < eps`` in the unit square: the case (1, 1, 1), derived from scratch.

    The exponent of eps is lambda = 1/2 and the power of the logarithm is m - 1 = 1.
    """
    eps, w = sp.symbols("eps w", positive=True)
    z = sp.Symbol("z", positive=True)
    root = sp.sqrt(eps)
    volume = root * (1 - sp.log(eps) / 2)
    zeta = sp.integrate(w ** (2 * z), (w, 0, 1)) ** 2
    from_density = sp.integrate(w**z * sp.diff(volume, eps).subs(eps, w), (w, 0, 1), conds="none")
    return ClosedForm(
        name="scalar_volume",
        title="Volume of almost-zero loss of a product of two weights",
        quantity=sp.Function("V")(eps),
        expression=volume,
        variables=(Variable(eps, "largest squared product (w1 w2)^2 counted", "weight^4"),),
        conditions=(
            Condition(
                sp.And(bare(eps) > 0, bare(eps) <= 1),
                "0 < eps <= 1",
                "give an eps that the unit square can reach",
            ),
        ),
        source=AOYAGI,
        steps=(
            Step(
                "For w1 below sqrt(eps) every w2 counts, above it those below sqrt(eps) / w1:",
                volume,
                volume - (root + sp.integrate(root / w, (w, root, 1))),
                why="an area, cut where one of the two weights stops mattering",
            ),
            Step(
                "Its zeta function, the integral of (w1 w2)^(2z),",
                zeta,
                zeta - 1 / (2 * z + 1) ** 2,
                why="the way a volume vanishes is read off the poles of its zeta function",
            ),
            Step(
                "is the Mellin transform of the density of states dV/d eps:",
                from_density,
                from_density - zeta,
                why="both hold the same; a check of the volume",
            ),
            Step(
                "Its pole nearest 0 is at z = -1/2, so lambda is",
                sp.Rational(1, 2),
                sp.limit(volume * eps ** -sp.Rational(1, 2) / sp.log(eps), eps, 0) + sp.Rational(1, 2),
                why="the learning coefficient: how fast the volume shrinks with the loss",
            ),
            Step(
                "The pole is double, so the multiplicity is",
                sp.Integer(2),
                zeta * (2 * z + 1) ** 2 - 1,
                why="which is the logarithm in the volume: two ways to make the product small meet at 0",
            ),
        ),
    )
