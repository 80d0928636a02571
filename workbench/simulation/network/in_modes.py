"""Two linear layers on one-hot items in the basis of the task's singular modes, where the gradient is cheap.

With ``Y = U S V^T`` (full orthogonal U and V), ``A = W1 V`` and ``C = U^T W2`` the loss is ``|C A - S|^2 / 2``, and

    grad_A = (C^T C) A - C^T S,      grad_C = C (A A^T) - S A^T

S is diagonal, so nothing of the size P x N_o is ever formed: a gradient takes about ``4 n^2 (P + N_o)`` operations in
place of ``6 n P N_o`` with n hidden units. Whoever adds noise that is the same in every direction, and a pull to a
point, samples the same law in either basis. Losses are those of the items, ``|C (A V^T)_i - U^T y_i|^2 / 2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from workbench.simulation.network.backprop import split_layers
from workbench.simulation.network.model import NetworkModel

Tensor = torch.Tensor

#: How many times fewer operations make the change of basis worth it, of gradients of at least so many: small matrices
#: are bound by other costs.
_WORTH, _OPERATIONS = 2.0, 5e5


@dataclass(frozen=True, eq=False)
class ModesModel:
    """A `model.Model` of the same losses as a `NetworkModel`, as a function of rotated weights.

    Attributes:
        plain: the model in the basis of items and properties.
        s: ``(min(P, N_o),)`` singular values of Y.
        V: ``(P, P)`` orthogonal. U: ``(N_o, N_o)`` orthogonal.
    """

    plain: NetworkModel
    s: Tensor
    V: Tensor
    U: Tensor

    #: No kernel on a GPU is made for it.
    bilinear = False

    @classmethod
    def of(cls, plain: NetworkModel) -> ModesModel:
        """Of a model that `worthwhile` is true of."""
        left, size, right = np.linalg.svd(plain.Y.double().cpu().numpy(), full_matrices=True)
        s, V, U = (torch.from_numpy(array).to(plain.Y) for array in (size, np.ascontiguousarray(right.T), left))
        return cls(plain, s, V, U)

    @property
    def sources(self) -> tuple[str, ...]:
        """The items."""
        return self.plain.items

    @property
    def targets(self) -> tuple[str, ...]:
        """The items."""
        return self.plain.items

    @property
    def n_weights(self) -> int:
        """N."""
        return self.plain.n_weights

    def rotated(self, w: Tensor) -> Tensor:
        """Weights ``(B, N)`` in the basis of modes."""
        W1, W2 = split_layers(w, self.plain.shapes)
        return torch.cat([(W1 @ self.V).flatten(1), (self.U.mT @ W2).flatten(1)], dim=1)

    def batch(self, w: Tensor) -> ModesBatch:
        """B networks at rotated weights ``w``, ``(B, N)``."""
        return ModesBatch(self, w)


def worthwhile(model: NetworkModel) -> bool:
    """Whether gradients in the basis of modes exist, and take far fewer operations."""
    if not (model.bilinear and model.X is None):
        return False
    (hidden, P), (N_o, _) = model.shapes
    return 6 * hidden * P * N_o > max(_OPERATIONS, _WORTH * 4 * hidden**2 * (P + N_o))


class ModesBatch:
    """See `model.ModelBatch`; ``w`` is rotated."""

    def __init__(self, model: ModesModel, w: Tensor) -> None:
        self.w, self._model, self._Y = w, model, model.U.mT @ model.plain.Y
        self._A, self._C = split_layers(w, model.plain.shapes)
        self._gradient = torch.empty_like(w)
        self._grad_A, self._grad_C = split_layers(self._gradient, model.plain.shapes)
        self._items, self._error = torch.empty_like(self._A), w.new_empty((len(w), *self._Y.shape))

    def refresh(self) -> None:
        """Nothing is kept between steps."""

    def losses(self) -> Tensor:
        """``(B, P)`` losses of the items, at the weights as they are now."""
        torch.matmul(self._A, self._model.V.mT, out=self._items)
        with np.errstate(over="ignore", invalid="ignore"):
            torch.bmm(self._C, self._items, out=self._error)
            return self._error.sub_(self._Y).square_().sum(dim=1).mul_(0.5)

    def gradient(self, omega: Tensor | None = None) -> Tensor:
        """``(B, N)`` gradient of the sum of all losses; the buffer is used again."""
        if omega is not None:
            raise NotImplementedError("items of different weight have other modes")
        A, C, s = self._A, self._C, self._model.s
        K = len(s)
        torch.bmm(C.mT @ C, A, out=self._grad_A)
        torch.bmm(C, A @ A.mT, out=self._grad_C)
        self._grad_A[:, :, :K].addcmul_(C[:, :K].mT, s, value=-1.0)
        self._grad_C[:, :K].addcmul_(A[:, :, :K].mT, s[:, None], value=-1.0)
        return self._gradient

    def kernel(self) -> Tensor:
        """Of items, which are no directions of this basis: not what this batch can give."""
        raise NotImplementedError

    def gauss_newton(self) -> Tensor:
        """Its diagonal is another one in every basis."""
        raise NotImplementedError
