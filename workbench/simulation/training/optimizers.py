"""Rules that turn gradients into steps, each with the derivative of its step.

All rules act on flat weights ``(..., N)`` and are elementwise, so a batch of runs is a batch of rules. Momentum is
written as an average of gradients, so that one step is worth ``eta`` of flow time under every rule but Adam, whose
steps have no flow::

    GradientDescent   w <- w - eta g
    Momentum          v <- mu v + (1 - mu) g,   w <- w - eta v
    Adam              m, q <- averages of g, g^2;   w <- w - eta m^ / (sqrt(q^) + floor)     (Kingma & Ba 2015)

`Momentum` with ``eta`` is torch's SGD with ``lr = eta (1 - mu)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.errors import WorkbenchError

Tensor = torch.Tensor
Memory = tuple[Tensor, ...]


@dataclass(frozen=True)
class GradientDescent:
    """Plain gradient descent."""

    #: Whether training commutes with rotations of the outputs.
    rotates = True
    #: Whether a step depends on its number.
    counts = False

    def init(self, weights: Tensor) -> Memory:
        """Nothing to remember."""
        return ()

    def step(self, weights: Tensor, memory: Memory, g: Tensor, eta: float, n: int) -> None:
        """Move weights and memory in place, in step number n = 1, 2, ..."""
        weights.add_(g, alpha=-eta)

    def step_derivative(
        self, S: Tensor, memory: Memory, dmemory: Memory, g: Tensor, dg: Tensor, eta: float, n: int
    ) -> None:
        """The derivative of `step`: moves that of the weights, S, and that of the memory, in place.

        ``memory`` is as the step itself left it; ``dg`` the derivative of the gradient, with S's own part.
        """
        self.step(S, (), dg, eta, n)


@dataclass(frozen=True)
class Momentum:
    """Heavy-ball momentum ``mu``."""

    mu: float = 0.9
    rotates = True
    counts = False

    def __post_init__(self) -> None:
        if not 0 <= self.mu < 1:
            raise WorkbenchError(f"momentum {self.mu:g}; give a number from 0 to below 1")

    def init(self, weights: Tensor) -> Memory:
        """``v = 0``."""
        return (torch.zeros_like(weights),)

    def step(self, weights: Tensor, memory: Memory, g: Tensor, eta: float, n: int) -> None:
        """See `GradientDescent.step`."""
        weights.add_(memory[0].lerp_(g, 1 - self.mu), alpha=-eta)

    def step_derivative(
        self, S: Tensor, memory: Memory, dmemory: Memory, g: Tensor, dg: Tensor, eta: float, n: int
    ) -> None:
        """See `GradientDescent.step_derivative`."""
        self.step(S, dmemory, dg, eta, n)


@dataclass(frozen=True)
class Adam:
    """Adam; ``floor`` keeps steps finite where gradients vanish."""

    beta1: float = 0.9
    beta2: float = 0.999
    floor: float = 1e-8
    rotates = False
    counts = True

    def __post_init__(self) -> None:
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1 and self.floor > 0):
            raise WorkbenchError(
                f"Adam with beta1 {self.beta1:g}, beta2 {self.beta2:g}, floor {self.floor:g}; give betas from 0 to "
                "below 1 and a floor above 0"
            )

    def init(self, weights: Tensor) -> Memory:
        """``m = q = 0``."""
        return torch.zeros_like(weights), torch.zeros_like(weights)

    def step(self, weights: Tensor, memory: Memory, g: Tensor, eta: float, n: int) -> None:
        """See `GradientDescent.step`."""
        m, q = memory
        m.lerp_(g, 1 - self.beta1)
        q.lerp_(g.square(), 1 - self.beta2)
        weights.addcdiv_(m, self._root(q, n).add_(self.floor), value=-eta / (1 - self.beta1**n))

    def _root(self, q: Tensor, n: int) -> Tensor:
        """``sqrt(q^)``, q corrected for its start at 0."""
        return (q / (1 - self.beta2**n)).sqrt_()

    def step_derivative(
        self, S: Tensor, memory: Memory, dmemory: Memory, g: Tensor, dg: Tensor, eta: float, n: int
    ) -> None:
        """See `GradientDescent.step_derivative`; where every gradient so far was 0, ``sqrt(q)`` counts as constant."""
        m, root, (dm, dq) = memory[0], self._root(memory[1], n), dmemory
        dm.lerp_(dg, 1 - self.beta1)
        dq.lerp_(2 * g * dg, 1 - self.beta2)
        droot = torch.where(root > 0, dq / (2 * (1 - self.beta2**n) * root), torch.zeros_like(dq))
        size = root + self.floor
        S.add_(dm / size - m * droot / size.square(), alpha=-eta / (1 - self.beta1**n))


Optimizer = GradientDescent | Momentum | Adam
