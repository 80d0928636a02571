"""Formulas as they are typed, ``sqrt(lambda^2 + 4 a^2)`` or ``dl_j/deps_i``, set in any notation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from workbench.theory.prose import FUNCTIONS, GREEK, SHORT, SUB, SUP, UPRIGHT, Token, pairs, tokens_of


class Setting(Protocol):
    """How the parts of a formula are written."""

    def name(self, base: str) -> str: ...
    def upright(self, text: str) -> str: ...
    def number(self, text: str) -> str: ...
    def operator(self, text: str) -> str: ...
    def scripts(self, base: str, below: str, above: str) -> str: ...
    def root(self, inside: str) -> str: ...
    def row(self, pieces: Sequence[str]) -> str: ...


def formula(text: str, setting: Setting) -> str:
    """A formula as typed, set: ``I++_ab``, ``dl_j/deps_i``, ``sqrt(lambda^2 + 4 a^2)``."""
    return _row(tokens_of(text), setting)


def _row(tokens: Sequence[Token], setting: Setting) -> str:
    out, k = [], 0
    while k < len(tokens):
        token = tokens[k]
        if token.text == "sqrt":
            k += 1
            while k < len(tokens) - 1 and tokens[k].kind == "space":
                k += 1
            last = dict(pairs(tokens)).get(k, k) if k < len(tokens) else k
            under = tokens[k + 1 : last] if last > k else tokens[k : k + 1]
            out.append(setting.root(_row(under, setting)))
            k = last + 1
            continue
        if token.kind != "space":
            out.append(_set(token, setting))
        k += 1
    return setting.row(out)


def _set(token: Token, setting: Setting) -> str:
    scripts = re.findall(rf"{SUB}|{SUP}", token.text) if token.kind in ("name", "number", "close", "bar") else []
    base = token.text[: len(token.text) - len("".join(scripts))]
    below = [each[1:] for each in scripts if each[0] == "_"]
    above = [each[1:] for each in scripts if each[0] == "^"]
    if token.text == "2F1":
        return setting.row(
            [setting.scripts("", setting.number("2"), ""), setting.scripts(setting.name("F"), setting.number("1"), "")]
        )
    written = base
    if token.kind == "name":
        parts = re.fullmatch(r"([A-Za-z]+)([0-9]*)('?)(\+\+|\+-|--|\+|\*)?", base)
        assert parts is not None
        below = [*([parts[2]] if parts[2] else []), *below]
        above = [*([parts[4]] if parts[4] else []), *above]
        written, tail = _base(parts[1], setting)
        written += setting.operator("'") if parts[3] else ""
        below = [*([tail] if tail else []), *below]
    elif token.kind == "number":
        written = setting.number(base)
    else:
        written = setting.operator(base)
    lower, upper = (
        setting.row([_script(each, setting) for each in group]) if group else "" for group in (below, above)
    )
    return setting.scripts(written, lower, upper) if lower or upper else written


def _base(letters: str, setting: Setting) -> tuple[str, str]:
    """A name, and what of it stands below."""
    if letters in ("Syx", "Sxx", "dSyx"):
        before, _, below = letters.partition("S")
        return (setting.row([setting.name("d")]) if before else "") + setting.name("S"), below
    rest = letters[1:]
    if letters[0] == "d" and (rest in GREEK or rest in SHORT):
        return setting.name("d") + setting.name(SHORT.get(rest, rest)), ""
    if letters in ("oo", "sum", "int"):
        return setting.operator(letters), ""
    if letters in GREEK or letters in SHORT:
        return setting.name(SHORT.get(letters, letters)), ""
    if letters in FUNCTIONS or letters in UPRIGHT or len(letters) > 3:
        return setting.upright(letters), ""
    return setting.row([setting.name(letter) for letter in letters]), ""


def _script(text: str, setting: Setting) -> str:
    text = text[1:-1] if text[0] in "{(" else {"plus": "+", "minus": "-"}.get(text, text)
    if re.fullmatch("[A-Za-z]{3,}", text) and text not in GREEK:
        return setting.upright(text)
    return _row(tokens_of(text), setting)
