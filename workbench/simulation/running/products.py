"""Batched products of small matrices into buffers that stay from step to step.

On the CPU numpy's loop over the batch takes half the time of torch's batched product at the sizes of these networks
(`benchmarks/sgld.py`), and no more at larger ones. Either way every matrix of the batch is a product of its own, so
a chain's numbers do not depend on those beside it.
"""

from __future__ import annotations

import numpy as np
import torch

#: Multiplications in one matrix product from which numpy's library may start threads of its own; torch's are ours.
_THREADED = 2**17


def multiply(first: torch.Tensor, second: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """``first @ second``, written into ``out`` and returned; numpy warns where values overflow.

    Args:
        first: ``(B, m, k)`` or ``(m, k)``. second: ``(B, k, n)`` or ``(k, n)``.
        out: ``(B, m, n)``, sharing no memory with the two.
    """
    if out.device.type == "cpu" and out.shape[-2] * out.shape[-1] * first.shape[-1] <= _THREADED:
        np.matmul(first.numpy(), second.numpy(), out=out.numpy())
        return out
    if out.is_contiguous():
        return torch.matmul(first, second, out=out)
    # Torch's products written straight into views of a larger tensor take five times as long.
    return out.copy_(first @ second)
