"""Influence class to class: means over pairs of distinct tokens of the covariance and correlation of their losses.

For classes a and b, ``(1/n_ab) sum_{i in a, j in b, i != j} Cov(l_i, l_j)`` needs no matrix over tokens: with
``S_a = sum_{i in a} l_i`` it is ``[Cov(S_a, S_b) - delta_ab sum_{i in a} Var l_i] / n_ab``. The correlation is the
same of losses divided by their standard deviations. Every chain gives a value by itself; their mean is reported, and
the standard error from their spread, with C - 1 degrees of freedom. Influence is minus these, the sign of the package:
negative says that more weight on the source lowers the losses of the target.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.language.corpus import Ints
from workbench.simulation.sampling.batch_means import batch_lengths, covariance_of_mean

Array = NDArray[np.float64]

#: Batches in time for the correction that a chain's own mean lies nearer to its draws than the true mean.
_BATCHES = 10


class GroupInfluence(NamedTuple):
    """``(G, G)`` influence of the sources (rows) on the targets, with standard errors.

    ``covariance`` and ``correlation`` are minus the group means; ``null`` and ``null_spread`` are mean and standard
    deviation of minus the correlation when class labels are permuted among the tokens.
    """

    covariance: Array
    covariance_stderr: Array
    correlation: Array
    correlation_stderr: Array
    null: Array
    null_spread: Array


def group_influence(
    traces: NDArray[np.generic], groups: Ints, count: int, *, permutations: int = 30, seed: int = 0
) -> GroupInfluence:
    """From losses along chains to influence class to class.

    Args:
        traces: ``(C, draws, P)``, two chains or more. groups: ``(P,)`` class of each loss, -1: none.
        count: G. permutations: of the class labels. seed: theirs.
    """
    inside = np.flatnonzero(groups >= 0)
    if len(traces) < 2:
        raise WorkbenchError(f"{len(traces)} chain; give 2 or more, for standard errors from their spread")
    losses, members = traces[:, :, inside].astype(np.float64), groups[inside]
    losses -= losses.mean(axis=1, keepdims=True)
    variance = _variances(losses)
    # By each chain's own spread: what is left of it in a common one would look like an error of the correlation.
    standard = losses / np.sqrt(np.maximum(variance, np.finfo(float).tiny))[:, None]
    of_standard = np.sign(variance)
    covariance = _group_means(losses, variance, members, count)
    correlation = _group_means(standard, of_standard, members, count)
    rng = np.random.default_rng((seed, 4))
    shuffled = [
        _group_means(standard, of_standard, rng.permutation(members), count).mean(axis=0) for _ in range(permutations)
    ]
    null, spread = -np.mean(shuffled, axis=0), np.std(shuffled, axis=0)
    root = len(traces) ** 0.5
    return GroupInfluence(
        -covariance.mean(axis=0),
        covariance.std(axis=0, ddof=1) / root,
        -correlation.mean(axis=0),
        correlation.std(axis=0, ddof=1) / root,
        null,
        spread,
    )


def _group_means(losses: Array, variance: Array, groups: Ints, count: int) -> Array:
    """``(C, G, G)`` means over distinct pairs, from centred losses ``(C, draws, P)`` and their variances ``(C, P)``."""
    member = np.zeros((len(groups), count))
    member[np.arange(len(groups)), groups] = 1
    sums, size = losses @ member, member.sum(axis=0)
    total = np.einsum("cda,cdb->cab", sums, sums) / losses.shape[1] + _of_means(sums)
    total -= np.eye(count) * (variance @ member)[:, None, :]
    pairs = np.outer(size, size) - np.diag(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(pairs > 0, total / pairs, np.nan))


def _of_means(series: Array) -> Array:
    """``(C, G, G)`` covariance of the means of chains ``(C, draws, G)``, by batch means."""
    return np.asarray(covariance_of_mean(*_batch_means(series))[0].numpy())


def _variances(losses: Array) -> Array:
    """``(C, P)`` variances, corrected for the finite length of the chains as `_of_means` corrects those of sums."""
    means, lengths = _batch_means(losses)
    one_by_one = means[:, 0].movedim(2, 1)[..., None]  # (batches, P, C, 1)
    return np.asarray(losses.var(axis=1) + covariance_of_mean(one_by_one, lengths)[..., 0, 0].T.numpy())


def _batch_means(series: Array) -> tuple[torch.Tensor, Ints]:
    """``(batches, 1, C, G)`` means of batches in time, and their lengths."""
    lengths = batch_lengths(series.shape[1], min(_BATCHES, series.shape[1]))
    edges = np.concatenate([[0], np.cumsum(lengths)])
    sums = np.add.reduceat(series, edges[:-1], axis=1) / lengths[None, :, None]
    return torch.tensor(sums.transpose(1, 0, 2)[:, None]), lengths
