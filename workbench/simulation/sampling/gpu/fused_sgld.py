"""SGLD on a GPU: many steps of every chain in one kernel, whose weights never leave the registers on the way.

The step is that of `sgld`, the noise that of `philox`. Step by step, one library call an operation, all weights travel
through memory in every one of them, at a sixth of its speed (`benchmarks/gpu.py`); here they do once in `STEPS` steps.
One program runs one chain: its numbers do not depend on those beside it, bit by bit.

Import this module only where Triton is.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from workbench.simulation.network.backprop import NetworkBatch
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.sampling.gpu.philox import four_normals
from workbench.simulation.sampling.posterior import LocalPosterior

#: Steps of one kernel; a multiple of those that share a counter.
STEPS = 64
#: Layers are padded to a power of two, at least 16, as matrix units want; larger ones than this do not fit registers.
LARGEST = 32
#: Version of Triton; those before 3.5 (torch 2.9) have no products in float64.
VERSION = tuple(int(part) for part in triton.__version__.split(".")[:2])
#: Warps of a program whose largest layer is padded to 16, or to 32. Products in float64 go to matrix units, which share
#: their results among more warps in duplicate.
WARPS = {(torch.float32, 16): 4, (torch.float32, 32): 4, (torch.float64, 16): 1, (torch.float64, 32): 2}


@triton.jit
def _product(A, B):
    """In full precision: the default for float32 would be tf32."""
    return tl.dot(A, B, input_precision="ieee", out_dtype=A.dtype)


@triton.jit(do_not_specialize=["seed", "first", "last", "burn_in", "thin", "first_draw", "rows"])
def _steps(
    wp, Ep, losses, Sp, Yp, Xp, scalars, seed, places, first, last, burn_in, thin, first_draw, rows, I, H, O, P,
    PI: tl.constexpr, PH: tl.constexpr, PO: tl.constexpr, PP: tl.constexpr, HAS_X: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    i, h, o, p = tl.arange(0, PI), tl.arange(0, PH), tl.arange(0, PO), tl.arange(0, PP)
    at1, in1 = h[:, None] * I + i[None, :], (h[:, None] < H) & (i[None, :] < I)
    at2, in2 = H * I + o[:, None] * H + h[None, :], (o[:, None] < O) & (h[None, :] < H)
    weights = row * (H * I + O * H)
    atE, inE = o[:, None] * P + p[None, :], (o[:, None] < O) & (p[None, :] < P)
    # Outside the layers everything is zero and stays so.
    W1 = tl.load(wp + weights + at1, mask=in1, other=0.0)
    S1 = tl.load(Sp + weights + at1, mask=in1, other=0.0)
    W2 = tl.load(wp + weights + at2, mask=in2, other=0.0)
    S2 = tl.load(Sp + weights + at2, mask=in2, other=0.0)
    Y = tl.load(Yp + atE, mask=inE, other=0.0)
    pull, drift, spread = tl.load(scalars), tl.load(scalars + 1), tl.load(scalars + 2)
    checkpoint, chain = tl.load(places + 2 * row), tl.load(places + 2 * row + 1)
    if HAS_X:
        X = tl.load(Xp + i[:, None] * P + p[None, :], mask=(i[:, None] < I) & (p[None, :] < P), other=0.0)
    hidden = _product(W1, X) if HAS_X else W1
    E = _product(W2, hidden) - Y
    for block in range(first // 4, (last + 3) // 4):
        a1, b1, c1, d1 = four_normals(seed, checkpoint, chain, at1, block)
        a2, b2, c2, d2 = four_normals(seed, checkpoint, chain, at2, block)
        for r in range(tl.minimum(4, last - 4 * block)):
            noise1 = tl.where(r < 2, tl.where(r == 0, a1, b1), tl.where(r == 2, c1, d1))
            noise2 = tl.where(r < 2, tl.where(r == 0, a2, b2), tl.where(r == 2, c2, d2))
            force1 = _product(tl.trans(W2), E)
            if HAS_X:
                force1 = _product(force1, tl.trans(X))
            force2 = _product(E, tl.trans(hidden))
            W1 += pull * (S1 - W1) - drift * force1 + spread * tl.where(in1, noise1, 0.0)
            W2 += pull * (S2 - W2) - drift * force2 + spread * tl.where(in2, noise2, 0.0)
            hidden = _product(W1, X) if HAS_X else W1
            E = _product(W2, hidden) - Y
            since = 4 * block + r - burn_in
            if (since >= 0) & (since % thin == 0):
                draw = (since // thin - first_draw) * rows.to(tl.int64) + row
                tl.store(losses + draw * P + p, tl.sum(E * E, axis=0) * 0.5, mask=p < P)
    tl.store(wp + weights + at1, W1, mask=in1)
    tl.store(wp + weights + at2, W2, mask=in2)
    tl.store(Ep + row * O * P + atE, E, mask=inE)


def fits(target: LocalPosterior) -> bool:
    """Whether one program can hold a chain, and compute with its numbers."""
    model = target.model
    if not isinstance(model, NetworkModel) or not model.bilinear:
        return False
    return max(_padded(model)) <= LARGEST and (model.Y.dtype != torch.float64 or VERSION >= (3, 5))


def advance(
    chains: NetworkBatch,
    target: LocalPosterior,
    eps: float,
    seed: int,
    places: torch.Tensor,
    first: int,
    last: int,
    burn_in: int,
    thin: int,
) -> torch.Tensor:
    """Do the steps ``first`` to ``last - 1`` in place, and return the losses ``(draws, B, P)`` of those that are draws.

    Args:
        chains: B of them, at step ``first``, a multiple of 4. target: what they sample. eps: step size.
        seed, places: of the noise, see `philox.fill`.
        first, last: step numbers.
        burn_in, thin: the draws are the steps ``burn_in + k thin``.
    """
    model = target.model
    assert isinstance(model, NetworkModel)
    (H, I), (O, _) = model.shapes
    rows, P, w = target.chains, target.n_items, chains.w
    before, after = (max(0, -(-(step - burn_in) // thin)) for step in (first, last))
    losses = w.new_empty((after - before, rows, P))
    # As numbers, and not in memory, they would be rounded to float32.
    scalars = w.new_tensor([eps * target.gamma / 2, eps * target.n_beta / (2 * P), eps**0.5])
    PI, PH, PO, PP = _padded(model)
    _steps[(rows,)](
        w,
        chains.error,
        losses,
        target.star,
        model.Y,
        model.Y if model.X is None else model.X,
        scalars,
        seed,
        places,
        first,
        last,
        burn_in,
        thin,
        before,
        rows,
        I,
        H,
        O,
        P,
        PI=PI,
        PH=PH,
        PO=PO,
        PP=PP,
        HAS_X=model.X is not None,
        num_warps=WARPS[w.dtype, max(PI, PH, PO, PP)],
    )
    return losses


def _padded(model: NetworkModel) -> tuple[int, int, int, int]:
    """Sizes of inputs, hidden units, outputs and items in a program."""
    (H, I), (O, _) = model.shapes
    I, H, O, P = (max(16, triton.next_power_of_2(n)) for n in (I, H, O, len(model.items)))
    return I, H, O, P
