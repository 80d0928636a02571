"""How closed forms are written: LaTeX and plain text in the order that people write, and lines that fit a page.

Negative terms come last and numbers first, ``1 + x`` and ``s/(c a_0) - 1``; a decaying exponential stays ``e^{-2st}``
in the place where it stands; what divides a sum with an exponential is drawn to its numerator,
``(s/c) / (1 + (s/(c a_0) - 1) e^{-2st})``. Words are upright.
"""

from __future__ import annotations

import re
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE, precedence
from sympy.printing.str import StrPrinter

from workbench.theory.prose import SHORT
from workbench.theory.sentences import math_of

#: Characters of a formula, as `breadth` counts them, that fit a line of a page.
LINE = 78

_REGULAR = re.compile(r"[A-Za-z]+(_[A-Za-z0-9]+)*[0-9]*'?")


def is_typed(name: str) -> bool:
    """Whether the name of a symbol is a formula as people type it, such as ``I++_ab``, ``eps_1`` or ``q_plus``."""
    return not _REGULAR.fullmatch(name) or name.rstrip("_0123456789") in SHORT or name.endswith(("_plus", "_minus"))


def ordered_terms(total: Any) -> list[Any]:
    """The terms of a sum: numbers, then what is added, then what is subtracted."""
    terms = total.as_ordered_terms()
    return sorted(terms, key=lambda term: (bool(term.could_extract_minus_sign()), not term.is_Number))


def over_a_sum(product: Any) -> tuple[Any, Any] | None:
    """``(numerator / what else divides, sum)`` of a product that is divided by a sum with an exponential."""
    numerator, denominator = sp.fraction(product, exact=True)
    factors = sp.Mul.make_args(denominator)
    sums = [factor for factor in factors if factor.is_Add and factor.has(sp.exp)]
    if len(sums) != 1 or len(factors) == 1:
        return None
    return numerator / sp.Mul(*(factor for factor in factors if factor is not sums[0])), sums[0]


class _Latex(LatexPrinter):  # type: ignore[misc]
    def _print_Symbol(self, symbol: Any, style: str = "plain") -> str:
        if is_typed(symbol.name):
            return math_of(symbol.name)
        written = str(super()._print_Symbol(symbol))
        return re.sub(r"(?<![\\A-Za-z])[A-Za-z]{3,}", lambda word: rf"\mathrm{{{word[0]}}}", written)

    def _hprint_Function(self, func: str) -> str:
        return func if re.fullmatch("[A-Za-z]'", func) else str(super()._hprint_Function(func))

    def _print_SechConvolution(self, function: Any, exp: Any = None) -> str:
        return self._printed(r"\Lambda", function)

    def _print_SechTransform(self, function: Any, exp: Any = None) -> str:
        return self._printed(r"\Gamma", function)

    def _bracketed(self, written: str) -> str:
        return rf"\left({written}\right)"

    def _printed(self, name: str, function: Any) -> str:
        return rf"{name}\left({', '.join(map(self._print, function.args))}\right)"

    def _print_Add(self, total: Any, order: Any = None) -> str:
        pieces: list[str] = []
        for term in ordered_terms(total):
            minus = term.could_extract_minus_sign()
            written = self._term(-term if minus else term)
            pieces.append(("- " if minus else "+ " if pieces else "") + written)
        return " ".join(pieces)

    def _term(self, term: Any) -> str:
        return self._add_parens(self._print(term)) if self._needs_add_brackets(term) else str(self._print(term))

    def _print_Mul(self, product: Any) -> str:
        parts = over_a_sum(product)
        if parts is None:
            return str(super()._print_Mul(product))
        numerator, total = parts
        divided, divisor = sp.fraction(numerator, exact=True)
        above = self._print(divided)
        if divisor != 1:
            below = self._print(divisor)
            above = (
                self._term(divided) + " / " + (below if divisor.is_Atom or divisor.is_Pow else self._bracketed(below))
            )
        return rf"\frac{{{above}}}{{{self._print(total)}}}"


