"""Classes of the tokens of any text, found by rule.

The classes are those of the language-model literature: where a word starts and goes on, spacing, delimiters to the
left and to the right, formatting, numbers, and the induction pattern. The last is a property of the place, not of the
token: the pair (token before, token) has stood in the same context before. It overrides the word and number classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from unicodedata import category

import numpy as np

from workbench.errors import WorkbenchError
from workbench.language.corpus import Corpus

RULE_CLASSES = (
    "word start",
    "word part",
    "spacing",
    "left delimiter",
    "right delimiter",
    "formatting",
    "numeric",
    "induction",
)
#: Beside brackets and quotation marks of any script, which Unicode knows by their categories.
_LEFT, _RIGHT = {"<"}, {">"}

#: Turns text into token numbers and the piece of text of each.
Encoder = Callable[[str], tuple[list[int], list[str]]]


def rule_class(piece: str, before: str) -> int:
    """Number of the class of a piece of text after another, -1 for none; whether it is induction is not asked.

    >>> [RULE_CLASSES[rule_class(p, b)] for p, b in ((" the", "of"), ("ory", " the"), ("12", " "), (")", "x"))]
    ['word start', 'word part', 'numeric', 'right delimiter']
    """
    text = piece.strip()
    if not text:
        return RULE_CLASSES.index("formatting" if "\n" in piece else "spacing") if piece else -1
    if text.isnumeric():
        return RULE_CLASSES.index("numeric")
    if all(letter in _LEFT or category(letter) in ("Ps", "Pi") for letter in text):
        return RULE_CLASSES.index("left delimiter")
    if all(letter in _RIGHT or category(letter) in ("Pe", "Pf") for letter in text):
        return RULE_CLASSES.index("right delimiter")
    if text[0].isalpha():
        goes_on = piece[0].isalpha() and before[-1:].isalpha()
        return RULE_CLASSES.index("word part" if goes_on else "word start")
    return -1 if any(letter.isalnum() for letter in text) else RULE_CLASSES.index("formatting")


def corpus_of_text(text: str, encode: Encoder, context: int, words: Sequence[str] | None = None) -> Corpus:
    """A text cut into documents of ``context`` tokens, each with its class.

    Args:
        text: any. encode: its tokenizer. context: tokens a document; a rest is dropped.
        words: how every token of the vocabulary is written, for pictures.
    """
    ids, pieces = encode(text)
    count = len(ids) // context
    if count < 2:
        raise WorkbenchError(
            f"the text has {len(ids)} tokens, and a document takes {context}; give a text of {2 * context} or more"
        )
    kinds = [rule_class(piece, before) for piece, before in zip(pieces, ["", *pieces[:-1]], strict=True)]
    tokens = np.array(ids[: count * context], dtype=np.int64).reshape(count, context)
    classes = np.array(kinds[: count * context], dtype=np.int64).reshape(count, context)
    classes[:, 0] = np.where(classes[:, 0] == RULE_CLASSES.index("word part"), -1, classes[:, 0])
    may_recur = np.isin(classes, [RULE_CLASSES.index(name) for name in ("word start", "word part", "numeric")])
    classes = np.where(may_recur & _recurs(tokens), RULE_CLASSES.index("induction"), classes)
    if words is None:
        shown = dict(zip(ids, pieces, strict=True))
        words = [shown.get(token, "?") for token in range(max(ids) + 1)]
    return Corpus(tokens, classes, RULE_CLASSES, tuple(visible(word) for word in words))


def _recurs(tokens: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Where (token before, token) stood before in the same document."""
    again = np.zeros(tokens.shape, dtype=bool)
    for row, marks in zip(tokens.tolist(), again, strict=True):
        seen: set[tuple[int, int]] = set()
        for place, pair in enumerate(pairwise(row), start=1):
            marks[place] = pair in seen
            seen.add(pair)
    return again


def with_enough(corpus: Corpus, least: int = 10) -> Corpus:
    """Only classes with enough tokens; the others count as none. At least two must be left."""
    counts = np.bincount(corpus.targets[corpus.targets >= 0], minlength=len(corpus.class_names))
    kept = np.flatnonzero(counts >= least)
    if len(kept) < 2:
        told = ", ".join(f"{name} ({n})" for name, n in zip(corpus.class_names, counts, strict=True))
        raise WorkbenchError(f"fewer than two classes have {least} tokens: {told}; give more text")
    number = np.full(len(corpus.class_names) + 1, -1)
    number[kept] = np.arange(len(kept))
    names = tuple(corpus.class_names[k] for k in kept)
    return Corpus(corpus.tokens, number[corpus.classes], names, corpus.words)


def visible(word: str) -> str:
    """Spaces and line ends that can be seen."""
    return word.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "␣") if not word.strip() else word.strip()


def byte_pairs(text: str, vocabulary: int = 512) -> tuple[Encoder, tuple[str, ...]]:
    """A byte-pair tokenizer trained on the text by `tokenizers`: its encoder, and its vocabulary as written."""
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError:
        remedy = 'pip install "stagewise-workbench[language]"'
        raise WorkbenchError(f"a text of your own needs tokenizers; {remedy}") from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)

    def encode(text: str) -> tuple[list[int], list[str]]:
        encoding = tokenizer.encode(text)
        return list(encoding.ids), [text[a:b] for a, b in encoding.offsets]

    return encode, tuple(tokenizer.decode([token]) for token in range(tokenizer.get_vocab_size()))
