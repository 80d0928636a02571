"""What `workbench verify` checks: every closed form against a computation that shares nothing with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.verification import (
    any_depth,
    any_depth_posterior,
    bayes,
    complexity,
    depth,
    dynamics,
    frozen_input,
    influence,
    posterior,
    spectra,
    training,
    unbalanced,
)
from workbench.verification.claims import Checked, Claim

if TYPE_CHECKING:
    from workbench.studies import Study


def all_claims() -> list[Claim]:
    """All claims, in the order of the catalogue."""
    modules = (
        spectra,
        dynamics,
        depth,
        influence,
        frozen_input,
        unbalanced,
        any_depth,
        any_depth_posterior,
        posterior,
        training,
        bayes,
        complexity,
    )
    return [claim for module in modules for claim in module.CLAIMS]


def long_claims() -> list[Claim]:
    """Claims that take minutes: networks trained and sampled anew."""
    from workbench.verification import language  # imports torch

    return list(language.CLAIMS)


def select_studies(text: str | None) -> list[Study]:
    """Studies that mention ``text``; see `studies.select_studies`."""
    from workbench.verification import studies  # imports torch

    return studies.select_studies(text)


def verify_studies(chosen: Sequence[Study], advance: Callable[[int], Any] = lambda done: None) -> list[Checked]:
    """Their claims, put to the test; see `studies.verify_studies`."""
    from workbench.verification import studies

    return studies.verify_studies(chosen, advance)


__all__ = ["all_claims", "long_claims", "select_studies", "verify_studies"]
