"""A network of which one layer's weights alone may move: a `Model` whose weights are those of that layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.simulation.network.model import Model, ModelBatch

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class RestrictedModel:
    """Some of the weights of a model, the others held at ``(B, N)`` values.

    Attributes:
        whole: the model. held: weights of every copy; those of ``free`` are not used.
        free: which of the N weights move.
    """

    whole: Model
    held: Tensor
    free: slice

    #: No kernel on a GPU is made for it.
    bilinear = False

    @property
    def sources(self) -> tuple[str, ...]:
        """As of the whole model."""
        return self.whole.sources

    @property
    def targets(self) -> tuple[str, ...]:
        """As of the whole model."""
        return self.whole.targets

    @property
    def n_weights(self) -> int:
        """How many move."""
        return len(range(*self.free.indices(self.whole.n_weights)))

    def batch(self, w: Tensor) -> RestrictedBatch:
        """Copies at ``w``, ``(B, n_weights)``."""
        full = self.held.clone()
        full[:, self.free] = w
        return RestrictedBatch(self.whole.batch(full), self.free)


class RestrictedBatch:
    """A batch seen through the weights that move: ``w`` is a view of the whole, so that changes in place reach it."""

    def __init__(self, whole: ModelBatch, free: slice) -> None:
        self._whole, self._free = whole, free
        self.w = whole.w[:, free]

    def refresh(self) -> None:
        """See `ModelBatch`."""
        self._whole.refresh()

    def losses(self) -> Tensor:
        """``(B, targets)``."""
        return self._whole.losses()

    def gradient(self, omega: Tensor | None = None) -> Tensor:
        """``(B, n_weights)``."""
        return self._whole.gradient(omega)[:, self._free]

    def kernel(self) -> Tensor:
        """Of all weights, those that are held included: not what this batch can give."""
        raise NotImplementedError

    def gauss_newton(self) -> Tensor:
        """``(B, n_weights)``."""
        return self._whole.gauss_newton()[:, self._free]
