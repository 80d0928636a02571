"""What a table of scores says: one line a method, its worst level beside its mean, and in words where it fails."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workbench.bench.method import Method
from workbench.bench.runner import Evaluation
from workbench.bench.scores import FLOOR, level_masks
from workbench.bench.truth import Truths

#: The truth that methods are ranked by: what an item's weight throughout training does, exactly.
RANKED_BY = "derivative"


def leaderboard(table: pd.DataFrame, costs: pd.DataFrame, methods: Mapping[str, Method]) -> pd.DataFrame:
    """One row a method, best first.

    ``agreement`` is the mean over problems and levels of the cosine between estimate and truth over time (levels of the
    common ancestor, so that an item's influence on itself, which every method gets right, counts nothing). What that
    one number hides stands beside it: the worst level, the share of right signs, flips missed and invented, the
    error of flip and peak times, the linear datamodelling score given the target's membership, the same for held-out
    queries, agreement with shuffled weights, and costs. A problem on which a method failed counts 0.
    """
    derivative = table[table.truth == RANKED_BY]
    levels = derivative[derivative.level.str.fullmatch(r"\d+")]
    problems = table.problem.nunique()
    rows = []
    for name in table.method.unique():
        mine = levels[levels.method == name]
        by_level = mine[mine.score == "agreement"]
        by_problem = by_level.groupby("problem").value.mean()
        queries = table[(table.method == name) & (table.truth == f"{RANKED_BY}@queries") & (table.score == "agreement")]
        whole = table[table.method == name]
        cost = costs[costs.method == name]
        rows.append(
            {
                "method": name,
                "control": methods[name].control,
                "agreement": float(by_problem.sum() / problems),
                "worst level": _least(by_level.value),
                "right signs": _mean(mine[mine.score == "sign_agreement"].value),
                "flips missed": _mean(mine[mine.score == "flips_missed"].value),
                "flips invented": _mean(mine[mine.score == "flips_invented"].value),
                "flip error (t)": _mean(mine[mine.score == "flip_error"].value),
                "peak error (t)": _mean(mine[mine.score == "peak_error"].value),
                "LDS given target": _mean(whole[(whole.score == "lds") & (whole.truth == "subsets")].value),
                "agreement, queries": _mean(queries[queries.level.str.fullmatch(r"\d+")].value),
                "same on shuffled weights": _mean(whole[whole.score == "randomised"].value),
                "seconds a run": _mean(cost.seconds),
                "MB": _mean(cost.megabytes),
                "forward passes a run": _mean(cost.forward_passes),
                "problems failed": int((cost.failure != "").sum()),
            }
        )
    return pd.DataFrame(rows).sort_values(["agreement", "method"], ascending=[False, True], ignore_index=True)


def _mean(values: pd.Series) -> float:
    return float(values.mean()) if values.notna().any() else float("nan")


def _least(values: pd.Series) -> float:
    return float(values.min()) if values.notna().any() else float("nan")


def where_it_fails(evaluation: Evaluation, truths: Truths) -> list[str]:
    """Sentences: sign of an item's influence on itself, and per level the spans of time with the wrong sign."""
    if evaluation.influence is None:
        return [f"{evaluation.problem.name}: {evaluation.failure}."]
    P = truths.levels.shape[0]
    e, y = evaluation.influence[..., :P].mean(axis=0), truths.influence[RANKED_BY][..., :P].mean(axis=0)
    sentences = []
    if upside_down := sign_warning(evaluation, truths):
        sentences.append(upside_down)
    for level, mask in level_masks(truths.levels[:, :P]).items():
        if not level.isdigit():
            continue
        curve, truth = e[:, mask].mean(axis=1), y[:, mask].mean(axis=1)
        asked = np.abs(truth) > FLOOR * np.abs(truth).max()
        wrong = asked & (np.sign(curve) != np.sign(truth))
        if wrong.any():
            sentences.append(
                f"{evaluation.problem.name}, level {level}: wrong sign {_spans(truths.times, wrong)} "
                f"({wrong.sum()} of {asked.sum()} checkpoints)."
            )
    return sentences or [f"{evaluation.problem.name}: every level's mean curve has the right sign at every checkpoint."]


def sign_warning(evaluation: Evaluation, truths: Truths) -> str:
    """Where the sign is certain: early on, training on an item lowers its own loss. Empty if the method agrees.

    The derivative of an item's own loss is negative on every problem while the loss still falls; a method that
    contradicts this in nine of ten cases has declared its sign the wrong way round.
    """
    if evaluation.influence is None:
        return ""
    early = slice(1, max(2, len(truths.times) // 4))
    own = np.diagonal(evaluation.influence[:, early], axis1=2, axis2=3)
    truth = np.diagonal(truths.influence[RANKED_BY][:, early], axis1=2, axis2=3)
    certain = truth < -FLOOR * np.abs(truth).max()
    if not certain.any() or (own[certain] > 0).mean() < 0.9:
        return ""
    other = {"negative_helps": "positive_helps", "positive_helps": "negative_helps"}[evaluation.method.sign]
    return (
        f"{evaluation.problem.name}: its sign is the other one: it says that training on an item raises the item's own "
        f"loss. It was registered with sign={evaluation.method.sign!r}; {other!r} would be right."
    )


def _spans(times: np.ndarray, wrong: np.ndarray) -> str:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wrong, [False]]).astype(int)))
    spans = [
        f"t = {times[a]:.3g}" if a == b - 1 else f"t = {times[a]:.3g} to {times[b - 1]:.3g}"
        for a, b in edges.reshape(-1, 2)
    ]
    return "at " + ", ".join(spans)
