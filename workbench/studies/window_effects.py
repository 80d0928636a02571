"""What weighing one item differently in one window does, for every window, source and target: theory and retraining."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import theory
from workbench.influence import MEASURES
from workbench.networks import Network
from workbench.studies.pairs import Mask, groups_far_first
from workbench.theory.flow.one_item import one_item_losses

Array = NDArray[np.float64]
Window = tuple[float, float]

#: By name, how often an item counts inside the window.
CHANGES = {"left out": 0.0, "twice": 2.0}
#: Measures of the moment: taken in the middle of the window.
MOMENTS = ("gradient_kernel", "local_bif")
#: Later times at which losses are read.
READINGS = 4
#: Learning rate of the retraining, as a share of the largest stable one.
RATE = 0.02


def reading_times(start: Network) -> Array:
    """``(READINGS,)`` half-rise times of three levels but the first, and a time after the last; nan where fewer."""
    rises = theory.half_rise_times(start)
    rises = np.unique(np.round(rises[np.isfinite(rises)], 6))
    chosen = rises[np.unique(np.linspace(min(1, len(rises) - 1), len(rises) - 1, READINGS - 1).round().astype(int))]
    times = np.append(chosen, 1.3 * chosen[-1])
    return np.append(np.full(READINGS - len(times), np.nan), times)


def sliding_windows(last: float, lengths: Sequence[float], count: int) -> Array:
    """``(length, window, 2)`` begins and ends; lengths are shares of ``last``, where the last window ends."""
    return np.stack([np.stack([b := np.linspace(0, last * (1 - x), count), b + x * last], axis=-1) for x in lengths])


def weighed_effects(start: Network, times: Array, windows: Sequence[Window], weight: float) -> Array:
    """``(W, T, source P, target P)`` change of ``l_j`` per extra weight on item i, which counts ``weight`` times there.

    Of an aligned network of any depth, by the gradient flow, exact to rounding; negative helps. Weight 0 leaves the
    item out: minus what its presence does, over minus 1.
    """
    usual = one_item_losses(start, times, 1.0)
    effects = np.zeros((len(windows), *usual.shape))
    for k, window in enumerate(windows):
        change = (one_item_losses(start, times, weight, window=window) - usual) / (weight - 1)
        # One is a closed form and the other integrated: before the window opens they differ by rounding alone.
        effects[k] = np.where((times > window[0])[:, None, None], change, 0.0)
    return effects


def retrained_effects(start: Network, times: Array, windows: Sequence[Window]) -> Array:
    """``(change, W, T, source P, target P)`` the same by training, for all `CHANGES`; windows end on whole steps."""
    from workbench import simulation
    from workbench.simulation.influence.window_removal import window_steps, window_weights

    schedule = simulation.schedule_near(np.append(0.0, times), simulation.learning_rate(start, RATE))
    P = start.task.n_items
    without = window_weights(P, window_steps(schedule, windows))
    # Of the 1 + W P runs the first weighs all items alike; the others are made once for every change.
    inside = 1 - without.values
    runs = [1 + inside[:, min(c, 1) :] * (weight - 1) for c, weight in enumerate(CHANGES.values())]
    weights = simulation.ItemWeights(without.begins, np.concatenate(runs, axis=1))
    losses = simulation.retrained_losses(start, schedule, weights)[1:]
    change = (losses[:, 1:] - losses[:, :1]).reshape(len(times), len(CHANGES), len(windows), P, P)
    per_weight = np.array(list(CHANGES.values()))[:, None, None, None] - 1
    return np.asarray(np.moveaxis(change / per_weight, 0, 2))


def window_dataset(start: Network, lengths: Sequence[float], count: int) -> xr.Dataset:
    """Effects of all windows on all groups of pairs, by flow, first order and retraining, and the measures within.

    ``effect``, ``retrained`` ``(change, length, window, reading, group)`` and ``first_order`` without change, in loss
    per extra weight, means over the pairs of a group; `MOMENTS` ``(length, window, group)`` in their own units.
    ``effect_on_item`` is that of the first item on every item, at the last reading but one.
    """
    readings = reading_times(start)
    there = np.isfinite(readings)
    windows = sliding_windows(float(readings[-1]), lengths, count)
    flat = [(float(begin), float(end)) for begin, end in windows.reshape(-1, 2)]
    names, masks = groups_far_first(start.task)
    times = readings[there]
    effect = np.stack([weighed_effects(start, times, flat, weight) for weight in CHANGES.values()])
    first = theory.window_removal(start, times, flat, method="first_order")
    seen = retrained_effects(start, times, flat)
    middles = windows.mean(axis=-1)
    path = theory.predict(start, np.unique(middles))
    place = np.searchsorted(path.times, middles)
    moments = {name: np.asarray(MEASURES[name](path).values)[place] for name in MOMENTS}

    def table(values: Array) -> Array:
        """``(..., W, T, P, P)`` to ``(..., length, window, reading, group)``, nan at readings that are not there."""
        means = _means(values, masks)
        shape = (*means.shape[:-3], *windows.shape[:2])
        full = np.full((*shape, READINGS, len(masks)), np.nan)
        full[..., there, :] = means.reshape(*shape, len(times), len(masks))
        return full

    dims = ("length", "window", "reading", "group")
    on_items = effect[:, :, -2, 0].reshape(len(CHANGES), *windows.shape[:2], -1)
    return xr.Dataset(
        {
            "effect": (("change", *dims), table(effect), {"units": "loss"}),
            "retrained": (("change", *dims), table(seen), {"units": "loss"}),
            "first_order": (dims, table(first), {"units": "loss"}),
            **{name: (("length", "window", "group"), _means(one, masks)) for name, one in moments.items()},
            "effect_on_item": (("change", "length", "window", "target"), on_items, {"units": "loss"}),
            "begin": (("length", "window"), windows[..., 0]),
            "end": (("length", "window"), windows[..., 1]),
            "reading_time": ("reading", readings),
            "pairs": ("group", names),
            "item": ("target", list(start.task.items)),
        },
        coords={"change": list(CHANGES), "length": list(lengths)},
    )


def _means(values: Array, masks: Sequence[Mask]) -> Array:
    return np.stack([values[..., mask].mean(axis=-1) for mask in masks], axis=-1)
