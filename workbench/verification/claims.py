"""Claims about the closed forms, each beside the independent computation that could refute it.

A claim is a sentence a reader could doubt. It is put to the test by computing the same quantity a second time
in a way that shares nothing with the formula (an ODE solver, automatic differentiation, quadrature, brute
force, retraining), and holds where the two differ by no more than a tolerance whose reason is stated. A claim
that does not hold stays visible.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Outcome:
    """What a test of a claim found.

    Attributes:
        predicted: of theory, a representative value for people.
        computed: the other side's.
        difference: what decides.
        size: largest predicted value in the units of the difference: how much of a relative error shows in it;
            0 where that is not known.
    """

    predicted: float
    computed: float
    difference: float
    size: float = field(default=0.0, compare=False)
    #: Of an inequality: the relative error of the prediction with which it would have failed.
    failing: float = field(default=float("nan"), compare=False)


@dataclass(frozen=True)
class Claim:
    """A claim and its test.

    Attributes:
        family: part of the theory it belongs to.
        sentence: what is claimed.
        forms: names in the catalogue that it tests; families of forms without their last number.
        against: the independent computation.
        tolerance: largest difference at which it holds.
        reason: why that much.
        test: computes both sides.
    """

    family: str
    sentence: str
    forms: tuple[str, ...]
    against: str
    tolerance: float
    reason: str
    test: Callable[[], Outcome]


@dataclass(frozen=True)
class Checked:
    """A claim after its test; ``error`` holds the message of a test that could not be finished."""

    claim: Claim
    outcome: Outcome
    seconds: float
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether the difference is a number within the tolerance."""
        return not self.error and bool(self.outcome.difference <= self.claim.tolerance)

    @property
    def verdict(self) -> str:
        """``holds`` or ``FAIL``."""
        return "holds" if self.holds else "FAIL"

    @property
    def power(self) -> float:
        """Relative error of all that theory predicts here which could not have passed; infinite if nothing is seen."""
        if np.isfinite(self.outcome.failing):
            return self.outcome.failing
        most = self.claim.tolerance + self.outcome.difference
        return most / self.outcome.size if self.outcome.size > 0 else float("inf")

    def record(self) -> dict[str, Any]:
        """As plain data for JSON; numbers that are not finite become None."""
        numbers = {key: value if np.isfinite(value) else None for key, value in asdict(self.outcome).items()}
        told = {
            key: getattr(self.claim, key) for key in ("family", "sentence", "forms", "against", "tolerance", "reason")
        }
        numbers["power"] = self.power if np.isfinite(self.power) else None
        return told | numbers | {"verdict": self.verdict, "seconds": round(self.seconds, 3), "error": self.error}


_ALTERED: ContextVar[float] = ContextVar("_ALTERED", default=1.0)


@contextmanager
def altered(factor: float) -> Iterator[None]:
    """Multiply all predictions of the claims tested inside: what a claim's power is measured with."""
    token = _ALTERED.set(factor)
    try:
        yield
    finally:
        _ALTERED.reset(token)


def measured(predicted: float, computed: float, difference: Callable[[float], float]) -> Outcome:
    """A claim about one number: ``difference`` of the prediction, as a function of what is predicted."""
    p = predicted * _ALTERED.get()
    return Outcome(p, computed, difference(p), abs(p))


def at_least(predicted: float, computed: float) -> Outcome:
    """A claim that a number is as large as predicted, or larger: what is missing to it."""
    p = predicted * _ALTERED.get()
    return Outcome(p, computed, max(0.0, p - computed), abs(p), max(0.0, computed / p - 1))


def compared(predicted: ArrayLike, computed: ArrayLike, *, scale: float | None = None) -> Outcome:
    """Largest difference of two arrays relative to ``scale``, the largest computed value unless given.

    The values shown are those of the entry that differs most.
    """
    p, q = np.broadcast_arrays(np.asarray(predicted, dtype=np.float64), np.asarray(computed, dtype=np.float64))
    p = p * _ALTERED.get()
    size = float(np.abs(q).max()) if scale is None else scale
    gap = np.abs(p - q)
    if not np.isfinite(gap).all():
        return Outcome(float("nan"), float("nan"), float("inf"))
    worst = np.unravel_index(int(gap.argmax()), gap.shape)
    share = float(gap[worst]) / size if gap[worst] else 0.0
    return Outcome(float(p[worst]), float(q[worst]), share, float(np.abs(p).max()) / (size or 1.0))


def pointwise(predicted: ArrayLike, computed: ArrayLike) -> Outcome:
    """Largest relative difference, entry by entry."""
    p, q = np.asarray(predicted, dtype=np.float64) * _ALTERED.get(), np.asarray(computed, dtype=np.float64)
    worst = np.unravel_index(int(np.abs(p / q - 1).argmax()), q.shape)
    ratio = np.abs(p / q - 1)
    share = float(ratio[worst]) if np.isfinite(ratio).all() else float("inf")
    return Outcome(float(p[worst]), float(q[worst]), share, 1.0)


def check(claim: Claim) -> Checked:
    """Put one claim to the test; a test that raises is a claim that fails."""
    began = time.perf_counter()
    try:
        outcome, error = claim.test(), ""
    except Exception as caught:
        outcome, error = Outcome(float("nan"), float("nan"), float("inf")), f"{type(caught).__name__}: {caught}"
    return Checked(claim, outcome, time.perf_counter() - began, " ".join(error.split()))


def verify(claims: Sequence[Claim], advance: Callable[[int], Any] = lambda done: None) -> list[Checked]:
    """Put all claims to the test, in order; ``advance`` is called with 1 after each."""
    results = []
    for claim in claims:
        results.append(check(claim))
        advance(1)
    return results


def select(claims: Iterable[Claim], text: str, *, none_is_fine: bool = False) -> list[Claim]:
    """Claims whose family, sentence or forms contain ``text``, in any case; none is an error unless that is fine."""
    wanted = text.lower()
    claims = list(claims)
    chosen = [c for c in claims if wanted in " ".join((c.family, c.sentence, *c.forms)).lower()]
    if not chosen and not none_is_fine:
        families = ", ".join(dict.fromkeys(c.family for c in claims))
        raise WorkbenchError(f"no claim mentions {text!r}; the families are {families}")
    return chosen


def claims_table(results: Sequence[Checked]) -> str:
    """Predicted, computed, difference and verdict of every claim, by family.

    ``sees``: a relative error of the prediction of that size would have failed.
    """
    lines = [f"{'verdict':<8}{'difference':>11}{'allowed':>9}{'sees':>9}{'predicted':>15}{'computed':>15}  claim"]
    family = ""
    for result in results:
        claim, outcome = result.claim, result.outcome
        if claim.family != family:
            family = claim.family
            lines += ["", family]
        lines.append(
            f"{result.verdict:<8}{outcome.difference:>11.1e}{claim.tolerance:>9.1e}{result.power:>9.1e}{outcome.predicted:>15.7g}"
            f"{outcome.computed:>15.7g}  {claim.sentence}"
        )
        if not result.holds:
            lines.append(f"{'':<8}against {claim.against}; allowed: {claim.reason}")
            if result.error:
                lines.append(f"{'':<8}{result.error}")
    failed = sum(not result.holds for result in results)
    seconds = sum(result.seconds for result in results)
    lines += ["", f"{len(results) - failed} of {len(results)} claims hold; {seconds:.0f} s"]
    return "\n".join(lines)
