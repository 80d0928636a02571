"""SGLD and training on the processor and on a GPU: rates, their ratios, and SGLD's against the ceilings of the device.

    python benchmarks/gpu.py

Wall time, because a GPU's work is not on the processor's account. The ceilings are measured in the same run: a large
matrix product and a large copy. Without CUDA only the processor's lines are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import numpy as np
import torch
from harness import Table, machine, number
from network import checkpoints, sampler

from workbench.networks import Network, network
from workbench.semantics import task_from_spec
from workbench.simulation import Place, Recipe, Schedule, retrained_losses
from workbench.simulation.running import cuda_graph as repeated
from workbench.simulation.sampling.chains import drivers

LENGTHS = {"step": 1e-6, "burn_in": 60, "thin": 20, "draws": 40}
#: Runs, and steps of each on the processor; a GPU does 2560.
RUNS = ((1, 1280), (100, 640), (4096, 64))


def best_seconds(run: Callable[[], object], device: str, rounds: int = 3) -> float:
    """Least wall seconds of ``run``, after one that does not count."""
    found = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return min(found[1:])


def ceilings(device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Floating-point operations a second of a large matrix product, bytes a second of a large copy."""
    n, numbers = (8192, 2**28) if device == "cuda" else (1024, 2**24)
    a, out = torch.rand((n, n), dtype=dtype, device=device), torch.empty((n, n), dtype=dtype, device=device)
    flops = 2 * n**3 / best_seconds(lambda: torch.mm(a, a, out=out), device)
    source = torch.rand(numbers, dtype=dtype, device=device)
    target = torch.empty_like(source)
    return flops, 2 * numbers * source.element_size() / best_seconds(lambda: target.copy_(source), device)


_advance = drivers.Stepwise.advance


def _one_by_one(self: drivers.Stepwise, first: int, last: int) -> Iterator[torch.Tensor]:
    self._captures = False
    return _advance(self, first, last)


@contextmanager
def step_by_step() -> Iterator[None]:
    """Neither the kernel of many steps nor graphs: one launch for every operation."""
    no_kernel = patch.object(drivers, "can_fuse", lambda *_: False)
    no_graph = patch.object(repeated, "STEPS", 10**9), patch.object(drivers.Stepwise, "advance", _one_by_one)
    with no_kernel, no_graph[0], no_graph[1]:
        yield


