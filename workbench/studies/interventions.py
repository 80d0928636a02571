"""When to weigh which items more, so as to reach a target loss sooner? Interventions at equal total weight.

Training up to the time T at which the chosen items reach a target loss is cut into windows; a cell is an item in a
window. An intervention weighs as many cells as there are windows, all by the same amount. What theory expects of it is
known before any run: ``gain = sum over cells of (dl/deps of the cell) / (dl/dt)`` at T, the derivative restricted to
the window in closed form. Chosen by it are the best cells; by end-point influence the item that the kernel at T calls
most helpful, throughout; controls are random cells, random items throughout and all items in a random window.
"""

from __future__ import annotations

import logging

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.studies.intervention_problems import WINDOWS, Problem, stated_problems, time_reached
from workbench.studies.interventions_figure import AMOUNTS, CONTROLS, POLICIES, draw, gain_shares
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]
_LOG = logging.getLogger("workbench")


def answer(inquiry: Inquiry) -> StudyResult:
    """Predicted gains, then measured ones, of every policy, in every network."""
    draws = 12 if inquiry.quick else 60
    stated = stated_problems(inquiry)
    chosen = {name: [_choices(p, draws, inquiry.seed) for p in problems.values()] for name, problems in stated.items()}
    names = [*POLICIES[:3], *(policy for policy in CONTROLS for _ in range(draws))]
    expected = {
        name: np.stack(
            [(p.value * one).sum(axis=(1, 2)) for p, one in zip(problems.values(), chosen[name], strict=True)]
        )
        for name, problems in stated.items()
    }
    for name, problems in stated.items():
        for label, gains in zip(problems, expected[name], strict=True):
            _LOG.info("%s, %s: expected gain %s", name, label, _told(gains, names))
    parts = []
    with inquiry.bar("interventions", sum(map(len, stated.values()))) as advance:
        for name, problems in stated.items():
            measured = []
            for problem, one in zip(problems.values(), chosen[name], strict=True):
                measured.append(_gains(problem, one))
                advance(1)
            parts.append(_dataset(problems, expected[name], np.stack(measured), np.stack(chosen[name]), names))
    ds = xr.concat(parts, dim=xr.Variable("network", list(stated)), join="outer")
    caption = (
        f"Share of the training time saved by {WINDOWS} weighed cells, by retraining: grey, controls of equal total "
        "weight; ticks, what first-order theory expected before the run. Above: small weights; below: large ones; a "
        "column a network."
    )
    alt = "Rows of dots, one row a problem and policy; the ticks of theory lie on the dots above, not below."
    return StudyResult(_finding(ds), ds, draw, caption, alt, _claims(ds))


def _dataset(
    problems: dict[str, Problem], expected: Array, measured: Array, cells: Array, names: list[str]
) -> xr.Dataset:
    """Of one network: expected and measured gains ``(problem, amount, intervention)``, in time."""
    items = next(iter(problems.values())).start.task.items
    return xr.Dataset(
        {
            "expected_gain": (("problem", "amount", "intervention"), expected[:, None] * np.array(AMOUNTS)[:, None]),
            "measured_gain": (("problem", "amount", "intervention"), measured),
            "time": ("problem", [problem.time for problem in problems.values()]),
            "cells": (("problem", "intervention", "window", "item_number"), cells),
            "item": ("item_number", list(items)),
            "layers": next(iter(problems.values())).start.depth,
        },
        coords={"problem": list(problems), "amount": list(AMOUNTS), "policy": ("intervention", names)},
    )


def _choices(problem: Problem, draws: int, seed: int) -> Array:
    """``(intervention, window, P)`` extra weights: the same total for all, 1 for each of as many cells as windows."""
    rng = np.random.default_rng([seed, 0x1D7E])
    items = np.flatnonzero(problem.allowed)
    shape = problem.value.shape
    value = np.where(problem.allowed, problem.value, -np.inf)
    best = np.zeros(shape)
    best.ravel()[np.argsort(-value, axis=None)[:WINDOWS]] = 1
    end, uniform = np.zeros(shape), np.zeros(shape)
    end[:, items[np.argmin(problem.kernel[items])]] = 1
    uniform[:, items] = 1 / len(items)
    chosen = [best, end, uniform]
    free = np.flatnonzero(np.broadcast_to(problem.allowed, shape).ravel())
    for policy in CONTROLS:
        for _ in range(draws):
            cells = np.zeros(shape)
            if policy == "random cells":
                cells.ravel()[rng.choice(free, WINDOWS, replace=False)] = 1
            elif policy == "random item":
                cells[:, rng.choice(items)] = 1
            else:
                cells[rng.integers(WINDOWS), items] = WINDOWS / len(items)
            chosen.append(cells)
    return np.stack(chosen)


