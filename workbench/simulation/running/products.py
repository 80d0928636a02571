"""Batched products of small matrices into buffers that stay from step to step, made ready once.

To look tensors up anew at every step would take as long as a small product does. On the CPU numpy's loop over the batch
is quicker than torch's batched product: by 1.3 to 2 times up to 128 x 128 where a processor has no AVX-512 (an EPYC of
the third generation), and up to five times between views of a larger tensor, as the weights of chains are; with
AVX-512, torch is quicker between matrices that are blocks of their own, as in training (`benchmarks/stacks.py`). Either
way every matrix of the batch is a product of its own, so a chain's numbers do not depend on those beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

Tensor = torch.Tensor
#: A step made ready: calls on tensors that stay where they are.
Calls = list[Callable[[], object]]

#: Multiplications in one matrix product from which numpy's library may start threads of its own; torch's are ours.
_THREADED = 2**17
_WIDE = torch.backends.cpu.get_cpu_capability() == "AVX512"


def product(first: Tensor, second: Tensor, out: Tensor) -> Callable[[], object]:
    """What, under `run`, writes ``first @ second``, of the numbers in them by then, into ``out``.

    Args:
        first: ``(B, m, k)``. second: ``(B, k, n)`` or ``(k, n)``.
        out: ``(B, m, n)``, sharing no memory with the two.
    """
    if _by_torch(first, out):
        return partial(torch.bmm, first, second if second.ndim == 3 else second.expand(len(out), -1, -1), out=out)
    if out.device.type == "cpu" and out.shape[-2] * out.shape[-1] * first.shape[-1] <= _THREADED:
        return partial(np.matmul, first.numpy(), second.numpy(), out=out.numpy())
    if out.is_contiguous():
        return partial(torch.matmul, first, second, out=out)
    return lambda: out.copy_(first @ second)


def add_product(total: Tensor, first: Tensor, second: Tensor, spare: Tensor) -> Calls:
    """``total += first @ second``; ``spare`` is shaped like the total, and perhaps written to."""
    if _by_torch(first, total):
        return [partial(total.baddbmm_, first, second)]
    return [product(first, second, out=spare), partial(total.add_, spare)]


def run(calls: Calls) -> None:
    """One after the other; numbers that overflow become infinite, silently."""
    with np.errstate(over="ignore", invalid="ignore"):
        for call in calls:
            call()


def _by_torch(first: Tensor, out: Tensor) -> bool:
    """Whether the matrices are blocks of their own, and torch's product of a batch of them is quickest."""
    blocks = out.is_contiguous() and first.stride(0) == first.shape[1] * first.shape[2]
    return blocks and (_WIDE or out.device.type != "cpu")