def chain_steps(
    device: str, chains: int, stepwise: bool, dtype: torch.dtype = torch.float64, **settings: object
) -> float:
    """Chain-steps a second of whole calls."""
    run = checkpoints(60 if chains % 60 == 0 else 1)
    sample, planned = sampler(run, chains // len(run.times), place=Place(device, dtype), **LENGTHS, **settings)
    with step_by_step() if stepwise else nullcontext():
        return planned.steps(LENGTHS["draws"]) * chains / best_seconds(sample, device)  # type: ignore[arg-type]


def sampling_row(device: str, dtype: torch.dtype, chains: int, stepwise: bool) -> tuple[float, tuple[str, ...]]:
    """Chain-steps a second, estimates included, and what they are of the ceilings."""
    run, rate = checkpoints(1), chain_steps(device, chains, stepwise, dtype=dtype)
    P, (Nh, Ni), No = run.task.n_items, run.W1[0].shape, run.W2[0].shape[0]
    weights, outputs = Nh * (Ni + No), No * P
    # Three matrix products; then per weight: to move towards the checkpoint, to add the force and the noise.
    flops = 3 * 2 * No * Nh * P + 7 * weights + outputs
    size = torch.empty(0, dtype=dtype).element_size()
    if device == "cuda" and not stepwise:
        # Weights, checkpoint and residuals once in the steps of a kernel; sums of the losses' products at every draw.
        moved = size * ((3 * weights + outputs) / 64 + (2 * P**2 + 6 * P) / float(LENGTHS["thin"]))  # type: ignore[arg-type]
    else:
        # Weights, checkpoint and residuals read and written in every step, and float32 noise.
        moved = size * (3 * weights + 2 * outputs) + 2 * 4 * weights
    most_flops, most_bytes = ceilings(device, dtype)
    name = f"{device}, {str(dtype).removeprefix('torch.')}, {chains} chains{', step by step' * stepwise}"
    arithmetic = number(flops * rate / 1e9), f"{100 * flops * rate / most_flops:.1f}%"
    traffic = number(moved * rate / 1e9), f"{100 * moved * rate / most_bytes:.1f}%"
    return rate, (name, number(rate / 1e6), *arithmetic, *traffic)


def sampling_table(cuda: bool) -> Table:
    """Rates of SGLD on every device there is."""
    kinds = [("cpu", dtype, 240, False) for dtype in (torch.float64, torch.float32)]
    if cuda:
        kinds += [
            ("cuda", dtype, *how)
            for dtype in (torch.float64, torch.float32)
            for how in ((100_000, False), (100_000, True), (240, False))
        ]
    found = [sampling_row(*kind) for kind in kinds]
    rows = [(*row, number(rate / found[0][0])) for rate, row in found]
    return Table(
        "Processor and GPU: SGLD",
        ("device", "million chain-steps/s", "GFLOP/s", "of a large product", "GB/s", "of a copy", "times the first"),
        rows,
        "Wall time of whole calls, estimates and their errors included; one processor thread. Operations and bytes are "
        "the least that the steps need, noise not counted as operations, and not what was counted in hardware. Goal on "
        f"a GPU: 100 million chain-steps a second at 100,000 chains. {described(cuda)}",
    )


def others_table(cuda: bool) -> Table:
    """Rates of samplers that have no kernel of many steps."""
    samplers = {"rmsprop": {"sampler": "rmsprop"}, "sgld with mini-batches of 4": {"batch_size": 4}}
    rows = []
    for name, settings in samplers.items():
        first = chain_steps("cpu", 240, False, **settings)
        rates = {"cpu, 240 chains": first}
        if cuda:
            rates |= {
                f"cuda, {chains} chains{', step by step' * stepwise}": chain_steps("cuda", chains, stepwise, **settings)
                for chains in (240, 100_000)
                for stepwise in (False, True)
            }
        rows += [(f"{name}, {how}", number(rate / 1e6), number(rate / first)) for how, rate in rates.items()]
    return Table(
        "Processor and GPU: other samplers",
        ("what", "million chain-steps/s", "times the processor"),
        rows,
        "As above, in float64; on a GPU 64 steps are one graph of kernels.",
    )


def step_cost(network: Network, runs: int, steps: int, device: str) -> float:
    """Seconds of a step of all runs."""
    weights = np.random.default_rng(0).uniform(0.5, 1.0, (runs, 8))
    recipe, place = Recipe(Schedule(1e-3, (0, steps))), Place(device)
    return best_seconds(lambda: retrained_losses(network, recipe, weights, place=place), device, 2) / steps


def training_table(cuda: bool) -> Table:
    """Run-steps a second of retraining with other item weights."""
    networks = {"two layers, linear": (2, "linear"), "four layers, tanh": (4, "tanh")}
    rows = []
    for name, (depth, activation) in networks.items():
        net = network(task_from_spec("tree"), 16, "gaussian:0.3", depth=depth, activation=activation)  # type: ignore[arg-type]
        for runs, steps in RUNS:
            costs = {"cpu": step_cost(net, runs, steps, "cpu")}
            if cuda:
                costs["cuda"] = step_cost(net, runs, 2560, "cuda")
                with step_by_step():
                    costs["cuda, step by step"] = step_cost(net, runs, 2560, "cuda")
            rows += [
                (f"{name}, {runs} at a time, {what}", number(1e6 * cost), number(costs["cpu"] / cost))
                for what, cost in costs.items()
            ]
    return Table(
        "Processor and GPU: training",
        ("what", "us a step of all runs", "times the processor"),
        rows,
        "Gradient descent on all items in float64, 8 items, 16 hidden units a layer, 15 properties; whole calls, in "
        "which graphs are captured anew; one processor thread.",
    )


def described(cuda: bool) -> str:
    """The machine, whose processor need not be that of the other tables."""
    return f"{torch.cuda.get_device_name() if cuda else 'No CUDA here'}; {machine()}."


if __name__ == "__main__":
    torch.set_num_threads(1)
    there = torch.cuda.is_available()
    print(sampling_table(there), flush=True)
    print(others_table(there), flush=True)
    print(training_table(there))
