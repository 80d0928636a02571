"""A generated language whose every token carries its class by construction.

A document of 64 tokens is a row of phrases, with a space or, now and then, a newline between them:

* a word: a stem and one of eight suffixes, its own in four of five cases; stems follow one another in a Markov chain;
* a number: ``#`` and a digit, which nothing predicts;
* a name: three tokens of twenty. A document has two names of its own, drawn at random, that recur: when a name comes
  again its second and third token can be predicted, but only by looking up what followed its first one before
  (induction);
* a bracket: two kinds, at most two deep, closed by their own kind.

A class belongs to the token that is predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError

Ints = NDArray[np.int64]

#: Names of the classes, in the order of their numbers.
CLASSES = (
    "word start",
    "word part",
    "number sign",
    "digit",
    "space",
    "newline",
    "left bracket",
    "right bracket",
    "first name",
    "name start",
    "induction",
)
CONTEXT = 64
STEMS, SUFFIXES, NAMES, DIGITS = 12, 8, 20, 10
_STEM, _SUFFIX = 0, STEMS
_NAME = STEMS + SUFFIXES
_DIGIT = _NAME + NAMES
_SIGN, _LEFT, _RIGHT, _SPACE, _NEWLINE = (_DIGIT + DIGITS + k for k in (0, 1, 3, 5, 6))
VOCABULARY = _NEWLINE + 1
DEEPEST = 2
_SYLLABLES = ("ba", "ke", "mi", "no", "su", "ra", "te", "li", "vo", "du", "pe", "za")
_ENDINGS = ("ing", "ed", "er", "ly", "ness", "s", "able", "ion")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents with the class of every token.

    Attributes:
        tokens: ``(documents, context)``. classes: the same shape, numbers of `class_names`; -1: in no class.
        class_names: of the classes. words: how each token of the vocabulary is written.
    """

    tokens: Ints
    classes: Ints
    class_names: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def documents(self) -> int:
        """How many."""
        return len(self.tokens)

    def chosen(self, index: Ints) -> Corpus:
        """Some documents."""
        return Corpus(self.tokens[index], self.classes[index], self.class_names, self.words)

    @property
    def targets(self) -> Ints:
        """``(documents, context - 1)`` class of the token that each loss is about."""
        return self.classes[:, 1:]

    def text(self, document: int) -> list[str]:
        """Its tokens as written."""
        return [self.words[token] for token in self.tokens[document]]


@dataclass(frozen=True)
class Grammar:
    """Frequencies of the phrases and of the newline in place of a space; the words follow from the seed.

    Attributes:
        word, number, name, opening: relative frequencies of phrases. closing: chance that an open bracket is closed
            next.
        regular: how often a stem has its own suffix. newline: share of newlines among gaps.
    """

    word: float = 0.40
    number: float = 0.12
    name: float = 0.33
    opening: float = 0.15
    closing: float = 0.3
    regular: float = 0.8
    newline: float = 0.12
    seed: int = 0

    def vocabulary(self) -> tuple[str, ...]:
        """How each token is written."""
        names = [a + b for a in "bdfgk" for b in "aeiu"]
        return (
            *_SYLLABLES,
            *(f"-{ending}" for ending in _ENDINGS),
            *(name.capitalize() for name in names),
            *(str(digit) for digit in range(DIGITS)),
            "#", "(", "[", ")", "]", "␣", "⏎",
        )  # fmt: skip

    def corpus(self, documents: int, seed: int = 0) -> Corpus:
        """Documents; the same grammar and seed always give the same ones.

        Args:
            documents: how many.
            seed: of what the grammar leaves to chance.
        """
        if documents < 1:
            raise WorkbenchError(f"documents = {documents}; give 1 or more")
        habits = np.random.default_rng((self.seed, 0))
        chain = habits.dirichlet(np.full(STEMS, 0.3), size=STEMS).cumsum(axis=1)
        suffix = habits.integers(SUFFIXES, size=STEMS)
        rng = np.random.default_rng((self.seed, 1, seed))
        written = [self._document(rng, chain, suffix) for _ in range(documents)]
        tokens, classes = (np.array([pair[k] for pair in written], dtype=np.int64) for k in (0, 1))
        return Corpus(tokens, classes, CLASSES, self.vocabulary())

    def _document(
        self, rng: np.random.Generator, chain: NDArray[np.float64], suffix: Ints
    ) -> tuple[list[int], list[int]]:
        names = rng.choice(NAMES, size=(2, 3), replace=True) + _NAME
        while names[0, 0] == names[1, 0] or len(set(names[0])) < 3 or len(set(names[1])) < 3:
            names = rng.choice(NAMES, size=(2, 3), replace=True) + _NAME
        said, stem = [False, False], int(rng.integers(STEMS))
        opened: list[int] = []
        tokens: list[int] = []
        classes: list[int] = []

        def write(token: np.integer[Any] | int, kind: str) -> None:
            tokens.append(int(token))
            classes.append(CLASSES.index(kind))

        shares = np.cumsum([self.word, self.number, self.name, self.opening])
        while len(tokens) < CONTEXT:
            if opened and rng.random() < self.closing:
                write(_RIGHT + opened.pop(), "right bracket")
            else:
                phrase = int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
                if phrase == 3 and len(opened) < DEEPEST:
                    opened.append(int(rng.integers(2)))
                    write(_LEFT + opened[-1], "left bracket")
                    continue  # no gap after an opening bracket
                if phrase == 1:
                    write(_SIGN, "number sign")
                    write(_DIGIT + rng.integers(DIGITS), "digit")
                elif phrase == 2:
                    which = int(rng.integers(2))
                    again, said[which] = said[which], True
                    for place, token in enumerate(names[which]):
                        write(token, "first name" if not again else "induction" if place else "name start")
                else:
                    stem = int(np.searchsorted(chain[stem], rng.random() * chain[stem, -1], side="right"))
                    write(_STEM + stem, "word start")
                    own = rng.random() < self.regular
                    write(_SUFFIX + (suffix[stem] if own else rng.integers(SUFFIXES)), "word part")
            if rng.random() < self.newline:
                write(_NEWLINE, "newline")
            else:
                write(_SPACE, "space")
        return tokens[:CONTEXT], classes[:CONTEXT]


def class_counts(corpus: Corpus) -> Ints:
    """How many losses each class has."""
    return np.bincount(corpus.targets[corpus.targets >= 0], minlength=len(corpus.class_names))


def check_classes(corpus: Corpus, least: int = 10) -> None:
    """Refuse classes with too few tokens for a mean over pairs."""
    counts = class_counts(corpus)
    few = [f"{name} ({count})" for name, count in zip(corpus.class_names, counts, strict=True) if count < least]
    if few:
        raise WorkbenchError(
            f"classes with fewer than {least} tokens: {', '.join(few)}; observe more documents, or leave them out"
        )
