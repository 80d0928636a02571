"""``bench.md``: problems, tables and how to read them as a page of documentation; nothing in it is typed in."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
import sympy
import torch

from workbench import __version__
from workbench.bench.problem import PROBLEMS
from workbench.bench.runner import BenchResult
from workbench.bench.setup import recipe_of
from workbench.bench.summary import RANKED_BY
from workbench.bench.truth import Truths

PROBLEM_NOTE = (
    "Step error: largest difference between the derivative through every step, which methods are scored against, and "
    "the closed form of the gradient flow, as a share of the largest; all of it is the learning rate's, and falls with "
    "it. Empty where the flow has no closed form."
)

_HEAD = """# The bench: attribution methods against influence that is exactly known

This page is `bench.md` of a result of `workbench bench`, as the program wrote it on {date}.

    {command}

{versions}; {machine}. {seeds} seeds a problem.

Networks are trained on tasks whose influence is then computed exactly: the derivative of every loss in the weight of
every item through every step of training, and training again without items, without them for the first third, and on
subsets. A method sees the checkpoints and the data only. Influence is the change of the target's loss per extra weight
on the source: negative helps.

## Leaderboard
"""

_SCORES = """## What the scores are

Every score is taken against one truth, at one level of the common ancestor (0: pairs that meet at the root; a level's
pairs are never pooled with another's before they are scored), for every seed; tables give means, `scores.csv` also
95% intervals over seeds and the values at every checkpoint.

* **agreement**: cosine between estimate and truth over the times and pairs of a level; mean over levels and problems.
  Blind to scale and to nothing else. A problem on which the method failed counts 0.
* **worst level**: the least of them over levels and problems, which the mean hides.
* **right signs**: share of the pairs and times whose truth is not nearly 0 that have its sign.
* **flips missed, invented**: changes of sign of a level's mean curve that the estimate lacks, or has too many.
* **flip error, peak error**: flow time between the flips, and between the peaks, of estimate and truth.
* **LDS given target**: linear datamodelling score, a rank correlation over random halves of the items, those with the
  target and those without it apart. Pooled, minus the identity would score .87.
* **agreement, queries**: the same agreement for held-out targets, an unseen child of every lowest branch.
* **same on shuffled weights**: agreement of the method with itself on networks whose weights are shuffled within each
  layer: near 1, it does not look at the network.
* **seconds, MB, forward passes**: of one run: processor time, memory added, examples that went forward through a
  network.

`leave_one_out` keeps the other items' weights, `leave_one_out_renormalised` divides by the items left;
`window_removal` leaves an item out for the first third of training; `shapley` is the exact Shapley value over all
subsets of the items (problems of at most 8 items).
"""

_SUBMIT = """## Add a method

By pull request, one file and one line:

1. `workbench/bench/methods/your_method.py`, at most 30 lines: a function of `(network, examples)`, one checkpoint, or
   of a whole `run`, under `@method("your_method", sign=..., scale=..., source=...)`;
2. its name in `SHIPPED` of `workbench/bench/methods/__init__.py`.

Run `workbench bench --methods your_method --out results/mine` and look at `leaderboard.html`: it says where the method
fails, and whether its sign is the other one. Methods of other libraries go into `workbench/bench/adapters/`. This page
is renewed by the command above and a copy of `bench.md`; `notebooks/08_your_own_method.ipynb` is the lesson.
"""


def problem_table(truths: Mapping[str, Truths]) -> pd.DataFrame:
    """One row a problem: what is trained, how, and how far finite steps are from the flow."""
    rows = []
    for name, truth in truths.items():
        p, schedule = truth.problem, recipe_of(truth.problem).schedule
        rows.append(
            {
                "problem": name,
                "in words": PROBLEMS[name].words if name in PROBLEMS else "the user's own task",
                "items": truth.levels.shape[0],
                "layers": p.depth,
                "start": p.init,
                "loss": p.loss.replace("_", " "),
                "rule": p.optimizer + (f", batches of {p.batch_size}" if p.batch_size else ""),
                "rate": p.eta,
                "steps": int(schedule.total),
                "truths": len(truth.influence),
                "step error": truth.step_error,
            }
        )
    return pd.DataFrame(rows)


def bench_page(board: pd.DataFrame, result: BenchResult, command: str) -> str:
    """The page as text."""
    seeds = next(iter(next(iter(result.truths.values())).influence.values())).shape[0]
    failures = result.costs[result.costs.failure != ""]
    parts = [
        _HEAD.format(
            date=date.today().isoformat(), command=command, versions=versions(), machine=machine_in_words(), seeds=seeds
        ),
        _table(board.assign(method=[f"*{m}*" if c else m for m, c in zip(board.method, board.control, strict=True)])
               .drop(columns="control")),
        "Sorted by agreement with the derivative. In italics: controls, which know nothing, or the wrong thing.\n",
        "## Agreement by problem\n",
        _table(_agreement(board, result.table, result.table.truth == RANKED_BY, "problem")),
        "With the derivative, mean over levels.\n",
        "## Agreement by truth\n",
        _table(_agreement(board, result.table, ~result.table.truth.isin(["", "subsets", "subsets@queries"]), "truth")),
        "Mean over all levels of all problems (above: over the levels of a problem, then over problems); `@queries`: "
        "held-out targets.\n",
        "## Problems\n",
        _table(problem_table(result.truths)),
        PROBLEM_NOTE + "\n",
    ]  # fmt: skip
    if len(failures):
        parts += ["## What did not run\n", _table(failures[["method", "problem", "failure"]])]
    return "\n".join([*parts, _SCORES, _SUBMIT])


def versions() -> str:
    """What made a page."""
    return (
        f"workbench {__version__}, torch {torch.__version__}, numpy {np.__version__}, sympy {sympy.__version__}, "
        "float64"
    )


def machine_in_words() -> str:
    """What it ran on, without names."""
    words = {1: "one core", 2: "two cores", 4: "four cores", 8: "eight cores"}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    graphics = "with a GPU" if torch.cuda.is_available() else "no GPU"
    return f"{words.get(cores, f'{cores} cores')}, {graphics}, {platform.system()}"


def _agreement(board: pd.DataFrame, table: pd.DataFrame, chosen: pd.Series, over: str) -> pd.DataFrame:
    """Methods by problems or truths, methods in the order of the leaderboard."""
    mine = table[chosen & (table.score == "agreement") & table.level.str.fullmatch(r"\d+")]
    wide = mine.pivot_table(index="method", columns=over, values="value", sort=False)
    return wide.reindex([name for name in board.method if name in wide.index]).reset_index()


def _table(frame: pd.DataFrame) -> str:
    """As Markdown: numbers to the right, three digits, nothing for what is not known."""
    numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns]
    head = "| " + " | ".join(map(str, frame.columns)) + " |"
    rule = "|" + "|".join("--:" if number else "---" for number in numeric) + "|"
    lines = ["| " + " | ".join(map(_text, row)) + " |" for row in frame.itertuples(index=False, name=None)]
    return "\n".join([head, rule, *lines]) + "\n"


def _text(value: object) -> str:
    if isinstance(value, float):  # numpy's 64-bit numbers are floats, too
        return "" if not np.isfinite(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value).replace("|", "\\|")
