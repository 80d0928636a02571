"""What makes large tables affordable: extrapolated retraining, and draws that resolve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import workbench
from workbench import theory
from workbench.agreement import Ruling
from workbench.agreement.resolution import unresolved
from workbench.comparison import planning
from workbench.comparison.planning import planned_schedules
from workbench.influence import Work, leave_one_out
from workbench.simulation import Recipe, Schedule, train

TASK = workbench.task_from_spec("tree:2,2")
START = workbench.network(TASK, 6)


def extrapolated_error(steps):
    """Largest difference to the flow of what is extrapolated from ``steps`` and twice as many steps."""
    twice = Schedule.even(10.0, 6, 10.0 / steps)
    once = twice.finer(2)
    run = train(START, once)
    work = Work(recipe=Recipe(once), twice=Recipe(twice))
    found = leave_one_out.measure(run, leave_one_out.resolve(run, {}), work)
    return float(np.abs(found.values - theory.leave_one_out(START, once.times)).max())


def test_extrapolated_retraining_errs_with_the_square_of_the_learning_rate():
    errors = [extrapolated_error(steps) for steps in (100, 200, 400)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_only_long_retraining_is_extrapolated_and_a_wrong_prediction_of_it_fails(monkeypatch):
    settings = workbench.Settings(checkpoints=10, hidden=6, measures=("leave_one_out",))
    assert planned_schedules(START, settings).twice is None
    monkeypatch.setattr(planning, "_WORTH_EXTRAPOLATING", 0.0)
    chosen = planned_schedules(START, settings)
    assert chosen.twice is not None and chosen.twice.finer(2) == chosen.retraining
    assert planned_schedules(START, replace(settings, optimizer="momentum")).twice is None
    result = workbench.compare(TASK, settings)
    assert any("extrapolated" in note for note in result.notes)
    (verdict,) = (v for v in result.verdicts() if v.key == "leave_one_out")
    assert verdict.ruling is Ruling.HOLDS and verdict.power < 0.01
    wrong = result.dataset.assign(leave_one_out_analytic=lambda ds: ds["leave_one_out_analytic"] * 1.01)
    (verdict,) = (v for v in workbench.verdicts(wrong) if v.key == "leave_one_out")
    assert verdict.ruling is Ruling.FAILS


def test_draws_left_to_us_are_enough(monkeypatch):
    monkeypatch.setattr("workbench.influence.posterior_options.DRAWS", 60)
    settings = workbench.Settings(
        checkpoints=4, t_max=6.0, eta=0.1, hidden=4, measures=("local_bif",), chains=2, force_short=True, draws=60
    )
    assert unresolved(workbench.compare(TASK, settings).dataset)
    ds = workbench.compare(TASK, replace(settings, draws=None)).dataset
    assert ds["local_bif_simulated"].attrs["draws"] > 60
    # The second look is as noisy as the first one said it would be: errors of errors are 10% here.
    assert all(noise < 1.2 / 3 for noise, _ in unresolved(ds).values())
