"""Losses of a problem trained again with other weights of its items, and their derivative in those weights.

Squared losses on all items go through the package's own training, some fifty times quicker than automatic
differentiation, which does the rest (`training`). There the Q queries ride along as items of weight 0, and the P items
weigh ``(P + Q) / P`` as much, so that the mean over P + Q losses is the mean over the items.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.problem import Problem, queries_of
from workbench.bench.setup import examples_of, flat_starts, module_of, recipe_of, starts_of
from workbench.bench.training import Training
from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.simulation import ItemWeights, retrained_losses, trajectory_derivative

Array = NDArray[np.float64]


def retrained(problem: Problem, seeds: int, omega: Array, steps: tuple[int, int] | None = None) -> Array:
    """``(S, T, R, N)`` losses of the N targets in R runs from each of S starts.

    Args:
        omega: ``(R, P)`` factors of the item losses; 0 leaves an item out.
        steps: the first step in which they hold and the one after the last; None: all.
    """
    if own_passes_apply(problem):
        return _by_own_passes(problem, seeds, omega, steps)
    return by_differentiation(problem, seeds, omega, steps)


def derivative(problem: Problem, seeds: int) -> Array:
    """``(S, T, P, N)`` ``dl_j(t)/d eps_i`` of ``L + sum_i eps_i l_i`` through every step."""
    if not own_passes_apply(problem):
        return training_of(problem).derivative(flat_starts(starts_of(problem, seeds)))
    P, starts = problem.task().n_items, [_with_queries(start) for start in starts_of(problem, seeds)]
    N = starts[0].task.n_items
    omega = np.where(np.arange(N) < P, N / P, 0.0)
    through = [trajectory_derivative(start, recipe_of(problem), item_weights=omega) for start in starts]
    return np.stack(through)[:, :, :P]


def own_passes_apply(problem: Problem) -> bool:
    """Whether the package's own training knows the problem."""
    return problem.loss == "squared" and problem.batch_size is None


def training_of(problem: Problem) -> Training:
    """The network (of the first seed), items, targets and recipe of a problem."""
    items, queries = examples_of(problem, problem.task())
    start = module_of(starts_of(problem, 1)[0])
    return Training(start, items, items.followed_by(queries), recipe_of(problem))


def by_differentiation(problem: Problem, seeds: int, omega: Array, steps: tuple[int, int] | None = None) -> Array:
    """`retrained` by automatic differentiation of the module, for every problem."""
    S, R = seeds, len(omega)
    inside = torch.tensor(np.tile(omega, (S, 1)))
    outside = torch.ones_like(inside)
    begin, end = steps or (0, np.iinfo(np.int64).max)
    starts = flat_starts(starts_of(problem, seeds)).repeat_interleave(R, dim=0)
    losses = training_of(problem).losses(starts, lambda n: inside if begin <= n < end else outside)
    return np.swapaxes(losses.reshape(S, R, *losses.shape[1:]), 1, 2)


def _by_own_passes(problem: Problem, seeds: int, omega: Array, steps: tuple[int, int] | None) -> Array:
    starts = [_with_queries(start) for start in starts_of(problem, seeds)]
    P, N = omega.shape[1], starts[0].task.n_items
    inside = np.pad(omega * N / P, ((0, 0), (0, N - P)))
    if steps is None:
        weights = ItemWeights.constant(inside)
    else:
        outside = np.pad(np.full_like(omega, N / P), ((0, 0), (0, N - P)))
        begins = sorted({0, *steps})
        phases = [inside if steps[0] <= begin < steps[1] else outside for begin in begins]
        weights = ItemWeights(tuple(begins), np.stack(phases))
    return np.stack([retrained_losses(start, recipe_of(problem), weights) for start in starts])


def _with_queries(start: Network) -> Network:
    """The same network, before a task that has the queries as further items."""
    task, queries = start.task, queries_of(start.task)
    names, Y = task.items + queries.names, np.concatenate([task.Y, queries.Y], axis=1)
    wider = SemanticTask(task.name, names, task.properties, Y, X=np.concatenate([task.X, queries.X], axis=1))
    return replace(start, task=wider)
