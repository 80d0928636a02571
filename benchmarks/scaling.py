"""How the cost of SGLD grows with items, width, chains and checkpoints.

python benchmarks/scaling.py
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from harness import Table, exponent, number, race
from network import checkpoints, sampler

STEPS = {"step": 1e-6, "burn_in": 60, "thin": 1, "draws": 40}


def timed(spec: str, hidden: int, chains: int, count: int) -> Callable[[], int]:
    """One run of the sampler; the unit is a step of all chains together."""
    sample, planned = sampler(checkpoints(count, spec, hidden), chains, **STEPS)

    def run() -> int:
        sample()
        return planned.steps(STEPS["draws"])  # type: ignore[arg-type]

    return run


def table() -> Table:
    """Cost of a step of all chains along one size at a time, and the exponent fitted to it."""
    torch.set_num_threads(1)
    along = {
        "items (tree, 2P - 1 properties, 16 hidden)": (
            (8, 16, 32, 64),
            lambda P: timed("tree:" + ",".join("2" * (P.bit_length() - 1)), 16, 4, 8),
        ),
        "hidden units (8 items)": ((16, 32, 64, 128), lambda h: timed("tree", h, 4, 8)),
        "chains per checkpoint (4 checkpoints)": ((4, 16, 64, 256), lambda c: timed("tree", 16, c, 4)),
        "checkpoints (4 chains each)": ((4, 16, 64, 256), lambda t: timed("tree", 16, 4, t)),
    }
    rows = []
    for name, (sizes, make) in along.items():
        costs = race({str(size): make(size) for size in sizes}, rounds=3)
        least = [cost.least for cost in costs.values()]
        found = ", ".join(f"{size}: {number(cost)}" for size, cost in zip(sizes, least, strict=True))
        rows.append((name, found, f"{exponent(sizes, least):.2f}", f"{exponent(sizes[-2:], least[-2:]):.2f}"))
    return Table(
        "Growth of the cost of a step of all chains",
        ("along", "CPU us at each size", "fitted exponent", "of the last two"),
        rows,
        "32 chains where neither chains nor checkpoints vary. Every step is a kept draw, so the covariance, quadratic "
        "in the items, is at its most expensive. The work in the network is quadratic in the items, as the properties "
        "grow with them, and linear in everything else; a fixed cost a step lowers the exponents of small sizes.",
    )


if __name__ == "__main__":
    print(table())
