"""CPU cost of one SGLD chain-step, against a plain autograd-and-optimizer loop in the same run.

    python benchmarks/sgld.py

The network is the default one (8 items, 16 hidden units, 15 properties), float64, one thread, 240 chains (60
checkpoints x 4). Times are process CPU seconds, the best of several repeats; only the ratio travels between machines.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from workbench.semantics import task_from_spec
from workbench.simulation import Sampling, Schedule, plan, sample_local_posterior, train
from workbench.trajectory import Init, initial_weights

N_BETA, GAMMA = 100.0, 1000.0


def best_cpu(run: Callable[[], int], repeats: int = 3) -> float:
    """Best CPU microseconds per chain-step; ``run`` returns how many chain-steps it made."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        steps = run()
        found.append(1e6 * (time.process_time() - began) / steps)
    return min(found)


def plain_loop(W1: torch.Tensor, W2: torch.Tensor, Y: torch.Tensor, eps: float, steps: int) -> int:
    """One chain as it is usually written: a module's parameters, autograd, an optimizer, noise after the step."""
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


def main() -> None:
    torch.set_num_threads(1)
    task = task_from_spec("tree")
    trajectory = train(initial_weights(task, Init.parse("balanced:0.01"), 16), Schedule.even(30.0, 60, 2e-3))
    print(f"{'way':<46}{'CPU us per chain-step':>24}{'ratio':>8}")
    how = plan(trajectory, N_BETA, GAMMA, Sampling())
    W1, W2, Y = (torch.tensor(x) for x in (trajectory.W1[20], trajectory.W2[20], task.Y))
    base = best_cpu(lambda: plain_loop(W1, W2, Y, how.step, 2000))
    print(f"{'one chain, autograd + torch.optim.SGD + noise':<46}{base:>24.2f}{1:>8.1f}")
    for sampler in ("sgld", "rmsprop"):
        settings = Sampling(sampler=sampler, draws=60)
        how = plan(trajectory, N_BETA, GAMMA, settings)

        def ours(settings: Sampling = settings, how: object = how) -> int:
            sample_local_posterior(trajectory, n_beta=N_BETA, gamma=GAMMA, sampling=settings, planned=how)
            return how.steps(settings.draws) * settings.chains * len(trajectory.times)

        cost = best_cpu(ours)
        print(f"{f'workbench {sampler}, 240 chains in one batch':<46}{cost:>24.2f}{base / cost:>8.1f}")


if __name__ == "__main__":
    main()
