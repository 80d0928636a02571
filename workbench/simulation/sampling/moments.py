"""Covariances of per-item losses while the chains run, with their Monte Carlo errors.

Every chain's draws are cut into batches in time (`batch_means`). A batch keeps its sums of ``d_i`` and ``d_i d_j``,
where d is the loss minus its value at the checkpoint, so memory does not grow with the number of draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.simulation.sampling.batch_means import (
    Lengths,
    batch_lengths,
    covariance_of_mean,
    mean_over_batches,
    shares,
    squared_error,
    variance_of_mean,
)

Array = NDArray[np.float64]

#: Parts of an estimate that are kept: enough to tell the error of a sum over entries.
MOST_PARTS = 8


class BatchMoments:
    """Running first and second moments of ``(B, P)`` losses, in ``batches`` batches of nearly equal length a chain."""

    def __init__(self, reference: torch.Tensor, draws: int, batches: int) -> None:
        chains, items = reference.shape
        self._reference = reference.clone()
        self._draws = draws
        kwargs: dict[str, Any] = {"dtype": reference.dtype, "device": reference.device}
        self._first = torch.zeros((batches, chains, items), **kwargs)
        self._second = torch.zeros((batches, chains, items, items), **kwargs)
        self._count = 0

    def add(self, losses: torch.Tensor) -> None:
        """Take in one draw of every chain."""
        batch = self._count * len(self._first) // self._draws
        deviation = losses - self._reference
        self._first[batch] += deviation
        self._second[batch].addcmul_(deviation[:, :, None], deviation[:, None, :])
        self._count += 1

    def to_processor(self) -> BatchMoments:
        """Make room on the device; no draws can be added after."""
        self._first, self._second, self._reference = (x.cpu() for x in (self._first, self._second, self._reference))
        return self

    def sums(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """First moments ``(batches, B, P)``, second ``(batches, B, P, P)``, reference ``(B, P)``, in float64."""
        return self._first.double(), self._second.double(), self._reference.double()

    @property
    def lengths(self) -> Lengths:
        """``(batches,)`` draws in each."""
        return batch_lengths(self._draws, len(self._first))


@dataclass(frozen=True)
class CovarianceEstimate:
    """Covariance of the losses at T checkpoints from C chains each, with errors and diagnostics.

    Attributes:
        covariance: ``(T, P, P)``, centred within each chain and corrected for the finite length.
        stderr: ``(T, P, P)`` Monte Carlo standard error by batch means, widened so that 2 of them cover 95% where draws
            are few (`batch_means.squared_error`).
        stderr_between: ``(T, P, P)`` the same from the spread between whole chains (C values: rougher).
        parts: ``(T, G, P, P)`` up to `MOST_PARTS` nearly independent estimates whose mean is the covariance: of each
            chain, of groups of many chains, or of stretches in time of few.
        mean: ``(T, P)`` posterior mean of the losses.
        rhat: ``(T, P)`` split R-hat of the losses (Gelman et al. 2013, eq. 11.4); 1 when the chains agree.
        ess: ``(T, P)`` effective sample size of the mean losses: their variance over that of the mean by batch means.
        correlation: ``(T, P, P)`` covariance over the product of standard deviations; nan where a loss never changes.
        correlation_stderr: ``(T, P, P)`` its Monte Carlo standard error, to first order in the errors of the three
            covariances it consists of.
        mean_stderr: ``(T, P)`` Monte Carlo standard error of the mean losses.
        excess: ``(T,)`` posterior mean of the loss L (the mean over items) minus its value at the checkpoint.
        excess_stderr: ``(T,)`` its Monte Carlo standard error.
    """

    covariance: Array
    stderr: Array
    stderr_between: Array
    parts: Array
    mean: Array
    rhat: Array
    ess: Array
    correlation: Array
    correlation_stderr: Array
    mean_stderr: Array
    excess: Array
    excess_stderr: Array


def estimate(moments: BatchMoments | Sequence[BatchMoments], chains: int) -> CovarianceEstimate:
    """Turn the sums of ``T x chains`` chains, checkpoint by checkpoint, in one or more pieces, into covariances.

    Computed where the sums are: on a GPU those of all chains are too many to be fetched.
    """
    pieces = [moments] if isinstance(moments, BatchMoments) else moments
    kinds = zip(*(piece.sums() for piece in pieces), strict=True)
    first, second, reference = (k[0] if len(k) == 1 else torch.cat(k, dim=int(k[0].ndim > 2)) for k in kinds)
    lengths = pieces[0].lengths
    batches, B, P = first.shape
    T, total = B // chains, int(lengths.sum())
    batch_mean = (first / (total * shares(lengths, first))).view(batches, T, chains, P)
    batch_second = (second / (total * shares(lengths, second))).view(batches, T, chains, P, P)
    del first, second
    chain_mean = mean_over_batches(batch_mean, lengths)
    rhat = _split_rhat(batch_mean, batch_second, lengths)
    # Covariance of a batch about its chain's mean: that about its own mean b, and of b about the chain's mean m.
    about, apart = batch_second, batch_mean - chain_mean
    about.addcmul_(batch_mean[..., :, None], batch_mean[..., None, :], value=-1)
    about.addcmul_(apart[..., :, None], apart[..., None, :])
    chain_covariance = mean_over_batches(about, lengths)
    # A chain's own mean lies closer to its draws than the true mean; its covariance, by batch means, makes up for it.
    own_means = covariance_of_mean(batch_mean, lengths)
    covariance = (chain_covariance + own_means).mean(dim=1)
    between = chain_covariance.std(dim=1) / chains**0.5 if chains > 1 else torch.full_like(covariance, torch.nan)
    variance, variance_of_means = covariance.diagonal(dim1=1, dim2=2), variance_of_mean(batch_mean, lengths)
    over_items = batch_mean.mean(dim=3)
    results = {
        "covariance": covariance,
        "stderr": squared_error(about, lengths).sqrt_(),
        "stderr_between": between,
        "parts": _parts(about, own_means, lengths),
        "mean": reference.view(T, chains, P)[:, 0] + chain_mean.mean(dim=1),
        "rhat": rhat,
        "ess": (variance / variance_of_means).clamp_(max=total * chains),
        **_correlation(covariance, about, lengths),
        "mean_stderr": squared_error(batch_mean, lengths).sqrt_(),
        "excess": mean_over_batches(over_items, lengths).mean(dim=1),
        "excess_stderr": squared_error(over_items, lengths).sqrt_(),
    }
    return CovarianceEstimate(**{name: values.cpu().numpy() for name, values in results.items()})


def _parts(batches: torch.Tensor, own_means: torch.Tensor, lengths: Lengths) -> torch.Tensor:
    """``(T, G, P, P)`` covariances of groups of chains, or of stretches of every chain, from those of batches.

    A stretch lasts many autocorrelation times, as the chains do that pass `diagnostics`; `own_means` is the correction
    of each chain's covariance for the scatter of its mean.
    """
    chains = batches.shape[2]
    stretches = max(1, MOST_PARTS // chains)
    cuts = np.array_split(np.arange(len(lengths)), stretches)
    each = torch.cat([mean_over_batches(batches[k[0] : k[-1] + 1], lengths[k]) + own_means for k in cuts], dim=1)
    groups = each.tensor_split(min(chains * stretches, MOST_PARTS), dim=1)
    return torch.stack([group.mean(dim=1) for group in groups], dim=1)


def _correlation(covariance: torch.Tensor, batches: torch.Tensor, lengths: Lengths) -> dict[str, torch.Tensor]:
    """Correlations ``(T, P, P)`` and their standard errors, from covariances of ``(batches, T, C)`` batches, spoilt.

    By the delta method ``dr_ij = dC_ij / (s_i s_j) - r_ij (dC_ii / C_ii + dC_jj / C_jj) / 2``, batch by batch.
    """
    variance = covariance.diagonal(dim1=1, dim2=2)
    inverse = (variance[:, :, None] * variance[:, None, :]).rsqrt()
    correlation = covariance * inverse
    relative = batches.diagonal(dim1=3, dim2=4) / variance[:, None]
    change = batches.mul_(inverse[:, None])
    for own in (relative[..., :, None], relative[..., None, :]):
        change.addcmul_(own, correlation[:, None], value=-0.5)
    return {"correlation": correlation, "correlation_stderr": squared_error(change, lengths).sqrt_()}


def _split_rhat(batch_mean: torch.Tensor, batch_second: torch.Tensor, lengths: Lengths) -> torch.Tensor:
    """Split R-hat from the batches: every chain is cut in two halves of whole batches."""
    middle = len(lengths) // 2
    means, variances, n = [], [], float(lengths[:middle].sum())
    for half in (slice(0, middle), slice(middle, 2 * middle)):
        mean = mean_over_batches(batch_mean[half], lengths[half])
        square = mean_over_batches(batch_second[half].diagonal(dim1=-2, dim2=-1), lengths[half])
        means.append(mean)
        variances.append((square - mean**2) * n / (n - 1))
    within = torch.cat(variances, dim=1).mean(dim=1)
    between = torch.cat(means, dim=1).var(dim=1)
    return ((n - 1) / n + between / within).sqrt()
