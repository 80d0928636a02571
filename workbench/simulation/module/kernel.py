"""Gradient kernel of any module: inner products of the gradients of its losses.

    K_ij = g_i . g_j,      g_i = dl_i/dw

It is what the theory predicts to first order for a sampled covariance: with the loss switched off the weights are
Gaussian with covariance 1/gamma, so Cov(l_i, l_j) -> g_i . g_j / gamma for large gamma, and the correlation tends to
the cosine of the angle between the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WorkbenchError, human_bytes
from workbench.simulation.module.losses import Data, ModuleLosses, length, rows

Array = NDArray[np.float64]

#: Gradients held at one time take no more than this many bytes.
MEMORY = 1e9


def gradient_kernel(model: ModuleLosses, data: Data, *, memory: float = MEMORY) -> Array:
    """``(P, P)`` of ``-g_i . g_j``: all losses, examples and tokens row after row; negative where they help each other.

    All P gradients are held, ``P N`` numbers, which must fit ``memory`` bytes; `group_kernel` needs no such room.
    """
    losses, N = model.checked(data).numel(), model.n_weights
    need = float(losses * N * model.star.element_size())
    if need > memory:
        raise WorkbenchError(
            f"the gradients of {losses} losses by {N} weights take {human_bytes(need)}, above memory = {memory:.3g}; "
            "give fewer examples, restrict the parameters, or take means over groups (group_kernel)"
        )
    g = torch.cat([gradients for _, gradients in loss_gradients(model, data)]).double()
    return np.asarray(-(g @ g.mT).cpu().numpy(), dtype=np.float64)


class GroupKernel(NamedTuple):
    """``(G, G)`` means over pairs of distinct losses: of ``-g_i . g_j``, and of minus the cosine of the gradients."""

    product: Array
    cosine: Array


def group_kernel(
    model: ModuleLosses,
    data: Data,
    groups: NDArray[np.int64],
    count: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> GroupKernel:
    """Means of the kernel over all pairs of distinct losses of two groups.

    ``sum_{i in a, j in b} g_i . g_j = (sum_a g_i) . (sum_b g_j)``, so only sums of gradients are kept, 2 G N numbers.

    Args:
        groups: ``(P,)`` number of each loss's group; -1: in none.
        count: G, how many groups there are. A group of fewer than two losses has no mean within.
    """
    N, star = model.n_weights, model.star
    sums = torch.zeros((2, count, N), dtype=star.dtype, device=star.device)
    own, size = torch.zeros((2, count), dtype=torch.float64), np.bincount(groups[groups >= 0], minlength=count)
    for where, g in loss_gradients(model, data):
        index = torch.as_tensor(groups[where], device=star.device)
        g, index = g[index >= 0], index[index >= 0]
        norm = g.norm(dim=1, keepdim=True)
        for kind, value in enumerate((g, g / norm.clamp_min(torch.finfo(g.dtype).tiny))):
            sums[kind].index_add_(0, index, value)
            own[kind].index_add_(0, index.cpu(), value.double().square().sum(dim=1).cpu())
        if progress:
            progress(1)
    pairs = np.outer(size, size) - np.diag(size)
    products = (sums.double() @ sums.double().mT).cpu() - torch.diag_embed(own)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(pairs > 0, products.numpy() / pairs, np.nan)
    return GroupKernel(-means[0], -means[1])


def loss_gradients(model: ModuleLosses, data: Data) -> Iterator[tuple[slice, torch.Tensor]]:
    """One example after another: where its losses stand among all P, and their gradients ``(tokens, N)``.

    Only backward passes are batched: forward ones may do what `torch.func` cannot follow, such as counting in a buffer
    or branching on a value. Where an operation has no batching rule, one loss after another.
    """
    first = 0
    for example in range(length(data)):
        leaf = model.star.detach().requires_grad_()
        value = model(leaf, rows(data, slice(example, example + 1))).flatten()
        basis = torch.eye(len(value), dtype=value.dtype, device=value.device)
        try:
            (gradients,) = torch.autograd.grad(value, leaf, basis, retain_graph=True, is_grads_batched=True)
        except (RuntimeError, NotImplementedError):
            one_by_one = [torch.autograd.grad(value, leaf, row, retain_graph=True)[0] for row in basis]
            gradients = torch.stack(one_by_one)
        yield slice(first, first + len(value)), gradients
        first += len(value)
