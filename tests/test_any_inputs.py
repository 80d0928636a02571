"""Inputs that are neither orthogonal nor of equal length: no closed form, and both sides all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import workbench
from workbench.errors import ConditionError
from workbench.semantics import nearest_modes, singular_modes


@pytest.fixture(scope="module")
def task():
    X = np.eye(4) + 0.3 * np.random.default_rng(0).normal(size=(4, 4))
    return replace(workbench.task_from_spec("tree:2,2"), X=X)


def compared(task, eta):
    settings = workbench.Settings(
        measures=("gradient_kernel", "leave_one_out", "trajectory_derivative", "damped_newton"),
        checkpoints=5,
        hidden=4,
        t_max=8.0,
        eta=eta,
    )
    return workbench.compare(task, settings)


def test_both_sides_of_a_comparison_meet_as_the_learning_rate_falls(task):
    coarse, fine = compared(task, 0.04), compared(task, 0.02)
    assert fine.dataset.attrs["init"] == "gaussian:0.1"
    assert fine.dataset.attrs["predicted_by"] == "gradient flow of all layers, integrated"
    assert any("neither orthogonal" in note for note in fine.notes)
    errors = [c.errors().query("pairs == 'all pairs'").set_index("measure").relative_l2 for c in (coarse, fine)]
    # Gradient descent follows the flow to first order in its step.
    assert (errors[0] / errors[1]).to_numpy() == pytest.approx(2, rel=0.15)
    assert (errors[1] < 0.02).all()


def test_an_aligned_start_is_refused_with_what_works(task):
    with pytest.raises(ConditionError, match="start from `init` gaussian"):
        workbench.network(task, hidden=4, init="balanced:0.01")


def test_the_guide_of_white_inputs_is_exact(task):
    white = workbench.task_from_spec("tree:2,2")
    assert np.array_equal(nearest_modes(white).s, singular_modes(white).s)
    # A scale of all inputs is no matter of their shape.
    assert nearest_modes(replace(task, X=2 * task.X)).c == pytest.approx(4 * nearest_modes(task).c)
