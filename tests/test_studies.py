"""Studies: the frame they stand in, and what each must have."""

import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.semantics import SemanticTask
from workbench.studies import FILES, Inquiry, StudyClaim, studies, study_named


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
