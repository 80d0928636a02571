"""Sentences with formulas in them, as LaTeX and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.theory.prose import GREEK, pieces
from workbench.theory.setting import formula

_SYMBOLS = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne", "->": r"\to", "=:": "=:", "+-": r"\pm", "oo": r"\infty"}
_SYMBOLS |= {"sum": r"\sum", "int": r"\int", ".": r"\cdot", "++": "++", "*": "*"}


class _LatexSetting:
    """Formulas in sentences, as LaTeX."""

    def name(self, base: str) -> str:
        return rf"\{base} " if base in GREEK else base

    def upright(self, text: str) -> str:
        known = ("log", "ln", "exp", "cosh", "sinh", "tanh", "sin", "cos", "max", "min")
        return rf"\{text} " if text in known else rf"\mathrm{{{text}}}"

    def number(self, text: str) -> str:
        return text

    def operator(self, text: str) -> str:
        return _SYMBOLS.get(text, text)

    def scripts(self, base: str, below: str, above: str) -> str:
        lower, upper = rf"_{{{below}}}" if below else "", rf"^{{{above}}}" if above else ""
        return f"{base.rstrip() or '{}'}{lower}{upper}"

    def root(self, inside: str) -> str:
        return rf"\sqrt{{{inside}}}"

    def row(self, pieces: Sequence[str]) -> str:
        return " ".join(piece.strip() for piece in pieces) if len(pieces) > 1 else "".join(pieces).strip()


def math_of(text: str) -> str:
    r"""A formula in plain text as LaTeX: ``I++_ab`` is ``I_{ab}^{++}``, ``deps_i`` is ``d \epsilon_{i}``."""
    return formula(text, _LatexSetting())


_TIMES = re.compile(r"(?:^|(?<=\s))x(?=\s)")


def marked(text: str) -> str:
    """A sentence for Markdown: the formulas in it stand between dollar signs."""
    return "".join(f"${math_of(piece)}$" if maths else piece for maths, piece in pieces(text))


def words(text: str) -> str:
    """A sentence for LaTeX, escaped outside of the formulas in it, which become mathematics."""
    return "".join(
        f"${math_of(piece)}$" if maths else _TIMES.sub(lambda _: r"$\times$", escape(piece))
        for maths, piece in pieces(text)
    )


_ESCAPED = {
    "\\": r"\textbackslash{}",
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def escape(text: str) -> str:
    """Plain text as LaTeX; ``^`` and ``_`` are what they look like, no markup."""
    return "".join(_ESCAPED.get(character, character) for character in text)
