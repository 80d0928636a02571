"""A claim judged: what was found, what is allowed and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ruling = Literal["holds", "FAILS", "not claimed"]


@dataclass(frozen=True)
class Verdict:
    """One claim: what was found, what is allowed and why, and the ruling.

    ``not claimed`` means that the theory's conditions do not hold, so nothing was put to the test.
    """

    claim: str
    found: str
    allowed: str
    reason: str
    ruling: Ruling


def judge(claim: str, found: float, allowed: float, reason: str, form: str = "{:.2g}") -> Verdict:
    """Holds where ``found`` is a number up to ``allowed``."""
    ruling: Ruling = "holds" if found <= allowed else "FAILS"
    return Verdict(claim, form.format(found), form.format(allowed), reason, ruling)
