"""``draws`` left to us: a first look, and then as many as bring the influence between items out of the noise."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import xarray as xr

from workbench.agreement.resolution import unresolved
from workbench.comparison.settings import Settings
from workbench.influence import local_bif

_LOG = logging.getLogger("workbench")
#: More draws a chain take hours; what they leave unresolved is said in a note.
_MOST = 50_000


def missing_draws(ds: xr.Dataset, settings: Settings) -> int | None:
    """Draws a chain that would resolve every group of pairs; None where they were given, or are enough.

    Args:
        ds: with the covariances of the first look.
        settings: of the comparison; ``draws`` None leaves them to us.
    """
    if local_bif not in settings.asked or settings.of(local_bif)["draws"] is not None:
        return None
    needed = [draws for _, draws in unresolved(ds).values() if draws == draws]
    return min(int(max(needed)), _MOST) if needed else None


def more_draws(options: Mapping[str, Any], draws: int) -> dict[str, Any]:
    """The options of the second look, announced."""
    _LOG.info("sampling again with %d draws a chain in place of %d, to resolve single entries", draws, options["draws"])
    return {**options, "draws": draws}
