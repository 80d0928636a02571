"""Segment-wise unrolling (Bae et al. 2024): through segments in which gradient and Hessian are constant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import exprel

from workbench.bench.method import method
from workbench.bench.methods.curvature import Curvature, Diagonalised, Weighted, curvature
from workbench.bench.run import Run, example_gradients


@method(
    "segmentwise_unrolling",
    scale="loss per unit of weight on the item's loss throughout training",
    source="Bae et al. (2024), with the exact Hessian, one segment between two checkpoints",
)
def segmentwise_unrolling(run: Run) -> NDArray[np.float64]:
    """``dl_j/deps_i`` of ``dS/dt = -H S - g_i`` with H and g_i constant between checkpoints (means of both ends)."""
    gradients = torch.stack([example_gradients(network, run.examples).detach() for network in run.checkpoints])
    halves = ([Weighted(network, 0.5) for network in pair] for pair in pairwise(run.checkpoints))
    segments = (curvature(pair, run.items) for pair in halves)
    return _through(segments, gradients, run.times, range(len(run.times)), len(run.items))


def unrolled(
    gradients: torch.Tensor, hessians: torch.Tensor, times: NDArray[np.float64], ends: Sequence[int], P: int
) -> NDArray[np.float64]:
    """``(E, P, N)`` influence at the E checkpoints ``ends``, with one segment between two of them.

    Args:
        gradients: ``(T, N, n_weights)`` of the losses at all checkpoints, the P items first.
        hessians: ``(T, n_weights, n_weights)`` curvature of the training loss; a segment has the mean over its time.
        times: ``(T,)``.
    """
    means = (
        torch.tensordot(_mean(times, begin, end), hessians[begin : end + 1], dims=1) for begin, end in pairwise(ends)
    )
    return _through(map(Diagonalised, means), gradients, times, ends, P)


def _through(
    segments: Iterable[Curvature], gradients: torch.Tensor, times: NDArray[np.float64], ends: Sequence[int], P: int
) -> NDArray[np.float64]:
    S = torch.zeros_like(gradients[0, :P])
    influence = [S @ gradients[ends[0]].T]
    for (begin, end), H in zip(pairwise(ends), segments, strict=True):
        dt = float(times[end] - times[begin])
        g = torch.tensordot(_mean(times, begin, end), gradients[begin : end + 1, :P], dims=1)
        # S(t + dt) = e^{-h dt} S - (1 - e^{-h dt})/h g in every direction of curvature h.
        S = H.function(partial(_kept, dt), S) - H.function(partial(_gained, dt), g)
        influence.append(S @ gradients[end].T)
    return np.asarray(torch.stack(influence).numpy())


def _kept(dt: float, h: NDArray[np.float64]) -> NDArray[np.float64]:
    decayed: NDArray[np.float64] = np.exp(-h * dt)
    return decayed


def _gained(dt: float, h: NDArray[np.float64]) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = dt * exprel(-h * dt)
    return moved


def _mean(times: NDArray[np.float64], begin: int, end: int) -> torch.Tensor:
    """Weights of checkpoints in the mean over the time from one to another, by the trapezoidal rule."""
    half = np.diff(times[begin : end + 1]) / 2
    return torch.from_numpy((np.append(half, 0.0) + np.append(0.0, half)) / half.sum() / 2)