def _gains(problem: Problem, cells: Array) -> Array:
    """``(amount, intervention)`` time saved, by training with the weights; negative where it takes longer."""
    from workbench import simulation

    start, T = problem.start, problem.time
    eta = simulation.learning_rate(start, 0.02)
    # Windows end on whole steps; checkpoints from where the fastest could be there to where the slowest is.
    schedule = simulation.schedule_near(np.linspace(0, 1.3 * T, 161), eta)
    begins = np.rint(np.linspace(0, T, WINDOWS + 1) / schedule.eta).astype(int)
    runs = np.concatenate([amount * cells for amount in AMOUNTS])
    phases = np.ones((WINDOWS + 1, 1 + len(runs), start.task.n_items))
    phases[:WINDOWS, 1:] += runs.swapaxes(0, 1)
    weights = simulation.ItemWeights(tuple(int(n) for n in begins), phases)
    losses = simulation.retrained_losses(start, schedule, weights)[:, :, problem.targets].mean(axis=2)
    goal = problem.share * losses[0, 0]
    times = np.array([time_reached(schedule.times, losses[:, r], goal) for r in range(losses.shape[1])])
    return np.asarray((times[0] - times[1:]).reshape(len(AMOUNTS), -1))


def _told(expected: Array, names: list[str]) -> str:
    told = []
    for policy in POLICIES:
        gains = expected[[name == policy for name in names]]
        told.append(f"{policy} {gains.mean():.2f}")
    return ", ".join(told) + " in time per unit of weight"


def _random(ds: xr.Dataset) -> NDArray[np.bool_]:
    return np.isin(ds["policy"].values, CONTROLS)


def _unbeaten(ds: xr.Dataset) -> Array:
    """``(policy 0..2, network, problem, amount)`` share of the controls that do no better than a policy."""
    gain = gain_shares(ds, "measured_gain")
    controls = gain[..., _random(ds)]
    return np.stack([(gain[..., k, None] >= controls - 1e-9).mean(axis=-1) for k in range(3)])


def _finding(ds: xr.Dataset) -> str:
    gain, expected, unbeaten = gain_shares(ds, "measured_gain"), gain_shares(ds, "expected_gain"), _unbeaten(ds)
    controls = gain[..., _random(ds)].mean(axis=-1)
    parts = []
    for n, name in enumerate(ds["network"].values):
        for a, amount in enumerate(AMOUNTS):
            mean = [f"{policy} {gain[n, :, a, k].mean():.2%}" for k, policy in enumerate(POLICIES[:3])]
            parts.append(
                f"{name} at {amount:g} extra weight a cell {', '.join(mean)}, random {controls[n, :, a].mean():.2%} "
                f"(expected of stagewise: {expected[n, :, a, 0].mean():.2%})"
            )
    told = (
        f"Influence by stages saves time, mostly by choosing the item and not the moment; of {ds.sizes['problem']} "
        f"problems, on average: {'; '.join(parts)}"
    )
    hard, worst = _least(unbeaten[1, :, :, 0]), _least(unbeaten[0, :, :, 1])
    if unbeaten[1][hard][0] < 0.95:
        told += (
            f"; end-point influence fails where signs have changed ({_name(ds, hard)}: {1 - unbeaten[1][hard][0]:.0%} "
            f"of the random controls do better, of stagewise {1 - unbeaten[0][hard][0]:.0%})"
        )
    if unbeaten[0][worst][1] < 0.95:
        told += (
            f"; with the large weight {1 - unbeaten[0][worst][1]:.0%} of the controls beat the stagewise choice "
            f"({_name(ds, worst)}: expected {expected[worst][1, 0]:.1%}, saved {gain[worst][1, 0]:.1%})"
        )
    return f"{told}."


def _least(values: Array) -> tuple[int, int]:
    """Network and problem of the least value."""
    n, p = np.unravel_index(int(values.argmin()), values.shape)
    return int(n), int(p)


def _name(ds: xr.Dataset, place: tuple[int, int]) -> str:
    return f"{ds['network'].values[place[0]]}, {ds['problem'].values[place[1]]}"


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    gain, expected, unbeaten = gain_shares(ds, "measured_gain"), gain_shares(ds, "expected_gain"), _unbeaten(ds)
    error = np.abs(gain - expected) / np.abs(expected[..., :1])
    two, fresh = ds["layers"].values == 2, "set on the two-layer tree before the other networks were run"
    deeper = error[~two][:, :, 0, 0]
    beside = f"; deeper it misses the stagewise gain itself by up to {deeper.max():.0%}" if deeper.size else ""
    return (
        StudyClaim(
            "No random control of equal small weight does better than the stagewise choice, in any problem",
            float(unbeaten[0, :, :, 0].min()),
            ">=",
            1.0,
            "first-order theory ranks the cells, and its error at this weight is below the gaps",
        ),
        StudyClaim(
            "The gain expected before the run is the measured one, at small weight, in two layers",
            float(error[two][:, :, 0].max()),
            "<=",
            0.1,
            f"of the stagewise gain; the second order of a weight of .05 in 8 cells, and the learning rate; {fresh}"
            f"{beside}",
        ),
        StudyClaim(
            "At ten times the weight first order no longer chooses best: somewhere chance does better once in 20 times",
            float(unbeaten[0, :, :, 1].min()),
            "<=",
            0.95,
            "a null result: one in twenty is what would pass for chance",
        ),
        StudyClaim(
            "End-point influence is no better than chance where the signs have changed on the way",
            float(unbeaten[1, :, :, 0].min()),
            "<=",
            0.75,
            "the worst problem of all; half of the controls would be chance, all of them a good choice; " + fresh,
        ),
    )


STUDY = Study("interventions", "When does it pay to weigh which items more, against chance at equal weight?", answer)
