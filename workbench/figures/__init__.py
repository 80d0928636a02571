"""Figures: data in, matplotlib `Figure` out; every one can be made again from the saved dataset alone.

`FIGURES` holds every one by name, with its words and its numbers; ``FIGURES["loss"].draw(Subject(ds))`` draws it, and
so does the function of its name. A dataset comes from `workbench compare`, or from `prediction`, which needs no
simulation.
"""

from workbench.comparison.prediction import prediction
from workbench.figures.agreement import agreement
from workbench.figures.anatomy import sign_flip_anatomy
from workbench.figures.complexity import learning_coefficient
from workbench.figures.figure import Illustration, Subject, Words
from workbench.figures.files import Rendered, render, save
from workbench.figures.film_files import write_film
from workbench.figures.hidden import hidden_trajectories
from workbench.figures.influence import influence_of_item
from workbench.figures.learning import loss, mode_strengths
from workbench.figures.matrices import influence_matrices
from workbench.figures.modes import singular_modes
from workbench.figures.phases import phase_decomposition
from workbench.figures.registry import FIGURES, figure_set
from workbench.figures.style import COLUMN, PAGE, SLIDE, Style, dark
from workbench.figures.task import task
from workbench.figures.timing import measures_compared
from workbench.figures.validity import local_posterior_validity

__all__ = [
    "COLUMN",
    "FIGURES",
    "PAGE",
    "SLIDE",
    "Illustration",
    "Rendered",
    "Style",
    "Subject",
    "Words",
    "agreement",
    "dark",
    "figure_set",
    "hidden_trajectories",
    "influence_matrices",
    "influence_of_item",
    "learning_coefficient",
    "local_posterior_validity",
    "loss",
    "measures_compared",
    "mode_strengths",
    "phase_decomposition",
    "prediction",
    "render",
    "save",
    "sign_flip_anatomy",
    "singular_modes",
    "task",
    "write_film",
]
