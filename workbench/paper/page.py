"""One self-contained page: a claim a section, its figure, its numbers with errors, and a verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from workbench import __version__, dataset
from workbench.comparison import Comparison
from workbench.figures import Rendered, save
from workbench.paper.curves import short_name
from workbench.paper.sentence import Sentence
from workbench.report.directory import MARKER, staged
from workbench.report.images import illustration
from workbench.report.markup import Markup, document, element, slug, together
from workbench.report.page import CSS
from workbench.report.tables import table
from workbench.store.files import write_file

_SIGNS = {"<=": "≤", ">=": "≥"}
_TITLE = "The abstract, sentence by sentence"
#: The list at the top holds the verdicts: it is printed, too.
_STYLE = (
    "nav ol { columns: 1; } .claim { font-size: 1.1rem; font-weight: 600; } @media print { nav { display: block; } }"
)
_SOURCE = (
    "Lee, Smith, Adam & Hoogland, Influence Dynamics and Stagewise Data Attribution (arXiv 2510.12071). The claims "
    "are in our words. Influence of i on j is the change of j's loss per extra weight on i: negative helps, positive "
    "harms. A sentence holds where every check made for it does; in part where some do; what fails is named."
)


def write_paper(
    sentences: Sequence[Sentence],
    comparison: Comparison,
    language: xr.Dataset,
    target: Path,
    *,
    settings: dict[str, object],
    force: bool = False,
) -> None:
    """Write ``paper.html``, ``verdicts.csv``, the data and ``figures/`` into ``target``, whole or not at all."""
    with staged(target, force) as work:
        dataset.write(comparison.dataset, work / dataset.RESULT)
        dataset.write(language, work / "language.nc")
        drawn = {}
        for sentence in sentences:
            write_file(work / f"{sentence.name}.csv", sentence.numbers.to_csv(index=False))
            if sentence.figure is not None:
                facts = {"code_version": __version__, **settings}
                drawn[sentence.name] = save(sentence.figure, work / "figures", sentence.name, facts)
        write_file(work / "verdicts.csv", checks_table(sentences).to_csv(index=False))
        write_file(work / "paper.html", page(sentences, drawn, settings))
        resolved = {"code_version": __version__}
        write_file(work / MARKER, json.dumps({"settings": settings, "resolved": resolved}, indent=2) + "\n")


def checks_table(sentences: Sequence[Sentence]) -> pd.DataFrame:
    """Every check of every sentence."""
    rows = [
        [s.name, s.claim, s.verdict, c.sentence, c.value, c.relation, c.bound, c.holds, c.reason]
        for s in sentences
        for c in s.checks
    ]
    columns = ["name", "claim", "verdict", "check", "value", "relation", "bound", "holds", "reason"]
    return pd.DataFrame(rows, columns=columns)


def page(sentences: Sequence[Sentence], drawn: dict[str, Rendered], settings: dict[str, object]) -> str:
    """One HTML file that needs no network and no script."""
    sections = [
        (f"{k}. {s.words.title if s.words else s.name}", _section(s, drawn)) for k, s in enumerate(sentences, 1)
    ]
    sections.append(
        ("How it was made", element("pre", json.dumps({"code_version": __version__, **settings}, indent=2)))
    )
    links = [
        element("li", element("a", sentence.claim, href=f"#{slug(title)}"), " ", _badge(sentence))
        for sentence, (title, _) in zip(sentences, sections, strict=False)
    ]
    contents = element("nav", element("ol", *links), aria_label="Contents")
    body = together(
        element("header", element("h1", _TITLE), element("p", _SOURCE, class_="note"), contents),
        element("main", *(element("section", element("h2", name), inner, id=slug(name)) for name, inner in sections)),
    )
    return together(document(_TITLE, CSS + _STYLE, body), "\n")


def _badge(sentence: Sentence) -> Markup:
    return element("span", sentence.verdict, class_=f"verdict {sentence.kind}")


def _spoken(numbers: pd.DataFrame) -> pd.DataFrame:
    """The numbers as people read them; files keep the names of the code."""
    named = numbers.rename(columns={"closed_form": "closed form"})
    if "measure" in named:
        named["measure"] = named["measure"].map(short_name)
    return named.replace("\\+-", "±", regex=True)


def _section(sentence: Sentence, drawn: dict[str, Rendered]) -> Markup:
    image = Markup()
    if sentence.words is not None and sentence.name in drawn:
        image = illustration(sentence.name, sentence.words, drawn[sentence.name])
    missing = Markup()
    if sentence.missing:
        listed = element("ul", *(element("li", line) for line in sentence.missing))
        missing = together(element("p", "What does not hold:"), listed)
    checks = pd.DataFrame(
        [
            [
                "holds" if c.holds else "fails",
                c.value,
                f"{_SIGNS.get(c.relation, c.relation)} {c.bound:.4g}",
                c.reason.replace("+-", "±"),
            ]
            for c in sentence.checks
        ],
        columns=["verdict", "found", "bound", "why this bound"],
        index=pd.Index([c.sentence for c in sentence.checks], name="check"),
    )
    return together(
        element("p", sentence.claim, class_="claim"),
        element("p", "Verdict: ", _badge(sentence)),
        missing,
        element("p", sentence.asked),
        image,
        table(f"Checks: {sentence.claim}", checks, ""),
        element(
            "details",
            element("summary", f"Numbers with their errors ({len(sentence.numbers)} rows)"),
            table(f"Numbers: {sentence.claim}", _spoken(sentence.numbers), sentence.note),
        ),
    )
