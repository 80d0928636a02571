"""Leave-one-out by retraining: all runs in one batch, against one run after another.

    python benchmarks/retraining.py

The loops do the same steps from the same weights; their final losses are checked to be equal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from harness import Cost, Table, number, race
from numpy.typing import NDArray

from workbench.networks import Network, network
from workbench.semantics import task_from_spec
from workbench.simulation import Schedule, leave_one_out_weights, retrained_losses

Array = NDArray[np.float64]
STEPS, ETA = 200, 5e-3


def optimizer_loop(start: Network, weights: Array) -> Array:
    """``(R, P)`` final losses, every run by autograd and torch.optim.SGD on its own."""
    X, Y = torch.tensor(start.task.X), torch.tensor(start.task.Y)
    found = []
    for row in torch.tensor(weights):
        first, second = (torch.nn.Parameter(torch.tensor(w)) for w in (start.W1, start.W2))
        optimizer = torch.optim.SGD([first, second], lr=ETA)
        for _ in range(STEPS):
            optimizer.zero_grad()
            (row * 0.5 * (Y - second @ first @ X).square().sum(dim=0)).mean().backward()
            optimizer.step()
        with torch.no_grad():
            found.append((0.5 * (Y - second @ first @ X).square().sum(dim=0)).numpy())
    return np.array(found)


def compared(spec: str, hidden: int) -> dict[str, Cost]:
    """CPU microseconds per step of one run, three ways."""
    task = task_from_spec(spec)
    start = network(task, hidden, "gaussian:0.3")
    weights, schedule = leave_one_out_weights(task.n_items, "unnormalised"), Schedule(ETA, (0, STEPS))
    ways: dict[str, Callable[[], Array]] = {
        "autograd, torch.optim.SGD, one run at a time": lambda: optimizer_loop(start, weights),
        "closed-form gradients, one run at a time": lambda: np.concatenate(
            [retrained_losses(start, schedule, row[None])[-1] for row in weights]
        ),
        "workbench: all runs in one batch": lambda: retrained_losses(start, schedule, weights)[-1],
    }
    losses = [way() for way in ways.values()]
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], rtol=1e-8)

    def timed(way: Callable[[], Array]) -> Callable[[], int]:
        return lambda: len(way()) * STEPS

    return race({f"{spec}, {name}": timed(way) for name, way in ways.items()})


def table() -> Table:
    """Cost of one step of one run on trees of 8 and of 32 items."""
    torch.set_num_threads(1)
    rows = []
    for spec, hidden in (("tree", 16), ("tree:2,2,2,2,2", 64)):
        costs = compared(spec, hidden)
        base = next(iter(costs.values())).least
        rows += [(n, number(c.least), number(c.median), number(base / c.least)) for n, c in costs.items()]
    return Table(
        "Leave-one-out by retraining, per step of one run",
        ("way", "CPU us, least", "median", "times less than the optimizer loop"),
        rows,
        f"8 items and 16 hidden units, then 32 items and 64; float64, one thread, {STEPS} steps a run; the final "
        "losses of all three ways agree to 1e-8.",
    )


if __name__ == "__main__":
    print(table())
