"""The page of findings says what the results say, and nothing else."""

import json

import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.studies.markdown import findings_markdown, surprising, written_studies


@pytest.fixture
def folder(tmp_path):
    rows = [
        ["loss_off", "It holds", 1.234, "<=", 2.0, True, "a | reason", "Found 1.234."],
        ["loss_off", "It does not", 3.0, "<=", 2.0, False, "another", "Found 1.234."],
    ]
    columns = ["study", "claim", "value", "relation", "bound", "holds", "reason", "finding"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "findings.csv", index=False)
    config = {
        "settings": {"quick": True, "task": None, "seed": 7},
        "figures": {"loss_off": {"caption": "C.", "alt": "A."}},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_the_page_has_question_answer_number_and_figure_of_what_was_written(folder):
    page = findings_markdown(written_studies([folder, folder]), "findings/")
    assert page.count("## What is left of the local BIF") == 1
    for part in (
        "Found 1.234.",
        "1 of 2",
        "(findings/loss_off.png)",
        "1.234 <= 2",
        "**fails**",
        "seed 7",
        "a \\| reason",
    ):
        assert part in page
    assert "reduced size" in page


def test_a_line_for_the_readme_is_the_claim_with_its_number_or_is_refused(folder):
    results = written_studies([folder])
    line = surprising(results, [("loss_off", "It does not")], "docs/findings.md")
    assert (
        "does not hold (3 <= 2, another)" in line
        and "docs/findings.md#what-is-left-of-the-local-bif-when-the-loss-is-switched-off" in line
    )
    with pytest.raises(WorkbenchError, match="begins with"):
        surprising(results, [("loss_off", "Something else")], "x")


def test_a_directory_of_something_else_is_refused(tmp_path):
    with pytest.raises(WorkbenchError, match="no result of `workbench study`"):
        written_studies([tmp_path])
