"""Independent computations: the flow of all weights by an ODE solver, and automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from workbench.semantics import SemanticTask

Array = NDArray[np.float64]

#: torch does not annotate these.
_autograd: Any = torch.autograd.functional

#: Relative and absolute tolerance of every ODE solution here.
RTOL, ATOL = 1e-12, 1e-15


def scalar_flow(rate: Callable[..., Any], start: ArrayLike, times: ArrayLike) -> Array:
    """``(T, n)`` solution of ``dy/dt = rate(y)`` by DOP853."""
    t = np.asarray(times, dtype=np.float64)
    y0 = np.atleast_1d(np.asarray(start, dtype=np.float64))
    solution = solve_ivp(
        lambda _, y: rate(y), (0.0, t[-1]), y0, method="DOP853", t_eval=t, rtol=RTOL, atol=ATOL * np.abs(y0).max()
    )
    return np.asarray(solution.y.T)


def weight_flow(
    task: SemanticTask,
    layers: Sequence[Array],
    times: ArrayLike,
    item_weights: ArrayLike | None = None,
    rtol: float = RTOL,
) -> list[Array]:
    """Gradient flow of a linear network with any number of layers: one ``(T, rows, columns)`` a layer, by DOP853.

    ``item_weights`` multiplies the items' terms of the mean loss; 1 unless given. They may be complex: an imaginary
    part too small to act back carries the derivative by a weight, without a difference of large numbers.
    """
    omega = np.ones(task.n_items) if item_weights is None else np.asarray(item_weights)
    weighted = task.X * omega / task.n_items
    Sxx, Syx = task.X @ weighted.T, task.Y @ weighted.T
    shapes = [layer.shape for layer in layers]
    cuts = np.cumsum([layer.size for layer in layers])[:-1]

    def unpack(y: Array) -> list[Array]:
        return [part.reshape(shape) for part, shape in zip(np.split(y, cuts), shapes, strict=True)]

    def rate(_: float, y: Array) -> Array:
        W = unpack(y)
        before = [np.eye(task.n_inputs)]
        for layer in W:
            before.append(layer @ before[-1])
        error, rates = Syx - before[-1] @ Sxx, []
        for layer, inputs in zip(reversed(W), reversed(before[:-1]), strict=True):
            rates.append((error @ inputs.T).ravel())
            error = layer.T @ error
        return np.concatenate(rates[::-1])

    t = np.asarray(times, dtype=np.float64)
    y0 = np.concatenate([layer.ravel() for layer in layers]).astype(np.result_type(omega, *layers))
    atol = 1e-3 * rtol * float(np.abs(y0).max())
    y = solve_ivp(rate, (t[0], t[-1]), y0, method="DOP853", t_eval=t, rtol=rtol, atol=atol).y.T
    return [part.reshape(len(t), *shape) for part, shape in zip(np.split(y, cuts, axis=1), shapes, strict=True)]


def item_losses(task: SemanticTask, layers: Sequence[Array]) -> Array:
    """``(T, P)`` losses of weights with a leading time axis."""
    outputs = task.X
    for layer in layers:
        outputs = layer @ outputs
    return np.asarray(0.5 * ((task.Y - outputs) ** 2).sum(axis=-2))


def flow_with_window(
    task: SemanticTask, layers: Sequence[Array], times: Array, item_weights: ArrayLike, window: tuple[float, float]
) -> Array:
    """``(T, P)`` item losses of a flow whose items are weighted only within the window; ``times`` ascend from 0."""
    begin, end = window
    stops = np.unique(np.concatenate([times, [0.0, begin, end]]))
    stops = stops[stops <= times[-1]]
    losses, current = (
        np.empty((len(times), task.n_items), dtype=np.result_type(np.asarray(item_weights), float)),
        list(layers),
    )
    pieces = [
        (stops[stops <= begin], None),
        (stops[(stops >= begin) & (stops <= end)], item_weights),
        (stops[stops >= end], None),
    ]
    for piece, omega in pieces:
        if len(piece) < 2:
            continue
        path = weight_flow(task, current, piece, omega)
        current = [layer[-1] for layer in path]
        inside = np.isin(times, piece)
        losses[inside] = item_losses(task, path)[np.isin(piece, times)]
    return losses


def _losses(task: SemanticTask, vector: torch.Tensor, shapes: Sequence[tuple[int, ...]]) -> torch.Tensor:
    outputs, used = torch.tensor(task.X), 0
    for rows, columns in shapes:
        outputs = vector[used : used + rows * columns].reshape(rows, columns) @ outputs
        used += rows * columns
    return 0.5 * (torch.tensor(task.Y) - outputs).square().sum(dim=0)


def flat(layers: Sequence[Array]) -> torch.Tensor:
    """The weights as one vector."""
    return torch.tensor(np.concatenate([layer.ravel() for layer in layers]))


def autograd_gradients(task: SemanticTask, layers: Sequence[Array]) -> Array:
    """``(P, N)`` gradients of the item losses by automatic differentiation."""
    shapes = [layer.shape for layer in layers]
    jacobian = _autograd.jacobian(lambda w: _losses(task, w, shapes), flat(layers))
    return np.asarray(jacobian.numpy())


def autograd_hessian(task: SemanticTask, layers: Sequence[Array], item: int | None = None) -> Array:
    """``(N, N)`` Hessian of the mean loss, or of one item's loss, by automatic differentiation."""
    shapes = [layer.shape for layer in layers]

    def loss(w: torch.Tensor) -> torch.Tensor:
        losses = _losses(task, w, shapes)
        return losses.mean() if item is None else losses[item]

    matrix = _autograd.hessian(loss, flat(layers), vectorize=True)
    return np.asarray(matrix.numpy())
