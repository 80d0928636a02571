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
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.figures.style import Style
from workbench.studies.intervention_problems import WINDOWS, Problem, stated_problems, time_reached
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

Array = NDArray[np.float64]
_LOG = logging.getLogger("workbench")

#: Extra weight of a chosen cell; 1 is the item itself once more.
AMOUNTS = (0.05, 0.5)
POLICIES = ("stagewise", "end point", "uniform", "random cells", "random item", "random window")
_CONTROLS = POLICIES[3:]


def answer(inquiry: Inquiry) -> StudyResult:
    """Predicted gains, then measured ones, of every policy."""
    draws = 12 if inquiry.quick else 60
    problems = stated_problems(inquiry)
    cells = [_choices(problem, draws, inquiry.seed) for problem in problems.values()]
    expected = np.stack(
        [[float((p.value * c).sum()) for c in chosen] for p, chosen in zip(problems.values(), cells, strict=True)]
    )
    names = [*POLICIES[:3], *(policy for policy in _CONTROLS for _ in range(draws))]
    for k, label in enumerate(problems):
        _LOG.info("%s: expected gain %s", label, _told(expected[k], names))
    measured = np.empty((len(problems), len(AMOUNTS), len(names)))
    with inquiry.bar("interventions", len(problems)) as advance:
        for k, problem in enumerate(problems.values()):
            measured[k] = _gains(problem, cells[k])
            advance(1)
    ds = xr.Dataset(
        {
            "expected_gain": (("problem", "amount", "intervention"), expected[:, None] * np.array(AMOUNTS)[:, None]),
            "measured_gain": (("problem", "amount", "intervention"), measured),
            "time": ("problem", [problem.time for problem in problems.values()]),
            "cells": (("problem", "intervention", "window", "item"), np.stack(cells)),
        },
        coords={"problem": list(problems), "amount": list(AMOUNTS), "policy": ("intervention", names)},
    )
    caption = (
        f"Share of the training time saved by {WINDOWS} weighed cells, by retraining: grey, controls of equal total "
        "weight; ticks, what first-order theory expected before the run. Left: small weights; right: large ones."
    )
    return StudyResult(_finding(ds), ds, draw, caption, "Rows of dots, one row a problem and policy.", _claims(ds))


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
    for policy in _CONTROLS:
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


def _shares(ds: xr.Dataset, variable: str) -> Array:
    """``(problem, amount, intervention)`` gain over the time without intervention."""
    return np.asarray((ds[variable] / ds["time"]).transpose("problem", "amount", "intervention").values)


def _random(ds: xr.Dataset) -> NDArray[np.bool_]:
    return np.isin(ds["policy"].values, _CONTROLS)


def _unbeaten(ds: xr.Dataset) -> Array:
    """``(policy 0..2, problem, amount)`` share of the controls that do no better than a policy."""
    gain = _shares(ds, "measured_gain")
    controls = gain[..., _random(ds)]
    return np.stack([(gain[..., k, None] >= controls - 1e-9).mean(axis=-1) for k in range(3)])


def _finding(ds: xr.Dataset) -> str:
    gain, expected, unbeaten = _shares(ds, "measured_gain"), _shares(ds, "expected_gain"), _unbeaten(ds)
    controls = gain[..., _random(ds)].mean(axis=-1)
    parts = []
    for a, amount in enumerate(AMOUNTS):
        mean = [f"{name} {gain[:, a, k].mean():.2%}" for k, name in enumerate(POLICIES[:3])]
        parts.append(
            f"at {amount:g} extra weight a cell {', '.join(mean)}, random {controls[:, a].mean():.2%} "
            f"(expected of stagewise: {expected[:, a, 0].mean():.2%})"
        )
    names, hard, worst = ds["problem"].values, int(unbeaten[1, :, 0].argmin()), int(unbeaten[0, :, 1].argmin())
    told = (
        f"Influence by stages saves time, mostly by choosing the item and not the moment; of {ds.sizes['problem']} "
        f"problems, on average: {'; '.join(parts)}"
    )
    if unbeaten[1, hard, 0] < 0.95:
        told += (
            f"; end-point influence fails where signs have changed ({names[hard]}: {1 - unbeaten[1, hard, 0]:.0%} of "
            f"the random controls do better, of stagewise {1 - unbeaten[0, hard, 0]:.0%})"
        )
    if unbeaten[0, worst, 1] < 0.95:
        told += (
            f"; with the large weight {1 - unbeaten[0, worst, 1]:.0%} of the controls beat the stagewise choice "
            f"({names[worst]}: expected {expected[worst, 1, 0]:.1%}, saved {gain[worst, 1, 0]:.1%})"
        )
    return f"{told}."


