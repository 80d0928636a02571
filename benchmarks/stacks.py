"""One stack for networks of any depth, against the two it replaced: the same work by this code and by commit a72d634.

    python benchmarks/stacks.py

The old code is unpacked from this repository into a temporary folder. Either version runs in a process of its own, and
they take turns, case by case, round by round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
BEFORE = "a72d634"
ROUNDS = 5
DEEP = {"depth": 4, "activation": "tanh"}


def task(items: int) -> Any:
    """A binary tree of so many items."""
    from workbench.semantics import task_from_spec

    return task_from_spec("tree:" + ",".join("2" * (items.bit_length() - 1)))


def new_network(items: int, seed: int = 0, **shape: Any) -> Any:
    """A network with 16 hidden units a layer."""
    from workbench.networks import network

    return network(task(items), 16, "gaussian:0.3", seed=seed, **shape)


def old_network(items: int, seed: int = 0, of: Any = None, **shape: Any) -> Any:
    """The same in the old code; ``of``: its task."""
    from workbench.simulation import gaussian_network
    from workbench.trajectory import Init, initial_weights

    own = of or task(items)
    if shape:
        return gaussian_network(own, hidden=16, sigma=0.3, seed=seed, **shape)
    return initial_weights(own, Init.parse("gaussian:0.3"), 16, seed)


def chains(old: bool, count: int, sampling: dict[str, Any], **shape: Any) -> Callable[[], float]:
    """Seconds of a chain-step."""
    from workbench import simulation

    settings = {"step": 1e-4, "burn_in": 100, "thin": 3, "draws": 60, "chains": count} | sampling
    how, local = simulation.Sampling(**settings), {"n_beta": 100.0, "gamma": 1000.0}
    schedule = simulation.Schedule.at([0.0, 3.0], 0.02)
    if old and shape:
        run = simulation.train_networks([old_network(8, **shape)], simulation.Recipe(schedule))[0]
        points = simulation.NetworkCheckpoints.of(run)
        points = replace(points, times=points.times[1:], W1=points.W1[1:], W2=points.W2[1:])
    elif old:
        points = simulation.train(old_network(8), schedule)
        points = replace(points, times=points.times[1:], W1=points.W1[1:], W2=points.W2[1:])
    else:
        points = simulation.train(new_network(8, **shape), schedule)
        points = replace(points, times=points.times[1:], weights=tuple(W[1:] for W in points.weights))
    planned = simulation.plan(points, sampling=how, **local)
    steps = planned.steps(how.draws) * count

    def run_chains() -> float:
        began = time.process_time()
        simulation.sample_local_posterior(points, sampling=how, planned=planned, **local)
        return (time.process_time() - began) / steps

    return run_chains


def training(old: bool, items: int, runs: int, steps: int = 400, **shape: Any) -> Callable[[], float]:
    """Seconds of a step of all runs: networks of other seeds side by side."""
    from workbench import simulation

    schedule = simulation.Schedule(1e-3, (0, steps))
    shared = task(items)
    if old:
        networks = [old_network(items, k, shared, **shape) for k in range(runs)]
    else:
        networks = [replace(new_network(items, k, **shape), task=shared) for k in range(runs)]

    def train_all() -> float:
        began = time.process_time()
        if old and not shape:
            simulation.train_seeds(networks, schedule)
        else:
            simulation.train_networks(networks, simulation.Recipe(schedule))
        return (time.process_time() - began) / steps

    return train_all


def retraining(old: bool, items: int) -> Callable[[], float]:
    """Seconds of a step of all runs of leave-one-out."""
    from workbench import simulation

    network, steps = (old_network if old else new_network)(items), 400
    again = simulation.retrain_weighted if old else simulation.retrained_losses
    weights, schedule = simulation.leave_one_out_weights(items, "unnormalised"), simulation.Schedule(1e-3, (0, steps))

    def retrain() -> float:
        began = time.process_time()
        again(network, schedule, weights)
        return (time.process_time() - began) / steps

    return retrain


#: What is timed, and whether two layers must be no slower (1.1) or four layers 1.7 times faster.
CASES: dict[str, tuple[Callable[[bool], Callable[[], float]], str]] = {
    "SGLD, 8-16-15, 240 chains: us a chain-step": (lambda old: chains(old, 240, {}), "0.91"),
    "SGLD, mini-batches of 4, 240 chains": (lambda old: chains(old, 240, {"batch_size": 4}), "0.91"),
    "RMSProp, 240 chains": (lambda old: chains(old, 240, {"sampler": "rmsprop", "step": 1e-3}), "0.91"),
    "HMC, 240 chains: us a chain-trajectory": (
        lambda old: chains(old, 240, {"sampler": "hmc", "step": 2e-3, "burn_in": 20, "thin": 1}),
        "0.91",
    ),
    "training, 8 items x 8 runs: us a step of all": (lambda old: training(old, 8, 8), "0.91"),
    "training, 16 items x 16 runs": (lambda old: training(old, 16, 16), "0.91"),
    "leave-one-out, 32 items x 32 runs": (lambda old: retraining(old, 32), "0.91"),
    "SGLD, 4 tanh layers, 64 chains: us a chain-step": (lambda old: chains(old, 64, {}, **DEEP), "1.7"),
    "HMC, 4 tanh layers, 64 chains": (
        lambda old: chains(old, 64, {"sampler": "hmc", "step": 2e-3, "burn_in": 20, "thin": 1}, **DEEP),
        "1.7",
    ),
    "training, 4 tanh layers, 8 items x 100 runs: us a step of all": (
        lambda old: training(old, 8, 100, 200, **DEEP),
        "1.7",
    ),
}


def work(old: bool) -> None:
    """Answer each number of a case on standard input with the seconds it took."""
    import torch

    torch.set_num_threads(1)
    ready: dict[int, Callable[[], float]] = {}
    for line in sys.stdin:
        case = int(line)
        if case not in ready:
            ready[case] = list(CASES.values())[case][0](old)
            ready[case]()
        print(ready[case](), flush=True)


def worker(code: Path, old: bool) -> subprocess.Popen[str]:
    """A process that runs the package in a folder."""
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE), "before" if old else "now"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def seconds(process: subprocess.Popen[str], case: int) -> float:
    """What one round of a case took there."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{case}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def table() -> Any:
    """Both versions, least and median of the rounds."""
    from harness import Table, number

    root = HERE.parent.parent
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", BEFORE, "workbench"], cwd=root, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        workers = worker(Path(folder), True), worker(root, False)
        rows = []
        for case, (name, (_, goal)) in enumerate(CASES.items()):
            before, now = zip(*([seconds(w, case) for w in workers] for _ in range(ROUNDS)), strict=True)
            costs = min(before), min(now), statistics.median(before), statistics.median(now)
            rows.append((name, *(number(1e6 * x) for x in costs), number(costs[0] / costs[1]), goal))
            print(*rows[-1], sep="; ", file=sys.stderr, flush=True)
        for process in workers:
            process.kill()
    return Table(
        f"One stack for any depth, against the two of commit {BEFORE}",
        ("what", "before, least", "now, least", "before, median", "now, median", "times faster", "at least"),
        rows,
        "16 hidden units a layer, float64, one thread; CPU time of whole calls, both versions in turns. Before, two "
        "linear layers and all other networks had code of their own. The goals: not slower by more than 10% with two "
        "layers, 1.7 times faster with four.",
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        work(sys.argv[1] == "before")
    else:
        print(table())
