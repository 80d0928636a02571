"""The network that the samplers are timed on, and one chain of SGLD as it is usually written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import Plan, Sampling, Schedule, plan, sample_local_posterior, train
from workbench.trajectory import Trajectory

N_BETA, GAMMA = 100.0, 1000.0


def checkpoints(count: int, spec: str = "tree", hidden: int = 16) -> Trajectory:
    """A training run with ``count`` checkpoints; by default 8 items, 16 hidden units, 15 properties."""
    start = network(task_from_spec(spec), hidden, "balanced:0.01")
    # Two checkpoints a stretch of training are enough: a step costs the same wherever it is made.
    run = train(start, Schedule.even(30.0, 16, 2e-2))
    chosen = np.arange(count) % len(run.times)
    return replace(run, times=run.times[chosen], weights=tuple(W[chosen] for W in run.weights))


def sampler(run: Trajectory, chains: int, **settings: object) -> tuple[Callable[[], int], Plan]:
    """A function that samples ``chains`` chains at every checkpoint and returns its chain-steps; and its plan."""
    sampling = Sampling(**{"chains": chains, "draws": 60, "force_short": True, **settings})  # type: ignore[arg-type]
    planned = plan(run, N_BETA, GAMMA, sampling)

    def sample() -> int:
        sample_local_posterior(run, n_beta=N_BETA, gamma=GAMMA, sampling=sampling, planned=planned)
        return planned.steps(sampling.draws) * chains * len(run.times)

    return sample, planned


def plain_loop(run: Trajectory, k: int, eps: float, steps: int) -> int:
    """One chain at checkpoint k: parameters, autograd, an optimizer, noise after the step, all per-item losses kept."""
    Y, W1, W2 = (torch.tensor(x) for x in (run.task.Y, run.W1[k], run.W2[k]))
    first, second = torch.nn.Parameter(W1.clone()), torch.nn.Parameter(W2.clone())
    optimizer = torch.optim.SGD([first, second], lr=eps / 2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        per_item = 0.5 * (Y - second @ first).square().sum(dim=0)
        distance = (first - W1).square().sum() + (second - W2).square().sum()
        (N_BETA * per_item.mean() + GAMMA / 2 * distance).backward()
        optimizer.step()
        with torch.no_grad():
            for weight in (first, second):
                weight.add_(torch.randn_like(weight), alpha=eps**0.5)
        losses.append(per_item.detach())
    return steps
