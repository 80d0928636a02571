"""What a comparison returns: one dataset, and what the user should know about how it was made."""

from __future__ import annotations

from dataclasses import dataclass, field

import xarray as xr


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both sides of a task in one labelled dataset, and what the user should know about how it was made."""

    dataset: xr.Dataset
    notes: list[str] = field(default_factory=list)