class _Text(StrPrinter):  # type: ignore[misc]
    def _print_Add(self, total: Any, order: Any = None) -> str:
        written = ""
        for term in ordered_terms(total):
            minus = term.could_extract_minus_sign()
            one = self.parenthesize(-term if minus else term, PRECEDENCE["Add"])
            written += (" - " if written else "-") + one if minus else (" + " if written else "") + one
        return written

    def _print_Mul(self, product: Any) -> str:
        parts = over_a_sum(product)
        if parts is None:
            return str(super()._print_Mul(product))
        numerator, total = parts
        above = self._print(numerator)
        return f"{above if precedence(numerator) == PRECEDENCE['Atom'] else f'({above})'}/({self._print(total)})"


def latex(expression: Any) -> str:
    """LaTeX of a sympy object, without dollar signs."""
    return str(_Latex().doprint(expression))


def plain(expression: Any) -> str:
    """A sympy object in one line of text."""
    return str(_Text().doprint(expression))


def breadth(written: str) -> float:
    """About how many characters wide LaTeX is set: a fraction as its wider part, scripts at two thirds."""
    width, k = 0.0, 0
    while k < len(written):
        if written.startswith(r"\frac", k):
            (above, k), (below, k) = (group := _group(written, k + 5)), _group(written, group[1])
            width += max(breadth(above), breadth(below)) + 0.6
        elif written[k] in "_^":
            inside, k = _group(written, k + 1)
            width += 0.67 * breadth(inside)
        elif written[k] == "\\":
            command = re.match(r"\\([A-Za-z]+|.)", written[k:])
            assert command is not None
            name, k = command[1], k + command.end()
            width += 0 if name in ("left", "right", "mathrm", "operatorname", "text", ",") else min(len(name), 1)
        else:
            width += {" ": 0, "{": 0, "}": 0, "+": 2.7, "=": 2.7, "-": 2.7}.get(written[k], 1)
            k += 1
    return width


def _group(written: str, start: int) -> tuple[str, int]:
    """What one argument of a LaTeX command holds, and where the next begins."""
    while start < len(written) and written[start] == " ":
        start += 1
    if start >= len(written) or written[start] != "{":
        command = re.match(r"\\[A-Za-z]+|.", written[start:])
        return (command[0], start + command.end()) if command else ("", start)
    depth = 0
    for k in range(start, len(written)):
        depth += {"{": 1, "}": -1}.get(written[k], 0)
        if depth == 0:
            return written[start + 1 : k], k + 1
    return written[start + 1 :], len(written)


def lines(expression: Any, width: float = LINE) -> list[str]:
    """LaTeX of an expression in lines no wider than ``width`` where its sums can be broken."""
    whole = latex(expression)
    if breadth(whole) <= width:
        return [whole]
    if isinstance(expression, sp.Add):
        return _sum_lines(expression, width)
    if isinstance(expression, sp.Mul):
        numerator = sp.fraction(expression, exact=True)[0]
        sums = [factor for factor in sp.Mul.make_args(numerator) if factor.is_Add]
        if sums:
            widest = max(sums, key=lambda total: breadth(latex(total)))
            before = expression / widest
            front = "-" if before == -1 else "" if before == 1 else latex(before)
            broken = _sum_lines(widest, width - breadth(front) - 2)
            if len(broken) == 1:
                return [whole]
            return [
                rf"{front} \Bigl( {broken[0]}",
                *(rf"\quad {line}" for line in broken[1:-1]),
                rf"\quad {broken[-1]} \Bigr)",
            ]
    return [whole]


def signed(total: Any) -> list[str]:
    """LaTeX of the terms of a sum, each with its sign but a first that is added."""
    pieces: list[str] = []
    for term in ordered_terms(total):
        minus = term.could_extract_minus_sign()
        pieces.append(("- " if minus else "+ " if pieces else "") + latex(-term if minus else term))
    return pieces


def _sum_lines(total: Any, width: float) -> list[str]:
    packed: list[str] = []
    for term in ordered_terms(total):
        minus = term.could_extract_minus_sign()
        first, *more = lines(-term if minus else term, width)
        first = ("- " if minus else "+ " if packed else "") + first
        if packed and not more and breadth(packed[-1] + first) <= width:
            packed[-1] += " " + first
        else:
            packed += [first, *more]
    return packed
