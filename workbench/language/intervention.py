"""Does it matter *when* the documents that teach induction weigh more?

A training is repeated with half of the documents up-weighted for a window of steps: those richest in induction tokens,
or, as a control of equal total weight, as many drawn at random. The window lies at the start, before the circuit
forms, or in the steps in which it forms, which end where the training without up-weighting reaches the level; it is as
long each time. Everything else, the order of documents included, is the same. What is told is the number of steps
until the mean loss of induction tokens is below a level, and by how much earlier that is than without up-weighting,
seed by seed. A window after that step cannot change it: its gain is 0 by construction and is not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.language.corpus import Corpus, Ints
from workbench.language.model import Shape, Transformer
from workbench.language.settings import LanguageSettings
from workbench.language.study import Bar, corpora, no_bar
from workbench.language.training import Training, Upweighted, train
from workbench.store import NOWHERE, Slot, Store

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Intervention:
    """What is weighted, and when.

    Attributes:
        extra: added to the weight 1 of a chosen document. share: of the documents that are chosen.
        length: of the window, in steps. ahead: how many steps before the level is reached the later window ends.
        level: of the mean loss of induction tokens, in nats. every: steps between looks at it.
        steps: after which a run is given up. seeds: how many. batch: documents a step.
    """

    extra: float = 1.0
    share: float = 0.5
    length: int = 100
    ahead: int = 20
    level: float = 1.0
    every: int = 4
    steps: int = 700
    seeds: int = 5
    batch: int = 32


def intervention_study(
    asked: Intervention | None = None,
    settings: LanguageSettings | None = None,
    *,
    bar: Bar = no_bar,
    store: Store | None = None,
) -> pd.DataFrame:
    """One row a run: seed, window, documents (``induction``, ``random``; ``none`` without up-weighting), step.

    ``step`` is where the level is reached, interpolated between looks; nan if it never is. ``gain`` is by how many
    steps earlier than without up-weighting.
    """
    plan, base = asked or Intervention(), settings or LanguageSettings()
    rows = []
    with bar("interventions", 5 * plan.seeds) as advance:
        for seed in range(plan.seeds):
            corpus, held_out = corpora(LanguageSettings(documents=base.documents, seed=seed))

            def needed(
                name: str, upweighted: Upweighted | None, seed: int = seed, told: Any = (corpus, held_out)
            ) -> float:
                slot = Slot(store, f"seed {seed} {name}") if store else NOWHERE
                step = _steps_needed(base, told[0], told[1], plan, seed, upweighted, slot)
                advance(1)
                return step

            plain = needed("none", None)
            if not np.isfinite(plain):
                raise WorkbenchError(f"induction does not form in `steps` {plan.steps}, seed {seed}; give more")
            rows.append({"seed": seed, "window": "none", "documents": "none", "step": plain, "gain": 0.0})
            late = max(int(plain) - plan.ahead - plan.length, 0)
            for window, start in (("before", 0), ("during", late)):
                for kind in ("induction", "random"):
                    chosen = _documents(corpus, kind, plan.share, seed)
                    step = needed(f"{window} {kind}", Upweighted(chosen, plan.extra, start, start + plan.length))
                    row = {"seed": seed, "window": window, "documents": kind, "step": step, "gain": plain - step}
                    rows.append(row)
    return pd.DataFrame(rows)


def effects(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean gain in steps by window and documents with its standard error over seeds, and induction minus random."""
    pivot = runs[runs["window"] != "none"].pivot_table(index=["window", "seed"], columns="documents", values="gain")
    pivot["induction - random"] = pivot["induction"] - pivot["random"]
    rows = []
    for window in dict.fromkeys(runs["window"]):
        if window == "none":
            continue
        for name in pivot.columns:
            gain = pivot.loc[window][name].dropna()
            error = float(gain.std(ddof=1) / len(gain) ** 0.5) if len(gain) > 1 else float("nan")
            rows.append(
                {
                    "window": window,
                    "documents": name,
                    "gain": gain.mean(),
                    "± one standard error": error,
                    "seeds": len(gain),
                }
            )
    return pd.DataFrame(rows)


def arrays(runs: pd.DataFrame) -> xr.Dataset:
    """``intervention_step`` and ``intervention_gain`` over (seed, window, documents), and the step without any.

    The window ``after`` has gain 0 by construction.
    """
    dims, weighted = ("seed", "window", "documents"), runs[runs["window"] != "none"]
    plain = runs[runs["window"] == "none"].set_index("seed")["step"]
    seeds, kinds = plain.index.to_numpy(), ["induction", "random"]
    windows = [*dict.fromkeys(weighted["window"]), "after"]
    table = weighted.set_index(list(dims))

    def of(column: str, after: Callable[[int], float]) -> Array:
        return np.array(
            [
                [[after(s) if w == "after" else table.loc[(s, w, k), column] for k in kinds] for w in windows]
                for s in seeds
            ]
        )

    said = "steps by which the loss of induction tokens falls below its level earlier than without up-weighting"
    return xr.Dataset(
        {
            "intervention_step": (dims, of("step", lambda seed: plain[seed]), {"units": "training steps"}),
            "intervention_gain": (dims, of("gain", lambda seed: 0.0), {"units": "training steps", "long_name": said}),
            "intervention_plain_step": ("seed", plain.to_numpy(), {"units": "training steps"}),
        },
        coords={"seed": seeds, "window": windows, "documents": kinds},
    )


def _documents(corpus: Corpus, kind: str, share: float, seed: int) -> Ints:
    count = int(share * corpus.documents)
    if kind == "random":
        return np.sort(np.random.default_rng((seed, 5)).choice(corpus.documents, count, replace=False))
    richness = (corpus.targets == corpus.class_names.index("induction")).sum(axis=1)
    return np.sort(np.argsort(-richness, kind="stable")[:count])


def _steps_needed(
    base: LanguageSettings,
    corpus: Corpus,
    held_out: Corpus,
    plan: Intervention,
    seed: int,
    upweighted: Upweighted | None,
    slot: Slot,
) -> float:
    shape = Shape(len(corpus.words), corpus.tokens.shape[1], base.width, base.heads, base.layers)
    until: Callable[[Mapping[str, float]], bool] = lambda losses: losses["induction"] < plan.level  # noqa: E731
    trained = train(
        Transformer(shape, seed), corpus, np.array([0]), Training(plan.steps, plan.batch, seed=seed),
        evaluate=held_out.chosen(np.arange(min(32, held_out.documents))),
        loss_steps=np.arange(0, plan.steps + 1, plan.every), upweighted=upweighted, until=until, slot=slot,
    )  # fmt: skip
    return crossing(trained.loss_steps, trained.class_loss[:, corpus.class_names.index("induction")], plan.level)


def crossing(steps: Ints, losses: Array, level: float) -> float:
    """First step at which a curve is below a level, between looks; nan if it never is."""
    below = np.flatnonzero(losses < level)
    if not len(below):
        return float("nan")
    k = int(below[0])
    if k == 0:
        return float(steps[0])
    share = (losses[k - 1] - level) / (losses[k - 1] - losses[k])
    return float(steps[k - 1] + share * (steps[k] - steps[k - 1]))
