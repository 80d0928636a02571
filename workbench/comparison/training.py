"""Which network a comparison trains, by which rule, and why it may have no prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.comparison.settings import Settings
from workbench.influence import Work
from workbench.networks import Init, Network, choose_init, network
from workbench.semantics import SemanticTask
from workbench.store import Slot, Store
from workbench.trajectory import Trajectory

if TYPE_CHECKING:
    from workbench.simulation import Recipe, Schedule
    from workbench.simulation.training.optimizers import Optimizer

#: Strength of the map that a network starts from, where nobody says.
_STRENGTH = 0.01


def initial_network(task: SemanticTask, settings: Settings, init: Init) -> Network:
    """The network of the settings at its initial weights."""
    return network(
        task, settings.hidden, init, depth=settings.depth, activation=settings.activation, seed=settings.seed
    )


def init_of(task: SemanticTask, settings: Settings) -> Init:
    """How the network starts; ``auto``: balanced where it is linear, else Gaussian with a map of strength 0.01.

    The map of D Gaussian layers of width N_h and standard deviation sigma has entries of size
    ``sigma^D N_h^{(D-1)/2}`` in the modes.
    """
    if settings.init != "auto" or settings.activation == "linear":
        return choose_init(task, settings.init)
    depth = settings.depth
    sigma = (_STRENGTH / settings.hidden ** ((depth - 1) / 2)) ** (1 / depth)
    return Init("gaussian", float(f"{sigma:.1g}"))


def optimizer_of(settings: Settings) -> Optimizer:
    """The rule of training."""
    from workbench.simulation import Adam, GradientDescent, Momentum

    rules: dict[str, Optimizer] = {"gd": GradientDescent(), "momentum": Momentum(), "adam": Adam()}
    return rules[settings.optimizer]


def recipe_of(settings: Settings, schedule: Schedule) -> Recipe:
    """Schedule, rule and mini-batches of training."""
    from workbench.simulation import Recipe

    return Recipe(schedule, optimizer_of(settings), settings.train_batch, settings.seed)


def plain(settings: Settings) -> bool:
    """Whether training is full-batch gradient descent, whose distance from the flow is known."""
    return settings.optimizer == "gd" and settings.train_batch is None


def train(start: Network, recipe: Recipe, settings: Settings, work: Work, store: Store | None) -> Trajectory:
    """The trained trajectory, from the store as far as it is there."""
    from workbench import simulation

    slot = Slot(store, "train")
    with work.bar("train", recipe.schedule.total) as advance:
        return simulation.train(start, recipe, place=simulation.Place(work.device), progress=advance, slot=slot)


def why_unpredicted(settings: Settings) -> str | None:
    """Why nothing of a comparison is predicted; None where the network follows a gradient flow that theory knows."""
    if settings.activation != "linear":
        return f"{settings.activation} hidden layers have no closed form"
    if settings.optimizer == "adam":
        return "the steps of Adam follow no gradient flow"
    return None


def why_without_error_bar(start: Network, settings: Settings) -> str | None:
    """Why the distance of training from the flow is not known in closed form; None where it is."""
    if settings.optimizer != "gd":
        return f"{settings.optimizer}: the first-order effect of the learning rate is known for gradient descent"
    if settings.train_batch is not None:
        return f"mini-batches of {settings.train_batch} items: their noise is no part of the flow"
    return None
