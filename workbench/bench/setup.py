"""What a problem says, as objects: its examples, its networks, how it is trained."""

from __future__ import annotations

import torch

from workbench.bench.problem import Problem, Queries, queries_of
from workbench.bench.run import ChainNetwork, Examples
from workbench.networks import Network, network
from workbench.semantics import SemanticTask
from workbench.simulation import Adam, GradientDescent, Momentum, Optimizer, Recipe, Schedule

Tensor = torch.Tensor


def recipe_of(problem: Problem) -> Recipe:
    """Schedule, rule and mini-batches."""
    rules: dict[str, Optimizer] = {"gd": GradientDescent(), "momentum": Momentum(), "adam": Adam()}
    schedule = Schedule.even(problem.t_max, problem.checkpoints, problem.eta)
    return Recipe(schedule, rules[problem.optimizer], problem.batch_size)


def starts_of(problem: Problem, seeds: int) -> list[Network]:
    """The network of every seed at its initial weights; its outputs are logits under cross-entropy."""
    p, task = problem, problem.task()
    return [network(task, p.hidden, p.init, p.depth, p.activation, seed) for seed in range(seeds)]


def flat_starts(networks: list[Network]) -> Tensor:
    """``(S, n_weights)``, layer after layer."""
    return torch.stack([torch.cat([torch.tensor(W).reshape(-1) for W in start.weights]) for start in networks])


def module_of(start: Network) -> ChainNetwork:
    """The network as a method of attribution is given it."""
    return ChainNetwork(start.weights, start.activation)


def examples_of(problem: Problem, task: SemanticTask) -> tuple[Examples, Examples]:
    """Items and held-out queries; targets of cross-entropy are 0 or 1."""
    queries: Queries = queries_of(task)

    def examples(names: tuple[str, ...], X: object, Y: object) -> Examples:
        return Examples(names, torch.tensor(X).T, torch.tensor(Y).T, problem.loss)

    return examples(task.items, task.X, task.Y), examples(queries.names, queries.X, queries.Y)
