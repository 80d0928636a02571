"""A measure of one's own: one object puts it through dataset, tables, figures, report, command line and explorer."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import workbench
from workbench.comparison import Settings, compare
from workbench.errors import WorkbenchError
from workbench.figures import influence_of_item
from workbench.influence import MEASURES, Beside, Expectation, Measure, Measured, Option
from workbench.report.introduction import introduction
from workbench.semantics import task_from_spec

TASK = task_from_spec("tree:2,2")
QUICK = {"checkpoints": 6, "hidden": 4, "eta": 0.05, "t_max": 12.0}

#: One file: outputs that move together, as an influence; known for trajectories of either side.
SOURCE = """
import numpy as np
from workbench.influence import MEASURES, Beside, Expectation, Measure, Measured, Option

def overlap(trajectory, options, work):
    outputs = trajectory.outputs - trajectory.task.Y
    return -np.swapaxes(outputs, 1, 2) @ outputs * options["sharpness"]

overlap_of_errors = Measure(
    name="overlap_of_errors",
    title="overlap of errors, by hand",
    short="overlap of errors",
    formula=r"$I_{ij}=-r_i\\cdot r_j$",
    units="loss",
    meaning="How much the errors of i and j point the same way.",
    analytic=overlap,
    by_theory="residuals of the predicted outputs",
    options=(Option("sharpness", "number", "factor of everything", default=2.0, metavar="X"),),
    quick_up_to=100,
)
MEASURES[overlap_of_errors.name] = overlap_of_errors
"""


@pytest.fixture
def overlap(monkeypatch):
    """The measure of `SOURCE`, registered while a test lasts."""
    monkeypatch.setattr("workbench.influence.MEASURES", MEASURES)
    monkeypatch.setitem(MEASURES, "overlap_of_errors", None)
    names: dict[str, object] = {}
    exec(SOURCE, names)
    return names["overlap_of_errors"]


def residuals(ds: xr.Dataset) -> np.ndarray:
    """``(T, P, P)`` what `SOURCE` measures, from mode strengths: the residual is ``sum_k (s_k/c - a_k) u_k v_k^T``."""
    c, P = ds.attrs["input_scale"], ds.sizes["item"]
    e = ds["singular_value"].values / c - ds["mode_strength_analytic"].values
    U, V = ds["left_mode"].values, ds["item_mode"].values
    r = np.sqrt(c * P) * np.einsum("ok,tk,pk->top", U, e, V)
    return -np.swapaxes(r, 1, 2) @ r


@pytest.fixture
def result(overlap):
    return compare(TASK, Settings(**QUICK, sharpness=3.0), measures=["gradient_kernel", overlap])


def test_it_stands_in_the_dataset_with_its_words_and_options(result):
    ds = result.dataset
    assert "overlap_of_errors_simulated" not in ds
    values = ds["overlap_of_errors_analytic"]
    np.testing.assert_allclose(values, 3.0 * residuals(ds), atol=1e-10)
    assert values.attrs["meaning"] == "How much the errors of i and j point the same way."
    assert values.attrs["side"] == "analytic" and '"sharpness": 3.0' in ds.attrs["config"]


def test_it_stands_in_errors_events_verdicts_and_summary(result):
    errors = result.errors()
    own = errors[errors["measure"] == "overlap_of_errors"]
    assert len(own) == (errors["measure"] == "gradient_kernel").sum() and own["relative_l2"].isna().all()
    events = result.events()
    own = events[(events["measure"] == "overlap_of_errors")]
    assert len(own) and own["analytic"].notna().all() and own["simulated"].isna().all()
    (verdict,) = (v for v in result.verdicts() if v.key == "overlap_of_errors")
    assert verdict.ruling.value == "not claimed" and "analytic side alone" in verdict.claim
    assert "overlap_of_errors" in result.summary() and "overlap_of_errors" in result._repr_html_()


def test_it_stands_in_the_figure_and_in_the_introduction_of_the_report(result):
    titles = [ax.get_title(loc=loc) for ax in influence_of_item(result.dataset).axes for loc in ("left", "center")]
    assert any(title.startswith("overlap of errors") for title in titles)
    words = introduction(result.dataset)
    assert "How much the errors of i and j point the same way." in words
    assert "residuals of the predicted outputs" in words and "Only the analytic side is present." in words


def test_the_command_line_offers_it_and_writes_a_report_with_it(overlap, run_cli, tmp_path, monkeypatch):
    shown = " ".join(run_cli("compare", "--help").out.split())
    assert "overlap_of_errors" in shown and "--sharpness X of overlap_of_errors: factor of everything" in shown
    options = ["--checkpoints", 6, "--hidden", 4, "--eta", 0.05, "--t-max", 12, "--sharpness", 3]
    out = tmp_path / "result"
    ran = run_cli("compare", "--task", "tree:2,2", "--out", out, "--measures", "overlap_of_errors", *options)
    assert ran.code == 0, ran.err
    assert "How much the errors of i and j" in (out / "report.html").read_text(encoding="utf-8")
    ds = workbench.load(out).dataset
    np.testing.assert_allclose(ds["overlap_of_errors_analytic"], 3.0 * residuals(ds), atol=1e-10)
    refused = run_cli("compare", "--task", "tree:2,2", "--out", tmp_path / "r", "--sharpness", "-1")
    assert refused.code == 2 and "--sharpness -1; give a positive number" in refused.err


def test_the_explorer_shows_it():
    code = SOURCE + (
        "\nfrom workbench.explorer.state import ExplorerState"
        "\nfrom workbench.explorer.controls import Controls"
        "\nfrom workbench.explorer.equations import formula"
        "\nfrom workbench.explorer.model import curves"
        "\nfrom workbench.explorer.scene import scene_of"
        "\nstate = ExplorerState(task='tree:2,2', hidden=4, measure='overlap_of_errors')"
        "\nassert curves(state, scene_of(state)).influence[0, 0, 0] < 0"
        "\nassert 'r_i' in formula(state)"
        "\nmenu = Controls(False, lambda: None, lambda line: None).measure.options"
        "\nassert ('overlap of errors', 'overlap_of_errors') in menu, menu"
    )
    pytest.importorskip("ipywidgets")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_measure_of_the_simulated_side_alone_has_its_standard_errors_and_flips_read():
    def wobble(trajectory, options, work):
        from workbench.influence import Measured

        t = trajectory.times[:, None, None]
        values = np.cos(t / 2) + np.zeros((1, 4, 4))
        return Measured(values, beside={"stderr": np.full(values.shape, 0.05)})

    mine = Measure(
        name="wobble",
        title="wobble",
        short="wobble",
        units="loss",
        meaning="A cosine.",
        simulated=wobble,
        beside=(workbench.influence.Beside("stderr", "wobble_simulated_stderr"),),
    )
    done = compare(TASK, Settings(**QUICK | {"checkpoints": 24}), measures=[mine])
    assert (done.dataset["wobble_simulated_stderr"] == 0.05).all()
    events = done.events()
    flips = events[events["event"] == "flip 1"]["simulated"]
    # Chords between checkpoints half a unit apart.
    assert len(flips) and np.allclose(flips, np.pi, atol=0.05)


def cosine(trajectory, options, work):
    """Minus the cosine between residuals: knows nothing of the steps before."""
    r = trajectory.task.Y.T - np.swapaxes(trajectory.outputs, 1, 2)
    r = r / np.linalg.norm(r, axis=2, keepdims=True)
    return -r @ np.swapaxes(r, 1, 2)


def two_sided(expected, wrong=0.0, noise=0.0):
    def simulated(trajectory, options, work):
        values = (1 + wrong) * cosine(trajectory, options, work)
        error = np.full(values.shape, noise)
        moved = values + noise * np.random.default_rng(1).standard_normal(values.shape)
        return Measured(moved, beside={"stderr": error} if noise else {})

    return Measure(
        name="cosine",
        title="cosine of residuals",
        short="cosine",
        units="1",
        meaning="Whether two items are still wrong in the same direction.",
        analytic=cosine,
        simulated=simulated,
        beside=(Beside("stderr", "cosine_simulated_stderr"),) if noise else (),
        expectations=tuple(Expectation(f"cosine_{rule}", "cosines agree", rule) for rule in expected),
    )


def verdict_on(measure, **settings):
    done = compare(TASK, Settings(**QUICK | {"t_max": 6.0} | settings), measures=[measure])
    (verdict,) = (v for v in done.verdicts() if v.key == "cosine")
    return verdict


@pytest.mark.parametrize("init", ["balanced:0.01", "gaussian:0.1"])
def test_one_that_knows_only_the_checkpoint_is_judged_by_the_effect_of_the_learning_rate(init):
    right = verdict_on(two_sided(["closed form"]), init=init, eta=0.02)
    assert right.ruling.value == "holds" and right.power < 0.5, right
    assert verdict_on(two_sided(["closed form"], wrong=2 * right.power), init=init, eta=0.02).ruling.value == "fails"


def test_the_effect_of_the_learning_rate_on_it_is_of_first_order():
    allowed = [float(verdict_on(two_sided(["closed form"]), eta=eta).allowed) for eta in (0.02, 0.01)]
    assert allowed[0] / allowed[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("init", ["balanced:0.01", "gaussian:0.1"])
def test_one_that_samples_is_judged_by_its_standard_errors(init):
    right = verdict_on(two_sided(["chains"], noise=0.02), init=init)
    assert right.ruling.value == "holds" and "standard errors" in right.claim
    assert verdict_on(two_sided(["chains"], wrong=2 * right.power, noise=0.02), init=init).ruling.value == "fails"
    alone = verdict_on(two_sided(["chains"]), init=init)
    assert alone.ruling.value == "not claimed" and "no standard errors" in alone.reason


@pytest.mark.parametrize("init", ["balanced:0.01", "gaussian:0.1"])
def test_one_that_expects_nothing_is_told_and_not_judged(init):
    silent = verdict_on(two_sided([]), init=init)
    assert silent.ruling.value == "not claimed" and "`expectations`" in silent.reason


def test_expectations_are_kept_with_a_result(tmp_path):
    measure = two_sided(["chains"], noise=0.02)
    compare(TASK, Settings(**QUICK), measures=[measure]).save(tmp_path / "own.nc")
    (verdict,) = (v for v in workbench.load(tmp_path / "own.nc").verdicts() if v.key == "cosine")
    assert verdict.ruling.value == "holds"


def test_an_option_that_a_measure_shares_must_be_the_same_object():
    convention = Option("convention", "number", "another")
    mine = Measure(
        name="mine", title="m", short="m", units="1", meaning="m", simulated=lambda *_: 0, options=(convention,)
    )
    with pytest.raises(workbench.errors.WorkbenchError, match="two options are called `convention`"):
        Settings(measures=(mine,))


def own(values):
    both = {"analytic": values, "simulated": values}
    return Measure(name="mine", title="mine", short="mine", units="1", meaning="of a test", **both)


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda: compare("tree:2,2"), "workbench.task_from_spec"),
        (lambda: workbench.network("tree:2,2"), "workbench.task_from_spec"),
        (lambda: Settings(measures="gradient_kernel"), r"give a tuple, \('gradient_kernel',\)"),
        (lambda: compare(TASK, measures="gradient_kernel"), r"give a tuple, \('gradient_kernel',\)"),
        (lambda: compare(TASK, measures=[len]), "Measure objects of your own"),
        (lambda: MEASURES["gradient_kernel"](workbench.network(TASK)), "of a trajectory, not of a Network"),
        (
            lambda: compare(TASK, Settings(**QUICK), measures=[own(lambda trajectory, options, work: np.eye(4))]),
            r"measure mine, analytic side, gave an array of shape \(4, 4\); expected .* = \(6, 4, 4\)",
        ),
    ],
)
def test_what_is_given_in_a_wrong_form_is_refused_in_one_line(misuse, message):
    with pytest.raises(WorkbenchError, match=message) as caught:
        misuse()
    assert "\n" not in str(caught.value)
