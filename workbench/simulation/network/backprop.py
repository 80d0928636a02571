"""Losses, gradients and their directional derivatives of layered networks by hand-written passes, without autograd.

Layer l of a run is ``W_l``, ``h_l = phi(W_l h_{l-1})`` for l < D, ``f = W_D h_{D-1}``, and ``e = f - Y``. With the
loss ``sum_i w_i |e_i|^2 / 2`` the errors run backwards, starting from ``delta_D = w e``::

    grad_l = delta_l h_{l-1}^T,      delta_{l-1} = phi'(h_{l-1}) (W_l^T delta_l)

The derivative of all of this in a direction V of the weights and v of the item weights w is the same pass
differentiated (Pearlmutter 1994): with v = 0 it gives Hessian-vector products. Slopes phi' are functions of the
activity h itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from workbench.networks import Activation
from workbench.simulation.running.products import Calls, add_product, product, run

Tensor = torch.Tensor
Shapes = Sequence[tuple[int, int]]

#: ``delta (1 - h^2)`` and ``delta [h > 0]`` in one pass each; their look-up takes longer than they do.
_TANH_BACKWARD = torch.ops.aten.tanh_backward.grad_input
_RELU_BACKWARD = torch.ops.aten.threshold_backward.grad_input


def split_layers(flat: Tensor, shapes: Shapes) -> list[Tensor]:
    """Views ``(..., n_l, n_{l-1})`` of the layers in flat weights ``(..., N)``."""
    parts = torch.split(flat, [rows * columns for rows, columns in shapes], dim=-1)
    return [part.view(*part.shape[:-1], *shape) for part, shape in zip(parts, shapes, strict=True)]


def packed_layers(storage: Tensor, shapes: Shapes) -> list[Tensor]:
    """Layers ``(B, n_l, n_{l-1})`` that lie one after the other in one dimension, ``(B N,)``."""
    N = sum(rows * columns for rows, columns in shapes)
    B = len(storage) // N
    parts = torch.split(storage, [B * rows * columns for rows, columns in shapes])
    return [part.view(B, *shape) for part, shape in zip(parts, shapes, strict=True)]


def _activate(z: Tensor, h: Tensor, activation: Activation) -> Calls:
    """``h = phi(z)``; a linear layer has one tensor for both."""
    if activation == "tanh":
        return [partial(torch.tanh, z, out=h)]
    return [partial(torch.clamp, z, min=0, out=h)] if activation == "relu" else []


def _times_slope(delta: Tensor, h: Tensor, activation: Activation) -> Calls:
    """``phi' delta`` where the activity is h, in place."""
    if activation == "tanh":
        return [partial(_TANH_BACKWARD, delta, h, grad_input=delta)]
    return [partial(_RELU_BACKWARD, delta, h, 0, grad_input=delta)] if activation == "relu" else []


