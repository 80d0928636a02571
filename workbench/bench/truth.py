"""What influence really is on a problem: derivative, leave-one-out, windows, Shapley values, exact to rounding.

All of them are of the training that was run, step by step, not of its flow: the derivative passes through every step,
the others are trained again. Targets are the training items and the held-out queries. Where the flow has a closed
form it stands beside them (`closed_form`); the two differ by what finite steps do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.problem import Problem, pair_levels, queries_of
from workbench.bench.retraining import derivative, retrained, training_of
from workbench.bench.run import Run
from workbench.bench.setup import flat_starts, recipe_of, starts_of
from workbench.comparison import Bar
from workbench.influence import predict, trajectory_derivative
from workbench.simulation import SubsetLosses, all_subsets, lds, sampled_subsets, shapley_values
from workbench.store import Slot

Array = NDArray[np.float64]
Subsets = NDArray[np.bool_]

#: Up to so many items all 2^P subsets are trained, which Shapley values take.
SHAPLEY_ITEMS = 8


@dataclass(frozen=True, eq=False)
class Truths:
    """Everything known about a problem.

    Attributes:
        problem: what is trained.
        times: ``(T,)`` flow times. steps: ``(T,)`` training steps.
        targets: N names, the P items first.
        levels: ``(P, N)`` level of the common ancestor, -1 for an item and itself.
        influence: ``(S, T, P, N)`` by name: ``derivative``, ``leave_one_out``, ``leave_one_out_renormalised``,
            ``window_removal``, and ``shapley`` of at most `SHAPLEY_ITEMS` items; change of the target's loss per extra
            weight on the source (or by the item's presence).
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
    subsets: Subsets
    subset_losses: Array

    @cached_property
    def closed_form(self) -> Array | None:
        """``(T, P, P)`` derivative of the flow in closed form, which no seed changes; None where there is none."""
        p = self.problem
        start = starts_of(p, 1)[0]
        if start.active is None or p.loss != "squared" or p.optimizer != "gd" or p.batch_size is not None:
            return None
        return np.asarray(trajectory_derivative(predict(start, self.times)).values)

    @property
    def step_error(self) -> float:
        """Largest difference of the closed form and the derivative through the steps, as a share of the largest."""
        form = self.closed_form
        if form is None:
            return float("nan")
        exact = self.influence["derivative"][..., : len(form[0])]
        return float(np.abs(exact - form).max() / np.abs(form).max())


def truths_of(problem: Problem, seeds: int, bar: Bar, slot: Slot) -> Truths:
    """Train and retrain a problem from several seeds, or take it from the slot."""
    task, schedule = problem.task(), recipe_of(problem).schedule
    queries, subsets = queries_of(task), _subsets_of(problem, task.n_items)
    levels = np.concatenate([pair_levels(task), queries.level], axis=1)
    truths = slot.load()
    if truths is None:
        with bar(f"truth of {problem.name}", 5) as advance:
            truths = _truths(problem, seeds, subsets, advance)
        slot.save(truths)
    weights, losses = truths.pop("weights"), truths.pop("subset_losses")
    targets, steps = task.items + queries.names, np.asarray(schedule.steps)
    return Truths(problem, schedule.times, steps, targets, levels, truths, weights, subsets, losses)


def _subsets_of(problem: Problem, P: int) -> Subsets:
    """Random halves; all items but one where there are too few halves."""
    count = min(problem.subsets, comb(P, round(P / 2)) // 2)
    return sampled_subsets(P, count) if count > 1 else ~np.eye(P, dtype=np.bool_)


def _truths(problem: Problem, seeds: int, subsets: Subsets, done: Callable[[int], Any]) -> dict[str, Array]:
    training, starts = training_of(problem), flat_starts(starts_of(problem, seeds))
    P = len(training.items)
    keep = ~np.eye(P, dtype=np.bool_)
    truths: dict[str, Array] = {"weights": training.weights(starts)}
    done(1)
    truths["derivative"] = derivative(problem, seeds)
    done(1)
    every = all_subsets(P) if P <= SHAPLEY_ITEMS else np.vstack([np.ones((1, P), dtype=np.bool_), keep, subsets])
    losses = retrained(problem, seeds, every.astype(float))
    rows = {subset.tobytes(): k for k, subset in enumerate(every)}

    def after(chosen: Subsets) -> Array:
        return losses[:, :, [rows[subset.tobytes()] for subset in chosen]]

    whole = after(np.ones((1, P), dtype=np.bool_))
    truths["subset_losses"] = after(subsets)
    truths["leave_one_out"] = whole - after(keep)
    if P <= SHAPLEY_ITEMS:
        times = recipe_of(problem).schedule.times
        truths["shapley"] = np.stack([shapley_values(SubsetLosses(times, every, one)) for one in losses])
    done(1)
    truths["leave_one_out_renormalised"] = whole - retrained(problem, seeds, keep * P / (P - 1))
    done(1)
    truths["window_removal"] = whole - retrained(problem, seeds, keep.astype(float), window_steps(problem))
    done(1)
    return truths


def window_steps(problem: Problem) -> tuple[int, int]:
    """First step of window removal and the one after its last: the first third of training."""
    return 0, int(recipe_of(problem).schedule.total) // 3


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
