"""The pooled slope of sampled on predicted covariances: what many noisy entries say together.

Single covariances of many items drown in Monte Carlo noise at ordinary draws; their weighted slope does not:

    slope = sum_t sum_ij w_ij p_ij s_ij / sum_t sum_ij w_ij p_ij^2,   w_ij = 1 / (p_ii p_jj)

over a group of pairs, with predicted p and sampled s. Entries share their chains, so the error of the numerator is
taken from the scatter between nearly independent parts of the chains, checkpoint by checkpoint (Student's t, with the
degrees of freedom of Welch and Satterthwaite).

Where all is well the slope is not 1 but within a band: steps of size eps raise the variance of the weights in a
direction of curvature p by ``f(p) = 1 / (1 - eps p / 4)``, between f_low and f_high, and covariances of losses, which
are of first and second order in those of the weights, by f_low to f_high^2. A spread of f over directions moves a
covariance by at most ``2 f delta + delta^2`` of the product of standard deviations, ``delta = (f_high - f_low) / 2``
(Cauchy-Schwarz). And the prediction leaves out higher orders: what is known of them, `left_out`, shifts the band's end
on its side; it grows with the number of outputs over gamma.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A slope that is right is found outside of its band in this share of comparisons, at most.
FALSE_ALARM = 2e-3
#: The prediction of a variance errs by about this over gamma as a multiple of its bound (1% at 20), of a covariance of
#: two items by twice as much: against exact sampling on the default tree, n beta = 10 to 1000.
_THEORY = 0.2


class Bias(NamedTuple):
    """``(T,)`` least and largest factor on a variance of weights, by the sampler's steps."""

    low: Array
    high: Array


@dataclass(frozen=True)
class Slope:
    """Slope over some checkpoints, its standard error with ``df`` degrees of freedom, and the band it may lie in.

    ``spread`` is the part of the band that comes from a spread of biases over directions.
    """

    value: float
    stderr: float
    df: float
    low: float
    high: float
    spread: float

    def reach(self, share: float) -> float:
        """Half the width of an interval around the slope that misses the truth in this share of cases."""
        return float(scipy.stats.t.ppf(1 - share / 2, self.df)) * self.stderr

    def outside(self, x: float, share: float) -> float:
        """How far the slope lies outside of its band and its error, had the prediction been 1 + x times itself."""
        value, reach, spread = (one / (1 + x) for one in (self.value, self.reach(share), self.spread))
        return max(value - reach - self.high - spread, self.low - spread - value - reach)


def step_bias(ds: xr.Dataset) -> Bias:
    """What the sampler's plan states; plain SGLD on all items has the same formula in every direction."""
    attrs, T = ds["local_bif_simulated"].attrs, ds.sizes["time"]
    stated = float(attrs["expected_step_size_bias"])
    low = np.ones(T)
    plain = attrs.get("sampler") == "sgld" and json.loads(ds.attrs.get("config", "{}")).get("batch_size") is None
    if plain and stated > 0:
        name = "lambda_min_simulated" if "lambda_min_simulated" in ds else "lambda_min"
        precision = float(ds.attrs["n_beta"]) * ds[name].values + float(ds.attrs["gamma"])
        low = np.clip(1 / (1 - float(attrs["step_size"]) * precision / 4), 1.0, 1 + stated)
    return Bias(low, np.full(T, 1 + stated))


def left_out(ds: xr.Dataset) -> Array:
    """What the prediction lacks of covariances at second order in ``v = 1/gamma``, ``(T, P, P)``; 0 where unknown.

    ``(v^2 / 2) (g_i . grad tr H_j + g_j . grad tr H_i)`` (`theory.posterior.loss_off`), which for two aligned layers on
    one-hot items with N_o outputs y^ and residuals r is

        -v^2 [ r_i . y^_i + r_j . y^_j + 2 N_o delta_ij r_i . y^_i ],    r_i . y^_i = sum_k v_ki^2 a_k (s_k / c - a_k)
    """
    one_hot = abs(float(ds.attrs["input_scale"]) * ds.sizes["item"] - 1) < 1e-9
    both_move = "local_bif_simulated" not in ds or ds["local_bif_simulated"].attrs.get("restrict", "none") == "none"
    if not (one_hot and both_move and "a0" in ds.attrs and "mode_strength_analytic" in ds):
        return np.zeros((1, 1, 1))
    a, final = ds["mode_strength_analytic"].values, ds["singular_value"].values / float(ds.attrs["input_scale"])
    fit = (a * (final - a)) @ ds["item_mode"].values.T ** 2  # (T, P)
    both = fit[:, :, None] + fit[:, None, :] + 2 * ds.sizes["property"] * fit[:, :, None] * np.eye(ds.sizes["item"])
    return np.asarray(-both / float(ds.attrs["gamma"]) ** 2)


def group_slopes(ds: xr.Dataset, pairs: Mask, claimed: Mask) -> list[Slope]:
    """Slopes of one group of pairs over all checkpoints, and over the first, second and last third of them.

    Args:
        pairs: ``(P, P)`` mask.
        claimed: ``(T, P, P)`` entries for which the prediction is claimed.

    Windows without a claimed entry are left out.
    """
    predicted, parts = -ds["local_bif_analytic"].values, -ds["local_bif_simulated_parts"].values
    variance = np.diagonal(predicted, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(claimed & pairs, 1 / (variance[:, :, None] * variance[:, None, :]), 0.0)
        sd = np.sqrt(variance)
    own = (weight * predicted**2).sum(axis=(1, 2))
    crossed = np.einsum("tij,tgij->tg", weight * predicted, parts)
    reach = np.einsum("tij,ti,tj->t", weight * np.abs(predicted), sd, sd)
    bias = step_bias(ds)
    middle, delta = (bias.high + bias.low) / 2, (bias.high - bias.low) / 2
    alone = not (pairs & ~np.eye(len(pairs), dtype=bool)).any()
    spread = np.zeros_like(own) if alone else (2 * middle * delta + delta**2) * reach
    ratio = float(ds.attrs["gamma"]) / np.maximum(ds["gamma_needed"].values, 1e-300)
    theory = _THEORY / np.clip(ratio, 1.0, 20.0) * (1.0 if alone else 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        missing = np.where(own > 0, (weight * predicted * left_out(ds)).sum(axis=(1, 2)) / own, 0.0)
    low, high = bias.low - theory + np.minimum(missing, 0), bias.high**2 + theory + np.maximum(missing, 0)
    T = len(own)
    windows = [slice(0, T)] + ([slice(k * T // 3, (k + 1) * T // 3) for k in range(3)] if T >= 6 else [])
    return [_pooled(crossed[k], own[k], spread[k], low[k], high[k]) for k in windows if own[k].sum() > 0]


def _pooled(crossed: Array, own: Array, spread: Array, low: Array, high: Array) -> Slope:
    total, parts = own.sum(), crossed.shape[1]
    variance = crossed.var(axis=1, ddof=1) / parts / total**2
    df = variance.sum() ** 2 / max(float((variance**2).sum()), 1e-300) * (parts - 1)
    return Slope(
        value=float(crossed.mean(axis=1).sum() / total),
        stderr=float(np.sqrt(variance.sum())),
        df=max(float(df), 1.0),
        low=float(own @ low / total),
        high=float(own @ high / total),
        spread=float(spread.sum() / total),
    )
