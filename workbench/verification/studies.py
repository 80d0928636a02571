"""The claims of the studies, at reduced size: what a study claims is known only when it has been run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.studies import Inquiry, Study, StudyClaim, studies
from workbench.verification.claims import Checked, Claim, Outcome

_AGAINST = "a number that the study computes"


def select_studies(text: str | None) -> list[Study]:
    """Studies whose name or question contains ``text``, in any case; all without it."""
    wanted = (text or "").lower()
    return [study for study in studies().values() if wanted in f"study {study.name} {study.question}".lower()]


def verify_studies(chosen: Sequence[Study], advance: Callable[[int], Any] = lambda done: None) -> list[Checked]:
    """Run studies and put their claims to the test; a study that raises is one claim that fails."""
    results = []
    for study in chosen:
        results += _checked(study)
        advance(1)
    return results


def _checked(study: Study) -> list[Checked]:
    began = time.perf_counter()
    try:
        claims = study.run(Inquiry(quick=True)).claims
    except Exception as caught:
        failed = Claim(f"Study {study.name}", study.question, (), _AGAINST, 0.0, "it is to be answered", _nothing)
        message = " ".join(f"{type(caught).__name__}: {caught}".split())
        return [Checked(failed, _nothing(), time.perf_counter() - began, message)]
    seconds = (time.perf_counter() - began) / max(1, len(claims))
    return [Checked(_as_claim(study, claim), _outcome(claim), seconds) for claim in claims]


def _nothing() -> Outcome:
    return Outcome(float("nan"), float("nan"), float("inf"))


def _outcome(claim: StudyClaim) -> Outcome:
    """By how much the value misses the bound: predicted is the bound, computed the value."""
    missed = claim.value - claim.bound if claim.relation == "<=" else claim.bound - claim.value
    return Outcome(claim.bound, claim.value, max(0.0, missed) if np.isfinite(missed) else float("inf"))


def _as_claim(study: Study, claim: StudyClaim) -> Claim:
    family, sentence = f"Study {study.name} (reduced size)", f"{claim.sentence} ({claim.relation} {claim.bound:.4g})"
    return Claim(family, sentence, (), _AGAINST, 0.0, claim.reason, lambda: _outcome(claim))
