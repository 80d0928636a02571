"""Every closed form verifies its own derivation, and a wrong one is found out."""

import dataclasses

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from workbench.errors import ConditionError, WorkbenchError
from workbench.semantics import Hierarchy
from workbench.theory.closed_form import Step
from workbench.theory.influence.flips import flip_equation_form
from workbench.theory.influence.tree_kernel import tree_kernel_form
from workbench.theory.modes.balanced import half_rise_form, mode_strength_form, residual_form, s, t
from workbench.theory.modes.spectrum import hierarchy_spectrum

COVER = Hierarchy((2, 3, 2)).cover


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("build", [tree_kernel_form, flip_equation_form])
def test_forms_on_a_tree_of_unequal_branching_verify_themselves(build, level):
    results = build(COVER, level).self_check()
    assert results and all(result.passed for result in results), [r for r in results if not r.passed]


def test_a_wrong_formula_fails_its_self_check():
    form = mode_strength_form()
    wrong = form.expression.subs(t, 2 * t)
    steps = (
        *form.steps[:-2],
        Step("ODE", sp.S.Zero, sp.diff(wrong, t) - 2 * wrong * (s - sp.Symbol("c", positive=True) * wrong)),
    )
    assert not all(result.passed for result in dataclasses.replace(form, steps=steps).self_check())


@pytest.mark.parametrize(
    ("s_value", "c_value", "a0"), [(0.5, 0.125, 0.01), (1.3, 1.0, 1e-6), (0.02, 3.0, 1e-4), (0.4, 0.1, 6.0)]
)
def test_mode_strength_solves_its_equation_of_motion(s_value, c_value, a0):
    times = np.linspace(0, 30 / s_value, 40)
    flow = solve_ivp(
        lambda _, a: 2 * a * (s_value - c_value * a), (0, times[-1]), [a0], "DOP853", times, rtol=1e-11, atol=1e-14
    )
    predicted = mode_strength_form()(t=times, s=s_value, c=c_value, a0=a0)
    # DOP853 keeps 1e-11 per step; a few hundred steps.
    np.testing.assert_allclose(predicted, flow.y[0], rtol=1e-8)


def test_evaluation_does_not_overflow_at_long_times():
    with np.errstate(over="raise", invalid="raise"):
        a = mode_strength_form()(t=[0.0, 1e4, 1e9], s=2.0, c=0.5, a0=1e-12)
        e = residual_form()(t=[0.0, 1e2], s=2.0, c=0.5, a0=1e-12)
    np.testing.assert_allclose(a, [1e-12, 4.0, 4.0], rtol=1e-12)
    # e = s kappa x / (1 + kappa x) with x = e^{-400}: far below the rounding of s - c a.
    np.testing.assert_allclose(e[1], 2.0 * (2.0 / (0.5e-12) - 1) * np.exp(-400.0), rtol=1e-9)


def test_a_condition_that_fails_is_named_with_the_value_and_the_remedy():
    with pytest.raises(ConditionError, match=r"t >= 0; found t = -1; give times"):
        mode_strength_form()(t=[0.0, -1.0], s=1.0, c=1.0, a0=0.1)
    with pytest.raises(ConditionError, match=r"2 c a0 < s"):
        half_rise_form()(s=1.0, c=1.0, a0=0.9)


def test_a_wrong_keyword_is_answered_with_the_right_ones():
    with pytest.raises(WorkbenchError, match="takes t, s, c, a0"):
        mode_strength_form()(t=1.0, s=1.0)


@pytest.mark.parametrize("branching", [(2, 2, 2), (3, 2), (2, 3, 2), (4, 2), (5,), (1, 3)])
@pytest.mark.parametrize("kind", ["indicator", "indicator_pm1", "diffusion"])
def test_spectra_verify_themselves_on_the_tree(branching, kind):
    spectrum = hierarchy_spectrum(Hierarchy(branching), kind)
    assert all(result.passed for form in spectrum.eigenvalues for result in form.self_check())


@pytest.mark.parametrize("branching", [(2, 2, 2), (3, 2), (2, 4, 3)])
def test_spectra_match_numerical_eigenvalues(branching):
    tree = Hierarchy(branching)
    copies = [1, 2, 3, 1][: tree.depth + 1]
    for kind, coding in (("indicator", "01"), ("indicator_pm1", "pm1")):
        spectrum = hierarchy_spectrum(tree, kind)
        values = spectrum.values(**{f"q{k}": q for k, q in enumerate(copies)})
        Y = tree.indicator_task(copies, coding=coding).Y
        expected = np.sort(np.repeat(values, spectrum.multiplicities))
        np.testing.assert_allclose(np.linalg.eigvalsh(Y.T @ Y), expected, atol=1e-10 * expected.max())


def test_the_default_tree_has_the_spectrum_of_the_literature():
    spectrum = hierarchy_spectrum(Hierarchy((2, 2, 2)))
    np.testing.assert_allclose(spectrum.values(q0=1, q1=1, q2=1, q3=1), [15, 7, 3, 1])
    assert spectrum.multiplicities == (1, 1, 2, 4)
    diffusion = hierarchy_spectrum(Hierarchy((2, 2, 2)), "diffusion").values(eps1=0.1, eps2=0.1, eps3=0.1)
    np.testing.assert_allclose(diffusion, [3.5078, 1.4106, 0.8208, 0.36], atol=5e-5)


def test_a_functional_is_written_with_its_argument_in_brackets() -> None:
    # Brackets do not grow where a long formula is set term by term.
    assert flip_equation_form((8, 4, 2, 1), 1).latex().startswith(r"R_{1} [ e^{2} ] = ")
