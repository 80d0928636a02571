"""Studies: the frame they stand in, and what each must have."""

import logging

import pytest
import xarray as xr
from matplotlib.figure import Figure

from workbench.errors import WorkbenchError
from workbench.semantics import SemanticTask
from workbench.store import Slot, Store
from workbench.studies import FILES, Inquiry, Study, StudyClaim, StudyResult, studies, study_named
from workbench.studies.answers import answered
from workbench.studies.page import findings_page, findings_text
from workbench.verification import verify_studies


def test_every_file_of_the_list_is_a_study_of_its_name():
    assert list(studies()) == list(FILES)
    for study in studies().values():
        assert study.question.endswith("?") or study.question.endswith(".")


def test_a_claim_holds_by_its_relation_and_never_on_a_number_that_is_none():
    assert StudyClaim("", 1.0, "<=", 1.0, "").holds and not StudyClaim("", 1.1, "<=", 1.0, "").holds
    assert StudyClaim("", 1.0, ">=", 1.0, "").holds and not StudyClaim("", 0.9, ">=", 1.0, "").holds
    assert (
        not StudyClaim("", float("nan"), "<=", 1.0, "").holds and not StudyClaim("", float("nan"), ">=", 1.0, "").holds
    )


def test_an_unknown_study_is_refused_with_near_names():
    with pytest.raises(WorkbenchError, match="tree_in_influence"):
        study_named("tree_in_influenze")


def test_a_study_that_needs_a_tree_refuses_a_table():
    with pytest.raises(WorkbenchError, match="has no tree"):
        study_named("tree_in_influence").run(
            Inquiry(SemanticTask("flat", ("a", "b"), ("p",), [[1.0, 2.0]]), quick=True)
        )


def test_the_command_writes_what_it_draws_and_claims(tmp_path, run_cli):
    out = tmp_path / "out"
    ran = run_cli("study", "tree_in_influence", "--quick", "--task", "tree:2,2", "--out", out, "--quiet")
    assert ran.code in (0, 1), ran.err
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "findings.csv",
        "findings.html",
        "findings.txt",
        "tree_in_influence.nc",
        "tree_in_influence.png",
        "tree_in_influence.svg",
        "tree_in_influence.pdf",
    }
    with xr.open_dataset(out / "tree_in_influence.nc") as ds:
        assert ds.attrs["finding"] in ran.out


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("tree_in_influence", "--task", "nonsense"), ("--all", "tree_in_influence")]
)
def test_bad_input_is_one_line_and_exit_2(arguments, tmp_path, monkeypatch, run_cli):
    monkeypatch.chdir(tmp_path)
    ran = run_cli("study", *arguments, "--out", "x")
    assert ran.code == 2 and len(ran.err.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.fixture
def made_up():
    """A study with a claim that holds, one that fails and one about no number; how often it was run."""
    runs = []

    def answer(inquiry):
        runs.append(inquiry)
        claims = [StudyClaim(f"sure & {v}", v, "<=", 1.0, "why") for v in (0.5, 3.0, float("nan"))]
        return StudyResult("It is <so>.", xr.Dataset({"x": 2.0}), lambda ds: Figure(), "caption", "alt", claims)

    return Study("made_up", "Is it so?", answer), runs


def test_a_finished_study_is_not_run_again_and_its_answer_is_the_same(tmp_path, made_up):
    study, runs = made_up
    store = Store.create(tmp_path / "kept", {})
    first, second = (answered(study, Inquiry(), slot=Slot(store, "made_up")) for _ in range(2))
    assert len(runs) == 1 and first.files == second.files and findings_text([first]) == findings_text([second])
    assert [claim.holds for claim in second.claims] == [True, False, False]
    store.remove()


def test_the_page_shows_what_fails_and_escapes_what_was_found(made_up):
    page = findings_page([answered(made_up[0], Inquiry())], "note")
    assert page.count("Fails: ") == 2 and "It is &lt;so&gt;." in page and "1 of 3" in page


def test_claims_of_studies_are_claims_of_verify_that_can_fail(made_up):
    checked = verify_studies([made_up[0]])
    assert [one.verdict for one in checked] == ["holds", "FAIL", "FAIL"]
    assert checked[1].outcome.difference == 2.0
    broken = Study("broken", "?", lambda inquiry: 1 / 0)
    assert [one.verdict for one in verify_studies([broken])] == ["FAIL"]


def test_one_that_cannot_be_asked_of_the_task_is_left_out_with_its_reason(made_up):
    task = SemanticTask("flat", ("a", "b"), ("p",), [[1.0, 2.0]])
    study = Study("own", "?", made_up[0].answer, own_task="it has to be that tree")
    left = answered(study, Inquiry(task), skip=True)
    assert "it has to be that tree" in left.left_out and not left.files and left.holds
    assert "left out" in findings_page([left], "note")


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_note_of_a_study_is_printed_before_its_finding_unless_quiet(quiet, made_up, run_cli, monkeypatch):
    def answer(inquiry):
        logging.getLogger("workbench").info("expected gain 3")
        return made_up[0].answer(inquiry)

    monkeypatch.setattr("workbench.studies.study_named", lambda name: Study(name, "Is it so?", answer))
    told = run_cli("study", "made_up", *quiet).out
    assert ("note: expected gain 3" in told.split("It is <so>.")[0]) is not bool(quiet)


def test_a_task_of_too_many_items_is_refused_with_its_size_the_limit_and_the_reason():
    Inquiry(SemanticTask("flat", ("a", "b"), ("p",), [[1.0, 2.0]])).allow(2, 2, "why")
    with pytest.raises(WorkbenchError, match=r"'flat' has 2 items, and this study takes 3 to 9: why"):
        Inquiry(SemanticTask("flat", ("a", "b"), ("p",), [[1.0, 2.0]])).allow(3, 9, "why")
