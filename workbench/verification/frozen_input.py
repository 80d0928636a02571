"""Claims about the frozen-input formula: louder targets of an item, through singular vectors and through the flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network, network
from workbench.semantics import task_from_spec
from workbench.theory.influence.frozen_input import (
    equal_frozen_response_form,
    frozen_input_derivative,
    frozen_response_form,
    rotated_start,
)
from workbench.theory.modes.strength import mode_strength
from workbench.verification.claims import Claim, Outcome, compared, worst
from workbench.verification.reference import item_losses, weight_flow

Array = NDArray[np.float64]
_TIMES = np.array([0.0, 3.0, 8.0, 14.0])
_STEP = 1e-5


def _singular_vectors() -> Outcome:
    """``W = U a(S) V^T`` of numpy's singular value decomposition of the perturbed Syx, by central differences."""
    task = task_from_spec("tree")
    start, P = network(task, 8, "balanced:0.01"), task.n_items

    def mapped(i: int, eps: float, t: float) -> Array:
        U, s, V = np.linalg.svd(task.Syx + eps * np.outer(task.Y[:, i], task.X[:, i]), full_matrices=False)
        return np.asarray((U * mode_strength(t, s=s, c=start.modes.c, a0=0.01)) @ V)

    computed = np.zeros((len(_TIMES), P, P))
    for k, t in enumerate(_TIMES):
        residual = task.Y - mapped(0, 0.0, t) @ task.X
        for i in range(P):
            change = (mapped(i, _STEP, t) - mapped(i, -_STEP, t)) / (2 * _STEP)
            computed[k, i] = -(residual * (change @ task.X)).sum(axis=0)
    return compared(frozen_input_derivative(start.modes, _TIMES, a0=0.01), computed)


def _pair() -> Outcome:
    """Two modes of their own: entries of the map in the old singular vectors."""
    s, c, t, weights = np.array([0.5, 0.2]), 0.25, 6.0, np.array([0.6, 0.8])

    def mapped(eps: float) -> Array:
        U, values, V = np.linalg.svd(np.diag(s) + eps * np.outer(s * weights, weights))
        return np.asarray((U * mode_strength(t, s=values, c=c, a0=0.02)) @ V)

    computed = (mapped(_STEP) - mapped(-_STEP)) / (2 * _STEP) / np.outer(weights, weights)
    given = {"t": t, "c": c, "a0": 0.02}
    own = [float(equal_frozen_response_form()(s=x, **given)) for x in s]
    across = [float(frozen_response_form()(s_a=s[a], s_b=s[1 - a], **given)) for a in (0, 1)]
    return compared([[own[0], across[0]], [across[1], own[1]]], computed)


def _scaled(start: Network, item: int, factor: float) -> Array:
    task = start.task
    louder = task.Y.copy()
    louder[:, item] *= factor
    layers = weight_flow(replace(task, Y=louder), start.weights, _TIMES)
    return item_losses(task, layers)


def _retrained() -> Outcome:
    """Three layers, from the start that is kept and from the rotated one, with louder targets of one item."""
    start, h, i = network(task_from_spec("tree:2,2"), 5, "balanced:0.05", depth=3), 1e-4, 1
    assert start.a0 is not None
    outcomes = []
    for kind in ("kept", "rotated"):
        starts = [rotated_start(start, i, 1 + x) if kind == "rotated" else start for x in (h, -h)]
        up, down = (_scaled(one, i, 1 + x) for one, x in zip(starts, (h, -h), strict=True))
        predicted = frozen_input_derivative(start.modes, _TIMES, a0=start.a0, depth=3, start=kind)
        outcomes.append(compared(predicted[:, i], start.task.n_items * (up - down) / (2 * h)))
    return worst(outcomes)


_FAMILY = "Influence"
CLAIMS = (
    Claim(_FAMILY, "the frozen-input formula, with its rotation corrected and with equal modes",
          ("frozen_response", "equal_frozen_response"), "singular value decompositions of the perturbed task",
          1e-7, "central differences of step 1e-5: its square, and rounding over it", _singular_vectors),
    Claim(_FAMILY, "how two modes respond to louder targets of an item", ("frozen_response", "equal_frozen_response"),
          "singular value decomposition of two perturbed modes", 1e-7, "the same", _pair),
    Claim(_FAMILY, "louder targets of an item of three layers, from the start that is kept and from the rotated one",
          ("frozen_response",), "DOP853 of all weights with louder targets", 1e-6,
          "central differences of step 1e-4: its square, magnified by training, and rounding over it", _retrained),
)  # fmt: skip
