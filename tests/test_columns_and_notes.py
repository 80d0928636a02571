"""Columns of unlike size, last times that show half of what there is, and settings that would not be what they say."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from workbench.comparison import Settings
from workbench.comparison.notes import notes_on_task
from workbench.comparison.planning import choose_schedules
from workbench.comparison.settings import settings_of
from workbench.errors import WorkbenchError
from workbench.networks import Init, choose_init, network
from workbench.semantics import SemanticTask, prepared, singular_modes, task_from_dataframe, task_from_spec
from workbench.theory import half_rise_times, mode_strengths


def unlike_sizes() -> SemanticTask:
    """22 items x 8 properties of scales .3 to 17441, as a table of cars or countries has them."""
    rng = np.random.default_rng(5)
    return task_from_dataframe(
        pd.DataFrame(rng.lognormal(size=(22, 8)) * np.geomspace(0.3, 17441, 8), index=[f"car {k}" for k in range(22)])
    )


def test_columns_are_brought_to_mean_0_and_spread_1():
    task = unlike_sizes()
    centred, standard = prepared(task, centre=True), prepared(task, standardise=True)
    frame = pd.DataFrame(task.Y.T)
    np.testing.assert_allclose(centred.Y.T, frame - frame.mean(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(standard.Y.T, (frame - frame.mean()) / frame.std(ddof=0), rtol=1e-9, atol=1e-12)
    assert prepared(task) is task
    assert (centred.name, standard.name) == ("DataFrame, columns centred", "DataFrame, columns standardised")


def test_centring_takes_the_mean_mode_and_leaves_the_others_of_a_tree():
    task = task_from_spec("tree:2,3")
    modes, centred = singular_modes(task), singular_modes(prepared(task, centre=True))
    np.testing.assert_allclose(centred.s, modes.s[modes.level[: modes.rank] > 0], rtol=1e-12)
    assert (centred.level[: centred.rank] > 0).all()


def test_a_property_that_all_items_share_becomes_zero_and_nothing_else_is_refused():
    task = task_from_spec("tree:2,2")
    assert not prepared(task, standardise=True).Y[0].any()
    with pytest.raises(WorkbenchError, match="nothing is left of them once they are centred"):
        prepared(task_from_dataframe(pd.DataFrame({"a": [1, 1]}, index=["x", "y"])), centre=True)


def test_the_note_counts_the_modes_that_are_half_learned_and_names_a_time_that_shows_all():
    task = unlike_sizes()
    start = network(task, 16, choose_init(task), seed=0)
    schedules = choose_schedules(start, 20, None, None)
    t_max = float(schedules.training.times[-1])
    (note,) = [note for note in notes_on_task(start, t_max) if "half learned" in note]
    rises = half_rise_times(start)
    assert note.startswith(f"{(rises <= t_max).sum()} of 8 modes")
    shows_all = float(note.split("`t_max` ")[1].split()[0])
    final = start.modes.s / start.modes.c
    assert (mode_strengths(start, [shows_all])[0] >= 0.95 * final).all()
    assert not [note for note in notes_on_task(start, shows_all) if "half learned" in note]
    assert rises.max() > t_max


def test_a_task_whose_modes_are_all_learned_has_no_note_on_time():
    start = network(task_from_spec("tree"), 16, Init("balanced", 0.01), seed=0)
    t_max = float(choose_schedules(start, 20, None, None).training.times[-1])
    assert notes_on_task(start, t_max) == []


@pytest.mark.parametrize(
    ("Y", "why"),
    [
        (np.eye(2, 4) + 1, "the 4 items span 2 modes (a table of 2 properties has no more)"),
        (np.ones((1, 3)), "the 3 items span 1 mode (a table of 1 property has no more)"),
        ([[1, 1, 0], [0, 0, 1], [1, 1, 1.0]], "the 3 items span 2 modes (repeated or dependent rows)"),
        (np.eye(3) - 1 / 3, "the 3 items span 2 modes (what all items share was taken away by centring)"),
    ],
)
def test_fewer_modes_than_items_are_given_their_reason(Y, why):
    Y = np.asarray(Y)
    names = [f"x{k}" for k in range(max(Y.shape))]
    task = SemanticTask("t", names[: Y.shape[1]], names[: Y.shape[0]], Y)
    start = network(task, 8, Init("balanced", 1e-3), seed=0)
    assert [note for note in notes_on_task(start, 1e9) if "span" in note] == [f"{why}; the rest has nothing to learn"]


def test_fewer_units_than_modes_is_said_in_good_grammar():
    task = task_from_spec("tree:2")
    start = network(task, 1, Init("balanced", 0.01), seed=0)
    notes = notes_on_task(start, 1e9)
    assert notes[0].startswith("1 hidden unit for 2 modes: the weakest is never learned")


def test_how_columns_were_prepared_is_in_the_record():
    settings = Settings(centre=True, standardise=True)
    assert settings.record()["centre"] is True
    assert settings_of(settings.record()) == settings


SMALL = ("--task", "tree:2,2", "--checkpoints", 5, "--hidden", 4, "--quiet")


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["--eta", 1e30], "--eta 1e+30 is longer than the"),
        (["--eta-fraction", 5, "--t-max", 10], "is longer than the 2.5 of flow time between two checkpoints"),
        (["--window", "500:600", "--measures", "window_removal"], "--window 500:600 begins after the last flow time"),
        (["--gamma", 1e60, "--measures", "local_bif"], "spread is lost in rounding; use at most"),
        (["--gamma", 1e-60, "--measures", "local_bif"], "condition not met: the local posterior exists"),
        (["--gamma", 1e-61], "give a positive number from 1e-60 to 1e+60"),
        (["--init", "gaussian:1e61"], "give a scale between 1e-60 and 1e+60"),
    ],
)
def test_a_setting_that_would_not_be_what_it_says_is_refused(run_cli, tmp_path, argv, fault):
    ran = run_cli("compare", *SMALL, *argv, "--out", tmp_path / "result")
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert fault in ran.err
    assert list(tmp_path.iterdir()) == []


def test_the_largest_gamma_that_is_allowed_holds_every_claim(run_cli, tmp_path, no_figures):
    ran = run_cli("compare", *SMALL, "--measures", "local_bif", "--gamma", 1e60, "--out", tmp_path / "result")
    most = ran.err.split("use at most ")[1].strip()
    ran = run_cli("compare", *SMALL, "--measures", "local_bif", "--gamma", most, "--out", tmp_path / "result")
    assert ran.code == 0, ran
    assert "FAILS" not in ran.out
    assert "nan" not in ran.out


def test_a_learning_rate_between_checkpoints_is_said_to_be_changed():
    start = network(task_from_spec("tree:2,2"), 4, Init("balanced", 0.01), seed=0)
    schedules = choose_schedules(start, 5, 10.0, 0.3)
    assert schedules.training.eta == pytest.approx(2.5 / 9)
    assert schedules.notes == ["learning rate 0.2778 in place of 0.3, so that the checkpoints are whole steps"]


def test_a_prediction_beyond_memory_is_refused_before_anything_is_built(monkeypatch):
    from workbench.comparison import prediction as module

    def never(*args, **options):
        raise AssertionError("something was built")

    monkeypatch.setattr(module, "network", never)
    task = SemanticTask("t", [f"i{k}" for k in range(4000)], ["p"], np.ones((1, 4000)))
    with pytest.raises(WorkbenchError, match=r"GB \(limit 2 GB\); keep fewer items"):
        module.prediction(task)
    with pytest.raises(WorkbenchError, match=r"TB \(limit 2 GB\)"):
        module.prediction(task_from_spec("tree:2"), hidden=10**6)


def test_a_property_lost_in_rounding_is_called_that_and_not_dependent():
    rng = np.random.default_rng(3)
    task = task_from_dataframe(pd.DataFrame(rng.normal(size=(7, 3)) * [1e-6, 1, 1e6], index=list("abcdefg")))
    notes = notes_on_task(network(task, 16, choose_init(task), seed=0), 1e9)
    assert not [note for note in notes if "span" in note]
    (note,) = [note for note in notes if "rounding" in note]
    assert note.startswith("2 modes of 3 can be told from rounding") and "`standardise`" in note
    assert not [n for n in notes_on_task(network(prepared(task, standardise=True), 16, seed=0), 1e9) if "rounding" in n]


def test_modes_that_start_above_half_of_their_end_are_counted_and_the_start_that_is_named_shows_them():
    task = task_from_dataframe(pd.DataFrame(np.diag([10.0, 1.0, 1e-3]), index=list("abc")))
    start = network(task, 16, Init("balanced", 0.01), seed=0)
    assert np.isinf(half_rise_times(start)).sum() == 1
    (note,) = [note for note in notes_on_task(start, 1e9) if "above half" in note]
    assert note.startswith("1 of 3 modes starts at 0.01")
    smaller = network(task, 16, note.split("`init` ")[1].split()[0], seed=0)
    assert np.isfinite(half_rise_times(smaller)).all()
    assert not [note for note in notes_on_task(smaller, 1e9) if "above half" in note]


def test_figures_record_how_columns_were_prepared(run_cli, tmp_path):
    ran = run_cli(
        *("figures", "--task", "tree:2,2", "--standardise", "--only", "loss", "--formats", "png"),
        *("--out", tmp_path / "figures"),
    )
    assert ran.code == 0, ran
    assert '"standardise": true' in (tmp_path / "figures" / "config.json").read_text()


def test_many_properties_cost_no_square_of_memory():
    import tracemalloc

    rng = np.random.default_rng(0)
    task = task_from_dataframe(pd.DataFrame(rng.integers(0, 9, (4, 20_000)), index=list("wxyz")))
    tracemalloc.start()
    modes = singular_modes(task)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * task.Y.nbytes  # the square of 20,000 would be 5,000 times Y
    np.testing.assert_allclose(modes.s**2 * 4, np.linalg.eigvalsh(task.Y.T @ task.Y)[::-1] / 4, rtol=1e-9)


def test_training_keeps_within_its_time_and_long_training_is_announced(run_cli, tmp_path, monkeypatch):
    start = network(task_from_spec("tree:2,2"), 16, Init("balanced", 1e-30), seed=0)
    schedules = choose_schedules(start, 60, None, None, retrains=True)
    assert schedules.seconds(start, retrains=False) <= 45.0
    assert schedules.seconds(start, retrains=True) <= 91.0

    def stop(*args, **options):
        raise WorkbenchError("far enough")

    monkeypatch.setattr(sys.modules["workbench.comparison.compare"], "train", stop)  # a function has its name
    ran = run_cli("compare", "--task", "tree:2,2", "--init", "balanced:1e-30", "--out", tmp_path / "result", "--quiet")
    # 45 seconds of training; retraining is extrapolated from coarser steps.
    assert "note: training will take about 0.78 minutes; a larger --eta makes it shorter\n" in ran.out
    assert "far enough" in ran.err
