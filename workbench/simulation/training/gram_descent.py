"""Gradient descent of two linear layers from second moments of the data alone.

W1 <- W1 - eta W2^T E,   W2 <- W2 - eta E W1^T,   E = W2 W1 Sxx - Syx
Syx = sum_i omega_i y_i x_i^T / P,   Sxx = sum_i omega_i x_i x_i^T / P
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.semantics import SemanticTask
from workbench.simulation.running.place import Place

Array = NDArray[np.float64]


class GramDescent:
    """R runs; a `descent.Stepper`. The input moments are kept as a diagonal where they are one."""

    def __init__(self, task: SemanticTask, layers: list[torch.Tensor], eta: float, place: Place) -> None:
        self.layers, self._task, self._eta, self._place = [W.contiguous() for W in layers], task, eta, place
        self._spare = torch.empty_like(self.layers[0])
        self._Syx = self.layers[0].new_empty((len(layers[0]), task.n_outputs, task.n_inputs))
        self._Sxx, self._E = self._Syx.new_empty(0), torch.empty_like(self._Syx)
        # Of any weights, where no item has two inputs.
        self._diagonal = bool(((task.X != 0).sum(axis=0) <= 1).all())

    def weigh(self, omega: Array) -> None:
        """``(R, P)`` factors omega from now on."""
        X, weighted = self._task.X, omega[:, None, :] / self._task.n_items * self._task.X  # (R, N_i, P)
        Sxx = weighted @ X.T
        shown = np.diagonal(Sxx, axis1=1, axis2=2)[:, None, :] if self._diagonal else Sxx
        self._Syx.copy_(self._place.tensor(self._task.Y @ weighted.transpose(0, 2, 1)))
        moments = self._place.tensor(shown)
        self._Sxx = self._Sxx.copy_(moments) if self._Sxx.numel() else moments

    def step(self, items: torch.Tensor | None, n: int) -> None:
        """All items; the number n of the step does not matter."""
        (W1, W2), E = self.layers, self._E
        torch.bmm(W2, W1, out=E)
        if self._diagonal:
            torch.addcmul(self._Syx, E, self._Sxx, value=-1.0, out=E)  # now -E
        else:
            E = torch.baddbmm(self._Syx, E, self._Sxx, alpha=-1.0)
        torch.baddbmm(W1, W2.mT, E, alpha=self._eta, out=self._spare)
        W2.baddbmm_(E, W1.mT, alpha=self._eta)
        if W1.is_cuda:  # `Repeated` wants the weights where they were
            W1.copy_(self._spare)
        else:
            self.layers[0], self._spare = self._spare, W1

    def numbers(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step."""
        return {"W1": self.layers[0], "W2": self.layers[1]}
