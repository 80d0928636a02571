"""What the explorer says about itself: introduction, help on every control and symbol, presets, a tour."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.explorer.state import OPTIONS, ExplorerState

TITLE = "How one item's influence on another changes while a network learns"
INTRODUCTION = (
    "A network learns which properties belong to which items, one distinction (mode) after another. If one item "
    "weighed a little more, would the loss of another fall (help, below 0) or rise (harm, above 0)? <b>Lines are "
    "theory</b>, at once; <b>circles a network really trained</b>, when the hand rests. Press play, take a preset, or "
    "take the tour."
)

#: What each control sets, its unit, and what to try.
CONTROLS = {
    "kind": "What is learned: a tree of items, a random tree-like world, the 8 items of Rumelhart, or your own table.",
    "branching": "Children of every node, level by level: 2,2,2 makes 8 items. Try 3,2 or 4,4.",
    "flip": "How often a property changes from parent to child (probability). Near 0.5 the tree is lost.",
    "upload": "A CSV file: one row an item, one column a property, numbers in the cells.",
    "prepare": "Take the mean from every property (centred), or scale it to variance 1 too. Centred, items "
    "across the first split only ever help each other.",
    "depth": "Weight layers D. At 1 items have no influence on each other; more layers wait longer and rise sharper.",
    "hidden": "Units of the hidden layers. With fewer than there are modes the last ones are never learned.",
    "a0": "Strength of every mode at the start (weight to the power D). Small: rich, in stages. Large: lazy, at once.",
    "start": "First weights: aligned with the modes, where formulas hold mode by mode, or random, of the same strength "
    "on average; lines are then the flow, integrated. The seed chooses them.",
    "lam": "Second layer's squared weight minus the first's (weight²), at depth 2. Far from 0: lazy.",
    "eta": "Step of the simulated training (flow time per step). Theory has none: large ones leave it, and diverge.",
    "activation": "Of the simulated network's hidden layers, from the same first weights. Lines stay those of the "
    "linear network: see how far its theory reaches.",
    "seed": "Of everything random: hidden units' orientation, samplers, random starts. Lines depend on the last alone.",
    "measure": "What is meant by influence. Gradient kernel: of one step. Leave-one-out: of never having seen an item.",
    "source": "The item i that would weigh more.",
    "targets": "The items j whose loss is looked at; hold Ctrl to choose several.",
    "time": "Flow time t: step size times number of steps. Arrow keys and dragging in the panels move it too.",
    "panels": "Which panels are shown; hold Ctrl to choose several.",
    **{name: f"{option.help.partition(';')[0].capitalize()} ({option.unit})." for name, option in OPTIONS.items()},
}

#: Symbols of the formula and the panels.
SYMBOLS = {
    "aₖ": "strength of mode k, the product of its weights in all layers (weightᴰ)",
    "sₖ": "singular value of mode k: how strongly it stands in the data; c: scale of the inputs; aₖ ends at sₖ/c",
    "eₖ": "what is still missing of mode k, sₖ − c aₖ",
    "v<sub>ki</sub>": "how much of mode k is in item i; H<sup>k</sup><sub>ij</sub> = v<sub>ki</sub> v<sub>kj</sub> "
    "is what items i and j share of it",
    "I<sub>ij</sub>": "influence of item i on item j: change of the loss of j per extra weight on i; below 0 helps, "
    "above harms",
    "level m": "the modes that tell the branches of the m-th split apart; level 0 is what all items have in common",
    "dashes": "times at which a mode is half learned; the solid upright line is the time that is shown",
    "circles": "simulation; faded while they belong to an earlier setting; upright bars: 2 standard errors",
    "grey diagonal": "influence of an item on itself, far larger than the rest, is left out of the matrix",
}


@dataclass(frozen=True)
class Preset:
    """A state worth looking at.

    Attributes:
        name: on the menu. text: what to see there. state: the state.
    """

    name: str
    text: str
    state: ExplorerState


#: Values on the steps of their sliders, which a browser would otherwise show beside them.
_LAZY, _COARSE = 10**-0.52, 0.001 * 20 ** (159 / 65)
_RICH = ExplorerState(a0=0.001)
PRESETS = (
    Preset(
        "rich and lazy",
        "From a small start (kept, faded) the modes wait and rise one by one, and influence changes sign; from a large "
        "one they rise together.",
        ExplorerState(a0=_LAZY, kept=(_RICH.query(),), time=4.0),
    ),
    Preset(
        "why siblings harm",
        "Cat and dog help each other while the network learns what animals share. Then dog is what it must not say of "
        "the cat: they look alike inside (A > 0) but are wrong in opposite ways (E < 0), and a step on one harms the "
        "other.",
        ExplorerState(panels=("tree", "strengths", "factors", "influence", "matrix"), time=12.0, targets=("cat",)),
    ),
    Preset(
        "depth 1: no influence between items",
        "One layer and one-hot items: every item has weights of its own, so that no item changes another, exactly.",
        ExplorerState(depth=1, time=4.0),
    ),
    Preset(
        "centred data",
        "Without the mean, dog and oak are unlike inside and wrong in opposite ways: two minus signs, so across the "
        "first split items only ever help. Within a branch help still turns to harm.",
        ExplorerState(prepare="centred", time=4.0, targets=("cat", "robin", "oak")),
    ),
    Preset(
        "too few hidden units",
        "Three units for eight modes: the network learns the three strongest, and no more.",
        ExplorerState(hidden=3, time=20.0),
    ),
    Preset(
        "a step too large",
        "Training in steps of 1.52 leaves the flow, which has none; from 2 over the largest curvature, here 2.07, it "
        "cannot settle: try 2.5.",
        ExplorerState(eta=_COARSE, time=6.0),
    ),
)


@dataclass(frozen=True)
class Stop:
    """A stop of the tour: where, what to see, and what to try."""

    title: str
    text: str
    state: ExplorerState


TOUR = (
    Stop(
        "The network learns in stages",
        "Top middle: each curve is the strength of one level of the tree. What all items share comes first, then "
        "animals against plants, then birds against mammals, last the single animals. Dashes mark half-way times; the "
        "loss falls in steps there. Press play, or drag in the curves.",
        ExplorerState(time=0.0),
    ),
    Stop(
        "Early on everybody helps",
        "Below: what a little more weight on dog does to the loss of each other item. At this time only what all share "
        "is being learned, and every curve is below 0: a step on dog helps even the oak.",
        ExplorerState(time=3.0, targets=("cat", "robin", "oak")),
    ),
    Stop(
        "Then help turns into harm, from far to near",
        "As a split is learned, its two sides begin to harm each other: first the plants, then the birds, last the "
        "cat. The matrix on the right shows all pairs at once: blue helps, orange harms.",
        ExplorerState(time=8.0, targets=("cat", "robin", "oak")),
    ),
    Stop(
        "Why: two factors",
        "Influence is minus the product of two curves: A, do the items look alike inside the network, and E, is it "
        "wrong about them in the same way. The sign of influence turns where one of them crosses 0.",
        ExplorerState(panels=("tree", "strengths", "factors", "influence", "matrix"), time=10.2, targets=("cat",)),
    ),
    Stop(
        "Rich or lazy is a matter of the start",
        "A start of 0.3 instead of 0.01 (kept, faded): no waiting, no stages, and hardly any change of sign. Move the "
        "initial scale and see; reset brings back the beginning.",
        ExplorerState(a0=_LAZY, kept=(ExplorerState().query(),), time=3.0, targets=("cat", "robin", "oak")),
    ),
)


def symbols_table() -> str:
    """The symbols as HTML."""
    rows = "".join(f"<tr><th scope='row'>{symbol}</th><td>{meaning}</td></tr>" for symbol, meaning in SYMBOLS.items())
    return f"<h2>Symbols</h2><table>{rows}</table>"
