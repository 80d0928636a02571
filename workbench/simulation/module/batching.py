"""Gradients and losses of C chains: one after another, or all at once by `torch.func.vmap`.

Which is faster depends on the model and the machine: chains of a model of a few hundred weights cost hardly more than
one, while those of 45,000 weights fill a processor core by themselves. And some operations have no batching rule
(fused attention on a processor). So both are tried for a moment, on the chains that are to be sampled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch.func import vmap

from workbench.errors import WorkbenchError
from workbench.simulation.module.losses import Data, ModuleLosses, length, rows

Batching = Literal["auto", "vmap", "loop"]

#: Timed repetitions of each way, after one that is not timed.
_TRIALS = 3
#: Examples whose losses are computed at one time.
_ROWS = 64


@dataclass(frozen=True)
class Chains:
    """One way to move C chains.

    Attributes:
        kind: ``"loop"`` or ``"vmap"``.
        gradients: ``(C, N)`` gradients of the mean loss from weights ``(C, N)``, data, and indices ``(C, m)`` of the
            examples of every chain's mini-batch (None: all).
        losses: ``(C, P)`` losses of all examples and tokens, from weights ``(C, N)`` and data.
    """

    kind: str
    gradients: Callable[[torch.Tensor, Data, torch.Tensor | None], torch.Tensor]
    losses: Callable[[torch.Tensor, Data], torch.Tensor]


def looped(model: ModuleLosses) -> Chains:
    """One chain after another, each put in turn into one copy of the module."""
    own = model.movable()

    def gradients(w: torch.Tensor, data: Data, index: torch.Tensor | None) -> torch.Tensor:
        values = torch.empty_like(w)
        for chain, one in enumerate(w):
            own.gradient(one, data if index is None else rows(data, index[chain]), out=values[chain])
        return values

    def losses(w: torch.Tensor, data: Data) -> torch.Tensor:
        parts = _parts(data)
        return torch.stack([torch.cat([own.losses(one, part).flatten() for part in parts]) for one in w])

    return Chains("loop", gradients, losses)


def batched(model: ModuleLosses) -> Chains:
    """All chains at once.

    The gradient of the sum of their means holds that of each: one level of `torch.func` less than by its `grad`, in
    half the time where a model is small.
    """
    own, shared = vmap(model.mean), vmap(model.mean, in_dims=(0, None))
    values = vmap(model, in_dims=(0, None))

    def gradients(w: torch.Tensor, data: Data, index: torch.Tensor | None) -> torch.Tensor:
        leaf = w.detach().requires_grad_()
        means = shared(leaf, data) if index is None else own(leaf, rows(data, index))
        return torch.autograd.grad(means.sum(), leaf)[0]

    def losses(w: torch.Tensor, data: Data) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([values(w, part).flatten(1) for part in _parts(data)], dim=1)

    return Chains("vmap", gradients, losses)


def chosen(
    model: ModuleLosses, batching: Batching, w: torch.Tensor, data: Data, index: torch.Tensor | None
) -> tuple[Chains, str]:
    """The faster way for these chains, and a sentence that says which and why."""
    if batching == "loop" or (batching == "auto" and len(w) == 1):
        return looped(model), "chains one after another, as asked" if batching == "loop" else "a single chain"
    together = batched(model)
    if batching == "vmap":
        _seconds(together, w, data, index)  # an operation without a batching rule fails here, by its name
        return together, "chains batched by vmap, as asked"
    apart = looped(model)
    one = _seconds(apart, w, data, index)
    try:
        all_at_once = _seconds(together, w, data, index)
    except WorkbenchError as error:
        return apart, f"chains one after another: {error}"
    kept, word = (together, "batched by vmap") if all_at_once < one else (apart, "one after another")
    took = f"a step of {len(w)} took {1e3 * one:.3g} ms one after another and {1e3 * all_at_once:.3g} ms by vmap"
    return kept, f"chains {word}: {took}"


def _seconds(chains: Chains, w: torch.Tensor, data: Data, index: torch.Tensor | None) -> float:
    """The shortest of some steps."""
    least = float("inf")
    try:
        for trial in range(_TRIALS + 1):
            began = time.perf_counter()
            value = chains.gradients(w, data, index)
            if value.is_cuda:
                torch.cuda.synchronize()
            if trial:
                least = min(least, time.perf_counter() - began)
    except (RuntimeError, NotImplementedError, ValueError) as error:
        line = " ".join(str(error).split())[:160]
        raise WorkbenchError(f"the module cannot be batched by vmap ({line}); use batching='loop'") from None
    return least


def _parts(data: Data) -> list[Data]:
    count = length(data)
    return [data] if count <= _ROWS else [rows(data, slice(a, a + _ROWS)) for a in range(0, count, _ROWS)]
