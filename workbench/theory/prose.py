"""Sentences with formulas in them, as they are typed: which parts are mathematics.

``w2^2 - w1^2 is conserved`` holds one formula; ``a`` is one in ``a = w1 w2`` and a word in ``a mode``. What stands
beside each other and is no English becomes one formula.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

#: Names of letters, with the letter.
GREEK = {
    name: unicodedata.lookup(
        f"GREEK {'SMALL' if name.islower() else 'CAPITAL'} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}"
    )
    for name in (
        *(
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "pi",
        ),
        *("rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
        *("Gamma", "Delta", "Lambda", "Phi", "Psi", "Sigma", "Omega"),
    )
}
SHORT = {"eps": "epsilon", "kap": "kappa"}
FUNCTIONS = frozenset(("log", "ln", "exp", "cosh", "sinh", "tanh", "sin", "cos", "sech", "max", "min", "diag"))
UPRIGHT = frozenset(("Cov", "Var"))
#: Before these a lone x is a letter; before other words it is a times sign.
_AFTER_X = frozenset(("is", "has", "and", "in", "of", "obeys", "the"))
#: After these a lone a is a letter.
_BEFORE_A = frozenset(("strength", "mode", "row", "column"))

SUB = r"_(?:\{[^}]*\}|[A-Za-z0-9]+|[+-](?![A-Za-z0-9]))"
SUP = r"\^(?:\{[^}]*\}|\((?:[^()]|\([^()]*\))*\)|-?[A-Za-z0-9]+)"
_SCRIPTS = rf"(?:{SUB}|{SUP})*"
_TOKEN = re.compile(
    rf"""(?P<space>\s+)
    | (?P<word>[a-z]{{3,}}s'(?=\s)|[A-Za-z]{{2,}}(?:-[A-Za-z]+)*'s
        |[A-Za-z]{{2,}}(?:-[A-Za-z]+)+|[A-Za-z](?:-[a-z]{{3,}})+)
    | (?P<name>2F1|[A-Za-z]+[0-9]*(?:'(?![a-z]))?(?:\+\+|\+-|--|\+(?=\s[+-]|\))|\*(?=[\s,)=/|]|$))?){_SCRIPTS}
    | (?P<number>[0-9]*\.?[0-9]+){_SCRIPTS}
    | (?P<operator><=|>=|!=|->|=:|:=|\+-|[-+*/=<>])
    | (?P<open>[(\[]) | (?P<close>[)\]]){_SCRIPTS}
    | (?P<bar>\|){_SCRIPTS}
    | (?P<mark>.)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A piece of a sentence; ``kind`` is a group of `_TOKEN`."""

    kind: str
    text: str


def pieces(text: str) -> list[tuple[bool, str]]:
    """``(is a formula, text)`` piece by piece; together they are the sentence.

    >>> pieces("the strength a = w1 w2 of a mode")
    [(False, 'the strength '), (True, 'a = w1 w2'), (False, ' of a mode')]
    """
    tokens = tokens_of(text)
    belongs = _formulas(tokens)
    out: list[tuple[bool, str]] = []
    for token, inside in zip(tokens, belongs, strict=True):
        if out and out[-1][0] == inside:
            out[-1] = (inside, out[-1][1] + token.text)
        else:
            out.append((inside, token.text))
    return out


def tokens_of(text: str) -> list[Token]:
    """The sentence, piece by piece."""
    return [Token(str(match.lastgroup), match[0]) for match in _TOKEN.finditer(text)]


# Which tokens are mathematics


def _letters(token: Token) -> str:
    match = re.match("[A-Za-z]+", token.text)
    return match[0] if match else ""


def _is_symbol(tokens: Sequence[Token], k: int) -> bool:
    """Whether a name is a symbol; ``a``, ``A``, ``x``, ``sum`` and ``int`` are what stands beside them."""
    text, letters = tokens[k].text, _letters(tokens[k])
    if text != letters:
        return True
    before, after = _beside(tokens, k, -1), _beside(tokens, k, 1)
    if text in ("a", "A"):
        return _is_letter_a(tokens, k, before, after)
    if text == "x":
        return after is None or after.text in _AFTER_X or (after.kind not in ("word", "open") and not _english(after))
    if text in ("sum", "int"):
        alone = before is None or not _english(before)
        return alone and after is not None and (_certain(after) or after.kind == "bar")
    return len(text) == 1 or _certain(tokens[k])


def _is_letter_a(tokens: Sequence[Token], k: int, before: Token | None, after: Token | None) -> bool:
    if after is None or after.kind in ("close", "bar", "operator") or after.text in ("is", "and", "positive"):
        return True
    if tokens[k + 1].kind == "open" or _certain(after) or (after.kind == "mark" and tokens[k].text == "a"):
        return True
    if before is None:
        return False
    product = _certain(before) or (before.kind == "number" and not _english(after))
    return product or before.kind == "operator" or before.text in _BEFORE_A


def _certain(token: Token) -> bool:
    """Whether a token is a symbol wherever it stands."""
    text, letters = token.text, _letters(token)
    if token.kind != "name" or not letters:
        return False
    rest = letters[1:]
    differential = letters[0] == "d" and letters != "do" and (len(rest) == 1 or rest in GREEK or rest in SHORT)
    known = letters in GREEK or letters in SHORT or letters in FUNCTIONS or letters in UPRIGHT
    single = len(text) == 1 and text not in "aAx"
    return text != letters or single or known or differential or letters in ("sqrt", "oo", "Syx", "Sxx", "dSyx")


def _english(token: Token) -> bool:
    return token.kind == "name" and token.text == _letters(token) and len(token.text) > 1 and not _certain(token)


def _beside(tokens: Sequence[Token], k: int, step: int) -> Token | None:
    k += step
    while 0 <= k < len(tokens):
        if tokens[k].kind != "space":
            return tokens[k]
        k += step
    return None


def _formulas(tokens: Sequence[Token]) -> list[bool]:
    """Which tokens stand in a formula."""
    maths = [
        token.kind in ("number", "operator", "bar") or (token.kind == "name" and _is_symbol(tokens, k))
        for k, token in enumerate(tokens)
    ]
    for k, token in enumerate(tokens):  # a . b is a product; so is j.j
        if token.text == "." and 0 < k < len(tokens) - 1:
            left, right = _beside(tokens, k, -1), _beside(tokens, k, 1)
            even = (tokens[k - 1].kind == "space") == (tokens[k + 1].kind == "space")
            maths[k] = even and None not in (left, right) and not _english(right or token)
    for first, last in pairs(tokens):
        inner = range(first + 1, last)
        whole = all(maths[k] or tokens[k].kind == "space" or tokens[k].text in ",;" for k in inner)
        attached = first > 0 and maths[first - 1] and tokens[first - 1].kind == "name"
        aside = not attached and any(tokens[k].text == "=" for k in inner)
        if whole and not aside and (attached or any(tokens[k].kind == "name" and maths[k] for k in inner)):
            maths[first : last + 1] = [True] * (last + 1 - first)
    return _runs(tokens, maths)


def pairs(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """Places of brackets that belong together, the innermost first."""
    opened: list[int] = []
    closed = []
    for k, token in enumerate(tokens):
        if token.kind == "open":
            opened.append(k)
        elif token.kind == "close" and opened:
            closed.append((opened.pop(), k))
    return closed


def _runs(tokens: Sequence[Token], maths: Sequence[bool]) -> list[bool]:
    """Runs of mathematics with the spaces in them, unless they are but numbers."""
    inside, k = [False] * len(tokens), 0
    while k < len(tokens):
        if not maths[k]:
            k += 1
            continue
        while k < len(tokens) and tokens[k].text in "+/*" and k + 1 < len(tokens) and tokens[k + 1].kind == "space":
            k += 2  # a sign after a word
        if not maths[k]:
            continue
        end = k
        for j in range(k, len(tokens)):
            if maths[j]:
                end = j
            elif tokens[j].kind != "space":
                break
        while end > k and tokens[end].text in "+-*/ ":
            end -= 1
        relation = any(tokens[j].kind == "operator" and len(tokens[j].text) == 2 for j in range(k, end + 1))
        if relation or any(tokens[j].kind == "name" for j in range(k, end + 1)):
            inside[k : end + 1] = [True] * (end + 1 - k)
        k = end + 1
    return inside
