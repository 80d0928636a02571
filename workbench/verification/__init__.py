"""What `workbench verify` checks: every closed form against a computation that shares nothing with it."""

from workbench.verification import (
    any_depth,
    any_depth_posterior,
    bayes,
    complexity,
    depth,
    dynamics,
    influence,
    posterior,
    spectra,
    training,
    unbalanced,
)
from workbench.verification.claims import Claim


def all_claims() -> list[Claim]:
    """All claims, in the order of the catalogue."""
    modules = (
        spectra,
        dynamics,
        depth,
        influence,
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


__all__ = ["all_claims", "long_claims"]