def _claims(ds: xr.Dataset) -> tuple[StudyClaim, ...]:
    gain, expected, unbeaten = _shares(ds, "measured_gain"), _shares(ds, "expected_gain"), _unbeaten(ds)
    error = np.abs(gain - expected) / np.abs(expected[..., :1])
    return (
        StudyClaim(
            "No random control of equal small weight does better than the stagewise choice, in any problem",
            float(unbeaten[0, :, 0].min()),
            ">=",
            1.0,
            "first-order theory ranks the cells, and its error at this weight is below the gaps",
        ),
        StudyClaim(
            "The gain expected before the run is the measured one, at small weight",
            float(error[:, 0].max()),
            "<=",
            0.1,
            "of the stagewise gain; the second order of a weight of .05 in 8 cells, and the learning rate",
        ),
        StudyClaim(
            "At ten times the weight first order no longer chooses best: somewhere chance does better once in 20 times",
            float(unbeaten[0, :, 1].min()),
            "<=",
            0.95,
            "a null result: one in twenty is what would pass for chance",
        ),
        StudyClaim(
            "End-point influence is no better than chance where the signs have changed on the way",
            float(unbeaten[1, :, 0].min()),
            "<=",
            0.75,
            "half of the controls would be chance, all of them a good choice",
        ),
    )


def draw(ds: xr.Dataset) -> Figure:
    """A panel an amount; a row a problem and policy."""
    style = Style()
    gain, expected = _shares(ds, "measured_gain"), _shares(ds, "expected_gain")
    policies = ds["policy"].values
    N = ds.sizes["problem"]
    with style.context():
        figure = style.figure(0.45 * N + 1.0)
        axes = figure.subplots(1, len(AMOUNTS), sharey=True, squeeze=False)[0]
        colours = {**dict(zip(POLICIES[:3], style.sequence(3), strict=True)), **dict.fromkeys(_CONTROLS, style.muted)}
        for a, ax in enumerate(axes):
            style.tidy(ax)
            ax.axvline(0, color=style.faint)
            for row in range(N):
                for k, policy in enumerate(POLICIES):
                    mine, y = policies == policy, row + 0.11 * (k - 2.5)
                    chosen = k < 3
                    label = (policy if chosen else "controls") if row == 0 and k < 4 else None
                    style_of = {"alpha": 1.0, "markersize": 3} if chosen else {"alpha": 0.4, "markersize": 1.5}
                    ax.plot(gain[row, a, mine], np.full(mine.sum(), y), "o", color=colours[policy], markeredgewidth=0,
                            label=label, **style_of)  # fmt: skip
                    if chosen:
                        ax.plot(expected[row, a, mine], [y], "|", color=style.ink, markersize=5)
            ax.set(xlabel="share of the time saved", title=f"extra weight {AMOUNTS[a]:g} a cell")
        axes[0].set_yticks(range(N), [str(name) for name in ds["problem"].values])
        axes[0].invert_yaxis()
        axes[-1].legend(fontsize=style.least, loc="lower right")
    return figure


STUDY = Study("interventions", "When does it pay to weigh which items more, against chance at equal weight?", answer)
