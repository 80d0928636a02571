"""Studies that stand beside the one of influence over training, each a section of its page and a table of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import t

from workbench.figures import Words
from workbench.language.bridge import bridge, in_order
from workbench.language.bridge_figure import bridge_figure, bridge_table
from workbench.language.intervention import Intervention, arrays, effects, intervention_study
from workbench.language.settings import LanguageSettings
from workbench.language.study import Bar
from workbench.store import Store


@dataclass(frozen=True, eq=False)
class Extra:
    """A section: its name as a file, title, conclusion in words, table with its note, figure with its words.

    ``arrays`` are put into ``language.nc`` beside the study's own.
    """

    name: str
    title: str
    said: str
    frame: pd.DataFrame
    note: str
    figure: Figure | None = None
    words: Words | None = None
    arrays: xr.Dataset | None = None


def bridge_extra(bar: Bar, seeds: int = 3) -> Extra:
    """Four networks learn the tree: which pairs turn from help to harm, and when."""
    curves = bridge(seeds=seeds, bar=bar)
    kept = ", ".join(f"{name} {count} of {seeds}" for name, count in in_order(curves).items())
    return Extra(
        "bridge",
        "The same hierarchy told to four networks",
        "Seeds on which the pairs of every level turn from help to harm, the farthest first, as the theory of linear "
        f"networks says: {kept}.",
        bridge_table(curves),
        "Times are flow times, for the transformer steps of Adam; means over seeds, with the earliest and latest flip. "
        "A flip counts where the harm after it reaches 5% of the largest influence. The last column puts the flip of "
        "pairs that part at a level beside the time at which that parting is half learned.",
        bridge_figure(curves),
        Words(
            "Flips in four networks",
            "Minus the gradient kernel of the losses of two items over training, averaged over pairs by the level of "
            "their last common ancestor, each curve relative to its largest size; one line a seed. Marks above: the "
            "parting of such pairs is half learned.",
            "Influence by level over training in a linear, a ReLU and a sigmoid network and a transformer.",
        ),
    )


def intervention_extra(
    bar: Bar, settings: LanguageSettings, store: Store | None, plan: Intervention | None = None
) -> Extra:
    """Induction documents weighted more, before or while the circuit forms, against random ones; resumable by run."""
    asked = plan or Intervention()
    runs = intervention_study(asked, settings, bar=bar, store=store)
    told = effects(runs)
    return Extra(
        "intervention",
        "Up-weighting induction documents before, during and after the circuit forms",
        _conclusion(told) + " After the loss of induction tokens is below the level nothing can change when it got "
        "there, so that window has no gain by construction.",
        told,
        f"Gain: steps by which the mean loss of induction tokens falls below {asked.level:g} nat earlier than without "
        f"up-weighting. {asked.share:.0%} of the documents weigh {1 + asked.extra:g} times as much for {asked.length} "
        f"steps; means over those of {asked.seeds} seeds on which the level was reached.",
        arrays=arrays(runs),
    )


def _conclusion(told: pd.DataFrame) -> str:
    rows = told[told["documents"] == "induction - random"].set_index("window")
    parts = []
    for window, row in rows.iterrows():
        gain, error = float(row["gain"]), float(row["± one standard error"])
        # Two-sided 5% of Student's t with so many seeds.
        sure = np.isfinite(error) and abs(gain) > float(t.ppf(0.975, int(row["seeds"]) - 1)) * error
        parts.append(f"{window} it {'does' if sure else 'does not surely'} differ ({gain:+.0f} ± {error:.0f} steps)")
    return f"Induction documents against random ones of equal weight: {'; '.join(parts)}."
