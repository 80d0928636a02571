"""``leaderboard.html``: the table, and for each method its curves over the truth's and where it fails, in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
import pandas as pd

from workbench import __version__
from workbench.bench.curves import draw_curves
from workbench.bench.markdown import PROBLEM_NOTE, problem_table, versions
from workbench.bench.method import Method
from workbench.bench.runner import Evaluation
from workbench.bench.summary import RANKED_BY, where_it_fails
from workbench.bench.truth import Truths
from workbench.figures.reading import powers
from workbench.report.markup import Markup, document, element, slug, together, void
from workbench.report.page import CSS
from workbench.report.tables import table

_STYLE = """
body { max-width: 1280px; }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
td.number, th { padding: .28rem .45rem; }
td.method { white-space: nowrap; }
tr.control { color: var(--muted); font-style: italic; }
"""

#: Sorts the rows by the column whose heading is pressed; missing values go last.
_SORT = """
document.querySelectorAll("table.sortable").forEach(table => {
  table.querySelectorAll("thead button").forEach((button, column) => button.addEventListener("click", () => {
    const heading = button.parentElement, down = heading.getAttribute("aria-sort") !== "descending";
    table.querySelectorAll("thead th").forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.value, body = table.tBodies[0];
    const compare = (a, b) => {
      const x = Number(key(a)), y = Number(key(b));
      if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
      const order = Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
      return down ? -order : order;
    };
    [...body.rows].sort(compare).forEach(row => body.append(row));
  }));
});
"""


def leaderboard_page(
    board: pd.DataFrame,
    methods: Mapping[str, Method],
    truths: Mapping[str, Truths],
    evaluations: Mapping[tuple[str, str], Evaluation],
) -> str:
    """The page as text; it needs no network."""
    title = "Attribution methods against influence that is exactly known"
    sections = [_method_section(methods[name], truths, evaluations) for name in board.method]
    body = together(
        element("h1", title),
        element("p", _how_to_read(truths)),
        element("p", versions(), class_="note"),
        _board(board),
        element("h2", "Problems"),
        table("Problems", problem_table(truths).set_index("problem"), PROBLEM_NOTE),
        element("h2", "Methods"),
        *sections,
        element("script", Markup(_SORT)),
    )
    return str(document(title, CSS + _STYLE, body))


def _how_to_read(truths: Mapping[str, Truths]) -> str:
    return (
        f"Ranked by agreement with the exact {RANKED_BY} of training: the cosine between estimate and truth over the "
        "times and pairs of one level of the common ancestor, averaged over levels and problems "
        f"({', '.join(truths)}). It is blind to scale and counts no item's influence on itself. Controls (in italics) "
        "know nothing, or the wrong thing; one that does not come last would mean that the table is wrong. Press a "
        "heading to sort. Influence is the change of the target's loss per extra weight on the source: negative helps."
    )


def _board(board: pd.DataFrame) -> Markup:
    columns = [name for name in board.columns if name != "control"]
    head = element("tr", *(element("th", element("button", name, type="button"), scope="col") for name in columns))
    rows = []
    for record in board.to_dict("records"):
        cells = [_cell(record[name], name) for name in columns]
        rows.append(element("tr", *cells, **({"class_": "control"} if record["control"] else {})))
    whole = element("table", element("thead", head), element("tbody", *rows), class_="sortable")
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label="Leaderboard")


def _cell(value: object, column: str) -> Markup:
    if column == "method":
        return element(
            "td", element("a", str(value), href=f"#{slug(str(value))}"), class_="method", data_value=str(value)
        )
    number = float(value)  # type: ignore[arg-type]
    known = bool(np.isfinite(number))
    text = "–" if not known else f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return element("td", text, class_="number", data_value=repr(number) if known else "")


def _method_section(
    method: Method, truths: Mapping[str, Truths], evaluations: Mapping[tuple[str, str], Evaluation]
) -> Markup:
    parts = [element("h3", method.name + (" (control)" if method.control else ""))]
    facts = f"Scale: {powers(method.scale)}. Sign as registered: {method.sign.replace('_', ' ')}. {method.source}"
    parts.append(element("p", facts, class_="note"))
    for name, truth in truths.items():
        evaluation = evaluations[method.name, name]
        parts.append(element("ul", *(element("li", sentence) for sentence in where_it_fails(evaluation, truth))))
        if evaluation.influence is not None:
            parts.append(_image(evaluation, truth))
    return element("section", *parts, id=slug(method.name))


def _image(evaluation: Evaluation, truth: Truths) -> Markup:
    stream = io.BytesIO()
    draw_curves(evaluation, truth).savefig(
        stream, format="png", dpi=110, metadata={"Software": f"workbench {__version__}"}
    )
    uri = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    about = f"{evaluation.method.name} on {evaluation.problem.name}: mean influence by level, estimate over truth"
    caption = f"{evaluation.problem.name}: plum {evaluation.method.name}, grey the truth; means over pairs and seeds."
    return element("figure", void("img", src=uri, alt=about, loading="lazy"), element("figcaption", caption))
