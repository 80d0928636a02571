"""The measures as objects: their words and options reach everything that shows or asks for them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from workbench import influence
from workbench.comparison import Settings, compare
from workbench.comparison.options import all_options
from workbench.comparison.settings import settings_of
from workbench.errors import WorkbenchError
from workbench.influence import MEASURES, Measure, Option
from workbench.networks import network
from workbench.semantics import rumelhart_task

QUICK = {"checkpoints": 4, "hidden": 4, "eta": 0.05, "t_max": 4.0}


def test_importing_the_measures_and_what_shows_them_imports_neither_torch_nor_pyplot():
    packages = ("", ".influence", ".comparison.settings", ".figures", ".cli")
    code = "".join(
        f"import sys, workbench{name}\nassert not {{'torch', 'matplotlib.pyplot'}} & set(sys.modules), {name!r}\n"
        for name in packages
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_a_measure_without_a_side_or_with_a_name_that_is_none_is_refused():
    words = {"title": "t", "short": "t", "units": "loss", "meaning": "m"}
    with pytest.raises(WorkbenchError, match="has no side"):
        Measure(name="empty", **words)
    with pytest.raises(WorkbenchError, match="Python identifier"):
        Measure(name="no name", analytic=lambda *_: None, **words)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
def test_every_measure_says_what_it_is_in_words_symbols_and_units(measure):
    for text in (measure.title, measure.short, measure.meaning, measure.formula, measure.definition, measure.units):
        assert text
    assert measure.by_theory or measure.analytic is None
    assert measure.by_simulation or measure.simulated is None
    assert measure.meaning.endswith(".")


def test_keys_of_what_verdicts_judge_are_unique():
    keys = [expectation.key for measure in MEASURES.values() for expectation in measure.expectations]
    assert len(set(keys)) == len(keys)


def test_options_of_measures_are_keywords_and_attributes_of_settings():
    settings = Settings(n_beta=50.0, window=(1.0, 2.0), convention="renormalised", draws=80)
    assert (settings.n_beta, settings.window, settings.gamma, settings.draws) == (50.0, (1.0, 2.0), None, 80)
    assert settings.of(MEASURES["window_removal"]) == {"window": (1.0, 2.0), "convention": "renormalised"}
    assert replace(settings, n_beta=2.0, hidden=3).options == {**settings.options, "n_beta": 2.0}
    assert Settings() == Settings(hidden=16) != Settings(gamma=3.0)
    with pytest.raises(AttributeError):
        settings.nbeta  # noqa: B018


def test_settings_come_back_from_their_record_through_json():
    settings = Settings(task="tree", window=(1.0, 2.0), measures=("local_bif",), eta=0.1)
    assert settings_of(json.loads(json.dumps(settings.record()))) == settings


def test_a_setting_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(WorkbenchError, match="no setting `n_betta`; did you mean `n_beta`"):
        Settings(n_betta=3.0)


def test_a_comparison_records_the_task_it_was_given():
    task = rumelhart_task()
    ds = compare(task, Settings(**QUICK), measures=["gradient_kernel"]).dataset
    assert (ds.attrs["task"], ds.attrs["task_source"], ds.attrs["task_digest"]) == (task.name, task.source, task.digest)
    assert json.loads(ds.attrs["config"])["task"] is None


def test_every_option_is_a_flag_with_its_help(run_cli):
    shown = " ".join(run_cli("compare", "--help").out.split())
    for option in all_options():
        assert f"--{option.name.replace('_', '-')}" in shown
        assert option.help.format(measures=", ".join(MEASURES)) in shown, option.name


def test_two_measures_may_share_an_option_but_not_a_name():
    shared = [option for option in all_options() if option.name == "convention"]
    assert len(shared) == 1
    other = replace(MEASURES["leave_one_out"], name="other", options=(Option("convention", "number", "another"),))
    with pytest.raises(WorkbenchError, match="convention"):
        Settings(measures=(other,))


def test_options_are_chosen_in_order_from_the_trajectory_and_checked():
    measure = MEASURES["local_bif"]
    task = rumelhart_task()
    predicted = influence.predict(network(task, 4, "balanced:0.01"), [0.0, 1.0])
    few, many = (measure.resolve(predicted, {"n_beta": n_beta}) for n_beta in (7.0, 70.0))
    assert few["gamma"] < many["gamma"] and few["chains"] == 4
    with pytest.raises(WorkbenchError, match="has no option colour; it has n_beta, gamma"):
        measure.resolve(predicted, {"colour": "red"})
