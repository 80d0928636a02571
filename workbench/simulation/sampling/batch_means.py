"""Monte Carlo errors of means over correlated draws, from batches of them.

A chain of n draws is cut into batches in time. If a batch is longer than the autocorrelation time, only neighbours are
correlated, and with ``d_b`` the share of batch b in the deviation of the mean, in order,

    Var(mean) = sum_b d_b^2 + 2 sum_b d_b d_{b+1}

The first sum alone, plain batch means, falls short by half an autocorrelation time over the length of a batch: by a
fifth at the shortest chains that `diagnostics` lets pass. Together they weigh autocovariances by 1 up to the length of
a batch and then less and less: the flat-top window of Politis & Romano (1995).

Intervals of 2 root Var(mean) cover less than 95% where n batches in all are few and their means have heavy tails, as
those of squares and products have: the variance is then uncertain, and rises and falls with the mean. With the kurtosis
kappa of the batch means its relative variance is ``(kappa + 3) / n``, that of ``nu = 2 n / (kappa + 3)`` degrees of
freedom, and `squared_error` makes up for it by Student's t over 1.96. For the skewness of a gamma law this is also, to
first order in 1/n, what Hall (1988) finds that a two-sided interval lacks.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Tensor = torch.Tensor
Lengths = NDArray[np.int64]

#: Neighbouring batches longer than the autocorrelation time are not more anticorrelated than this; noise may be.
_LEAST = 0.5


def batch_lengths(draws: int, batches: int) -> Lengths:
    """``(batches,)`` draws in each batch; they differ by one at most. Draw k is in batch ``k batches // draws``."""
    edges = -(-np.arange(batches + 1) * draws // batches)
    return np.diff(edges).astype(np.int64)


def variance_of_mean(batch_means: Tensor, lengths: Lengths) -> Tensor:
    """``(T, ...)`` variance of the mean over all C chains, from ``(batches, T, C, ...)`` means of batches.

    Args:
        batch_means: of the batches, in order.
        lengths: ``(batches,)`` draws in each.

    Its relative standard error is `relative_error` for means without heavy tails.
    """
    return _variance_and_kurtosis(batch_means, lengths)[0]


def squared_error(batch_means: Tensor, lengths: Lengths) -> Tensor:
    """The same widened, so that 2 of its roots cover 95%."""
    variance, kurtosis = _variance_and_kurtosis(batch_means, lengths)
    n = batch_means.shape[0] * batch_means.shape[2]
    return variance * student_widening(2 * n / (kurtosis + 3)).square_()


def student_widening(df: Tensor) -> Tensor:
    """Quantile of 97.5% of Student's t over that of the normal law, to 1% from 3 degrees of freedom on.

    Source: expansion in 1/df, Abramowitz & Stegun 26.7.5.
    """
    z, u = 1.959964, 1 / df.clamp(min=3.0)
    first, second = (z**2 + 1) / 4, (5 * z**4 + 16 * z**2 + 3) / 96
    third = (3 * z**6 + 19 * z**4 + 17 * z**2 - 15) / 384
    return 1 + u * (first + u * (second + u * third))


def _variance_and_kurtosis(batch_means: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
    batches, C = batch_means.shape[0], batch_means.shape[2]
    mean = mean_over_batches(batch_means, lengths).mean(dim=1)
    d = (batch_means - mean[None, :, None]).mul_(shares(lengths, batch_means) / C)
    # One dimension after the other: sums over both at once are ten times slower.
    neighbours = (d[1:] * d[:-1]).sum(dim=0).sum(dim=1)
    own = d.square_().sum(dim=0).sum(dim=1)
    fourth = d.square_().sum(dim=0).sum(dim=1)
    kurtosis = torch.where(own > 0, batches * C * fourth / own.square(), 3.0)
    return torch.maximum(own + 2 * neighbours, _LEAST * own) / _kept(batches, C), kurtosis.nan_to_num(3.0)


def covariance_of_mean(batch_means: Tensor, lengths: Lengths) -> Tensor:
    """``(T, C, P, P)`` covariance of the means of every single chain, from ``(batches, T, C, P)`` means of batches."""
    d = (batch_means - mean_over_batches(batch_means, lengths)).mul_(shares(lengths, batch_means))
    crossed = torch.einsum("btci,btcj->tcij", d[1:], d[:-1])
    own = torch.einsum("btci,btcj->tcij", d, d)
    return (own + crossed + crossed.mT) / _kept(len(lengths), 1)


def relative_error(batches: int, chains: int) -> float:
    """Relative standard error of `variance_of_mean`: variances 2/n of its first sum and 4/n of the second."""
    return float(np.sqrt(6 / (batches * chains)))


def mean_over_batches(batch_means: Tensor, lengths: Lengths) -> Tensor:
    """``(...)`` means of all draws from ``(batches, ...)`` means of batches."""
    flat = batch_means.reshape(len(lengths), -1)
    return (shares(lengths, flat).T @ flat).view(batch_means.shape[1:])


def shares(lengths: Lengths, like: Tensor) -> Tensor:
    """The share of each batch in all draws, shaped to multiply ``(batches, ...)``."""
    share = torch.tensor(lengths / lengths.sum(), dtype=like.dtype, device=like.device)
    return share.view(-1, *(1,) * (like.ndim - 1))


def _kept(batches: int, chains: int) -> float:
    """What centring at the mean of all batches leaves: 1 minus its variance, once for every product summed."""
    n = batches * chains
    return 1 - (n + 2 * (n - chains)) / n**2
