"""Methods on problems: every pair evaluated on every seed, scored against every truth, kept so that it can go on."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from workbench.bench.isolated import Outcome, call_isolated
from workbench.bench.method import Method
from workbench.bench.problem import Problem
from workbench.bench.run import ChainNetwork, Run
from workbench.bench.scores import Score, agreement, interval, scores, scores_of_subsets
from workbench.bench.truth import Truths, lds_of, runs_of, truths_of
from workbench.comparison import Bar, no_bar
from workbench.errors import WorkbenchError
from workbench.store import Slot, Store

Array = NDArray[np.float64]

COLUMNS = ["method", "problem", "truth", "time", "level", "score", "value", "low", "high"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One method on one problem.

    Attributes:
        influence: ``(S, T, P, N)`` in the package's sign; None if the method failed.
        failure: why, in a line.
        seconds, megabytes: of one seed, the mean and the largest.
        passes: forward passes through a network, counted in examples, the mean over seeds.
        randomised: ``(S,)`` agreement between the method on the networks and on networks with shuffled weights.
    """

    method: Method
    problem: Problem
    influence: Array | None
    failure: str
    seconds: float
    megabytes: float
    passes: float
    randomised: Array


@dataclass(frozen=True, eq=False)
class BenchResult:
    """Everything a bench found.

    Attributes:
        table: scores in long form, columns `COLUMNS`; ``time`` is empty for scores of the whole run.
        costs: seconds, memory and forward passes, one row a method and problem, with the reason of a failure.
        truths: by problem. evaluations: by method and problem. methods: by name.
    """

    table: pd.DataFrame
    costs: pd.DataFrame
    truths: Mapping[str, Truths]
    evaluations: Mapping[tuple[str, str], Evaluation]
    methods: Mapping[str, Method]


def evaluate(method: Method, problem: Problem, runs: Sequence[Run], limit: float) -> Evaluation:
    """Run a method on every seed of a problem, and on shuffled networks, each in a process of its own."""
    values, costs, shuffled = [], [], []
    for seed, run in enumerate(runs):
        outcome = call_isolated(partial(_seeded, seed, partial(_counted, method, run)), limit)
        if outcome.failure:
            return Evaluation(
                method,
                problem,
                None,
                outcome.failure,
                outcome.seconds,
                outcome.megabytes,
                np.nan,
                np.full(len(runs), np.nan),
            )
        influence, passes = outcome.value
        values.append(influence)
        costs.append((outcome.seconds, outcome.megabytes, passes))
        shuffled_networks = partial(method.influence, shuffled_run(run))
        other: Outcome = call_isolated(partial(_seeded, seed, shuffled_networks), limit)
        shuffled.append(np.nan if other.failure else _likeness(influence, other.value))
    seconds, megabytes, passes = np.array(costs).T
    return Evaluation(
        method,
        problem,
        np.stack(values),
        "",
        float(seconds.mean()),
        float(megabytes.max()),
        float(passes.mean()),
        np.array(shuffled),
    )


def _seeded(seed: int, compute: Callable[[], Any]) -> Any:
    """Call with the global generators seeded: each would else go on, in every child, from the parent's one state.

    The same numbers would come for every seed of the problem, as if nothing were left to chance.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # a method may use it
    torch.manual_seed(seed)
    return compute()


def _counted(method: Method, run: Run) -> tuple[Array, int]:
    """The method's influence, and how many examples went forward through a network."""
    passed = 0

    def count(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], __: torch.Tensor) -> None:
        nonlocal passed
        passed += len(inputs[0])

    handles = [network.register_forward_hook(count) for network in run.checkpoints]
    try:
        return method.influence(run), passed
    finally:
        for handle in handles:
            handle.remove()


def shuffled_run(run: Run) -> Run:
    """The run with the weights of every layer shuffled: what a method finds there has nothing to do with training."""
    generator = torch.Generator().manual_seed(0)
    networks = []
    for network in run.checkpoints:
        assert isinstance(network, ChainNetwork)
        networks.append(network.shuffled(generator))
    return Run(tuple(networks), run.steps, run.times, run.items, run.queries, run.eta, run.optimizer, run.batches)


def _likeness(a: Array, b: Array) -> float:
    """Cosine between the influences of different examples."""
    off = ~np.eye(a.shape[1], a.shape[2], dtype=np.bool_)
    return float(agreement(a[None][..., off], b[None][..., off])[0])


