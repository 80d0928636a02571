"""What `workbench verify` checks: every closed form against a computation that shares nothing with it."""

from workbench.verification import bayes, complexity, depth, dynamics, influence, posterior, spectra, training
from workbench.verification.claims import Claim


def all_claims() -> list[Claim]:
    """All claims, in the order of the catalogue."""
    modules = (spectra, dynamics, depth, influence, posterior, training, bayes, complexity)
    return [claim for module in modules for claim in module.CLAIMS]


__all__ = ["all_claims"]
