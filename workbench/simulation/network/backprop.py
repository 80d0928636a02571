"""Outputs, per-item gradients and their directional derivatives by hand-written passes, without autograd.

Layer l of a run is ``W_l``, ``h_l = phi(W_l h_{l-1})`` for l < D, ``f = W_D h_{D-1}``, and ``r = Y - f``. With the
loss ``sum_i w_i |r_i|^2 / 2`` the errors run backwards, starting from ``delta_D = -w r``::

    grad_l = delta_l h_{l-1}^T,      delta_{l-1} = phi'(h_{l-1}) (W_l^T delta_l)

The derivative of all of this in a direction V of the weights and v of the item weights w is the same pass
differentiated (Pearlmutter 1994): with v = 0 it gives Hessian-vector products.

Weights may have any number of leading batch dimensions; slopes phi' are functions of the activity h itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from workbench.networks import Activation

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs of the items of a batch: columns of X, or of the identity (``X`` is None) where items are one-hot.

    Attributes:
        X: ``(N_i, B)``, or None for one-hot items.
        items: ``(B,)`` items of a mini-batch; None for all of them.
    """

    X: Tensor | None
    items: Tensor | None = None

    def hidden(self, W: Tensor) -> Tensor:
        """``W x_i`` of every item, ``(..., n, B)``."""
        if self.X is not None:
            return W @ self.X
        return W if self.items is None else W[..., self.items]

    def gradient(self, delta: Tensor, out: Tensor) -> None:
        """``delta X^T``, ``(..., n, N_i)``, into ``out``."""
        if self.X is not None:
            out.copy_(delta @ self.X.T)
        elif self.items is None:
            out.copy_(delta)
        else:
            out.zero_()
            out[..., self.items] = delta


def split_layers(flat: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Views ``(..., n_l, n_{l-1})`` of the layers in flat weights ``(..., N)``."""
    parts = torch.split(flat, [rows * columns for rows, columns in shapes], dim=-1)
    return [part.view(*part.shape[:-1], *shape) for part, shape in zip(parts, shapes, strict=True)]


def activities(layers: Sequence[Tensor], inputs: Inputs, activation: Activation) -> list[Tensor]:
    """``[h_1, ..., h_{D-1}, f]``, each ``(..., n_l, B)``."""
    z = inputs.hidden(layers[0])
    found = []
    for W in layers[1:]:
        h = z if activation == "linear" else torch.relu(z) if activation == "relu" else torch.tanh(z)
        found.append(h)
        z = W @ h
    return [*found, z]


def slope(h: Tensor, activation: Activation) -> Tensor | None:
    """``phi'`` where the activity is h; None for 1."""
    if activation == "linear":
        return None
    return (h > 0).to(h.dtype) if activation == "relu" else 1 - h.square()


def _scaled(values: Tensor, factor: Tensor | None) -> Tensor:
    return values if factor is None else values * factor


def _each(matrix: Tensor, directions: Tensor) -> Tensor:
    """The matrix, seen once for every direction."""
    return matrix.expand(len(directions), -1, -1)


def errors_backwards(
    layers: Sequence[Tensor], h: Sequence[Tensor], delta: Tensor, activation: Activation
) -> list[Tensor]:
    """``[delta_1, ..., delta_D]``, each ``(..., n_l, B)``, from the last; of every item on its own."""
    deltas = [delta]
    for W, below in zip(reversed(layers[1:]), reversed(h[:-1]), strict=True):
        deltas.insert(0, _scaled(W.mT @ deltas[0], slope(below, activation)))
    return deltas


def gradients(
    layers: Sequence[Tensor],
    h: Sequence[Tensor],
    delta: Tensor,
    inputs: Inputs,
    activation: Activation,
    out: Sequence[Tensor],
) -> None:
    """Gradients of all layers, summed over the items, into ``out``; ``delta`` is ``-w r``."""
    outer_products(errors_backwards(layers, h, delta, activation), h, inputs, out)


def outer_products(deltas: Sequence[Tensor], h: Sequence[Tensor], inputs: Inputs, out: Sequence[Tensor]) -> None:
    """``delta_l h_{l-1}^T`` of every layer, summed over the items, into ``out``."""
    first, *others = deltas
    inputs.gradient(first, out[0])
    for store, error, below in zip(out[1:], others, h, strict=False):
        # Products written straight into views of a larger tensor take five times as long.
        store.copy_(error @ below.mT)


def output_derivatives(
    layers: Sequence[Tensor],
    directions: Sequence[Tensor],
    h: Sequence[Tensor],
    inputs: Inputs,
    activation: Activation,
) -> list[Tensor]:
    """Derivatives ``[dh_1, ..., dh_{D-1}, df]`` of `activities`, ``(M, n_l, B)``, in M directions ``(M, ...)``."""
    change = inputs.hidden(directions[0])
    found = []
    for W, V, below in zip(layers[1:], directions[1:], h, strict=False):
        found.append(_scaled(change, slope(below, activation)))
        change = torch.baddbmm(V @ below, _each(W, V), found[-1])
    return [*found, change]


def gradient_derivatives(
    layers: Sequence[Tensor],
    directions: Sequence[Tensor],
    h: Sequence[Tensor],
    delta: Tensor,
    item_weights: Tensor,
    pushed: Tensor | None,
    inputs: Inputs,
    activation: Activation,
    out: Sequence[Tensor],
) -> None:
    """Derivatives of `gradients` in M directions at once, into ``out``.

    Args:
        layers: ``(n_l, n_{l-1})``. directions: ``(M, n_l, n_{l-1})``.
        h: from `activities`.
        delta: ``(N_o, B)``, ``-w r``.
        item_weights: ``(B,)``, w.
        pushed: ``(M, N_o, B)``, ``-v r``, what the change v of the item weights does to ``-w r``; None for 0.
        inputs, activation: of the network.
        out: ``(M, n_l, n_{l-1})``.
    """
    dh = output_derivatives(layers, directions, h, inputs, activation)
    ddelta = dh[-1] * item_weights
    if pushed is not None:
        ddelta += pushed
    for layer in range(len(layers) - 1, 0, -1):
        W, V, below, dbelow = layers[layer], directions[layer], h[layer - 1], dh[layer - 1]
        out[layer].copy_((ddelta @ below.mT).baddbmm_(_each(delta, V), dbelow.mT))
        back = W.mT @ delta
        factor = slope(below, activation)
        ddelta = _scaled(torch.bmm(V.mT, _each(delta, V)).baddbmm_(_each(W.mT, V), ddelta), factor)
        if activation == "tanh":
            ddelta -= 2 * below * dbelow * back
        delta = _scaled(back, factor)
    inputs.gradient(ddelta, out[0])
