"""`write_report`: everything about one comparison in one HTML file that needs no network and no script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from workbench.agreement import Verdict
from workbench.figures import Rendered, Words
from workbench.report.conclusion import conclusion
from workbench.report.equations import equation
from workbench.report.images import illustration
from workbench.report.introduction import introduction, parameters
from workbench.report.markup import Markup, document, element, slug, together
from workbench.report.tables import table, verdict_class, verdict_table
from workbench.report.wording import noted
from workbench.store.files import write_file
from workbench.theory.closed_form import ClosedForm

CSS = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1d1d22; --muted: #5c5c66; --line: #d9d9e0;
  --panel: #f5f5f8;
  --link: #0b57b0; --good: #11703c; --bad: #a32a00; --open: #6b5a00; }
@media (prefers-color-scheme: dark) { :root { --ground: #16161a; --ink: #ececf1; --muted: #a8a8b3; --line:
  #3b3b45;
  --panel: #212127; --link: #86b8ff; --good: #6fd398; --bad: #ff9b73; --open: #e0c860; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 1.5rem 1.25rem 4rem; background: var(--ground);
  overflow-wrap: break-word; color:
  var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
p, li, dd { max-width: 46rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; overflow-wrap: anywhere; }
a { color: var(--link); }
nav ol { columns: 2; column-gap: 2.5rem; padding-left: 1.3rem; margin: .4rem 0; }
nav ul { list-style: none; padding-left: 0; font-size: .9rem; }
nav li { break-inside: avoid; }
figure { margin: .6rem 0 2rem; }
figure img { display: block; height: auto; background: #fff; border: 1px solid var(--line); border-radius:
  6px; padding: 8px; }
td.words, tbody th { min-width: 6rem; }
figcaption, .note { color: var(--muted); font-size: .92rem; max-width: 46rem; margin-top: .45rem; }
.scroll { overflow-x: auto; margin: 1rem 0 .4rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { padding: .28rem .7rem; text-align: left; vertical-align: top; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--muted); overflow-wrap: normal; }
tbody th { font-weight: 500; }
td.number { text-align: right; white-space: nowrap; }
.verdict { font-weight: 700; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
.notes { border-left: 4px solid var(--open); background: var(--panel);
  padding: .6rem 1rem; margin: 1rem 0; }
code { font-size: .92em; }
.notes ul { margin: .3rem 0; padding-left: 1.2rem; }
.formula { overflow-x: auto; padding: .35rem 0; }
math { font-size: 1.08rem; } .term { white-space: nowrap; }
dt math, dt { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
dl.measures { display: block; } dl.measures dd { margin: 0 0 .6rem 0; }
dd { margin: 0; }
.check { color: var(--good); font-size: .85rem; } .check.bad { color: var(--bad); }
summary { cursor: pointer; color: var(--link); padding: .3rem 0; }
pre { background: var(--panel); padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; border-radius:
  6px; }
@media (max-width: 40rem) { nav ol { columns: 1; } dl { display: block; } }
@page { margin: 16mm 15mm; }
@media print {
  html { font-size: 10.5pt; }
  body { max-width: none; padding: 0; font-size: 10.5pt; line-height: 1.45; }
  figure, tr, article > .formula, li { break-inside: avoid; }
  h1, h2, h3, dt, caption, summary, thead, .lead, article > .formula { break-after: avoid; }
  h2 { break-before: auto; }
  figure img { max-height: 21cm; width: auto !important; max-width: 100%; }
  .scroll, .formula, pre { overflow: visible; } pre { white-space: pre-wrap; }
  table { font-size: 8.5pt; } th, td { padding: .2rem .35rem; }
  nav { display: none; }
  /* Paper cannot be unfolded. */
  details::details-content { content-visibility: visible !important; height: auto !important; }
  details > summary { list-style: none; color: inherit; }
}
"""


