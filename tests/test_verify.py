"""`workbench verify`: the table runs, covers every closed form, and a wrong formula cannot pass."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.semantics import task_from_spec
from workbench.theory.catalogue import catalogue
from workbench.theory.modes import balanced as mode_dynamics
from workbench.theory.posterior.dense_posterior import hessian
from workbench.verification import all_claims, dynamics
from workbench.verification.claims import (
    Claim,
    Outcome,
    at_least,
    check,
    claims_table,
    compared,
    pointwise,
    select,
    verify,
)
from workbench.verification.reference import autograd_gradients, autograd_hessian, weight_flow


def claim(test, tolerance=0.1):
    return Claim("family", "one is one", ("mode_loss",), "counting", tolerance, "because", test)


def test_every_closed_form_is_put_to_the_test_by_a_claim():
    tested = {re.sub(r"\d+$", "", form) for c in all_claims() for form in c.forms}
    known = {re.sub(r"\d+$", "", name) for name in catalogue()}
    assert known - tested == set()
    assert tested - known == set()


def test_every_claim_names_its_reference_its_tolerance_and_the_reason():
    claims = all_claims()
    assert len({c.sentence for c in claims}) == len(claims)
    for c in claims:
        assert c.against and c.reason and np.isfinite(c.tolerance) and c.tolerance >= 0


#: Families that take no more than a few seconds; the others run in `workbench verify` itself.
QUICK = ("spectra", "exact matrix", "local posterior", "learned_pair", "a(t)", "5.819262", "leave-one-out, both")


@pytest.mark.parametrize("only", QUICK)
def test_the_claims_hold(run_cli, only):
    ran = run_cli("verify", "--only", only)
    assert ran.code == 0, ran.out
    assert "FAIL" not in ran.out and re.search(r"(\d+) of \1 claims hold", ran.out)


def wrong_mode_strength():
    right = mode_dynamics.mode_strength_form()
    return replace(right, expression=right.expression * (1 + mode_dynamics.t / 10**6))


def test_a_wrong_formula_prints_fail_and_exits_1(run_cli, monkeypatch, tmp_path):
    wrong = wrong_mode_strength()
    monkeypatch.setattr(dynamics.mode_dynamics, "mode_strength_form", lambda: wrong)
    ran = run_cli("verify", "--only", "a mode grows", "--json", tmp_path / "claims.json")
    assert ran.code == 1
    assert re.search(r"^FAIL .* a mode grows as a\(t\)$", ran.out, re.M)
    assert "against DOP853" in ran.out and "0 of 1 claims hold" in ran.out
    (record,) = json.loads((tmp_path / "claims.json").read_text())["claims"]
    # At t = 40 the wrong formula is off by 4e-5.
    assert record["verdict"] == "FAIL" and 3.9e-5 < record["difference"] < 4.1e-5


def test_a_test_that_raises_or_is_not_a_number_fails_its_claim():
    def broken():
        raise ValueError("no\nanswer")

    raised = check(claim(broken))
    assert raised.verdict == "FAIL" and raised.error == "ValueError: no answer"
    assert raised.record()["difference"] is None
    assert check(claim(lambda: compared([1.0, np.nan], [1.0, 2.0]))).verdict == "FAIL"
    assert check(claim(lambda: pointwise([1.0, np.inf], [1.0, 2.0]))).verdict == "FAIL"
    assert check(claim(lambda: Outcome(1, 1, float("nan")))).verdict == "FAIL"


def test_the_verdict_is_the_difference_against_the_tolerance():
    assert check(claim(lambda: compared(1.05, 1.0))).holds
    assert not check(claim(lambda: compared(1.2, 1.0))).holds
    table = claims_table(verify([claim(lambda: compared(1.2, 1.0)), claim(lambda: compared(1.0, 1.0))]))
    assert "1 of 2 claims hold" in table and table.count("because") == 1


def test_differences_are_relative_to_the_largest_value_or_entry_by_entry():
    assert compared([1.0, 11.0], [1.0, 10.0]) == Outcome(11.0, 10.0, 0.1)
    assert compared([1.5, 10.0], [1.0, 10.0]).difference == pytest.approx(0.05)
    assert compared([1.5, 10.0], [1.0, 10.0], scale=1.0).difference == 0.5
    assert pointwise([1.5, 10.0], [1.0, 10.0]) == Outcome(1.5, 1.0, 0.5)


def test_claims_are_selected_by_family_sentence_or_form():
    claims = all_claims()
    assert {c.family for c in select(claims, "LEARNING COEFFICIENT")} == {"Learning coefficient"}
    assert all("mode_response" in " ".join(c.forms) for c in select(claims, "equal_mode_response"))
    with pytest.raises(WorkbenchError, match=r"no claim mentions 'xyzzy'; the families are Spectra"):
        select(claims, "xyzzy")


def test_bad_input_is_refused_in_one_line_before_anything_is_checked(run_cli):
    for argv in (["--only", "xyzzy"], ["--json", "/nowhere/claims.json"]):
        ran = run_cli("verify", *argv)
        assert ran.code == 2 and ran.err.count("\n") == 1 and not ran.out


def test_the_reference_derivatives_agree_with_written_out_ones():
    rng, task = np.random.default_rng(0), task_from_spec("tree:2,2")
    layers = [rng.normal(size=(3, 4)), rng.normal(size=(task.n_outputs, 3))]
    np.testing.assert_allclose(autograd_hessian(task, layers), hessian(task.X, task.Y, *layers), atol=1e-12)
    W1, W2 = layers
    first = -(W2.T @ (task.Y - W2 @ W1 @ task.X)).T[:, :, None] * task.X.T[:, None, :]
    np.testing.assert_allclose(autograd_gradients(task, layers)[:, :12], first.reshape(4, -1), atol=1e-12)


def test_the_reference_flow_of_three_layers_goes_down_the_gradient():
    rng, task = np.random.default_rng(1), task_from_spec("tree:2,2")
    shapes = ((5, 4), (3, 5), (task.n_outputs, 3))
    layers = [0.5 * rng.normal(size=shape) for shape in shapes]
    step = 1e-4
    moved = weight_flow(task, layers, [0.0, step])
    gradient = autograd_gradients(task, layers).mean(axis=0)
    change = np.concatenate([(path[1] - path[0]).ravel() for path in moved])
    # First order of the step: the second derivative of the flow is of order 1.
    np.testing.assert_allclose(change / step, -gradient, atol=1e-3)


def power_is_what_fails(claims):
    """Every claim holds, and fails where theory's side is off by the smallest error that it says it sees."""
    for c in claims:
        plain = check(c)
        assert plain.holds and np.isfinite(plain.power), c.sentence
        # A hair more, for rounding of the comparison itself.
        wrong = plain.outcome.altered(1 + 1.001 * plain.power + 1e-14)
        assert not replace(plain, outcome=wrong).holds, c.sentence


