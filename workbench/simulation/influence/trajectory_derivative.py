"""Derivative of the losses through every step of training: ``dl_j(t) / d eps_i`` of ``L + sum_i eps_i l_i``.

Forward mode: with the weights w of a run go their derivatives ``S_i = dw / d eps_i`` for all items at once. A step of
gradient descent takes them along exactly::

    S_i <- S_i - eta (H S_i + g_i),      dl_j / d eps_i = g_j . S_i

and momentum and Adam carry the derivatives of their averages too. In a mini-batch step eps_i counts as in the run
itself: item i of a batch of B weighs ``(1 + P eps_i) / B``. The result is the derivative of the discrete algorithm, not
of a flow; a leave-one-out run is eps_i = -1/P to first order.

With ReLU a finite change also makes units switch on or off for an item a step earlier or later. The derivative, exact
between such events, does not see them: retraining with 1e-4 of an item's weight can differ from it by tens of percent.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.influence.leave_one_out import fewer_outputs
from workbench.simulation.network.backprop import (
    activities,
    gradient_derivatives,
    gradients,
    output_derivatives,
    split_layers,
)
from workbench.simulation.running.batches import MEMORY, Progress, run_batches, shared_progress
from workbench.simulation.running.threads import torch_threads
from workbench.simulation.training.descent import CPU, Place
from workbench.simulation.training.recipes import Recipe
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]


def trajectory_derivative(
    network: Network,
    recipe: Recipe,
    *,
    window: tuple[float, float] = (0.0, np.inf),
    place: Place = CPU,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Array:
    """``dl_j(t)/deps_i`` of training by ``recipe``, ``(T, source P, target P)``; negative = helpful.

    Args:
        network: the start; any depth and activation.
        recipe: how it is trained.
        window: eps_i acts only in the steps that begin in ``[t0, t1)``.
        place: device and precision.
        memory: bytes that the derivatives of one batch of items may take; more items go in several batches.
        progress: called with the number of steps done since the last call, counted once for all items.
        slot: where to keep the work done so far, and to go on with what was kept there.

    In units of the loss per unit of eps.
    """
    begin, end = window
    if not 0 <= begin <= end:
        raise WorkbenchError(f"window ({begin:g}, {end:g}); give 0 <= t0 <= t1")
    small, P = fewer_outputs(network, recipe), network.task.n_items
    derivative = np.empty((len(recipe.schedule.steps), P, P))
    per_item = 8.0 * (8 * small.n_weights + 6 * P * sum(rows for rows, _ in small.shapes))
    batches = run_batches(P, per_item, memory)
    report = shared_progress(progress, len(batches))
    with torch_threads(1):
        for sources in batches:
            part = slot.part(sources.start)
            derivative[:, sources] = _derivatives_of(small, recipe, sources, window, place, report, part)
    return derivative


def _derivatives_of(
    network: Network,
    recipe: Recipe,
    sources: slice,
    window: tuple[float, float],
    place: Place,
    progress: Progress | None,
    slot: Slot,
) -> Array:
    """``(T, M, P)`` for M source items."""
    kind, optimizer, schedule, P = network.activation, recipe.optimizer, recipe.schedule, network.task.n_items
    flat = place.tensor(network.flat)
    S = torch.zeros((sources.stop - sources.start, len(flat)), dtype=flat.dtype, device=flat.device)
    g, dg = torch.empty_like(flat), torch.empty_like(S)
    layers, directions, gradient, gradient_derivative = (split_layers(x, network.shapes) for x in (flat, S, g, dg))
    memory, dmemory, batches = optimizer.init(flat), optimizer.init(S), recipe.batches(P)
    inputs, Y = place.inputs(network.task), place.tensor(network.task.Y)
    # What eps of each source does to the item weights, one source a row.
    own = place.tensor(P * np.eye(P)[sources])[:, None, :]
    found, done = np.zeros((len(schedule.steps), len(S), P)), 0

    def so_far() -> dict[str, Any]:
        averages = {f"{what}{n}": x for what, xs in (("m", memory), ("d", dmemory)) for n, x in enumerate(xs)}
        return {"done": done, "found": found} | {
            name: x.cpu().numpy() for name, x in (averages | {"w": flat, "S": S}).items()
        }

    if (kept := slot.load()) is not None:
        done, found = int(kept["done"]), kept["found"]
        flat.copy_(torch.from_numpy(kept["w"]))
        S.copy_(torch.from_numpy(kept["S"]))
        memory = tuple(torch.from_numpy(kept[f"m{n}"]).to(x) for n, x in enumerate(memory))
        dmemory = tuple(torch.from_numpy(kept[f"d{n}"]).to(x) for n, x in enumerate(dmemory))
        batches = islice(batches, done, None)
        if progress:
            progress(done)
    before = done
    first, last = (np.rint(min(t / schedule.eta, schedule.total)) for t in window)
    for k, wanted in enumerate(schedule.steps):
        if wanted < before:
            continue
        for n, items in enumerate(islice(batches, wanted - done), start=done):
            seen = place.chosen(inputs, items)
            h = activities(layers, seen, kind)
            residual = (Y if items is None else Y[:, items]) - h[-1]
            size = residual.shape[1]
            delta, weights = residual / -size, torch.full_like(residual[0], 1 / size)
            gradients(layers, h, delta, seen, kind, gradient)
            pushed = delta * (own if items is None else own[:, :, items]) if first <= n < last else None
            gradient_derivatives(layers, directions, h, delta, weights, pushed, seen, kind, gradient_derivative)
            memory = optimizer.step(flat, memory, g, schedule.eta, n + 1)
            dmemory = optimizer.step_derivative(S, memory, dmemory, g, dg, schedule.eta, n + 1)
            done = n + 1
            if progress:
                progress(1)
            if slot.due():
                slot.save(so_far())
        if not bool(torch.isfinite(S).all()):
            raise WorkbenchError(
                f"the derivative diverged before t = {schedule.times[k]:.4g} with eta = {schedule.eta:.3g}; use a "
                "smaller learning rate"
            )
        h = activities(layers, inputs, kind)
        df = output_derivatives(layers, directions, h, inputs, kind)[-1]
        found[k] = ((h[-1] - Y) * df).sum(dim=1).cpu().numpy()
    slot.save(so_far())
    return found


def hessian_products(network: Network, vectors: Array) -> Array:
    """``(M, N)`` products of the Hessian of the mean loss with M vectors ``(M, N)``; any depth and activation."""
    kind, inputs, V = network.activation, CPU.inputs(network.task), CPU.tensor(vectors)
    layers = [CPU.tensor(W) for W in network.weights]
    h = activities(layers, inputs, kind)
    weights = torch.full_like(h[-1][0], 1 / network.task.n_items)
    delta, out = (h[-1] - CPU.tensor(network.task.Y)) * weights, torch.empty_like(V)
    gradient_derivatives(
        layers,
        split_layers(V, network.shapes),
        h,
        delta,
        weights,
        None,
        inputs,
        kind,
        split_layers(out, network.shapes),
    )
    return np.asarray(out.numpy())
