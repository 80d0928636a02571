"""All figures of a comparison, each with the words that go with it."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr
from matplotlib.figure import Figure

from workbench.figures.agreement import agreement
from workbench.figures.arrangement import arrange
from workbench.figures.influence import influence_of_item
from workbench.figures.learning import loss, mode_strengths
from workbench.figures.matrices import influence_matrices
from workbench.figures.reading import measures, stages
from workbench.figures.style import PAGE, Style
from workbench.figures.task import task


@dataclass(frozen=True)
class Illustration:
    """A figure with its title, its caption, and a description for those who cannot see it."""

    image: Figure
    title: str
    caption: str
    alt: str


def all_figures(ds: xr.Dataset, *, source: str | None = None, style: Style = PAGE) -> dict[str, Illustration]:
    """The six figures of a comparison by file name; ``source`` is the item whose influence is shown."""
    name = str(ds.attrs.get("task", "the task"))
    item = str(ds["source"].values[0]) if source is None else source
    items, properties = ds.sizes["item"], ds.sizes["property"]
    found = ", ".join(measure.title for measure in measures(ds))
    clustered = arrange(ds).kind == "clustering"
    order = "a hierarchical clustering of its items" if clustered else "the tree its items hang on"
    learned = ", ".join(f"{group.label} at t = {group.half_rise:.3g}" for group in stages(ds)[:8])
    return {
        "task": Illustration(
            task(ds, style),
            "The task and its modes",
            f"The matrix to be learned, {order}, and its singular modes: item vectors to the right, property "
            "vectors below, singular values at the lower right. In the vectors blue is negative, orange "
            "positive. A linear network learns the modes one after another, the strongest first.",
            f"Matrix of {items} items by {properties} properties of {name}, with {order} and heat strips of "
            "its singular modes.",
        ),
        "mode_strengths": Illustration(
            mode_strengths(ds, style),
            "Mode strengths",
            "Strength of each mode over time: predicted (lines) and simulated (points). Below, "
            "their difference relative to the prediction. Modes of one level of the tree share a line.",
            "Sigmoid curves of the mode strengths over flow time, predicted and simulated, and their "
            "relative difference.",
        ),
        "loss": Illustration(
            loss(ds, style),
            "Loss",
            "Mean loss over the items: predicted (line) and simulated (points). Grey marks: the time at "
            "which each stage is half learned.",
            f"Falling staircase of the mean loss; stages half learned: {learned or 'none'}.",
        ),
        "influence_of_item": Illustration(
            influence_of_item(ds, item, style),
            f"Influence of {item}",
            f"What more weight on {item} does to the loss of the other items, over time, by each measure. "
            "Below zero it helps, above zero it harms. Lines are predicted, points simulated; bars are two "
            "standard errors where the simulation draws samples. Grey vertical lines: stages half learned.",
            f"Influence of {item} on the other items over flow time; measures: {found}.",
        ),
        "influence_matrices": Illustration(
            influence_matrices(ds, style),
            "Influence at the stages",
            "Influence of every item (row) on every other (column) when each stage is half learned, "
            "prediction above simulation. Blue helps, orange harms. One colour scale a measure, set by the "
            "entries off the diagonal; the diagonal, an item's far larger influence on itself, is left grey.",
            f"Matrices of influence between {items} items at the stages of learning; measures: {found}.",
        ),
        "agreement": Illustration(
            agreement(ds, style),
            "Agreement",
            "Where the simulation draws samples: its deviations from the prediction in standard errors, "
            "against what chance alone would give (on the line: no more than chance; steeper: a real "
            "difference). Then, for each measure, the root mean square difference over one group of pairs, "
            "relative to the largest predicted root mean square of those pairs over time.",
            f"Quantile plot of deviations and curves of relative errors over flow time; measures: {found}.",
        ),
    }
