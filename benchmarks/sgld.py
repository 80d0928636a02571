"""CPU cost of one SGLD chain-step, against a plain autograd-and-optimizer loop in the same run.

    python benchmarks/sgld.py

8 items, 16 hidden units, 15 properties, float64, one thread.
"""

from __future__ import annotations

import torch
from harness import Table, race, ratios
from network import checkpoints, plain_loop, sampler

PLAIN = "one chain: autograd, torch.optim.SGD, noise"


def table() -> Table:
    """Cost of a chain-step of every sampler, and how many times less than the plain loop."""
    torch.set_num_threads(1)
    small, large = checkpoints(16), checkpoints(60)
    sgld, planned = sampler(large, 4)
    contestants = {
        PLAIN: lambda: plain_loop(large, 8, planned.step, 2000),
        "workbench sgld, 64 chains": sampler(small, 4)[0],
        "workbench sgld, 240 chains": sgld,
        "workbench sgld with mini-batches of 4, 240 chains": sampler(large, 4, batch_size=4)[0],
        "workbench rmsprop, 240 chains": sampler(large, 4, sampler="rmsprop")[0],
    }
    return Table(
        "One chain-step of SGLD",
        ("way", "CPU us, least", "median", "times less than the loop"),
        ratios(race(contestants, rounds=3), PLAIN),
        "Network 8-16-15, float64, one thread; every step counts, planned burn-in included, and so does the "
        "covariance of the draws. Goals: 3 us at 64 chains or more, 60 times less than the loop.",
    )


if __name__ == "__main__":
    print(table())
