"""Where and how precisely to compute: said in one way everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """A device of torch and a floating-point type."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float64

    def tensor(self, values: ArrayLike) -> torch.Tensor:
        """Numbers on the device."""
        return torch.tensor(np.asarray(values), dtype=self.dtype, device=self.device)

    def chosen_rows(self, values: Array, index: NDArray[np.int64]) -> torch.Tensor:
        """``values[index]`` on the device, where rows that repeat are repeated."""
        rows, where = np.unique(index, return_inverse=True)
        return self.tensor(values[rows])[torch.tensor(where, device=self.device)]


CPU = Place()
