"""sympy as presentation MathML, in the order and with the fractions of `workbench.theory.printing`."""

from __future__ import annotations

from typing import Any
from xml.dom.minidom import parseString

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.precedence import PRECEDENCE

from workbench.report.sentences import typed
from workbench.theory.printing import is_typed, ordered_terms, over_a_sum


class Printer(MathMLPresentationPrinter):  # type: ignore[misc]
    def _print_Symbol(self, symbol: Any, style: str = "plain") -> Any:
        name, bracket, inside = symbol.name.partition("[")
        if not bracket:
            return self._typed(name) if is_typed(name) or name[-1] == "'" else super()._print_Symbol(symbol, style)
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
        row = self.dom.createElement("mrow")
        if product.as_coeff_Mul()[0].is_negative:
            row.appendChild(self.leaf("mo", "-"))
            row.appendChild(self.parenthesize(-product, PRECEDENCE["Mul"], strict=True))
            return row
        numerator, denominator = over_a_sum(product) or sp.fraction(product, exact=True)
        if denominator != 1:
            fraction = self.dom.createElement("mfrac")
            fraction.appendChild(self._print(numerator))
            fraction.appendChild(self._print(denominator))
            return fraction
        for factor in product.as_ordered_factors():
            if row.childNodes:
                row.appendChild(self.leaf("mo", "\u2062"))
            row.appendChild(self.parenthesize(factor, PRECEDENCE["Mul"]))
        return row

    def _print_Function(self, function: Any) -> Any:
        # sympy would write the name in small letters, with its underscores.
        if not isinstance(function, AppliedUndef):
            return super()._print_Function(function)
        return self._applied(self._print(sp.Symbol(function.func.__name__)), *function.args)

    def _print_SechConvolution(self, function: Any) -> Any:
        return self._applied(self.leaf("mi", "Λ"), *function.args)

    def _print_SechTransform(self, function: Any) -> Any:
        return self._applied(self.leaf("mi", "Γ"), *function.args)

    def _print_hyper(self, function: Any) -> Any:
        return self._applied(self._typed("2F1"), *function.ap, *function.bq, function.argument)

    def _applied(self, name: Any, *args: Any) -> Any:
        row = self.dom.createElement("mrow")
        row.appendChild(name)
        row.appendChild(self._paren_comma_separated(*args))
        return row

    def _typed(self, text: str) -> Any:
        return self.dom.importNode(parseString(f"<mrow>{typed(text)}</mrow>").documentElement, True)

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
