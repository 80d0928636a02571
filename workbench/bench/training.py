"""Training of a module, many runs in one batch, and the derivative of it, by automatic differentiation alone.

Run r descends the mean over its batch of omega_ri l_i. This is a second loop beside `workbench.simulation`, and stays
for two reasons. Cross-entropy, and the derivatives of the losses of held-out queries, are not in the hand-written
passes: there they would touch the forward pass, the losses, both derivatives, the output basis, the moments-only
descent and the fused kernel, more lines than these. And it shares no arithmetic with them, so that on every problem
where both apply each is the other's independent check (`tests/test_bench.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.functional import losses_of_weights
from workbench.bench.run import ChainNetwork, Examples
from workbench.errors import WorkbenchError
from workbench.simulation import Recipe

Array = NDArray[np.float64]
Tensor = torch.Tensor
#: ``weights_at(n)``: the factors omega ``(R, P)`` that hold in the step after n steps.
ItemWeightsAt = Callable[[int], Tensor]


@dataclass(frozen=True, eq=False)
class Training:
    """What is trained, on what, and how.

    Attributes:
        network: gives the shape of the function; its weights are replaced.
        items: P training items.
        targets: N examples whose losses are recorded.
        recipe: schedule, rule, mini-batches.
    """

    network: ChainNetwork
    items: Examples
    targets: Examples
    recipe: Recipe

    def losses(self, starts: Tensor, weights_at: ItemWeightsAt) -> Array:
        """``(R, T, N)`` losses of the targets at every checkpoint of R runs from ``(R, n_weights)``."""
        record = torch.func.vmap(losses_of_weights(self.network, self.targets))
        return np.stack([record(w).numpy() for w in self._descend(starts, weights_at)], axis=1)

    def weights(self, starts: Tensor) -> Array:
        """``(R, T, n_weights)`` at every checkpoint, all items counting 1."""
        every = torch.ones((len(starts), len(self.items)), dtype=starts.dtype)
        return np.stack([w.numpy().copy() for w in self._descend(starts, lambda n: every)], axis=1)

    def _gradient(self) -> Callable[[Tensor, Tensor], Tensor]:
        losses = losses_of_weights(self.network, self.items)
        return torch.func.grad(lambda w, factors: (factors * losses(w)).sum())

    def _descend(self, starts: Tensor, weights_at: ItemWeightsAt) -> Sequence[Tensor]:
        w, optimizer, schedule = starts.clone(), self.recipe.optimizer, self.recipe.schedule
        gradient = torch.func.vmap(self._gradient())
        memory, batches, at_checkpoints = optimizer.init(w), self.recipe.batches(len(self.items)), []
        done = 0
        for wanted in schedule.steps:
            for n, chosen in enumerate(islice(batches, int(wanted) - done), start=done):
                factors = _of_batch(weights_at(n), chosen)
                optimizer.step(w, memory, gradient(w, factors), schedule.eta, n + 1)
            done = int(wanted)
            if not bool(torch.isfinite(w).all()):
                raise WorkbenchError(f"training diverged with eta = {schedule.eta:g}; use a smaller learning rate")
            at_checkpoints.append(w.clone())
        return at_checkpoints

    def derivative(self, starts: Tensor) -> Array:
        """``(R, T, P, N)`` ``dl_j(t)/d eps_i`` of ``L + sum_i eps_i l_i`` through every step, forward mode."""
        P, R = len(self.items), len(starts)
        optimizer, schedule = self.recipe.optimizer, self.recipe.schedule
        w = starts.clone()
        S = torch.zeros((R, P, starts.shape[1]), dtype=starts.dtype)
        one = torch.ones(P, dtype=starts.dtype)
        gradient, own = self._gradient(), P * torch.eye(P, dtype=starts.dtype)
        recorded = losses_of_weights(self.network, self.targets)

        def along(w: Tensor, factors: Tensor, dw: Tensor, dfactors: Tensor) -> Tensor:
            change: Tensor = torch.func.jvp(gradient, (w, factors), (dw, dfactors))[1]
            return change

        every_item = torch.func.vmap(along, in_dims=(None, None, 0, 0))
        every_run = torch.func.vmap(every_item, in_dims=(0, None, 0, None))
        steps = torch.func.vmap(gradient, in_dims=(0, None))
        of_losses = torch.func.vmap(
            torch.func.vmap(lambda w, dw: torch.func.jvp(recorded, (w,), (dw,))[1], in_dims=(None, 0)), in_dims=(0, 0)
        )
        memory, dmemory = optimizer.init(w), optimizer.init(S)
        batches, derivatives, done = self.recipe.batches(P), [], 0
        for wanted in schedule.steps:
            for n, chosen in enumerate(islice(batches, int(wanted) - done), start=done):
                factors, dfactors = _of_batch(one, chosen), _of_batch(own, chosen)
                g, dg = steps(w, factors), every_run(w, factors, S, dfactors)
                optimizer.step(w, memory, g, schedule.eta, n + 1)
                beside = tuple(m[:, None] for m in memory)
                optimizer.step_derivative(S, beside, dmemory, g[:, None], dg, schedule.eta, n + 1)
            done = int(wanted)
            derivatives.append(of_losses(w, S).numpy())
        return np.stack(derivatives, axis=1)


def _of_batch(factors: Tensor, chosen: NDArray[np.int64] | None) -> Tensor:
    """Factors of the item losses in one step: omega / B inside the batch, 0 outside."""
    if chosen is None:
        return factors / factors.shape[-1]
    inside = torch.zeros(factors.shape[-1], dtype=factors.dtype)
    inside[torch.as_tensor(chosen)] = 1 / len(chosen)
    return factors * inside
