"""Training on subsets of the items: exact Shapley values over time, and the truth for linear datamodelling scores.

With ``L_j(S)`` the loss of item j after training on the subset S, the Shapley value of item i is the mean over all
orders of the items of what adding i to its predecessors does to ``L_j``::

    phi_ij = sum over S without i of |S|! (P-|S|-1)! / P! [L_j(S + i) - L_j(S)]
    sum_i phi_ij = L_j(all) - L_j(none)

negative = helpful. The linear datamodelling score of an influence estimate is the rank correlation, over subsets, of
the losses it predicts by adding up its items with the losses after retraining (Park et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Network
from workbench.simulation.influence.leave_one_out import Convention, retrained_losses
from workbench.simulation.running.batches import MEMORY, Progress
from workbench.simulation.running.place import CPU, Place
from workbench.simulation.training.recipes import Recipe, as_recipe
from workbench.simulation.training.schedule import Schedule
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]
Subsets = NDArray[np.bool_]

#: All subsets are trained up to this many items.
EXHAUSTIVE = 12
#: Losses closer than this fraction of their spread are equal; on a tree many subsets are, but for rounding.
_TIE = 1e-7


@dataclass(frozen=True, eq=False)
class SubsetLosses:
    """Losses after training on subsets of the items.

    Attributes:
        times: ``(T,)`` flow times.
        subsets: ``(S, P)`` which items were trained on.
        losses: ``(T, S, P)`` losses of **all** items.
    """

    times: Array
    subsets: Subsets
    losses: Array

    @property
    def exhaustive(self) -> bool:
        """Whether every subset is there, in the order of `all_subsets`."""
        n, P = self.subsets.shape
        return P <= EXHAUSTIVE and n == 2**P and bool((self.subsets == all_subsets(P)).all())


def all_subsets(n_items: int) -> Subsets:
    """``(2^P, P)``: row b holds the items whose bit is set in b; the first row is empty, the last full."""
    return np.asarray((np.arange(2**n_items)[:, None] >> np.arange(n_items)) & 1, dtype=np.bool_)


def sampled_subsets(n_items: int, count: int, *, fraction: float = 0.5, seed: int = 0) -> Subsets:
    """``(count, P)`` different random subsets of ``round(fraction P)`` items each."""
    size = round(fraction * n_items)
    if not 0 < size < n_items or not 1 <= count <= comb(n_items, size) / 2:
        raise WorkbenchError(
            f"{count} different subsets of {size} of {n_items} items; give 0 < fraction < 1, and at most half as many "
            "subsets as there are"
        )
    rng = np.random.default_rng([seed, 0x5B5E7])
    chosen: dict[bytes, Subsets] = {}
    while len(chosen) < count:
        subset = np.zeros(n_items, dtype=np.bool_)
        subset[rng.permutation(n_items)[:size]] = True
        chosen.setdefault(subset.tobytes(), subset)
    return np.stack(list(chosen.values()))


def subset_losses(
    network: Network,
    training: Recipe | Schedule,
    subsets: Subsets | None = None,
    *,
    convention: Convention = "unnormalised",
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> SubsetLosses:
    """Losses at every checkpoint of training on each subset from the same start.

    Args:
        network: the start; any depth and activation.
        training: recipe or schedule of the training.
        subsets: ``(S, P)``; all 2^P unless given (P <= 12).
        convention: an item of a subset weighs 1/P (``"unnormalised"``) or 1/|S| (``"renormalised"``) in the loss.
        place, memory, progress, slot: see `retrained_losses`.
    """
    recipe, P = as_recipe(training, network), network.task.n_items
    if subsets is None and P > EXHAUSTIVE:
        raise ConditionError(
            f"at most {EXHAUSTIVE} items for all subsets", f"{P} items", "give a sample: sampled_subsets(n_items, 500)"
        )
    if convention not in ("unnormalised", "renormalised"):
        raise WorkbenchError(f"convention {convention!r} is unknown; use 'unnormalised' or 'renormalised'")
    chosen = all_subsets(P) if subsets is None else np.asarray(subsets, dtype=np.bool_)
    weights = chosen.astype(np.float64)
    if convention == "renormalised":
        weights *= P / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    losses = retrained_losses(network, recipe, weights, place=place, memory=memory, progress=progress, slot=slot)
    return SubsetLosses(recipe.schedule.times, chosen, losses)


def shapley_values(retrained: SubsetLosses) -> Array:
    """Exact Shapley values, ``(T, source P, target P)``; negative = helpful, in units of the loss."""
    P = retrained.subsets.shape[1]
    if not retrained.exhaustive:
        raise ConditionError(
            "losses of all subsets", f"{len(retrained.subsets)} of 2^{P}", "use subset_losses without a list of subsets"
        )
    sizes = retrained.subsets.sum(axis=1)
    # A subset of n items counts 1 / (P C(P-1, n-1)) for those inside and -1 / (P C(P-1, n)) for those outside.
    share = np.array([1 / (P * comb(P - 1, n)) for n in range(P)])
    inside, outside = share[np.maximum(sizes - 1, 0)], share[np.minimum(sizes, P - 1)]
    coefficients = np.where(retrained.subsets, inside[:, None], -outside[:, None])
    # They add up to 0: taking the losses relative to one subset loses no digits to a common part.
    return np.asarray(coefficients.T @ (retrained.losses - retrained.losses[:, :1]))


def lds(influence: Array, retrained: SubsetLosses, *, given_target: bool = False) -> Array:
    """Linear datamodelling score of an influence estimate, ``(T, N)``: one number a checkpoint and target, at best 1.

    Over all subsets a target's own membership decides the ranks: an estimate that knows nothing but that an item helps
    itself scores .87 at every time on the default tree. Read the score given the target.

    Args:
        influence: ``(T, source P, target N)``, negative = helpful (the convention of every measure here). The loss it
            predicts for a subset is the sum over the subset's items, up to a constant and a positive factor.
        retrained: losses after training on subsets; targets beyond the P-th are held-out examples.
        given_target: rank the subsets with the target and those without it apart, and take the mean of both.

    NaN where either side is the same for all subsets, as at t = 0.
    """
    T, K, N = retrained.losses.shape
    P = retrained.subsets.shape[1]
    if np.shape(influence) != (T, P, N):
        raise WorkbenchError(f"influence of shape {np.shape(influence)}; expected {(T, P, N)}, as the subset losses")
    predicted = retrained.subsets.astype(np.float64) @ influence
    if not given_target:
        return _rank_correlation(predicted, retrained.losses)
    score = np.empty((T, N))
    for j in range(N):
        own = retrained.subsets[:, j] if j < P else np.ones(K, dtype=np.bool_)
        groups = [group for group in (own, ~own) if group.sum() > 2]
        parts = [_rank_correlation(predicted[:, g, j, None], retrained.losses[:, g, j, None])[:, 0] for g in groups]
        score[:, j] = np.mean(parts, axis=0) if parts else np.nan
    return score


def _rank_correlation(a: Array, b: Array) -> Array:
    """``(T, N)`` Spearman correlation over subsets of ``(T, K, N)``; NaN where either side is one value."""
    x, y = _ranks(a), _ranks(b)
    spread = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((x * y).sum(axis=1) / spread)


def _ranks(values: Array) -> Array:
    """Ranks along axis 1 with ties averaged, minus their mean."""
    from scipy.stats import rankdata

    spread = np.ptp(values, axis=1, keepdims=True)
    scale = np.where(spread > 1e-12 * np.abs(values).max(axis=1, keepdims=True), spread, np.inf)
    rounded = np.round((values - values.min(axis=1, keepdims=True)) / scale / _TIE)
    ranks = rankdata(rounded, axis=1)
    return np.asarray(ranks - ranks.mean(axis=1, keepdims=True))
