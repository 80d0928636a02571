"""A claim judged: what was found, what is allowed and why, and how small an error would have been caught."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Errors that are tried, from the absence of what is predicted down to this fraction of it.
_SMALLEST = 1e-9


class Ruling(StrEnum):
    """What became of a claim; ``NOT_CLAIMED`` where nothing was put to the test that could have failed."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_CLAIMED = "not claimed"


@dataclass(frozen=True)
class Verdict:
    """One claim and its ruling.

    Attributes:
        key: names the claim, whatever its words.
        claim, found, allowed, reason: for readers.
        ruling: see `Ruling`.
        altered: of what an error was tried.
        power: the smallest relative error of that which would have failed, in either direction; nan if none was tried,
            inf if even twice or nothing of the prediction would have passed.
    """

    key: str
    claim: str
    found: str
    allowed: str
    reason: str
    ruling: Ruling
    altered: str = ""
    power: float = math.nan

    @property
    def catches(self) -> str:
        """The power in words."""
        if math.isnan(self.power) or not self.altered:
            return "-"
        return f"{100 * self.power:.2g}% of {self.altered}" if self.power < 1 else f"no error of {self.altered}"


def judge(
    key: str,
    claim: str,
    error: Callable[[float], float],
    allowed: float,
    reason: str,
    *,
    altered: str,
    form: str = "{:.2g}",
    shown: tuple[str, str] | None = None,
) -> Verdict:
    """Holds where the error found is a number up to ``allowed``, and an error of 100% would not be.

    Args:
        error: what would be found, had the analytic side been multiplied by 1 + x; at x = 0 what is found.
        altered: what is so multiplied.
        shown: what was found and what is allowed, where two numbers do not say it.
    """
    value = error(0.0)
    found, limit = shown or (form.format(value), form.format(allowed))
    if not value <= allowed:
        return Verdict(key, claim, found, limit, reason, Ruling.FAILS, altered, 0.0)
    power = smallest_error(error, allowed)
    if power < 1:
        return Verdict(key, claim, found, limit, reason, Ruling.HOLDS, altered, power)
    blind = f"a prediction of nothing at all, or of twice as much, would pass as well; {reason}"
    return Verdict(key, claim, found, limit, blind, Ruling.NOT_CLAIMED, altered, math.inf)


def unclaimed(key: str, claim: str, found: str, reason: str) -> Verdict:
    """A claim that was not put to the test, with what a test would have looked at."""
    return Verdict(key, claim, found, "-", reason, Ruling.NOT_CLAIMED)


def smallest_error(error: Callable[[float], float], allowed: float) -> float:
    """The relative error from which on the claim fails in both directions, to 1%; inf if one of 100% passes.

    Args:
        error: as for `judge`.
    """
    return max(_threshold(lambda x, sign=sign: error(sign * x) > allowed) for sign in (1.0, -1.0))  # type: ignore[misc]


def _threshold(fails: Callable[[float], bool]) -> float:
    """Where failing begins for good, coming from large errors: by halves of decades, then by bisection."""
    # Nothing is predicted at x = -1, and a relative difference from nothing has no size.
    largest = 1 - 1e-9
    if not fails(largest):
        return math.inf
    high, low = largest, largest / 3
    while low > _SMALLEST and fails(low):
        high, low = low, low / 3
    for _ in range(8):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fails(middle) else (middle, high)
    return high


def scaled_l2(analytic: Array, simulated: Array) -> Callable[[float], float]:
    """``x -> |simulated - (1 + x) analytic| / |(1 + x) analytic|`` without the cancellation of large norms."""
    difference = (simulated - analytic).ravel()
    size, gap = float(np.linalg.norm(analytic)), float(np.linalg.norm(difference))
    along = float(difference @ analytic.ravel())
    if size == 0:
        return lambda x: 0.0 if gap == 0 else math.inf
    return lambda x: math.sqrt(max(gap**2 - 2 * x * along + (x * size) ** 2, 0.0)) / (abs(1 + x) * size)
