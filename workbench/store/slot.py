"""A named place in a store, handed to whatever computes for long, or to whatever part of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.store.store import Store

Arrays = dict[str, NDArray[Any]]

#: Unfinished work is kept every so many seconds,
INTERVAL = 10.0
#: or less often where writing it would take more than this share of the time.
_SHARE = 0.02


class Slot:
    """One named place in a store; without a store nothing is kept and nothing found."""

    def __init__(self, store: Store | None = None, name: str = "") -> None:
        self.store, self.name = store, name
        self._last, self._cost = time.monotonic(), 0.0

    def part(self, name: object) -> Slot:
        """A place for a part of what goes here; once the whole is kept, its parts are dropped."""
        return Slot(self.store, f"{self.name}/{name}")

    def due(self) -> bool:
        """Whether unfinished work should be kept again."""
        return self.store is not None and time.monotonic() - self._last >= max(INTERVAL, self._cost / _SHARE)

    def load(self) -> Arrays | None:
        """The arrays that `save` kept, bit by bit."""
        piece = self.store.get(self.name) if self.store is not None else None
        return None if piece is None else {str(name): values.values for name, values in piece.data_vars.items()}

    def save(self, arrays: Mapping[str, Any]) -> None:
        """Keep arrays and numbers."""
        if self.store is not None:
            values = {name: np.asarray(array) for name, array in arrays.items()}
            dims = {name: [f"{name}_{axis}" for axis in range(array.ndim)] for name, array in values.items()}
            self._put(xr.Dataset({name: (dims[name], array) for name, array in values.items()}))

    def once(self, compute: Callable[[Slot], xr.DataArray]) -> xr.DataArray:
        """The array that is kept here, or else what ``compute(this slot)`` returns, which is then kept."""
        kept = self.store.get(self.name) if self.store is not None else None
        if kept is not None:
            (name,) = kept.data_vars
            return kept[name]
        result = compute(self)
        if self.store is not None:
            self._put(result.to_dataset())
        return result

    def _put(self, piece: xr.Dataset) -> None:
        assert self.store is not None
        begin = time.monotonic()
        self.store.put(self.name, piece)
        self._last = time.monotonic()
        self._cost = self._last - begin


#: Keeps nothing.
NOWHERE = Slot()
