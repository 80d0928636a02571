"""Errors a user can act on: one line that says what was given, what was expected, and what mends it."""

from __future__ import annotations


class WorkbenchError(ValueError):
    """Something given to the workbench cannot be used; the message is one line and names the remedy."""


class ConditionError(WorkbenchError):
    """A closed form was asked for outside its conditions of validity.

    The message names the condition, the value found, and the nearest thing that would work.
    """

    def __init__(self, condition: str, found: str, remedy: str) -> None:
        super().__init__(f"condition not met: {condition}; found {found}; {remedy}")
        self.condition, self.found, self.remedy = condition, found, remedy


class SamplingError(WorkbenchError):
    """A Markov chain left the region in which its estimate means anything."""


def human_bytes(n: float) -> str:
    """``3.2 GB`` for 3.2e9: how much memory something would take, for error messages."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"


def counted(n: int, noun: str, plural: str = "") -> str:
    """``1 mode``, ``2 modes``, ``2 properties``."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
