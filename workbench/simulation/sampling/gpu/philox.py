"""Standard normal numbers by counter, for GPUs: Philox 4x32-10 (Salmon et al. 2011) and Box-Muller, in Triton.

A number depends on nothing but ``(seed, checkpoint, chain, index, step)``: no state to carry, and the same chain draws
the same numbers however the chains are split. Four successive steps of one index share a counter, since Philox makes
four numbers at once. They are float32; the largest in absolute value is sqrt(-2 ln 1e-7) = 5.7.

Import this module only where Triton is; it comes with CUDA builds of torch on Linux.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

#: Successive steps that share a counter.
STEPS = 4
#: Numbers of one chain and counter that a program makes.
_NUMBERS = 512


@triton.jit
def _on_the_circle(u):
    """Cosine and sine of 2 pi u for u in [0, 1], to 3e-7: Taylor series within an eighth of a turn of an axis."""
    quarter = (4 * u + 0.5).to(tl.int32)
    x = (4 * u - quarter) * 1.5707963267948966
    y = x * x
    sine = x * (1 + y * (-1 / 6 + y * (1 / 120 - y * (1 / 5040))))
    cosine = 1 + y * (-1 / 2 + y * (1 / 24 + y * (-1 / 720 + y * (1 / 40320))))
    odd = (quarter & 1) == 1
    along = tl.where(((quarter + 1) & 2) == 2, -1.0, 1.0) * tl.where(odd, sine, cosine)
    across = tl.where((quarter & 2) == 2, -1.0, 1.0) * tl.where(odd, cosine, sine)
    return along, across


@triton.jit
def _two_normals(a, b):
    """Box & Muller (1958)."""
    radius = tl.sqrt(-2 * tl.log(tl.maximum(1e-7, tl.uint_to_uniform_float(a))))
    along, across = _on_the_circle(tl.uint_to_uniform_float(b))
    return radius * along, radius * across


@triton.jit
def four_normals(seed, checkpoint, chain, index, block):
    """Normal numbers, shaped like ``index``, of the steps ``4 block`` to ``4 block + 3``."""
    zero = index * 0
    a, b, c, d = tl.philox(seed, index, zero + block, zero + chain, zero + checkpoint)
    first, second = _two_normals(a, b)
    third, fourth = _two_normals(c, d)
    return first, second, third, fourth


@triton.jit(do_not_specialize=["seed", "first_block"])
def _fill(out, row_stride, seed, places, first_block, steps, n, NUMBERS: tl.constexpr):
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    index = tl.program_id(2) * NUMBERS + tl.arange(0, NUMBERS)
    checkpoint, chain = tl.load(places + 2 * row), tl.load(places + 2 * row + 1)
    numbers = four_normals(seed, checkpoint, chain, index, first_block + block)
    for r in tl.static_range(4):
        step = 4 * block + r
        tl.store(out + row * row_stride + step * n + index, numbers[r], mask=(index < n) & (step < steps))


def fill(out: torch.Tensor, seed: int, places: torch.Tensor, first: int) -> None:
    """Fill ``out`` with the numbers of the steps from ``first`` on, a multiple of 4.

    Args:
        out: ``(B, steps, n)`` float32, each row contiguous; its numbers have indices 0 to n - 1.
        seed: from 0 to 2^63 - 1.
        places: ``(B, 2)`` int32, checkpoint and chain of every row.
    """
    rows, steps, n = out.shape
    grid = rows, triton.cdiv(steps, STEPS), triton.cdiv(n, _NUMBERS)
    _fill[grid](out, out.stride(0), seed, places, first // STEPS, steps, n, NUMBERS=_NUMBERS)
