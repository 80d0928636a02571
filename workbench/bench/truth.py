"""What influence really is on a problem: derivative, leave-one-out, windows and subsets, exact to rounding.

All of them are of the training that was run, step by step, not of its flow: the derivative passes through every step,
the others are trained again. Targets are the training items and the held-out queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.problem import Problem, Queries, pair_levels, queries_of
from workbench.bench.run import ChainNetwork, Examples, Run
from workbench.bench.training import Training, recipe_of
from workbench.comparison import Bar
from workbench.networks import network
from workbench.semantics import SemanticTask
from workbench.simulation import SubsetLosses, lds, sampled_subsets
from workbench.store import Slot

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truths:
    """Everything known about a problem.

    Attributes:
        problem: what is trained.
        times: ``(T,)`` flow times. steps: ``(T,)`` training steps.
        targets: N names, the P items first.
        levels: ``(P, N)`` level of the common ancestor, -1 for an item and itself.
        influence: ``(S, T, P, N)`` by name: ``derivative``, ``leave_one_out``, ``leave_one_out_renormalised``,
            ``window_removal``; change of the target's loss per extra weight on the source (or by the item's presence).
        weights: ``(S, T, n_weights)`` of the trained networks.
        subsets: ``(K, P)`` index sets. subset_losses: ``(S, T, K, N)`` losses after training on each.
    """

    problem: Problem
    times: Array
    steps: NDArray[np.int64]
    targets: tuple[str, ...]
    levels: NDArray[np.int64]
    influence: dict[str, Array]
    weights: Array
    subsets: NDArray[np.bool_]
    subset_losses: Array


def examples_of(task: SemanticTask, queries: Queries, loss: str) -> tuple[Examples, Examples]:
    """Items and queries as a network is given them; targets of cross-entropy are 0 or 1."""
    kind = "cross_entropy" if loss == "cross_entropy" else "squared"

    def made(names: tuple[str, ...], X: Array, Y: Array) -> Examples:
        return Examples(names, torch.tensor(X.T), torch.tensor(Y.T), kind)  # type: ignore[arg-type]

    return made(task.items, task.X, task.Y), made(queries.names, queries.X, queries.Y)


def training_of(problem: Problem) -> Training:
    """The network (of the first seed), items, targets and recipe of a problem."""
    task = problem.task()
    items, queries = examples_of(task, queries_of(task), problem.loss)
    return Training(_start(problem, task, 0), items, items.followed_by(queries), recipe_of(problem))


def _start(problem: Problem, task: SemanticTask, seed: int) -> ChainNetwork:
    start = network(task, problem.hidden, problem.init, problem.depth, problem.activation, seed)
    return ChainNetwork(start.weights, problem.activation)


def _starts(problem: Problem, seeds: int) -> torch.Tensor:
    task = problem.task()
    networks = [_start(problem, task, seed) for seed in range(seeds)]
    return torch.stack([torch.cat([p.detach().reshape(-1) for p in net.parameters()]) for net in networks])


def truths_of(problem: Problem, seeds: int, bar: Bar, slot: Slot) -> Truths:
    """Train and retrain a problem from several seeds, or take it from the slot."""
    training, task = training_of(problem), problem.task()
    schedule, P = training.recipe.schedule, task.n_items
    levels = np.concatenate([pair_levels(task), queries_of(task).level], axis=1)
    subsets = _subsets_of(problem, P)
    kept = slot.load()
    if kept is None:
        with bar(f"truth of {problem.name}", 6) as advance:
            kept = _computed(problem, training, _starts(problem, seeds), subsets, advance)
        slot.save(kept)
    weights, losses = kept.pop("weights"), kept.pop("subset_losses")
    targets = training.targets.names
    steps = np.asarray(schedule.steps)
    return Truths(problem, schedule.times, steps, targets, levels, kept, weights, subsets, losses)


def _subsets_of(problem: Problem, P: int) -> NDArray[np.bool_]:
    """Random halves; all items but one where there are too few halves."""
    from math import comb

    count = min(problem.subsets, comb(P, round(P / 2)) // 2)
    return sampled_subsets(P, count) if count > 1 else ~np.eye(P, dtype=np.bool_)


def _computed(
    problem: Problem, training: Training, starts: torch.Tensor, subsets: NDArray[np.bool_], done: Callable[[int], Any]
) -> dict[str, Array]:
    P, (begin, end) = len(training.items), _window(problem)
    keep = 1.0 - np.eye(P)
    truths: dict[str, Array] = {"weights": training.weights(starts)}
    done(1)
    truths["derivative"] = training.derivative(starts)
    done(1)
    whole = _retrained(training, starts, np.ones((1, P)))
    truths["leave_one_out"] = np.swapaxes(whole - _retrained(training, starts, keep), 1, 2)
    done(1)
    heavier = _retrained(training, starts, keep * P / (P - 1))
    truths["leave_one_out_renormalised"] = np.swapaxes(whole - heavier, 1, 2)
    done(1)
    absent = _retrained(training, starts, keep, window=(begin, end))
    truths["window_removal"] = np.swapaxes(whole - absent, 1, 2)
    done(1)
    truths["subset_losses"] = np.swapaxes(_retrained(training, starts, subsets.astype(float)), 1, 2)
    done(1)
    return truths


def _window(problem: Problem) -> tuple[int, int]:
    """Steps of window removal: the first third of training."""
    total = round(problem.t_max / problem.eta)
    return 0, total // 3


def _retrained(
    training: Training, starts: torch.Tensor, factors: Array, window: tuple[int, int] | None = None
) -> Array:
    """``(S, R, T, N)`` losses of R weightings ``(R, P)`` of the items, from each of S starts."""
    S, R = len(starts), len(factors)
    inside = torch.tensor(np.tile(factors, (S, 1)))
    outside = torch.ones_like(inside)
    begin, end = window or (0, np.iinfo(np.int64).max)
    losses = training.losses(starts.repeat_interleave(R, dim=0), lambda n: inside if begin <= n < end else outside)
    return losses.reshape(S, R, *losses.shape[1:])


def retrained_losses_of(problem: Problem, seeds: int, subsets: NDArray[np.bool_]) -> Array:
    """``(S, T, K, N)`` losses after training on each index set ``(K, P)``, from every seed's start."""
    return np.swapaxes(_retrained(training_of(problem), _starts(problem, seeds), subsets.astype(float)), 1, 2)


def runs_of(problem: Problem, seeds: int, truths: Truths) -> list[Run]:
    """What the methods see: one run a seed."""
    training = training_of(problem)
    recipe, queries = training.recipe, training.targets[slice(len(training.items), None)]
    batches = None
    if recipe.batch_size is not None:
        order = recipe.batches(len(training.items))
        batches = tuple(np.asarray(next(order)) for _ in range(int(truths.steps[-1])))
    runs = []
    for seed in range(seeds):
        networks = tuple(training.network.with_weights(torch.tensor(w)) for w in truths.weights[seed])
        schedule = recipe.schedule
        runs.append(
            Run(networks, truths.steps, truths.times, training.items, queries, schedule.eta, problem.optimizer, batches)
        )
    return runs


def lds_of(influence: Array, truths: Truths, *, given_target: bool) -> Array:
    """``(S, T, N')`` linear datamodelling score of estimates ``(S, T, P, N')``; see `workbench.simulation.lds`."""
    N = influence.shape[-1]
    losses = [SubsetLosses(truths.times, truths.subsets, one[..., :N]) for one in truths.subset_losses]
    return np.stack([lds(e, one, given_target=given_target) for e, one in zip(influence, losses, strict=True)])
