"""Claims about the closed forms, each beside the independent computation that could refute it.

A claim is a sentence a reader could doubt. It is put to the test by computing the same quantity a second time
in a way that shares nothing with the formula (an ODE solver, automatic differentiation, quadrature, brute
force, retraining), and holds where the two differ by no more than a tolerance whose reason is stated. A claim
that does not hold stays visible.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError

Array = NDArray[np.float64]


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
    #: The same comparison with all that theory predicts multiplied by a factor: what the power is measured with.
    altered: Callable[[float], Outcome] | None = field(default=None, compare=False, repr=False)


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
        found = {key: getattr(self.outcome, key) for key in ("predicted", "computed", "difference", "size", "failing")}
        numbers = {key: value if np.isfinite(value) else None for key, value in found.items()}
        told = {
            key: getattr(self.claim, key) for key in ("family", "sentence", "forms", "against", "tolerance", "reason")
        }
        numbers["power"] = self.power if np.isfinite(self.power) else None
        return told | numbers | {"verdict": self.verdict, "seconds": round(self.seconds, 3), "error": self.error}


def _alterable(at: Callable[[float], Outcome]) -> Outcome:
    """The outcome of a comparison, given as a function of the factor that the predictions are multiplied by."""
    return replace(at(1.0), altered=at)


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The one that differs most."""

    def at(factor: float) -> Outcome:
        return max((o.altered(factor) if o.altered else o for o in outcomes), key=lambda o: o.difference)

    return _alterable(at)


def measured(predicted: float, computed: float, difference: Callable[[float], float]) -> Outcome:
    """A claim about one number: ``difference`` of the prediction, as a function of what is predicted."""
    return _alterable(lambda factor: Outcome(p := predicted * factor, computed, difference(p), abs(p)))


def at_least(predicted: float, computed: float) -> Outcome:
    """A claim that a number is as large as predicted, or larger: what is missing to it."""

    def at(factor: float) -> Outcome:
        p = predicted * factor
        return Outcome(p, computed, max(0.0, p - computed), abs(p), max(0.0, computed / p - 1))

    return _alterable(at)


def compared(predicted: ArrayLike, computed: ArrayLike, *, scale: float | None = None) -> Outcome:
    """Largest difference of two arrays relative to ``scale``, the largest computed value unless given.

    The values shown are those of the entry that differs most.
    """
    p, q = np.broadcast_arrays(np.asarray(predicted, dtype=np.float64), np.asarray(computed, dtype=np.float64))
    return _alterable(lambda factor: _compared(p * factor, q, scale))


def _compared(p: Array, q: Array, scale: float | None) -> Outcome:
    size = float(np.abs(q).max()) if scale is None else scale
    gap = np.abs(p - q)
    if not np.isfinite(gap).all():
        return Outcome(float("nan"), float("nan"), float("inf"))
    at = np.unravel_index(int(gap.argmax()), gap.shape)
    share = float(gap[at]) / size if gap[at] else 0.0
    return Outcome(float(p[at]), float(q[at]), share, float(np.abs(p).max()) / (size or 1.0))


def pointwise(predicted: ArrayLike, computed: ArrayLike) -> Outcome:
    """Largest relative difference, entry by entry."""
    p, q = np.asarray(predicted, dtype=np.float64), np.asarray(computed, dtype=np.float64)
    return _alterable(lambda factor: _pointwise(p * factor, q))


def _pointwise(p: Array, q: Array) -> Outcome:
    at = np.unravel_index(int(np.abs(p / q - 1).argmax()), q.shape)
    ratio = np.abs(p / q - 1)
    share = float(ratio[at]) if np.isfinite(ratio).all() else float("inf")
    return Outcome(float(p[at]), float(q[at]), share, 1.0)


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
