"""Gradient descent of two linear layers from second moments of the data alone.

W1 <- W1 - eta W2^T E,   W2 <- W2 - eta E W1^T,   E = W2 W1 Sxx - Syx
Syx = sum_i omega_i y_i x_i^T / P,   Sxx = sum_i omega_i x_i x_i^T / P
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.semantics import SemanticTask
from workbench.simulation.running.place import Place
from workbench.simulation.running.products import Calls, add_product, product, run

Array = NDArray[np.float64]


class GramDescent:
    """R runs; a `descent.Stepper`. The input moments are kept as a diagonal where they are one."""

    def __init__(self, task: SemanticTask, layers: list[torch.Tensor], eta: float, place: Place) -> None:
        self.layers, self._task, self._eta, self._place = [W.contiguous() for W in layers], task, eta, place
        # Of any weights, where no item has two inputs.
        self._diagonal = bool(((task.X != 0).sum(axis=0) <= 1).all())
        new, R, inputs = self.layers[0].new_zeros, len(layers[0]), task.n_inputs
        self._Syx, self._Sxx = new((R, task.n_outputs, inputs)), new((R, 1 if self._diagonal else inputs, inputs))
        self._calls = self._step()

    def weigh(self, omega: Array) -> None:
        """``(R, P)`` factors omega from now on; the moments are kept times eta."""
        X, weighted = self._task.X, omega[:, None, :] * self._eta / self._task.n_items * self._task.X  # (R, N_i, P)
        Sxx = weighted @ X.T
        self._Sxx.copy_(self._place.tensor(np.diagonal(Sxx, axis1=1, axis2=2)[:, None, :] if self._diagonal else Sxx))
        self._Syx.copy_(self._place.tensor(self._task.Y @ weighted.transpose(0, 2, 1)))

    def step(self, items: torch.Tensor | None, n: int) -> None:
        """All items; the number n of the step does not matter."""
        run(self._calls)

    def _step(self) -> Calls:
        """The formulas above, where E is first the outputs, and then -eta E."""
        (W1, W2), Syx, Sxx = self.layers, self._Syx, self._Sxx
        E, change1, spare = torch.empty_like(Syx), torch.empty_like(W1), torch.empty_like(W2)
        if self._diagonal:
            residual: Calls = [partial(torch.addcmul, Syx, E, Sxx, value=-1.0, out=E)]
        else:
            moments = torch.empty_like(E)
            residual = [product(E, Sxx, out=moments), partial(torch.sub, Syx, moments, out=E)]
        return [
            product(W2, W1, out=E),
            *residual,
            product(W2.mT, E, out=change1),
            *add_product(W2, E, W1.mT, spare=spare),
            partial(W1.add_, change1),
        ]

    def numbers(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step."""
        return {"W1": self.layers[0], "W2": self.layers[1]}