class NetworkBatch:
    """B networks at weights that change in place; see `model.ModelBatch`.

    Its passes are lists of calls on buffers, made ready once.

    Attributes:
        w: ``(B, N)``, or ``(B N,)`` layer by layer (`packed_layers`).
        layers: views of it, ``(B, n_l, n_{l-1})`` each.
        h: ``(B, n_l, P)`` activities of the hidden layers at the last `refresh`; with one-hot items, those of a linear
            first layer are its weights.
        error: ``(B, N_o, P)``, f - Y.
    """

    def __init__(
        self, Y: Tensor, X: Tensor | None, shapes: Shapes, activation: Activation, w: Tensor, size: int | None = None
    ) -> None:
        split = split_layers if w.ndim == 2 else packed_layers
        self.w, self.layers, self._activation = w, split(w, shapes), activation
        self._gradient = torch.empty_like(w)
        self._gradients = split(self._gradient, shapes)
        B, P = len(self.layers[0]), size or Y.shape[1]
        self._all_Y, self._all_X = Y, X
        self._Y, self._X = Y[:, :P].clone(), None if X is None else X[:, :P].clone()
        self._items = None if size is None else torch.arange(P, device=w.device)
        *self.h, self.error = (w.new_empty((B, rows, P)) for rows, _ in shapes)
        *self._deltas, self._weighted = (w.new_empty((B, rows, P)) for rows, _ in shapes)
        # With all of the one-hot items the first layer's weights are its activities, and its errors its gradient.
        self._bare = X is None and size is None
        if self._bare and self.h:
            self._deltas[0] = self._gradients[0]
            self.h[0] = self.layers[0] if activation == "linear" else self.h[0]
        self._forwards = self._to_errors()
        self._backwards, self._backwards_weighted = self._to_gradient(self.error), self._to_gradient(self._weighted)
        self._downhill = self._to_weights(self._weighted)

    def choose(self, items: Tensor) -> None:
        """The mini-batch of the next `refresh`: as many items as there are buffers for."""
        assert self._items is not None
        self._items.copy_(items)
        torch.index_select(self._all_Y, 1, items, out=self._Y)
        if self._all_X is not None:
            torch.index_select(self._all_X, 1, items, out=self._X)

    def refresh(self) -> None:
        """Activities and errors of the weights as they are now."""
        run(self._forwards)

    def losses(self) -> Tensor:
        """``(B, P)`` losses ``|e_i|^2 / 2``."""
        return self.error.square().sum(dim=1).mul_(0.5)

    def gradient(self, omega: Tensor | None = None) -> Tensor:
        """``(B, N)``; see `model.ModelBatch.gradient`."""
        if omega is None:
            run(self._backwards)
        else:
            torch.mul(self.error, omega[:, None, :], out=self._weighted)
            run(self._backwards_weighted)
        return self._gradient

    def descend(self, omega: Tensor, eta: float) -> None:
        """``w <- w - eta grad sum_i omega_i l_i``."""
        torch.mul(self.error, (omega * -eta)[:, None, :], out=self._weighted)
        run(self._downhill)

    def _to_errors(self) -> Calls:
        """``z_1 = W_1 X,  h_l = phi(z_l),  z_{l+1} = W_{l+1} h_l,  e = z_D - Y``."""
        first, *above = [*self.h, self.error]
        z = self.layers[0] if self._bare else first
        calls = self._to_items(self.layers[0], z)
        for h, W, out in zip(self.h, self.layers[1:], above, strict=True):
            calls += [*_activate(z, h, self._activation), product(W, h, out=out)]
            z = out
        return [*calls, partial(torch.sub, z, self._Y, out=self.error)]

    def _to_gradient(self, delta: Tensor) -> Calls:
        """``grad_l = delta_l h_{l-1}^T,  delta_{l-1} = phi' W_l^T delta_l``, from the delta_D in ``delta``."""
        calls: Calls = []
        for l in range(len(self.layers) - 1, 0, -1):
            W, h, below = self.layers[l], self.h[l - 1], self._deltas[l - 1]
            calls += [product(delta, h.mT, out=self._gradients[l]), product(W.mT, delta, out=below)]
            calls += _times_slope(below, h, self._activation)
            delta = below
        return calls + self._to_inputs(delta, self._gradients[0])

    def _to_weights(self, delta: Tensor) -> Calls:
        """``W_l <- W_l + delta_l h_{l-1}^T`` with the same deltas, layer by layer."""
        calls: Calls = []
        for l in range(len(self.layers) - 1, 0, -1):
            W, h, below = self.layers[l], self.h[l - 1], self._deltas[l - 1]
            calls += [product(W.mT, delta, out=below), *_times_slope(below, h, self._activation)]
            calls += add_product(W, delta, h.mT, spare=self._gradients[l])
            delta = below
        first = self._gradients[0]
        return [*calls, *self._to_inputs(delta, first), partial(self.layers[0].add_, first)]

    def _to_items(self, W: Tensor, out: Tensor) -> Calls:
        """``W x_i`` of every item, ``(..., n, P)``, into ``out``, or nothing where this is W itself."""
        if self._X is not None:
            return [product(W, self._X, out=out)]
        return [] if self._items is None else [partial(torch.index_select, W, -1, self._items, out=out)]

    def _to_inputs(self, delta: Tensor, out: Tensor) -> Calls:
        """``delta X^T``, ``(..., n, N_i)``, into ``out``."""
        if self._X is not None:
            return [product(delta, self._X.mT, out=out)]
        if self._items is not None:
            return [out.zero_, partial(out.index_copy_, -1, self._items, delta)]
        return [] if delta is out else [partial(out.copy_, delta)]

    def _passes(self) -> list[tuple[Tensor, Tensor]]:
        """``(delta_l, h_{l-1})`` of every layer, from the errors last carried back."""
        B, P = len(self.w), self.error.shape[2]
        X = torch.eye(P, dtype=self.w.dtype, device=self.w.device) if self._X is None else self._X
        return list(zip([*self._deltas, self.error], [X.expand(B, -1, -1), *self.h], strict=True))

    def kernel(self) -> Tensor:
        """``(B, P, P)``, ``sum_l (delta_l^T delta_l) (h_{l-1}^T h_{l-1})``; the gradients are never stored."""
        self.gradient()
        return torch.stack([(d.mT @ d) * (a.mT @ a) for d, a in self._passes()]).sum(dim=0)

    def item_gradients(self) -> Tensor:
        """``(B, P, N)`` gradients of the item losses."""
        self.gradient()
        return torch.cat([torch.einsum("bop,bip->bpoi", d, a).flatten(2) for d, a in self._passes()], dim=2)

    def gauss_newton(self) -> Tensor:
        """``(B, N)``, ``(1/P) sum_i |df(x_i)/dw|^2``: one pass an output."""
        total, outputs = torch.zeros_like(self.w), self.error.shape[1]
        for output in range(outputs):
            one = self._weighted.zero_()
            one[:, output] = 1.0
            run(self._backwards_weighted)
            pairs = [*self._passes()[:-1], (one, self._passes()[-1][1])]
            total += torch.cat([(d.square() @ a.square().mT).flatten(1) for d, a in pairs], dim=1)
        return total / self.error.shape[2]

    def output_derivatives(self, directions: Sequence[Tensor]) -> list[Tensor]:
        """Derivatives ``[dh_1, ..., dh_{D-1}, df]``, ``(M, n_l, P)``, in M directions ``(M, n_l, n_{l-1})``; B = 1."""
        change, derivatives = directions[0], []
        if not self._bare:
            change = change.new_empty((*change.shape[:2], self.error.shape[2]))
            run(self._to_items(directions[0], change))
        for W, V, h in zip(self.layers[1:], directions[1:], self.h, strict=True):
            own = change if self._activation == "linear" else change.clone()
            run(_times_slope(own, h.expand_as(own), self._activation))
            derivatives.append(own)
            change = torch.baddbmm(V @ h[0], W.expand(len(V), -1, -1), own)
        return [*derivatives, change]

    def gradient_derivatives(
        self, directions: Sequence[Tensor], item_weights: Tensor, pushed: Tensor | None, out: Sequence[Tensor]
    ) -> None:
        """Derivatives of the gradient of ``sum_i w_i l_i`` in M directions at once, into ``out``; B = 1.

        Args:
            directions: ``(M, n_l, n_{l-1})``.
            item_weights: ``(P,)``, w.
            pushed: ``(M, 1, P)`` changes v of the item weights; None for 0.
            out: ``(M, n_l, n_{l-1})``.
        """
        dh, delta, M = self.output_derivatives(directions), self.error[0] * item_weights, len(directions[0])
        ddelta = dh[-1] * item_weights
        if pushed is not None:
            ddelta += pushed * self.error[0]
        for l in range(len(self.layers) - 1, 0, -1):
            W, V, h, dbelow = self.layers[l][0], directions[l], self.h[l - 1][0], dh[l - 1]
            out[l].copy_((ddelta @ h.mT).baddbmm_(delta.expand(M, -1, -1), dbelow.mT))
            back = W.mT @ delta
            ddelta = torch.bmm(V.mT, delta.expand(M, -1, -1)).baddbmm_(W.mT.expand(M, -1, -1), ddelta)
            run(_times_slope(ddelta, h.expand_as(ddelta), self._activation))
            if self._activation == "tanh":
                ddelta -= 2 * h * dbelow * back
            run(_times_slope(back, h, self._activation))
            delta = back
        run(self._to_inputs(ddelta, out[0]))
