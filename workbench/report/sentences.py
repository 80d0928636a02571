"""Sentences with formulas in them as HTML: the formulas become MathML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.report.markup import Markup, element, together
from workbench.theory.prose import GREEK, pieces
from workbench.theory.setting import formula

_SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠", "->": "→", "+-": "±", "oo": "∞", "sum": "∑", "int": "∫", ".": "·", "-": "−"}
_SIGNS |= {"'": "′", "*": "*"}


class _MathML:
    def name(self, base: str) -> str:
        return element("mi", GREEK.get(base, base))

    def upright(self, text: str) -> str:
        return element("mi", text, mathvariant="normal")

    def number(self, text: str) -> str:
        return element("mn", text)

    def operator(self, text: str) -> str:
        return element("mi" if text == "oo" else "mo", _SIGNS.get(text, text))

    def scripts(self, base: str, below: str, above: str) -> str:
        tag = "msubsup" if below and above else "msub" if below else "msup"
        return element(tag, *map(Markup, [base or element("mrow"), *filter(None, (below, above))]))

    def root(self, inside: str) -> str:
        return element("msqrt", Markup(inside))

    def row(self, pieces: Sequence[str]) -> str:
        return "".join(pieces) if len(pieces) == 1 else element("mrow", *map(Markup, pieces))


def typed(text: str) -> str:
    """What stands inside ``<math>`` for a formula as people type it."""
    return formula(text, _MathML())


def sentence(text: str) -> Markup:
    """A sentence as people type it, with its formulas set; escaped.

    >>> print(sentence("ends at s_0"))
    ends at <math><msub><mi>s</mi><mn>0</mn></msub></math>
    """
    return together(
        *(element("math", Markup(typed(piece))) if maths else _signs(piece) for maths, piece in pieces(text))
    )


def _signs(text: str) -> str:
    """A times sign between a word and a bracket or a word, where the sentence has the letter."""
    return re.sub(r"(^|(?<=\s))x(?=\s)", "×", text)
