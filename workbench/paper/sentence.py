"""A sentence of the abstract, in our words, with what was measured and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from workbench.figures import Words
from workbench.studies import StudyClaim


@dataclass(frozen=True, eq=False)
class Sentence:
    """What a sentence asserts and what was found.

    Attributes:
        name: of its files.
        claim: in our words.
        asked: what was measured for it, and what would have refuted it.
        numbers: a row each curve, event or measure, with its error; note: how to read it.
        checks: the claims that decide.
        figure, words: that shows it; words give title, caption and description. None where it was not looked at.
    """

    name: str
    claim: str
    asked: str
    numbers: pd.DataFrame
    note: str
    checks: tuple[StudyClaim, ...]
    figure: Figure | None = None
    words: Words | None = None

    @property
    def verdict(self) -> str:
        """``holds``, ``holds in part`` or ``not here``."""
        held = sum(check.holds for check in self.checks)
        return "not here" if not held else "holds" if held == len(self.checks) else "holds in part"

    @property
    def missing(self) -> tuple[str, ...]:
        """The sentences of the checks that failed: which part does not hold."""
        return tuple(check.sentence for check in self.checks if not check.holds)

    @property
    def kind(self) -> str:
        """``good``, ``open`` or ``bad``, for the colour of the verdict."""
        return {"holds": "good", "holds in part": "open", "not here": "bad"}[self.verdict]
