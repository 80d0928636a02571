"""The set for a lecture or a paper: twelve figures of one task, each with its words and its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from workbench.figures import (
    anatomy,
    complexity,
    hidden,
    influence,
    learning,
    matrices,
    phases,
    tables,
    timing,
    validity,
)
from workbench.figures import modes as singular
from workbench.figures.arrangement import arrange
from workbench.figures.reading import stages, text
from workbench.figures.style import PAGE, Style
from workbench.figures.task import task

#: The three measures of the influence figures.
THREE = ("gradient_kernel", "local_bif", "leave_one_out")


@dataclass(frozen=True)
class Plate:
    """A figure that is drawn when asked for, the numbers in it, and the words that go with it."""

    title: str
    caption: str
    alt: str
    figure: Callable[[], Figure]
    table: Callable[[], pd.DataFrame]


def teaching_figures(
    ds: xr.Dataset,
    *,
    source: str | None = None,
    target: str | None = None,
    style: Style = PAGE,
    sampled: xr.Dataset | None = None,
) -> dict[str, Plate]:
    """The twelve figures by file name.

    Args:
        ds: from `prediction`, or from a comparison with an aligned start.
        source: item whose influence is shown; the first unless given.
        target: the other item of the pair; the one whose sign changes most clearly unless given.
        style: size and theme.
        sampled: estimates of the learning coefficient by chains, from `complexity.sampled_estimate`.

    Raises:
        WorkbenchError: if an item is not in the dataset, or source and target are the same.
    """
    i, j = anatomy.pair_of(ds, source, target)
    one, other = (str(ds["source"].values[k]) for k in (i, j))
    pair = f"{text(one)} and {text(other)}".replace(r"\$", "$")
    few = three_measures(ds)
    tree = arrange(ds).kind == "tree"
    order = "the tree its items hang on" if tree else "a hierarchical clustering of its items"
    learned = ", ".join(f"{group.label} at t = {group.half_rise:.3g}" for group in stages(ds)[:8]) or "none"
    size = f"{ds.sizes['item']} items and {ds.sizes['property']} properties"
    return {
        "task": Plate(
            "The task",
            f"The matrix to be learned, {order}, and its singular modes: item vectors right, property vectors below, "
            "singular values at the lower right. In the vectors blue is negative, orange positive.",
            f"Matrix of {size}, with {order} and heat strips of its singular modes.",
            lambda: task(ds, style),
            lambda: tables.task_table(ds),
        ),
        "singular_modes": Plate(
            "What each mode adds",
            "Top: item vectors of each group of modes, a bar an item. Middle: the part of the table that the group "
            "carries. Bottom: the sum so far, which is what the network knows when the stage is over. Within a level "
            "of the tree only the part, not the single vectors, is determined by the data.",
            "Bars of the item vectors, and matrices of what each group of modes adds to the table.",
            lambda: singular.singular_modes(ds, style),
            lambda: singular.singular_modes_data(ds),
        ),
        "mode_strengths": Plate(
            "Progressive differentiation",
            "Strength of each mode over time. The broad distinctions are learned first, the fine ones last; each in "
            "a sigmoid of its own. Below, simulation against prediction where there is one.",
            f"Sigmoid curves of the mode strengths; half learned: {learned}.",
            lambda: learning.mode_strengths(ds, style),
            lambda: tables.strength_table(ds),
        ),
        "loss": Plate(
            "The staircase of the loss",
            "Mean loss over the items. Every step down is a mode being learned; grey marks: half learned.",
            f"Falling staircase of the mean loss; stages half learned: {learned}.",
            lambda: learning.loss(ds, style),
            lambda: tables.loss_table(ds),
        ),
        "hidden_trajectories": Plate(
            "Paths of the hidden representations",
            "Left: representations of all items at all times, by one classical scaling of their joint distances, "
            "projected so that all branches are seen (in brackets: how much of the squared distances the page "
            "shows). Circles: branch points, where the distance between the branches has reached a quarter of its last "
            "value; grey lines join their centres. Right: true distances from one item to each; dotted: its branch "
            "points, grey: stages half learned.",
            "Map on which the paths of the items start together and part branch by branch, and their distances.",
            lambda: hidden.hidden_trajectories(ds, style),
            lambda: hidden.hidden_trajectories_data(ds),
        ),
        "influence_of_item": Plate(
            f"Influence of {one}",
            f"What more weight on {one} does to the loss of the other items, over time, by each measure in its own "
            "unit. Below zero it helps, above zero it harms.",
            f"Influence of {one} on the other items over flow time, by up to three measures.",
            lambda: influence.influence_of_item(few, one, style),
            lambda: tables.influence_table(few, i),
        ),
        "sign_flip_anatomy": Plate(
            "Why the sign changes",
            f"The gradient kernel of {pair} is a product of two factors: how alike the items are to the second layer "
            "(A), and whether their errors point the same way (E). A stays positive; E changes sign when what the "
            "items share is learned and what tells them apart is not yet. Dashed: sign changes; grey: stages.",
            f"Two factors of the kernel of {pair} over time, and their product.",
            lambda: anatomy.sign_flip_anatomy(ds, one, other, style),
            lambda: anatomy.sign_flip_anatomy_data(ds, one, other),
        ),
        "influence_matrices": Plate(
            "Influence at each stage",
            "Influence of every item (row) on every other (column) when each stage is half learned. Blue helps, orange "
            "harms. One colour scale a measure, set by the entries off the diagonal; the diagonal is left grey.",
            f"Matrices of influence between {ds.sizes['item']} items at the stages of learning.",
            lambda: matrices.influence_matrices(few, style),
            lambda: tables.matrix_table(few, matrices.MAX_STAGES),
        ),
        "local_posterior_validity": Plate(
            "Where the local posterior is a posterior",
            "Above: the smallest curvature of the loss at the checkpoint is negative until everything is learned, and "
            "bounded by the largest residual (met where hidden units are idle). Below: the localization "
            "gamma per n beta that outweighs it. Under the full line there is no local Gaussian; "
            f"{validity.AMPLE:g} times that keeps the second-order prediction of the BIF within about 1% of exact "
            "sampling on the 8-item tree.",
            "Smallest curvature over time, and the localization needed on a logarithmic scale.",
            lambda: validity.local_posterior_validity(ds, style),
            lambda: validity.local_posterior_validity_data(ds),
        ),
        "measures_compared": Plate(
            "When measures disagree",
            f"{one} on {other} by each measure. The kernel asks what one step does now. The derivative adds up all "
            "steps so far as the later ones carry them along, so that help given early outlasts the moment the "
            "kernel turns, and learning it sooner means less to gain later. Leave-one-out asks the same of a whole "
            "item, which is no small change: without it a stage comes later, and the curve with it. The BIF weighs "
            "directions by 1 / (n beta curvature + gamma), most where the loss still falls away, so it is ahead of "
            "the kernel; late, when gradients are gone, its second-order term decides the sign.",
            f"Curves of the influence of {one} on {other} by each measure, and the times of their peaks.",
            lambda: timing.measures_compared(ds, one, other, style),
            lambda: timing.measures_compared_data(ds, one, other),
        ),
        "phase_decomposition": Plate(
            "Is the peak a change of phase?",
            "Exact posterior of one mode as data accumulate (n beta relative to the low-temperature "
            "transition), localised at 0 with gamma (s/c)^(2/D) = 30. The variance of its loss is split into what "
            "varies within each phase and what the mixture of phases adds. Two layers have one minimum: the peak is "
            "not where the phases weigh the same. Three layers have two, and it is.",
            "Masses of two phases and the variance split into within and between phases, for two and three layers.",
            lambda: phases.phase_decomposition(style),
            lambda: phases.phase_decomposition_data(ds),
        ),
        "learning_coefficient": Plate(
            "Learning coefficient over training",
            "Rank reached; exact learning coefficient of a true map of that rank (Aoyagi 2024), which is not a "
            "property of a checkpoint on the way, no minimum of its loss; and the local estimate around the "
            "checkpoint, predicted by a Gaussian (lines) and, where they are shown, by Langevin chains (points, with a "
            "step-size bias of about 2.5%). It sees only curvatures above gamma / (n beta) and is negative "
            "where the loss falls away. With the least ample gamma it approaches the exact value at the end.",
            "Steps of rank and learning coefficient over time, and the rising local estimate.",
            lambda: complexity.learning_coefficient(ds, style, sampled),
            lambda: complexity.learning_coefficient_data(ds, sampled),
        ),
    }


def three_measures(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with no other measures than `THREE`, where it has one of them."""
    pairwise = [str(name) for name in ds.data_vars if {"time", "source", "target"} <= set(ds[name].dims)]
    kept = [name for name in pairwise if any(name.startswith(f"{measure}_") for measure in THREE)]
    return ds.drop_vars(np.setdiff1d(pairwise, kept).tolist()) if kept else ds
