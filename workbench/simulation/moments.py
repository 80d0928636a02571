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

from workbench.simulation.batch_means import Lengths, batch_lengths, covariance_of_mean, variance_of_mean

Array = NDArray[np.float64]


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
        self._second[batch].baddbmm_(deviation[:, :, None], deviation[:, None, :])
        self._count += 1

    def sums(self) -> tuple[Array, Array, Array, Lengths]:
        """First moments ``(batches, B, P)``, second ``(batches, B, P, P)``, reference, draws per batch."""
        return (
            self._first.double().cpu().numpy(),
            self._second.double().cpu().numpy(),
            self._reference.double().cpu().numpy(),
            batch_lengths(self._draws, len(self._first)),
        )


@dataclass(frozen=True)
class CovarianceEstimate:
    """Covariance of the losses at T checkpoints from C chains each, with errors and diagnostics.

    Attributes:
        covariance: ``(T, P, P)``, centred within each chain and corrected for the finite length.
        stderr: ``(T, P, P)`` Monte Carlo standard error by batch means (`batch_means.variance_of_mean`).
        stderr_between: ``(T, P, P)`` the same from the spread between whole chains (C values: rougher).
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
    mean: Array
    rhat: Array
    ess: Array
    correlation: Array
    correlation_stderr: Array
    mean_stderr: Array
    excess: Array
    excess_stderr: Array


def estimate(moments: BatchMoments | Sequence[BatchMoments], chains: int) -> CovarianceEstimate:
    """Turn the sums of ``T x chains`` chains, checkpoint by checkpoint, in one or more pieces, into covariances."""
    parts = [part.sums() for part in ([moments] if isinstance(moments, BatchMoments) else moments)]
    first, second = (np.concatenate([part[k] for part in parts], axis=1) for k in (0, 1))
    reference, lengths = np.concatenate([part[2] for part in parts]), parts[0][3]
    batches, B, P = first.shape
    T, total = B // chains, int(lengths.sum())
    shape = (batches, T, chains, P)
    batch_mean = (first / lengths[:, None, None]).reshape(shape)
    batch_second = (second / lengths[:, None, None, None]).reshape(*shape, P)
    weight = lengths / total
    chain_mean = np.einsum("b,btci->tci", weight, batch_mean)
    # Covariance of a batch about its chain's mean: E[dd] - m b - b m + m m.
    crossed = chain_mean[None, :, :, :, None] * batch_mean[:, :, :, None, :]
    about = batch_second - crossed - crossed.swapaxes(-1, -2) + _outer(chain_mean)[None]
    chain_covariance = np.einsum("b,btcij->tcij", weight, about)
    # A chain's own mean lies closer to its draws than the true mean; its covariance, by batch means, makes up for it.
    covariance = (chain_covariance + covariance_of_mean(batch_mean, lengths)).mean(axis=1)
    between = (
        chain_covariance.std(axis=1, ddof=1) / np.sqrt(chains) if chains > 1 else np.full_like(covariance, np.nan)
    )
    variance, variance_of_means = np.diagonal(covariance, axis1=1, axis2=2), variance_of_mean(batch_mean, lengths)
    with np.errstate(divide="ignore", invalid="ignore"):
        ess = np.minimum(variance / variance_of_means, total * chains)
    rhat = _split_rhat(batch_mean, batch_second, lengths)
    mean = reference.reshape(T, chains, P)[:, 0] + chain_mean.mean(axis=1)
    over_items = batch_mean.mean(axis=3)
    return CovarianceEstimate(
        covariance,
        np.sqrt(variance_of_mean(about, lengths)),
        between,
        mean,
        rhat,
        ess,
        *_correlation(covariance, about, lengths),
        mean_stderr=np.sqrt(variance_of_means),
        excess=np.einsum("b,btc->t", weight, over_items) / chains,
        excess_stderr=np.sqrt(variance_of_mean(over_items, lengths)),
    )


def _correlation(covariance: Array, batches: Array, lengths: Lengths) -> tuple[Array, Array]:
    """Correlations ``(T, P, P)`` and their standard errors, from covariances of ``(batches, T, C)`` batches.

    By the delta method ``dr_ij = dC_ij / (s_i s_j) - r_ij (dC_ii / C_ii + dC_jj / C_jj) / 2``, batch by batch.
    """
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / np.sqrt(variance[:, :, None] * variance[:, None, :])
        correlation = covariance * inverse
        relative = np.diagonal(batches, axis1=3, axis2=4) / variance[:, None]
        both = relative[..., :, None] + relative[..., None, :]
        change = batches * inverse[:, None] - correlation[:, None] * both / 2
    return correlation, np.sqrt(variance_of_mean(change, lengths))


def _outer(vectors: Array) -> Array:
    return np.asarray(vectors[..., :, None] * vectors[..., None, :])


def _split_rhat(batch_mean: Array, batch_second: Array, lengths: Lengths) -> Array:
    """Split R-hat from the batches: every chain is cut in two halves of whole batches."""
    middle = len(lengths) // 2
    means, variances, n = [], [], float(lengths[:middle].sum())
    for half in (slice(0, middle), slice(middle, 2 * middle)):
        w = lengths[half] / lengths[half].sum()
        mean = np.einsum("b,btci->tci", w, batch_mean[half])
        square = np.einsum("b,btcii->tci", w, batch_second[half])
        means.append(mean)
        variances.append((square - mean**2) * n / (n - 1))
    within = np.concatenate(variances, axis=1).mean(axis=1)
    between = np.concatenate(means, axis=1).var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((n - 1) / n + between / within))
