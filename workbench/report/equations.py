"""Closed forms as MathML, which browsers render without any script."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import sympy as sp

from workbench.figures.reading import powers
from workbench.report.markup import Markup, element, together
from workbench.report.sentences import sentence
from workbench.theory.closed_form import ClosedForm, Step, StepResult
from workbench.theory.printing import ordered_terms

# Entities that only browsers know, as characters; and hyphens as minus signs.
_CHARACTERS = {
    "<mo>-</mo>": "<mo>−</mo>",
    "<mn>-": "<mn>−",
    "&InvisibleTimes;": "\u2062",
    "&ExponentialE;": "e",
    "&ImaginaryI;": "i",
    "&DifferentialD;": "d",
    "&nbsp;": "\u00a0",
}


#: Characters of plain text beyond which a sum is written in pieces that a narrow page can wrap.
LONG = 90


def wrapped(expression: Any) -> Markup:
    """`mathml`, of a long sum term by term, so that it breaks between terms where it is wider than the page."""
    if not isinstance(expression, sp.Add) or len(str(expression)) <= LONG:
        return mathml(expression)
    pieces: list[str] = []
    for term in ordered_terms(expression):
        minus = term.could_extract_minus_sign()
        sign = "− " if minus else "+ " if pieces else ""
        pieces.append(together(element("span", sign, mathml(-term if minus else term), class_="term"), " "))
    return together(*pieces)


def mathml(expression: Any) -> Markup:
    """``<math>`` of a sympy object; its plain text in ``<code>`` where sympy has no presentation for it."""
    return _mathml(expression.as_immutable() if isinstance(expression, sp.MatrixBase) else expression)


@lru_cache(maxsize=2048, typed=True)  # the same symbols and formulas stand on every page
def _mathml(expression: Any) -> Markup:
    try:
        written = _printer().doprint(expression)
    except (NotImplementedError, AttributeError, TypeError, ValueError):
        return element("code", str(expression))
    for entity, character in _CHARACTERS.items():
        written = written.replace(entity, character)
    return element("math", Markup(written), displaystyle="true")


def _printer() -> Any:
    # sympy's printers take a while to import and are needed only here.
    from workbench.report.mathml_printer import Printer

    return Printer()


def equation(form: ClosedForm, *, unfolded: bool = False) -> Markup:
    """A closed form with its symbols and conditions; the derivation unfolds, or is ``unfolded`` already."""
    body = unfolding(form, unfolded=unfolded)
    return element("article", element("h3", sentence(form.title)), body, id=f"equation-{form.name.replace('_', '-')}")


def unfolding(form: ClosedForm, *, unfolded: bool = False) -> Markup:
    """What stands below the title of a closed form: formula, unit, source, conditions, symbols and derivation."""
    checks = form.self_check()
    checked = sum(result.checked for result in checks)
    steps = [_step(step, result) for step, result in zip(form.steps, checks, strict=True)]
    symbols = [
        together(
            element("dt", mathml(variable.symbol)),
            element("dd", sentence(variable.meaning), " [", _unit(variable.unit), "]"),
        )
        for variable in form.variables
    ]
    conditions = [element("li", sentence(condition.statement)) for condition in form.conditions]
    return together(
        element("div", _equality(form), class_="formula"),
        element("p", f"Unit: {powers(form.unit)}. Source: {form.source}.", class_="note"),
        together(element("p", "Holds where", class_="lead"), element("ul", *conditions)) if conditions else "",
        element(
            "details",
            element("summary", f"Symbols, and the derivation in {len(steps)} steps ({checked} checked by sympy)"),
            element("dl", *symbols),
            element("ol", *steps),
            **({"open": "open"} if unfolded else {}),
        ),
    )


def _unit(unit: str) -> Markup:
    """A unit with raised exponents, ``time^(-1/2)`` too."""
    parts = re.split(r"\^\(([^)]*)\)", unit)
    return together(
        *(element("sup", part.replace("-", "−")) if k % 2 else powers(part) for k, part in enumerate(parts))
    )


def _step(step: Step, result: StepResult) -> Markup:
    mark = "" if not result.checked else " ✓ checked by sympy" if result.passed else " ✗ check failed"
    return element(
        "li",
        sentence(step.statement),
        element("span", mark, class_="check" if result.passed else "check bad"),
        element("div", wrapped(step.expression), class_="formula"),
        element("p", "Why: ", sentence(step.why), class_="note") if step.why else "",
    )


def _equality(form: ClosedForm) -> Markup:
    left, right = mathml(form.quantity), wrapped(form.expression)
    if isinstance(form.expression, sp.Add) and len(str(form.expression)) > LONG:
        return together(left, " = ", right)
    if "<math" not in left or "<math" not in right:
        return together(left, " = ", right)
    opening, closing = '<math displaystyle="true">', "</math>"
    inner = [side.removeprefix(opening).removesuffix(closing) for side in (left, right)]
    return Markup(f"{opening}<mrow>{inner[0]}<mo>=</mo>{inner[1]}</mrow>{closing}")
