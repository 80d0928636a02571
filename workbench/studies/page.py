"""``findings.html`` and ``findings.txt``: every study's question, finding, claims and figure."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Sequence

from workbench import __version__
from workbench.report.markup import Markup, document, element, slug, together, void
from workbench.report.page import CSS
from workbench.studies.answers import Answer, summary_table
from workbench.studies.study import StudyClaim

_STYLE = """
body { max-width: 1100px; } figure img { width: 100%; }
td { vertical-align: top; } td a code { white-space: nowrap; } .fails { font-weight: 600; }
"""
_HEADINGS = ("study", "question", "finding", "claims that hold")


def findings_text(answers: Sequence[Answer]) -> str:
    """The table as text, a paragraph a study."""
    width, blocks = 100, []
    for name, question, finding, held in summary_table(answers):
        lines = [f"{name} ({held} claims hold)", *_wrapped(question, width), *_wrapped(finding, width)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")


def findings_page(answers: Sequence[Answer], note: str) -> str:
    """The page as text, figures included; it needs no network.

    Args:
        answers: in the order to be shown.
        note: what was asked: task, size and seed.
    """
    title = "Findings about influence over training"
    body = together(
        element("h1", title),
        element("p", f"{note}. Written by workbench {__version__}.", class_="note"),
        _summary(answers),
        *(_section(answer) for answer in answers if not answer.left_out),
    )
    return str(document(title, CSS + _STYLE, body))


def _summary(answers: Sequence[Answer]) -> Markup:
    rows = []
    for (name, *cells), answer in zip(summary_table(answers), answers, strict=True):
        link = element("code", name) if answer.left_out else element("a", element("code", name), href=f"#{slug(name)}")
        rows.append(element("tr", element("td", link), *(element("td", cell) for cell in cells)))
    headings = element("tr", *(element("th", text, scope="col") for text in _HEADINGS))
    return element("table", element("thead", headings), element("tbody", *rows))


def _section(answer: Answer) -> Markup:
    picture = base64.b64encode(answer.files[f"{answer.study}.png"]).decode()
    figure = element(
        "figure",
        void("img", src=f"data:image/png;base64,{picture}", alt=answer.alt),
        element("figcaption", answer.caption),
    )
    numbers = element("p", "Every number drawn: ", element("code", f"{answer.study}.nc"), class_="note")
    return together(
        element("h2", answer.question, id=slug(answer.study)),
        element("p", answer.finding),
        figure,
        numbers,
        element("ul", *(_claim(claim) for claim in answer.claims)),
    )


def _claim(claim: StudyClaim) -> Markup:
    if claim.holds:
        return element("li", f"Holds: {claim}")
    return element("li", f"Fails: {claim}", class_="fails")
