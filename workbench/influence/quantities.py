"""What goes in and out of the sides of a measure: requests, values, what stands beside them, what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.networks import Init
from workbench.semantics import SemanticTask

Array = NDArray[np.float64]
Options = Mapping[str, Any]
Side = Literal["analytic", "simulated"]
SIDES: tuple[Side, Side] = ("analytic", "simulated")
PAIR = ("time", "source", "target")


@dataclass(frozen=True)
class Beside:
    """A quantity that stands beside a measure's values, such as their standard errors.

    Attributes:
        name: of the coordinate of the array.
        variable: its name in the dataset of a comparison; error bars are made of ``{measure}_simulated_stderr``.
        dims: there.
        attrs: long name and units.
        optional: whether it may hold values that are not finite.
        most: of a dimension of its own, how long it gets at most.
    """

    name: str
    variable: str
    dims: tuple[str, ...] = PAIR
    attrs: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    most: int = 1

    @property
    def own_dim(self) -> str | None:
        """A dimension that the measure's values lack; its slices stand as coordinates ``name_0``, ``name_1``, ..."""
        return next((dim for dim in self.dims if dim not in (*PAIR, "item")), None)

    def coordinates(self, values: Array) -> dict[str, tuple[tuple[str, ...], Array]]:
        """As coordinates of an array over time, source and target."""
        dims = tuple("target" if dim == "item" else dim for dim in self.dims)
        if self.own_dim is None:
            return {self.name: (dims, values)}
        axis = dims.index(self.own_dim)
        rest = dims[:axis] + dims[axis + 1 :]
        return {f"{self.name}_{k}": (rest, one) for k, one in enumerate(np.moveaxis(values, axis, 0))}

    def read(self, array: xr.DataArray) -> Array | None:
        """Back from the coordinates of an array; None where it has none."""
        if self.own_dim is None:
            return np.asarray(array[self.name].values) if self.name in array.coords else None
        slices: list[Array] = []
        while f"{self.name}_{len(slices)}" in array.coords:
            slices.append(array[f"{self.name}_{len(slices)}"].values)
        return np.stack(slices, axis=self.dims.index(self.own_dim)) if slices else None


@dataclass(frozen=True)
class Expectation:
    """A sentence about a measure's two sides that a verdict judges.

    Attributes:
        key: unique.
        sentence: what is expected.
        rule: how it is judged: ``"closed form"`` (within the first-order effect of the learning rate), ``"flips"``
            (the same of the times of sign changes), ``"flow"`` (accumulated from the kernel through training) or
            ``"chains"`` (within Monte Carlo error).
    """

    key: str
    sentence: str
    rule: Literal["closed form", "flips", "flow", "chains"]


@dataclass(frozen=True)
class Measured:
    """What a side returns: ``(T, P, P)`` values, and what stands beside them.

    Attributes:
        values: over ``dims``.
        beside: arrays by the name of a `Beside`.
        attrs: what was chosen, for the record.
        dims, coords: of the values, where they have more than time, source and target.
    """

    values: Array
    beside: Mapping[str, Array] = field(default_factory=dict)
    attrs: Options = field(default_factory=dict)
    dims: tuple[str, ...] = PAIR
    coords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What is known before anything is computed: enough to refuse what would not fit.

    Attributes:
        task: what is to be learned.
        init: how the network starts. sizes: units of every layer, inputs first.
        checkpoints: how many.
        memory: bytes there are for one checkpoint's chains.
        predicted: whether there will be a prediction.
    """

    task: SemanticTask
    init: Init
    sizes: tuple[int, ...]
    checkpoints: int
    memory: float
    predicted: bool = True

    @property
    def n_weights(self) -> int:
        """N."""
        return sum(before * after for before, after in pairwise(self.sizes))
