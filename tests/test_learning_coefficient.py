"""Learning coefficients against published values, independent formulas and brute-force geometry."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations, product

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.theory.posterior.learning_coefficient import (
    learning_coefficient,
    rank_zero_two_layer,
    scalar_volume_form,
)

TABLE = [
    ((1, 1, 1), 0, Fraction(1, 2), 2),
    ((1, 1, 1, 1), 0, Fraction(1, 2), 3),
    ((2, 2, 2, 2), 0, Fraction(3, 2), 3),
    ((5, 3, 5), 0, Fraction(13, 2), 2),
    ((5, 4, 5), 0, Fraction(8), 1),
    ((4, 3, 8), 0, Fraction(6), 1),
    ((8, 3, 4), 0, Fraction(6), 1),
    ((3, 8, 4), 0, Fraction(6), 1),
    ((5, 3, 5), 2, Fraction(19, 2), 2),
    ((6, 4, 5), 1, Fraction(21, 2), 1),
    ((10, 10, 10, 10), 5, Fraction(46), 3),
    ((4, 6, 3, 7, 5), 2, Fraction(8), 1),
    *[
        ((8, 16, 15), r, value, m)
        for r, value, m in zip((0, 1, 2, 4, 8), (54, Fraction(111, 2), 57, 59, 60), (2, 1, 2, 2, 1), strict=True)
    ],
    *[
        ((8, 8, 15), r, value, m)
        for r, value, m in zip((0, 1, 2, 4, 8), (32, Fraction(71, 2), 39, 46, 60), (2, 1, 1, 1, 1), strict=True)
    ],
]


@pytest.mark.parametrize(("sizes", "rank", "value", "multiplicity"), TABLE)
def test_tabulated_coefficients_are_reproduced(sizes, rank, value, multiplicity):
    assert learning_coefficient(sizes, rank) == (value, multiplicity)


def two_layer_cases(M: int, H: int, N: int, r: int) -> tuple[Fraction, int]:
    """Reduced-rank regression, M inputs, N outputs, H hidden units (Aoyagi & Watanabe 2005)."""
    if N + r > M + H:
        return Fraction(H * M - H * r + N * r, 2), 1
    if M + r > N + H:
        return Fraction(H * N - H * r + M * r, 2), 1
    if H + r > M + N:
        return Fraction(M * N, 2), 1
    core = -((H + r) ** 2) - M**2 - N**2 + 2 * (H + r) * (M + N) + 2 * M * N
    return (Fraction(core, 8), 1) if (M + H + N + r) % 2 == 0 else (Fraction(core + 1, 8), 2)


def test_two_layers_agree_with_the_four_cases_of_aoyagi_and_watanabe():
    compared = 0
    for M, H, N in product(range(1, 13), repeat=3):
        for r in range(min(M, H, N) + 1):
            assert learning_coefficient((M, H, N), r) == two_layer_cases(M, H, N, r), (M, H, N, r)
            compared += 1
    assert compared > 3486


def test_rank_zero_two_layer_sum_is_the_general_formula():
    for Ni, Nh, No in product(range(1, 13), repeat=3):
        assert rank_zero_two_layer(Ni, Nh, No) == learning_coefficient((Ni, Nh, No), 0), (Ni, Nh, No)


def orbits(sizes: tuple[int, ...]):
    """Every orbit of (W_1..W_L) with W_L...W_1 = 0 under changes of basis, as matrices of 0 and 1.

    By Gabriel's theorem an orbit is a multiset of intervals of layers, each the path of a basis vector.
    """
    n = len(sizes)
    intervals = [(i, j) for i in range(n) for j in range(i, n) if (i, j) != (0, n - 1)]

    def choose(index: int, left: tuple[int, ...]):
        if index == len(intervals):
            if not any(left):
                yield ()
            return
        i, j = intervals[index]
        # Intervals come sorted by their first layer: one that starts later cannot use up this layer any more.
        if any(left[:i]):
            return
        for count in range(min(left[i : j + 1]) + 1):
            rest = tuple(h - count if i <= v <= j else h for v, h in enumerate(left))
            for others in choose(index + 1, rest):
                yield ((i, j),) * count + others

    for paths in choose(0, sizes):
        matrices = [np.zeros((sizes[v + 1], sizes[v])) for v in range(n - 1)]
        used = [0] * n
        for i, j in paths:
            for v in range(i, j):
                matrices[v][used[v + 1], used[v]] = 1
            for v in range(i, j + 1):
                used[v] += 1
        yield matrices


def orbit_dimension(matrices, sizes) -> int:
    """Rank of the tangent map ``(g_v) -> (g_{v+1} W_v - W_v g_v)``."""
    rows = []
    for v, h in enumerate(sizes):
        for p, q in product(range(h), repeat=2):
            g = np.zeros((h, h))
            g[p, q] = 1
            image = [np.zeros(W.shape) for W in matrices]
            if v > 0:
                image[v - 1] = image[v - 1] + g @ matrices[v - 1]
            if v < len(matrices):
                image[v] = image[v] - matrices[v] @ g
            rows.append(np.concatenate([x.ravel() for x in image]))
    return int(np.linalg.matrix_rank(np.array(rows)))


@pytest.mark.parametrize(
    "sizes",
    [
        *product(range(1, 4), repeat=3),
        *product(range(1, 3), repeat=4),
        (1, 3, 2, 2),
        (2, 3, 2, 3),
        (3, 1, 1, 3),
        (1, 4, 4),
        (2, 4, 5),
        (2, 2, 2, 2, 2),
        (1, 2, 1, 2, 1),
    ],
)
def test_rank_zero_coefficient_is_half_the_codimension_of_the_zero_product_set(sizes):
    """lct = codim / 2 (Lehalleur & Rimanyi 2024), the codimension counted orbit by orbit."""
    total = sum(p * q for p, q in pairwise(sizes))
    codimension = min(total - orbit_dimension(matrices, sizes) for matrices in orbits(sizes))
    assert learning_coefficient(sizes, 0).value == Fraction(codimension, 2)


def test_enumerated_orbits_have_product_zero():
    for matrices in orbits((2, 3, 2, 2)):
        assert not np.linalg.multi_dot(matrices[::-1]).any()


def test_a_true_map_of_rank_r_adds_half_its_dimension_to_the_rank_zero_problem_of_the_remaining_sizes():
    for sizes in [(3, 5, 4), (4, 4, 4, 4), (6, 3, 7, 5), (5, 9, 6, 5, 8)]:
        for r in range(min(sizes)):
            smaller = learning_coefficient([h - r for h in sizes], 0)
            value, multiplicity = learning_coefficient(sizes, r)
            assert multiplicity == smaller.multiplicity
            assert value - smaller.value == Fraction(r * (sizes[0] + sizes[-1] - r), 2)


def test_at_rank_zero_the_order_of_the_layers_does_not_matter():
    for sizes in [(1, 2, 5), (2, 3, 4, 6), (3, 3, 4, 5)]:
        assert len({learning_coefficient(order, 0) for order in permutations(sizes)}) == 1


def test_reversing_the_network_changes_nothing_at_any_rank():
    for sizes in [(2, 5, 3), (4, 6, 3, 7, 5), (3, 4, 4, 8)]:
        for r in range(min(sizes) + 1):
            assert learning_coefficient(sizes, r) == learning_coefficient(sizes[::-1], r)


def test_one_layer_is_a_regular_model():
    for n_in, n_out in product(range(1, 6), repeat=2):
        for r in range(min(n_in, n_out) + 1):
            assert learning_coefficient((n_in, n_out), r) == (Fraction(n_in * n_out, 2), 1)


def test_a_wide_network_realising_full_rank_is_regular_in_function_space():
    """Once the true map has full rank, lambda is half the number of entries of the map."""
    for sizes in [(4, 9, 3), (3, 7, 8, 5), (2, 2, 6)]:
        full = min(sizes[0], sizes[-1])
        assert learning_coefficient(sizes, full) == (Fraction(sizes[0] * sizes[-1], 2), 1)


def test_singular_models_never_exceed_half_the_number_of_weights():
    for sizes in product(range(1, 6), repeat=4):
        weights = sum(p * q for p, q in pairwise(sizes))
        for r in range(min(sizes) + 1):
            assert 0 < learning_coefficient(sizes, r).value <= Fraction(weights, 2)


def test_a_chain_of_single_weights_has_the_pole_of_its_zeta_function():
    """``int (w_1...w_L)^(2z) dw = (2z + 1)^-L``: a pole of order L at z = -1/2."""
    for L in range(1, 8):
        assert learning_coefficient((1,) * (L + 1), 0) == (Fraction(1, 2), L)


def test_scalar_volume_derivation_verifies_itself_and_matches_counting_on_a_grid():
    form = scalar_volume_form()
    assert all(step.passed for step in form.self_check())
    # Midpoints of a 2000 x 2000 grid: the boundary has length ~2 and is met within one cell.
    w = (np.arange(2000) + 0.5) / 2000
    counted = [((w[:, None] * w) ** 2 < eps).mean() for eps in (0.01, 0.1, 0.5)]
    np.testing.assert_allclose(form(eps=[0.01, 0.1, 0.5]), counted, atol=1e-3)
    eps = 10.0 ** -np.array([100, 200])
    growth = np.diff(np.log(form(eps=eps) / (1 - np.log(eps) / 2))) / np.diff(np.log(eps))
    assert growth == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize(
    ("sizes", "rank", "message"),
    [
        ((4, 3, 5), 4, "ranks 0 to 3"),
        ((4, 3, 5), -1, "ranks 0 to 3"),
        ((4, 3, 5), 1.5, "ranks 0 to 3"),
        ((4,), 0, "at least two whole numbers"),
        ((4, 0, 3), 0, "at least two whole numbers"),
        ((4, 2.5, 3), 0, "at least two whole numbers"),
    ],
)
def test_impossible_networks_are_refused_with_one_line_that_says_what_works(sizes, rank, message):
    with pytest.raises(WorkbenchError, match=message) as caught:
        learning_coefficient(sizes, rank)
    assert "\n" not in str(caught.value)