@pytest.mark.parametrize("only", QUICK)
def test_a_claim_fails_if_theory_is_off_by_the_error_that_it_says_it_sees(only):
    power_is_what_fails(select(all_claims(), only))


@pytest.mark.slow
def test_every_claim_fails_if_theory_is_off_by_the_error_that_it_says_it_sees():
    quick = {c.sentence for only in QUICK for c in select(all_claims(), only)}
    power_is_what_fails([c for c in all_claims() if c.sentence not in quick and "language" not in c.family.lower()])


def test_a_claim_sees_less_where_its_predictions_are_small_beside_the_scale():
    small = check(claim(lambda: compared([0.0, 0.01], [0.0, 0.0], scale=1.0)))
    assert small.holds and small.power == pytest.approx(11)
    assert check(claim(lambda: compared(1.0, 1.0))).power == pytest.approx(0.1)


def test_the_power_of_an_inequality_is_the_factor_at_which_it_fails():
    wide = replace(claim(lambda: at_least(4.0, 12.0)), tolerance=0.0)
    assert check(wide).holds and check(wide).power == pytest.approx(2.0)
    found = check(wide)
    assert replace(found, outcome=found.outcome.altered(2.99)).holds
    assert not replace(found, outcome=found.outcome.altered(3.01)).holds
    assert check(replace(wide, test=lambda: at_least(4.0, 3.0))).power == 0
