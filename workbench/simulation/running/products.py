"""Batched products of small matrices into buffers that stay from step to step.

Where every matrix and the result are blocks of their own, as in training, torch's batched product is quickest. Between
views of a larger tensor, as the weights of chains are, numpy's loop over the batch is: torch takes up to five times as
long (on the CPU, at the sizes of these networks: `benchmarks/stacks.py`). Either way every matrix of the batch is a
product of its own, so a chain's numbers do not depend on those beside it.
"""

from __future__ import annotations

import numpy as np
import torch

#: Multiplications in one matrix product from which numpy's library may start threads of its own; torch's are ours.
_THREADED = 2**17


def multiply(first: torch.Tensor, second: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """``first @ second``, written into ``out`` and returned; numpy warns where values overflow.

    Args:
        first: ``(B, m, k)``. second: ``(B, k, n)`` or ``(k, n)``.
        out: ``(B, m, n)``, sharing no memory with the two.
    """
    if out.is_contiguous() and first.stride(0) == first.shape[1] * first.shape[2]:
        return torch.bmm(first, second if second.ndim == 3 else second.expand(len(out), -1, -1), out=out)
    if out.device.type == "cpu" and out.shape[-2] * out.shape[-1] * first.shape[-1] <= _THREADED:
        np.matmul(first.numpy(), second.numpy(), out=out.numpy())
        return out
    return torch.matmul(first, second, out=out) if out.is_contiguous() else out.copy_(first @ second)