def scored(evaluation: Evaluation, truths: Truths) -> pd.DataFrame:
    """All scores of an evaluation in long form; one row with the score ``failed`` where the method failed."""
    name, problem = evaluation.method.name, evaluation.problem.name
    if evaluation.influence is None:
        return pd.DataFrame([[name, problem, "", np.nan, "", "failed", np.nan, np.nan, np.nan]], columns=COLUMNS)
    rows: list[list[Any]] = []

    def add(truth: str, subset_scores: Sequence[Score]) -> None:
        rows.extend([name, problem, truth, s.time, s.level, s.score, s.value, s.low, s.high] for s in subset_scores)

    P, N = truths.levels.shape
    e = evaluation.influence
    for truth, values in truths.influence.items():
        add(truth, scores(e[..., :P], values[..., :P], truths.times, truths.levels[:, :P]))
        if e.shape[-1] == N and N > P:
            add(f"{truth}@queries", scores(e[..., P:], values[..., P:], truths.times, truths.levels[:, P:]))
    for given, label in ((True, "lds"), (False, "lds_pooled")):
        by_target = lds_of(e, truths, given_target=given)
        subset_scores = scores_of_subsets(by_target[..., :P], truths.times, {"all": np.ones(P, dtype=bool)}, label)
        add("subsets", subset_scores)
        if e.shape[-1] == N and N > P and given:
            add(
                "subsets@queries",
                scores_of_subsets(by_target[..., P:], truths.times, {"all": np.ones(N - P, dtype=bool)}, label),
            )
    add("", [Score("off_diagonal", "randomised", None, *interval(evaluation.randomised))])
    return pd.DataFrame(rows, columns=COLUMNS)


def bench(
    problems: Sequence[Problem],
    methods: Sequence[Method],
    *,
    seeds: int = 3,
    limit: float = 120.0,
    bar: Bar = no_bar,
    store: Store | None = None,
) -> BenchResult:
    """Score methods on problems.

    Args:
        problems: what is trained.
        methods: what is scored.
        seeds: independent initial weights of each problem; intervals are over them.
        limit: seconds that a method may take on one run.
        bar: opens progress bars.
        store: keeps truths and influences as they are done.
    """
    for given, kind, known in ((problems, Problem, "PROBLEMS[name]"), (methods, Method, "METHODS[name]")):
        if strange := [each for each in given if not isinstance(each, kind)]:
            raise WorkbenchError(f"{strange[0]!r} is no {kind.__name__} of the bench; give objects, such as {known}")
    tables, costs = [], []
    truths: dict[str, Truths] = {}
    evaluations: dict[tuple[str, str], Evaluation] = {}
    for problem in problems:
        truths[problem.name] = truths_of(problem, seeds, bar, Slot(store, f"truth of {problem.name}"))
        runs = runs_of(problem, seeds, truths[problem.name])
        with bar(f"methods on {problem.name}", len(methods)) as advance:
            for method in methods:
                evaluation = _kept(method, problem, runs, limit, Slot(store, f"{method.name} on {problem.name}"))
                evaluations[method.name, problem.name] = evaluation
                tables.append(scored(evaluation, truths[problem.name]))
                costs.append(
                    [
                        method.name,
                        problem.name,
                        evaluation.seconds,
                        evaluation.megabytes,
                        evaluation.passes,
                        evaluation.failure,
                    ]
                )
                advance(1)
    columns = ["method", "problem", "seconds", "megabytes", "forward_passes", "failure"]
    table = pd.concat(tables, ignore_index=True)
    frame = pd.DataFrame(costs, columns=columns)
    return BenchResult(table, frame, truths, evaluations, {method.name: method for method in methods})


def _kept(method: Method, problem: Problem, runs: Sequence[Run], limit: float, slot: Slot) -> Evaluation:
    """From the store, or else evaluated and kept; failures are tried again."""
    if (kept := slot.load()) is not None:
        seconds, megabytes, passes = map(float, kept["cost"])
        return Evaluation(method, problem, kept["influence"], "", seconds, megabytes, passes, kept["randomised"])
    evaluation = evaluate(method, problem, runs, limit)
    if evaluation.influence is not None:
        cost = np.array([evaluation.seconds, evaluation.megabytes, evaluation.passes])
        slot.save({"influence": evaluation.influence, "cost": cost, "randomised": evaluation.randomised})
    return evaluation


def as_dataset(table: pd.DataFrame) -> xr.Dataset:
    """The long table as labelled columns over ``row``, for `xarray`."""
    text = {name: table[name].fillna("").astype(str) for name in ("method", "problem", "truth", "level", "score")}
    numbers = {name: table[name].astype(float) for name in ("time", "value", "low", "high")}
    return xr.Dataset({name: ("row", np.asarray(column)) for name, column in (text | numbers).items()})
