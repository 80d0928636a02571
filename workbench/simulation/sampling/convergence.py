"""Rank-normalised split R-hat and effective sample size (Vehtari et al. 2021) of many quantities at once.

Of C chains, each split in two halves of n draws, after the ranks of all draws were turned into normal scores z:

    R-hat^2 = (B/W + n - 1) / n,    B = n Var(chain means), W = mean chain variance

the larger one of z and of the scores of ``|x - median|``. The effective sample size of the mean is ``2 C n / tau``,

    tau = -1 + 2 sum over pairs (rho_2j + rho_2j+1),    rho_t = 1 - (W - mean autocovariance_t) / (W (n-1)/n + B/n)

as far as the pairs are positive (Geyer 1992), each pair no larger than the one before. The last pair gives its first
term only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri
from scipy.stats import rankdata

Array = NDArray[np.float64]

#: Numbers that are worked on at one time.
_AT_ONCE = 2**21


def rhat_and_ess(traces: Array) -> tuple[Array, Array]:
    """``(T, P)`` rank-normalised split R-hat, and effective sample size of the mean; as arviz-stats has them.

    Args:
        traces: ``(T, C, draws, P)`` losses, at least 4 draws. A single chain has no R-hat.
    """
    T, C, draws, P = traces.shape
    rows = traces.transpose(0, 3, 1, 2).reshape(T * P, C, draws)
    half = draws // 2
    step = max(1, _AT_ONCE // (C * draws))
    rhat, ess = np.empty(T * P), np.empty(T * P)
    for k in range(0, T * P, step):
        part = rows[k : k + step]
        split = np.concatenate([part[:, :, :half], part[:, :, -half:]], axis=1).astype(np.float64)
        rhat[k : k + step], ess[k : k + step] = _rhat(split), _ess(split)
    return (rhat if C > 1 else np.full(T * P, np.nan)).reshape(T, P), ess.reshape(T, P)


def _rhat(x: Array) -> Array:
    """``(M,)`` of ``(M, 2 C, n)``."""
    folded = np.abs(x - np.median(x, axis=(1, 2), keepdims=True))
    return np.maximum(_of_scores(_scores(x)), _of_scores(_scores(folded)))


def _scores(x: Array) -> Array:
    """Normal scores of the ranks among all draws of a quantity (Blom 1958)."""
    flat = x.reshape(len(x), -1)
    z: Array = ndtri((rankdata(flat, axis=1) - 3 / 8) / (flat.shape[1] + 1 / 4))
    return z.reshape(x.shape)


def _of_scores(z: Array) -> Array:
    n = z.shape[2]
    between, within = n * z.mean(axis=2).var(axis=1, ddof=1), z.var(axis=2, ddof=1).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt((between / within + n - 1) / n))


def _ess(x: Array) -> Array:
    """``(M,)`` of ``(M, 2 C, n)``."""
    _, chains, n = x.shape
    covariance = _autocovariance(x).mean(axis=1)
    W = covariance[:, :1] * n / (n - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = 1 - (W - covariance) / (W * (n - 1) / n + x.mean(axis=2).var(axis=1, ddof=1)[:, None])
    rho[:, 0] = 1
    pairs = max(1, (n - 1) // 2)  # the first, and all that leave a draw or two after them
    first, sums = rho[:, 0 : 2 * pairs : 2], rho[:, 0 : 2 * pairs : 2] + rho[:, 1 : 2 * pairs + 1 : 2][:, :pairs]
    # The last pair that is looked at: the first that is not positive, or the last there is.
    positive = np.cumprod(sums > 0, axis=1, dtype=np.int64).sum(axis=1)
    last = np.minimum(positive, pairs - 1)
    falling = np.cumsum(np.minimum.accumulate(sums, axis=1), axis=1)
    index = np.arange(len(x))
    before = np.where(last > 0, falling[index, last - 1], 0.0)
    end, whole = first[index, last], sums[index, last] >= 0
    tau = -1 + 2 * before + np.where(whole | (end > 0), end, 0.0)
    size = chains * n
    ess = size / np.maximum(tau, 1 / np.log10(size))
    still = np.ptp(x, axis=(1, 2)) < np.finfo(float).resolution
    return np.asarray(np.where(still, size, ess))


def _autocovariance(x: Array) -> Array:
    """``(..., n)`` over lags 0, 1, ..., n - 1, all divided by n."""
    n = x.shape[-1]
    size = next_fast_len(2 * n, real=True)
    transformed = rfft(x - x.mean(axis=-1, keepdims=True), size, axis=-1)
    return np.asarray(irfft(np.abs(transformed) ** 2, size, axis=-1)[..., :n] / n)
