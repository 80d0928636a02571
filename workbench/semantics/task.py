"""`SemanticTask`: the items, their properties, and the matrices a network is asked to learn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError, counted
from workbench.semantics.names import checked_names, showable

if TYPE_CHECKING:
    from workbench.semantics.hierarchy import Hierarchy
    from workbench.semantics.tree import Tree

Array = NDArray[np.float64]

#: Of more items one matrix of items x items has over 100 MB, and every measure many of them.
MOST_ITEMS = 4096
#: The loss takes the fourth power of the values, and flow times spread as widely as they do.
_LARGEST = 1e9
#: Variances of losses take the eighth power, which must stay far from underflow.
_SMALLEST = 1e-20


def _frozen_copy(label: str, values: ArrayLike) -> Array:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise WorkbenchError(f"{label} is no matrix of numbers; give rows of equal length") from None
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class SemanticTask:
    """What is to be learned: map item ``i`` with input ``x_i`` to its property vector ``y_i``.

    Attributes:
        name: short name used in titles and file metadata.
        items: P item names.
        properties: N_o property names.
        Y: ``(N_o, P)`` targets, one column an item.
        X: ``(N_i, P)`` inputs, one column an item; one-hot (the identity) unless given.
        tree: the hierarchy the items hang on, if there is one: it names the level of the common
            ancestor of two items. The targets need not be symmetric under it; see `tree_symmetric`.
        source: where the data come from.

    The covariances follow the conventions of Saxe et al. (2019): ``Sxx = X X^T / P`` and
    ``Syx = Y X^T / P``, so one-hot inputs have ``Sxx = I / P``.
    """

    name: str
    items: tuple[str, ...]
    properties: tuple[str, ...]
    Y: Array
    X: Array = None  # type: ignore[assignment]
    tree: Hierarchy | Tree | None = None
    source: str = ""

    def __post_init__(self) -> None:
        Y = _frozen_copy("Y", self.Y)
        if Y.ndim != 2:
            raise WorkbenchError(f"Y has {Y.ndim} dimensions; expected a matrix (properties, items)")
        n_properties, n_items = Y.shape
        if n_items < 2:
            raise WorkbenchError(f"the task has {counted(n_items, 'item')}; influence between items needs at least 2")
        if n_items > MOST_ITEMS:
            raise WorkbenchError(
                f"{n_items:,} items; influence is a matrix of items x items, with a limit of {MOST_ITEMS:,}; keep fewer"
            )
        X = _frozen_copy("X", np.eye(n_items) if self.X is None else self.X)
        if n_properties < 1:
            raise WorkbenchError("the task has no property; give at least one")
        if X.ndim != 2 or X.shape[1] != n_items:
            raise WorkbenchError(f"X has shape {X.shape}; expected (inputs, {n_items}), one column an item")
        items = checked_names("item", self.items, n_items)
        properties = checked_names("property", self.properties, n_properties)
        for label, matrix in (("Y", Y), ("X", X)):
            if not np.isfinite(matrix).all():
                row, column = np.argwhere(~np.isfinite(matrix))[0]
                raise WorkbenchError(
                    f"{label}[{row}, {column}] is {matrix[row, column]}; every value must be a finite number"
                )
        for label, matrix in (("Y", Y), ("X", X)):
            if np.abs(matrix).max(initial=0) > _LARGEST:
                raise WorkbenchError(
                    f"{label} holds {np.abs(matrix).max():.3g}; rescale it to values of at most {_LARGEST:g}"
                )
        if not Y.any():
            raise WorkbenchError("every property of every item is 0; there is nothing to learn")
        if np.abs(Y).max() < _SMALLEST:
            raise WorkbenchError(
                f"Y holds no value above {np.abs(Y).max():.3g}; rescale it to values of at least {_SMALLEST:g}"
            )
        if self.tree is not None and self.tree.n_items != n_items:
            raise WorkbenchError(f"the tree has {self.tree.n_items} leaves but the task {n_items} items")
        object.__setattr__(self, "Y", Y)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "properties", properties)
        object.__setattr__(self, "name", showable(self.name))
        object.__setattr__(self, "source", showable(self.source))

    @property
    def n_items(self) -> int:
        """P, the number of items."""
        return int(self.Y.shape[1])

    @property
    def n_inputs(self) -> int:
        """N_i, the number of input units."""
        return int(self.X.shape[0])

    @property
    def n_outputs(self) -> int:
        """N_o, the number of properties."""
        return int(self.Y.shape[0])

    @property
    def shape_words(self) -> str:
        """``8 items x 36 properties``."""
        return f"{counted(self.n_items, 'item')} x {counted(self.n_outputs, 'property', 'properties')}"

    @cached_property
    def Sxx(self) -> Array:
        """Input covariance ``X X^T / P``, ``(N_i, N_i)``."""
        return self.X @ self.X.T / self.n_items

    @cached_property
    def Syx(self) -> Array:
        """Input-output covariance ``Y X^T / P``, ``(N_o, N_i)``."""
        return self.Y @ self.X.T / self.n_items

    @cached_property
    def one_hot(self) -> bool:
        """Whether item i simply switches on input i."""
        return self.X.shape[0] == self.n_items and np.array_equal(self.X, np.eye(self.n_items))

    @cached_property
    def input_scale(self) -> float | None:
        """``c`` with ``x_i . x_j = c P delta_ij`` (then ``Sxx = c x projector``), or None."""
        gram = self.X.T @ self.X
        c = float(np.trace(gram)) / self.n_items**2
        off = np.abs(gram - c * self.n_items * np.eye(self.n_items)).max()
        return c if c > 0 and off <= 1e-10 * c * self.n_items else None

    @cached_property
    def common_ancestor_level(self) -> NDArray[np.int64] | None:
        """``(P, P)`` level of the lowest common ancestor (0 = root, depth = the item itself), or None."""
        return None if self.tree is None else self.tree.common_ancestor_level

    @cached_property
    def tree_symmetric(self) -> bool:
        """Whether the tree is balanced and ``y_i . y_j`` depends only on the level of the common ancestor of i and j.

        Then the closed forms on the tree hold, and influence has one curve per level.
        """
        levels = self.common_ancestor_level
        if levels is None or self.tree is None or self.tree.branching is None:
            return False
        gram = self.Y.T @ self.Y
        scale = np.abs(gram).max()
        return all(np.ptp(gram[levels == m]) <= 1e-10 * scale for m in np.unique(levels))

    @cached_property
    def digest(self) -> str:
        """First 12 hex digits of a SHA-256 over names and matrices: which data made a result."""
        h = hashlib.sha256("\0".join((*self.items, "|", *self.properties)).encode())
        h.update(np.ascontiguousarray(self.Y).tobytes())
        h.update(np.ascontiguousarray(self.X).tobytes())
        return h.hexdigest()[:12]

    def item_index(self, name: str) -> int:
        """Position of the item called ``name``; a `WorkbenchError` lists near names if there is none."""
        if name in self.items:
            return self.items.index(name)
        import difflib

        near = difflib.get_close_matches(name, self.items, n=3, cutoff=0.4) or list(self.items[:5])
        raise WorkbenchError(f"no item is called {name!r}; did you mean {', '.join(near)}?")

    def __repr__(self) -> str:
        return f"SemanticTask({self.name!r}: {self.shape_words})"
