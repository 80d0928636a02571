"""Derivations as a LaTeX document and as a page: what `workbench derive` writes to files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.report.equations import equation
from workbench.report.markup import Markup, element, together
from workbench.report.page import CSS
from workbench.theory.closed_form import ClosedForm
from workbench.theory.printing import LINE, breadth, latex, lines, signed
from workbench.theory.sentences import escape, words

_PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath,amssymb,graphicx,geometry}
\geometry{margin=2cm}
\setlength{\parindent}{0pt}
% What cannot be broken, a wide matrix or fraction, is made smaller.
\newsavebox{\formula}
\newcommand{\fit}[1]{\begin{center}\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>\linewidth\resizebox{\linewidth}{!}{\usebox{\formula}}\else\usebox{\formula}\fi\end{center}}
\begin{document}
"""


def as_latex(forms: Sequence[ClosedForm]) -> str:
    """A document that compiles by itself; paste the parts between ``\\section*`` into your own."""
    return _PREAMBLE + "\n".join(_section(form) for form in forms) + "\n\\end{document}\n"


def _section(form: ClosedForm) -> str:
    out = [rf"\section*{{{words(form.title)}}}", _display(form.expression, f"{latex(form.quantity)} = ")]
    out += [rf"Unit: {words(form.unit)}. Source: {escape(form.source)}.", "", r"\begin{enumerate}"]
    for step in form.steps:
        mark = "" if step.residual is None else r" $\checkmark$" if step.verify() else r" \textbf{(check failed)}"
        out += [rf"\item {words(step.statement)}{mark}", _display(step.expression)]
        out += [rf"\emph{{Why:}} {words(step.why)}"] if step.why else []
    out += [r"\end{enumerate}"]
    if form.conditions:
        out += ["Holds where", r"\begin{itemize}"]
        out += [rf"\item {words(condition.statement)}" for condition in form.conditions]
        out += [r"\end{itemize}"]
    out += [r"\begin{description}"]
    out += [
        rf"\item[${latex(variable.symbol)}$] {words(variable.meaning)} [{words(variable.unit)}]"
        for variable in form.variables
    ]
    return "\n".join([*out, r"\end{description}", ""])


def _display(expression: Any, left: str = "") -> str:
    """A displayed formula, broken between the terms of its sums where it is wider than the page."""
    broken = lines(expression, LINE - breadth(left))
    if len(broken) == 1:
        return rf"\fit{{{left}{broken[0]}}}"
    if max(map(breadth, broken)) > LINE and expression.is_Add:
        # Broken inside a fraction it would be wider still: one term a line, made smaller where it must be.
        return "\n".join(rf"\fit{{{left if k == 0 else ''}{term}}}" for k, term in enumerate(signed(expression)))
    inside = " \\\\\n".join(f"&{line}" for line in broken)
    return "\\[\n" + left + r"\begin{aligned}[t]" + f"\n{inside}\n" + r"\end{aligned}" + "\n\\]"


def as_html(forms: Sequence[ClosedForm]) -> str:
    """A page of its own with the derivations unfolded; formulas are MathML, no network and no script."""
    title = forms[0].title if len(forms) == 1 else "Derivations"
    head = together(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        element("style", Markup(CSS)),
    )
    heading = element("h1", title) if len(forms) > 1 else ""
    body = element("main", heading, *(equation(form, unfolded=True) for form in forms))
    page = element("html", element("head", head), element("body", body), lang="en")
    return together(Markup("<!DOCTYPE html>\n"), page, "\n")
