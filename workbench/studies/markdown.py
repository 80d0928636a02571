"""``findings.md``: question, answer, number and figure of every study, from what `workbench study` wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.report.directory import MARKER

_HEAD = """# Findings

What the studies of `workbench study` found. Nothing on this page is typed in: `docs/write_findings.py` wrote it from
the results themselves, each with the size and seed that stand below it. A claim that fails is a finding, too. The
abstract of the paper is put to the test sentence by sentence by `workbench paper`;
[notebook 7](../notebooks/07_findings.ipynb) asks some of the questions at reduced size.

One sign everywhere: influence of i on j is the change of j's loss per extra weight on i; negative helps.
"""


@dataclass(frozen=True, eq=False)
class Written:
    """A study as its directory has it.

    Attributes:
        name, question, finding: of the study. caption, alt: of its figure.
        claims: a row each, as in ``findings.csv``.
        folder: the directory. settings: size, seed and version.
    """

    name: str
    question: str
    finding: str
    caption: str
    alt: str
    claims: pd.DataFrame
    folder: Path
    settings: dict[str, Any]

    @property
    def held(self) -> str:
        """How many claims hold."""
        return f"{int(self.claims['holds'].sum())} of {len(self.claims)}"

    @property
    def anchor(self) -> str:
        """Of its heading, as GitHub and MyST make it."""
        return re.sub(r"[^\w\- ]", "", self.question.lower()).replace(" ", "-")


def written_studies(folders: Sequence[Path]) -> list[Written]:
    """The studies in these directories, in the order of the package's list; of two results the first counts.

    Raises:
        WorkbenchError: for a directory that `workbench study` did not write.
    """
    from workbench.studies import studies

    read: dict[str, Written] = {}
    questions = {name: study.question for name, study in studies().items()}
    for folder in folders:
        for one in _in(folder, questions):
            read.setdefault(one.name, one)
    return [read[name] for name in questions if name in read]


def _in(folder: Path, questions: dict[str, str]) -> Iterator[Written]:
    try:
        config = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        table = pd.read_csv(folder / "findings.csv")
        figures, settings = config["figures"], config["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise WorkbenchError(f"{folder} is no result of `workbench study`: {error}") from None
    for name, claims in table.groupby("study", sort=False):
        if name in questions and name in figures:
            words, finding = figures[name], str(claims["finding"].iloc[0])
            yield Written(
                str(name), questions[str(name)], finding, words["caption"], words["alt"], claims, folder, settings
            )


def findings_markdown(results: Sequence[Written], figures: str = "") -> str:
    """The page; its figures are looked for in the folder ``figures`` beside it."""
    rows = [
        f"| [{one.question}](#{one.anchor}) | {_cell(one.finding)} | {one.held} | "
        f"[![{_cell(one.alt)}]({figures}{one.name}.png)]({figures}{one.name}.png) |"
        for one in results
    ]
    table = "\n".join(["| question | answer | claims that hold | figure |", "|---|---|---|---|", *rows])
    return "\n".join([_HEAD, table, "", *(_section(one, figures) for one in results)])


def _section(one: Written, figures: str) -> str:
    size = "reduced size" if one.settings.get("quick") else "full size"
    image = f"![{one.alt}]({figures}{one.name}.png)"
    head = f"\n## {one.question}\n\n**{one.finding}**\n\n{image}\n"
    claims = [
        f"| {'holds' if c.holds else '**fails**'} | {_cell(str(c.claim))} | {c.value:.4g} {c.relation} {c.bound:.4g} | "
        f"{_cell(str(c.reason))} |"
        for c in one.claims.itertuples()
    ]
    table = "\n".join(["| | claim | value and bound | why this bound |", "|---|---|---|---|", *claims])
    task = one.settings.get("task") or "of the study's own"
    made = f"`workbench study {one.name}`: {size}, task {task}, seed {one.settings['seed']}."
    return f"{head}\n{one.caption}\n\n{table}\n\n{made}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def surprising(results: Sequence[Written], chosen: Sequence[tuple[str, str]], page: str) -> str:
    """A line each of claims, named by study and how they begin: the claim, its number, whether it held, and a link.

    Raises:
        WorkbenchError: if a claim is not among the results.
    """
    lines = []
    for name, begins in chosen:
        one = next((one for one in results if one.name == name), None)
        rows = None if one is None else one.claims[one.claims["claim"].str.startswith(begins)]
        if one is None or rows is None or rows.empty:
            raise WorkbenchError(f"no claim of study {name} begins with {begins!r}; write what is there")
        claim = rows.iloc[0]
        ruling = "holds" if claim["holds"] else "does not hold"
        lines.append(
            f"- {claim['claim']}: {ruling} ({claim['value']:.3g} {claim['relation']} {claim['bound']:.3g}, "
            f"{claim['reason']}). [{name}]({page}#{one.anchor})"
        )
    return "\n".join(lines)
