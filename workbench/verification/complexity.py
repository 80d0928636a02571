"""Claims about the learning coefficient."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
from scipy.integrate import quad

from workbench.theory.posterior.learning_coefficient import (
    learning_coefficient,
    rank_zero_two_layer,
    scalar_volume_form,
)
from workbench.verification.claims import Claim, Outcome, measured, pointwise

#: sizes, rank: (lambda, multiplicity), computed independently.
_TABLE: dict[tuple[tuple[int, ...], int], tuple[str, int]] = {
    ((1, 1, 1), 0): ("1/2", 2),
    ((1, 1, 1, 1), 0): ("1/2", 3),
    ((2, 2, 2, 2), 0): ("3/2", 3),
    ((5, 3, 5), 0): ("13/2", 2),
    ((5, 4, 5), 0): ("8", 1),
    ((4, 3, 8), 0): ("6", 1),
    ((8, 3, 4), 0): ("6", 1),
    ((3, 8, 4), 0): ("6", 1),
    ((5, 3, 5), 2): ("19/2", 2),
    ((6, 4, 5), 1): ("21/2", 1),
    ((10, 10, 10, 10), 5): ("46", 3),
    ((4, 6, 3, 7, 5), 2): ("8", 1),
    **{
        ((8, 16, 15), r): v
        for r, v in ((0, ("54", 2)), (1, ("111/2", 1)), (2, ("57", 2)), (4, ("59", 2)), (8, ("60", 1)))
    },
    **{
        ((8, 8, 15), r): v
        for r, v in ((0, ("32", 2)), (1, ("71/2", 1)), (2, ("39", 1)), (4, ("46", 1)), (8, ("60", 1)))
    },
}


def _count(wrong: int, total: int) -> Outcome:
    right = float(total - wrong)
    return measured(float(total), right, lambda p: abs(p - right))


def _table() -> Outcome:
    wrong = sum(
        learning_coefficient(sizes, rank) != (Fraction(value), m) for (sizes, rank), (value, m) in _TABLE.items()
    )
    return _count(wrong, len(_TABLE))


def _aoyagi_watanabe(M: int, H: int, N: int, r: int) -> tuple[Fraction, int]:
    """Reduced-rank regression of input M, hidden H, output N and true rank r, case by case (2005)."""
    if N + r > M + H:
        return Fraction(H * M - H * r + N * r, 2), 1
    if M + r > N + H:
        return Fraction(H * N - H * r + M * r, 2), 1
    if H + r > M + N:
        return Fraction(M * N, 2), 1
    square = -((H + r) ** 2) - M**2 - N**2 + 2 * (H + r) * M + 2 * (H + r) * N + 2 * M * N
    odd = (M + H + N + r) % 2
    return Fraction(square + odd, 8), 1 + odd


def _two_layers() -> Outcome:
    cases = [(M, H, N, r) for M, H, N in product(range(1, 9), repeat=3) for r in range(min(M, H, N) + 1)]
    wrong = sum(learning_coefficient((M, H, N), r) != _aoyagi_watanabe(M, H, N, r) for M, H, N, r in cases)
    return _count(wrong, len(cases))


def _rank_zero() -> Outcome:
    cases = list(product(range(1, 9), repeat=3))
    wrong = sum(learning_coefficient(sizes) != rank_zero_two_layer(*sizes) for sizes in cases)
    return _count(wrong, len(cases))


def _volume() -> Outcome:
    scales = np.array([0.5, 1e-2, 1e-5])
    computed = [
        np.sqrt(x) + quad(lambda w, x=x: np.sqrt(x) / w, np.sqrt(x), 1.0, epsabs=0, epsrel=1e-13)[0] for x in scales
    ]
    return pointwise(scalar_volume_form()(eps=scales), computed)


_FAMILY = "Learning coefficient"
CLAIMS = (
    Claim(_FAMILY, "lambda and multiplicity of 22 networks", (),
          "reference values, computed independently (number that differ)", 0.0, "exact rational numbers", _table),
    Claim(_FAMILY, "two layers, all sizes to 8 and all ranks", (),
          "the four cases of Aoyagi & Watanabe 2005 (number that differ)", 0.0, "exact rational numbers", _two_layers),
    Claim(_FAMILY, "rank 0 is a sum over singular values", (), "the general formula, sizes to 8 (number that differ)",
          0.0, "exact rational numbers", _rank_zero),
    Claim(_FAMILY, "volume of almost-zero loss of two weights", ("scalar_volume",), "adaptive quadrature", 1e-12,
          "epsrel 1e-13 of the quadrature", _volume),
)  # fmt: skip
