"""SGLD on the processor and on a GPU: chain-steps, floating-point operations and bytes a second, against the ceilings.

    python benchmarks/gpu.py

Wall time, because a GPU's work is not on the processor's account. The ceilings are measured in the same run: a large
matrix product and a large copy. Without CUDA only the processor's lines are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from harness import Table
from network import checkpoints, sampler

STEPS = {"step": 1e-6, "burn_in": 60, "thin": 20, "draws": 40}
CHAINS = {"cpu": 240, "cuda": 100_000}


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
    source = torch.zeros(numbers, dtype=dtype, device=device)
    target = torch.empty_like(source)
    return flops, 2 * numbers * source.element_size() / best_seconds(lambda: target.copy_(source), device)


def row(device: str, dtype: torch.dtype) -> tuple[str, ...]:
    """What one device achieves at one precision."""
    run = checkpoints(1 if device == "cuda" else 60)
    total = CHAINS[device]
    sample, planned = sampler(run, total // len(run.times), device=device, dtype=dtype, **STEPS)
    steps = planned.steps(STEPS["draws"]) * total  # type: ignore[arg-type]
    seconds = best_seconds(sample, device)
    P, (Nh, Ni), No = run.task.n_items, run.W1[0].shape, run.W2[0].shape[0]
    weights, outputs = Nh * (Ni + No), No * P
    # Three matrix products; then per weight: to move towards the checkpoint, to add the force and the noise.
    flops = 3 * 2 * No * Nh * P + 7 * weights + outputs
    # The numbers that a step must read and write at least once: weights, checkpoint, residuals; the float32 noise.
    size = torch.empty(0, dtype=dtype).element_size()
    moved = size * (3 * weights + 2 * outputs) + 2 * 4 * weights
    most_flops, most_bytes = ceilings(device, dtype)
    return (
        f"{device}, {str(dtype).removeprefix('torch.')}, {total} chains",
        f"{steps / seconds / 1e6:.3g}",
        f"{flops * steps / seconds / 1e9:.3g}",
        f"{100 * flops * steps / seconds / most_flops:.1f}%",
        f"{moved * steps / seconds / 1e9:.3g}",
        f"{100 * moved * steps / seconds / most_bytes:.1f}%",
    )


def table() -> Table:
    """Rates on every device there is."""
    torch.set_num_threads(1)
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    found = f"the GPU is {torch.cuda.get_device_name()}." if "cuda" in devices else "no CUDA here: the GPU is skipped."
    return Table(
        "Processor and GPU",
        ("device", "million chain-steps/s", "GFLOP/s", "of a large product", "GB/s", "of a large copy"),
        [row(device, dtype) for device in devices for dtype in (torch.float64, torch.float32)],
        "Wall time, one processor thread; operations and bytes are the least a step needs, not what was counted in "
        f"hardware. Goal on a GPU: 100 million chain-steps a second at 100,000 chains; {found}",
    )


if __name__ == "__main__":
    print(table())
