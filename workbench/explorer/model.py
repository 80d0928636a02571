"""From a state to the curves of theory, in a few milliseconds: what a slider moves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench import theory
from workbench.errors import ConditionError, WorkbenchError
from workbench.explorer.scene import Scene
from workbench.explorer.starts import deviation
from workbench.explorer.state import MEASURES as SHOWN
from workbench.explorer.state import ExplorerState
from workbench.influence import MEASURES, Work, gradient_kernel, local_bif
from workbench.networks import Init, Network, network
from workbench.theory.modes.groups import ModeGroups

Array = NDArray[np.float64]

#: Points of the curves of strengths, loss and kernel, and of the measures that take longer.
POINTS, COARSE = 161, 61
#: More items than this make leave-one-out wait for the hand to rest.
SLOW_ITEMS = 20
#: Ends of the time axis stand on these multiples of a power of ten, so that they rarely change under the hand.
_NICE = np.array([1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.4, 8.0, 10.0])
#: Training counts as over when this share of the learnable loss remains.
_REMAINING = 0.005
_LAST = 1e7


@dataclass(frozen=True, eq=False)
class Curves:
    """What theory predicts for a state.

    Attributes:
        times: ``(T,)`` flow times. strengths, residuals: ``(T, G)``, a and ``e = s - c a`` by group of modes.
        loss: ``(T,)``.
        half_rise: ``(G,)`` when a group is half learned; infinite where it never is.
        influence_times: ``(T',)``; influence: ``(T', P, P)``, time, source, target.
        first, second: ``(T, G)`` squared weights of the modes in the first and the last layer.
    """

    times: Array
    strengths: Array
    residuals: Array
    loss: Array
    half_rise: Array
    influence_times: Array
    influence: Array
    first: Array
    second: Array

    @property
    def end(self) -> float:
        """Last flow time."""
        return float(self.times[-1])

    def matrix(self, time: float) -> Array:
        """``(P, P)`` influence at a flow time, linear between the points of the curves."""
        position = np.interp(time, self.influence_times, np.arange(len(self.influence_times)))
        k = min(int(position), len(self.influence_times) - 2)
        w = position - k
        return np.asarray((1 - w) * self.influence[k] + w * self.influence[k + 1])

    def at(self, values: Array, time: float) -> Array:
        """``(G,)`` of some ``(T, G)`` at a flow time."""
        return np.array([np.interp(time, self.times, column) for column in values.T])


def width(state: ExplorerState, scene: Scene) -> int:
    """Width of the narrowest layer: a network of one layer has none that is narrow."""
    return state.hidden if state.depth > 1 else scene.modes.rank


#: Curves depend on nothing else: the other fields only pick from them, or belong to simulation or to the page.
_KEY = ("task", "table", "prepare", "depth", "hidden", "a0", "start", "lam", "measure", "options")


def curves_key(state: ExplorerState) -> tuple[object, ...]:
    """Two states with the same key have the same curves."""
    return (*(getattr(state, name) for name in _KEY), state.seed if state.start else 0)


def slow(state: ExplorerState, scene: Scene) -> bool:
    """Whether the curves take longer than a slider may: leaving out each of many items (16: 70 ms, 33: 0.7 s)."""
    return MEASURES[state.measure].whole_item and scene.task.n_items > SLOW_ITEMS


def check_possible(state: ExplorerState, scene: Scene) -> None:
    """Refuse combinations for which there is no closed form to show."""
    if state.depth != 2 and state.lam != 0:
        raise ConditionError(
            "balance λ = 0 unless the depth is 2", f"depth {state.depth}, λ = {state.lam:g}", "set depth 2 or λ = 0"
        )
    if state.lam != 0 and state.measure == local_bif.name:
        raise ConditionError("balance λ = 0 for the local BIF", f"λ = {state.lam:g}", "set λ = 0 or another measure")
    largest = float(scene.modes.s[0] / scene.c)
    if state.a0 >= largest:
        raise WorkbenchError(
            f"initial strength {state.a0:g} is above the final strength {largest:.3g} of the strongest mode; use less"
        )


def curves(state: ExplorerState, scene: Scene) -> Curves:
    """The curves of theory for a state; a `WorkbenchError` in one line where there are none."""
    check_possible(state, scene)
    end = _end(state, scene, scene.groups(width(state, scene)))
    return curves_at(state, scene, np.linspace(0.0, end, POINTS), np.linspace(0.0, end, COARSE))


def curves_at(state: ExplorerState, scene: Scene, t: Array, coarse: Array) -> Curves:
    """What theory predicts at flow times ``t``; at those of ``coarse`` influence by a measure that takes longer."""
    groups = scene.groups(width(state, scene))
    if state.start:
        return _integrated(state, scene, groups, t)
    first, second, a = _weights(state, scene, groups, t)
    e = groups.s - scene.c * a
    loss = (e**2 @ groups.size) / (2 * scene.c) + scene.rest_loss
    if state.measure == gradient_kernel.name:
        influence_times = t
        influence = kernel_in_groups(state.depth, scene.task.n_items, groups, e, a, first, second)
    else:
        influence_times = coarse
        influence = _influence(state, scene, coarse)
    return Curves(t, a, e, loss, _half_rise(state, scene, groups), influence_times, influence, first, second)


def _integrated(state: ExplorerState, scene: Scene, groups: ModeGroups, t: Array) -> Curves:
    """From a random start: the exact flow. Layers have no weights mode by mode, so that `first` and `second` are 0."""
    flow, kernel = theory.predict(start_of(state, scene), t), MEASURES[gradient_kernel.name]
    a = by_group(flow.mode_strengths, groups)
    influence = np.asarray(kernel.measure(flow, kernel.resolve(flow, {}), Work()).values)
    half = scene.c * a >= groups.s / 2
    rise = np.where(half.any(axis=0), t[half.argmax(axis=0)], np.inf)
    none = np.zeros_like(a)
    return Curves(t, a, groups.s - scene.c * a, np.asarray(flow.loss), rise, t, influence, none, none)


def by_group(strengths: Array, groups: ModeGroups) -> Array:
    """``(T, G)`` means of ``(T, K)`` over the modes that share a curve."""
    return np.stack([strengths[:, groups.of_mode == g].mean(axis=1) for g in range(len(groups.s))], axis=1)


def _weights(state: ExplorerState, scene: Scene, groups: ModeGroups, t: Array) -> tuple[Array, Array, Array]:
    """``(T, G)``: squared weight of first and last layer, and strength; 0 for groups without hidden units."""
    s = groups.s[groups.learned]
    first, second, a = (np.zeros((len(t), len(groups.s))) for _ in range(3))
    if state.lam != 0:
        w1, w2 = theory.mode_weights(t[:, None], s, c=scene.c, a0=state.a0, lam=state.lam)
        first[:, groups.learned], second[:, groups.learned], a[:, groups.learned] = w1**2, w2**2, w1 * w2
        return first, second, a
    a[:, groups.learned] = theory.mode_strength(t[:, None], s, c=scene.c, a0=state.a0, depth=state.depth)
    each = a ** (2 / state.depth)
    return each, each, a


def kernel_in_groups(depth: int, P: int, groups: ModeGroups, e: Array, a: Array, first: Array, second: Array) -> Array:
    """``(T, P, P)`` influence by the gradient kernel, one term a layer.

    Each term is what reaches the layer from the outputs times what reaches it from the inputs; the same sums as
    `workbench.theory.gradient_kernel`, over groups instead of modes. All arguments ``(T, G)`` as in `Curves`.
    """
    H = groups.projectors.reshape(len(groups.s), -1)
    if depth == 2:
        above, below = [e**2 * second, e**2], [first]
    else:
        power = [np.ones_like(a), *(a ** (2 * k / depth) for k in range(1, depth))]
        above, below = [e**2 * power[depth - layer] for layer in range(1, depth + 1)], power[1:]
    kernel = (above[0] @ H).reshape(-1, P, P) * np.eye(P)
    for over, under in zip(above[1:], below, strict=True):
        kernel += ((over @ H) * (under @ H)).reshape(-1, P, P)
    return np.asarray(-(P**2) * kernel)


def every_measure(state: ExplorerState, scene: Scene) -> dict[str, Curves]:
    """The curves of each measure that has a closed form for a state."""
    known: dict[str, Curves] = {}
    for name in SHOWN:
        try:
            known[name] = curves(replace(state, measure=name), scene)
        except WorkbenchError:
            continue
    return known


def _influence(state: ExplorerState, scene: Scene, t: Array) -> Array:
    """``(T, P, P)`` of the measures other than the kernel."""
    predicted, measure = theory.predict(start_of(state, scene), t), MEASURES[state.measure]
    return np.asarray(measure.measure(predicted, measure.resolve(predicted, state.asked), Work()).values)


def start_of(state: ExplorerState, scene: Scene) -> Network:
    """Initial weights of the network a state describes, aligned with the modes; of two layers at any balance."""
    if state.start:
        init = Init("gaussian", deviation(state.a0, state.hidden, state.depth))
        return network(scene.task, state.hidden, init, depth=state.depth, seed=state.seed)
    init = Init("unequal", state.a0, state.lam) if state.lam else Init("balanced", state.a0)
    return network(scene.task, state.hidden, init, depth=state.depth, seed=state.seed)


def _half_rise(state: ExplorerState, scene: Scene, groups: ModeGroups) -> Array:
    rise = np.full(len(groups.s), np.inf)
    rising = groups.learned & (2 * scene.c * state.a0 < groups.s)
    if rising.any():
        rise[rising] = theory.half_rise_time(groups.s[rising], c=scene.c, a0=state.a0, depth=state.depth, lam=state.lam)
    return rise


def _end(state: ExplorerState, scene: Scene, groups: ModeGroups) -> float:
    """When training is as good as over, rounded up so that small changes of a slider leave the axis alone."""
    rate = float(groups.s[0]) if state.depth > 1 else scene.c
    grid = np.geomspace(0.5 / rate, _LAST / rate, 90)
    a = _weights(state, scene, groups, grid)[2]
    left = ((groups.s - scene.c * a) ** 2 * (groups.size * groups.learned)).sum(axis=1)
    settled = np.flatnonzero(left <= _REMAINING * float((groups.s**2 * groups.size * groups.learned).sum()))
    end = 1.15 * float(grid[settled[0]] if settled.size else grid[-1])
    size = 10.0 ** np.floor(np.log10(end))
    return float(size * _NICE[np.searchsorted(_NICE, end / size * (1 - 1e-9))])
