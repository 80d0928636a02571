"""Derivations as a LaTeX document and as a page: what `workbench derive` writes to files."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from workbench.report.equations import equation
from workbench.report.markup import Markup, element, together
from workbench.report.page import CSS
from workbench.theory.closed_form import ClosedForm

_PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath,amssymb,graphicx,geometry}
\geometry{margin=2cm}
\setlength{\parindent}{0pt}
% Formulas wider than the page are made smaller.
\newsavebox{\formula}
\newcommand{\fit}[1]{\begin{center}\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>\linewidth\resizebox{\linewidth}{!}{\usebox{\formula}}\else\usebox{\formula}\fi\end{center}}
\begin{document}
"""

_ESCAPED = {
    "\\": r"\textbackslash{}",
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def escape_latex(text: str) -> str:
    """Plain text as LaTeX; ``^`` and ``_`` are what they look like, no markup."""
    return "".join(_ESCAPED.get(character, character) for character in text)


def as_latex(forms: Sequence[ClosedForm]) -> str:
    """A document that compiles by itself; paste the parts between ``\\section*`` into your own."""
    return _PREAMBLE + "\n".join(_section(form) for form in forms) + "\n\\end{document}\n"


def _section(form: ClosedForm) -> str:
    lines = [rf"\section*{{{escape_latex(form.title)}}}", rf"\fit{{{form.latex()}}}"]
    lines += [rf"Unit: {escape_latex(form.unit)}. Source: {escape_latex(form.source)}.", "", r"\begin{enumerate}"]
    for step in form.steps:
        mark = "" if step.residual is None else r" $\checkmark$" if step.verify() else r" \textbf{(check failed)}"
        lines += [rf"\item {escape_latex(step.statement)}{mark}", rf"\fit{{{sp.latex(step.expression)}}}"]
    lines += [r"\end{enumerate}"]
    if form.conditions:
        lines += ["Holds where", r"\begin{itemize}"]
        lines += [rf"\item {escape_latex(condition.statement)}" for condition in form.conditions]
        lines += [r"\end{itemize}"]
    lines += [r"\begin{description}"]
    lines += [
        rf"\item[${sp.latex(variable.symbol)}$] {escape_latex(f'{variable.meaning} [{variable.unit}]')}"
        for variable in form.variables
    ]
    return "\n".join([*lines, r"\end{description}", ""])


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
