"""Closed forms as MathML, which browsers render without any script."""

from __future__ import annotations

from typing import Any

import sympy as sp

from workbench.figures.reading import powers
from workbench.report.markup import Markup, element, together
from workbench.theory.closed_form import ClosedForm
from workbench.theory.printing import ordered_terms, over_a_sum

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
    try:
        written = _printer().doprint(expression)
    except (NotImplementedError, AttributeError, TypeError, ValueError):
        return element("code", str(expression))
    for entity, character in _CHARACTERS.items():
        written = written.replace(entity, character)
    return element("math", Markup(written), displaystyle="true")


def _printer() -> Any:
    # sympy's printers take a while to import and are needed only here.
    from sympy.printing.mathml import MathMLPresentationPrinter
    from sympy.printing.precedence import PRECEDENCE

    class Printer(MathMLPresentationPrinter):  # type: ignore[misc]
        def _print_Symbol(self, symbol: Any, style: str = "plain") -> Any:
            name, bracket, inside = symbol.name.partition("[")
            if not bracket:
                return super()._print_Symbol(symbol, style)
            # A functional such as R_m[e^2], named by a symbol.
            row = self.dom.createElement("mrow")
            for part in (sp.Symbol(name), "[", sp.Symbol(inside.removesuffix("]")), "]"):
                row.appendChild(self.leaf("mo", part) if isinstance(part, str) else super()._print_Symbol(part, style))
            return row

        def _print_Add(self, total: Any, order: Any = None) -> Any:
            row = self.dom.createElement("mrow")
            for term in ordered_terms(total):
                minus = term.could_extract_minus_sign()
                if minus or row.childNodes:
                    row.appendChild(self.leaf("mo", "-" if minus else "+"))
                row.appendChild(self.parenthesize(-term if minus else term, PRECEDENCE["Add"]))
            return row

        def _print_Mul(self, product: Any) -> Any:
            numerator, denominator = over_a_sum(product) or sp.fraction(product, exact=True)
            if denominator != 1:
                fraction = self.dom.createElement("mfrac")
                fraction.appendChild(self._print(numerator))
                fraction.appendChild(self._print(denominator))
                return fraction
            row = self.dom.createElement("mrow")
            if product.could_extract_minus_sign():
                row.appendChild(self.leaf("mo", "-"))
                row.appendChild(self.parenthesize(-product, PRECEDENCE["Mul"]))
                return row
            for factor in product.as_ordered_factors():
                if row.childNodes:
                    row.appendChild(self.leaf("mo", "\u2062"))
                row.appendChild(self.parenthesize(factor, PRECEDENCE["Mul"]))
            return row

        def _print_KroneckerDelta(self, delta: Any) -> Any:
            return self._with_indices(self.leaf("mi", "δ"), delta.args)

        def _print_Indexed(self, entry: Any) -> Any:
            return self._with_indices(self._print(entry.base), entry.indices)

        def leaf(self, tag: str, text: str) -> Any:
            node = self.dom.createElement(tag)
            node.appendChild(self.dom.createTextNode(text))
            return node

        def _with_indices(self, base: Any, indices: Any) -> Any:
            node, row = self.dom.createElement("msub"), self.dom.createElement("mrow")
            for index in indices:
                row.appendChild(self._print(index))
            node.appendChild(base)
            node.appendChild(row)
            return node

    return Printer()


def equation(form: ClosedForm, *, unfolded: bool = False) -> Markup:
    """A closed form with its symbols and conditions; the derivation unfolds, or is ``unfolded`` already."""
    checks = {result.statement: result for result in form.self_check()}
    steps = []
    for step in form.steps:
        result = checks[step.statement]
        mark = "" if not result.checked else " ✓ checked by sympy" if result.passed else " ✗ check failed"
        style = "check" if result.passed else "check bad"
        steps.append(
            element(
                "li",
                step.statement,
                element("span", mark, class_=style),
                element("div", wrapped(step.expression), class_="formula"),
            )
        )
    checked = sum(result.checked for result in checks.values())
    symbols = [
        together(
            element("dt", mathml(variable.symbol)),
            element("dd", f"{variable.meaning} [{powers(variable.unit)}]"),
        )
        for variable in form.variables
    ]
    conditions = [element("li", condition.statement) for condition in form.conditions]
    return element(
        "article",
        element("h3", form.title),
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
        id=f"equation-{form.name.replace('_', '-')}",
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