def write_report(
    path: str | Path,
    ds: xr.Dataset,
    *,
    figures: Mapping[str, Words],
    drawn: Mapping[str, Rendered | str],
    tables: Sequence[tuple[str, pd.DataFrame, str]] = (),
    equations: Sequence[ClosedForm] = (),
    verdicts: Sequence[Verdict] = (),
    warnings: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of one comparison.

    Args:
        path: the HTML file.
        ds: the result, as `workbench compare` saves it.
        figures: title, caption and description of every figure, by name.
        drawn: what `workbench.figures.save` returned, or the text of an SVG, by the same names.
        tables: title, frame and note of each table.
        equations: the closed forms the prediction rests on.
        verdicts: rulings on claims, as from `workbench.agreement.verdicts`.
        warnings: what the reader must know before trusting a number.
        config: the configuration the result can be made again from.

    Returns:
        The path written.
    """
    config = dict(config or {})
    sections = _sections(ds, figures, drawn, tables, equations, verdicts, config, warnings)
    title = f"Influence over learning: {ds.attrs.get('task', 'a task')}"
    body = together(
        element(
            "header",
            element("h1", title),
            element("p", _summary(ds, verdicts), class_="note"),
            _contents(sections, figures),
        ),
        element(
            "main",
            *(element("section", element("h2", name), inner, id=slug(name)) for name, inner in sections),
        ),
    )
    page = together(document(title, CSS, body), "\n")
    written = Path(path)
    written.parent.mkdir(parents=True, exist_ok=True)
    write_file(written, page)
    return written


def _sections(
    ds: xr.Dataset,
    figures: Mapping[str, Words],
    images: Mapping[str, Rendered | str],
    tables: Sequence[tuple[str, pd.DataFrame, str]],
    equations: Sequence[ClosedForm],
    verdicts: Sequence[Verdict],
    config: Mapping[str, Any],
    warnings: Sequence[str],
) -> list[tuple[str, Markup]]:
    shown = [
        together(element("h3", image.title), illustration(name, image, images[name])) for name, image in figures.items()
    ]
    facts = pd.DataFrame(parameters(ds), columns=["name", "value"]).set_index("name")
    written = json.dumps(config, indent=2, sort_keys=True, default=str, ensure_ascii=False)
    everything = [
        ("In short", together(conclusion(ds, verdicts), _warnings(warnings))),
        ("What is shown", introduction(ds)),
        ("Verdicts", verdict_table(verdicts) if verdicts else Markup()),
        ("Figures", together(*shown)),
        ("Tables", together(*(table(*entry) for entry in tables))),
        ("Formulas", together(*(equation(form) for form in equations))),
        (
            "How it was made",
            together(table("Parameters", facts, ""), element("h3", "Configuration"), element("pre", written)),
        ),
    ]
    return [(name, inner) for name, inner in everything if inner]


def _summary(ds: xr.Dataset, verdicts: Sequence[Verdict]) -> str:
    version = f"workbench {ds.attrs.get('code_version', '')}".strip()
    if not verdicts:
        return f"{version}."
    kinds = [verdict_class(entry.ruling) for entry in verdicts]
    counts = f"{kinds.count('good')} held, {kinds.count('bad')} failed, {kinds.count('open')} open"
    return f"{version}. Claims: {counts}."


def _warnings(warnings: Sequence[str]) -> Markup:
    if not warnings:
        return Markup()
    listed = element("ul", *(element("li", noted(note)) for note in warnings))
    return element("aside", element("strong", "Please note"), listed, class_="notes", aria_label="Notes")


def _contents(sections: Sequence[tuple[str, Markup]], figures: Mapping[str, Words]) -> Markup:
    def link(name: str) -> Markup:
        inside = Markup()
        if name == "Figures":
            entries = [
                element("li", element("a", image.title, href=f"#figure-{slug(key)}")) for key, image in figures.items()
            ]
            inside = element("ul", *entries)
        return element("li", element("a", name, href=f"#{slug(name)}"), inside)

    return element("nav", element("ol", *(link(name) for name, _ in sections)), aria_label="Contents")
