"""Figures: data in, matplotlib `Figure` out; every one can be made again from the saved dataset alone.

`task`, `mode_strengths`, `loss`, `influence_of_item`, `influence_matrices` and `agreement` show what a dataset holds;
the others draw what the closed forms say about the network that a dataset describes. A dataset comes from
`workbench compare`, or from `prediction`, which needs no simulation.
"""

from workbench.comparison.prediction import prediction
from workbench.figures.agreement import agreement
from workbench.figures.anatomy import sign_flip_anatomy
from workbench.figures.complexity import learning_coefficient
from workbench.figures.files import Rendered, render, save
from workbench.figures.film_files import write_film
from workbench.figures.films import films
from workbench.figures.gallery import Illustration, all_figures
from workbench.figures.hidden import hidden_trajectories
from workbench.figures.influence import influence_of_item
from workbench.figures.learning import loss, mode_strengths
from workbench.figures.matrices import influence_matrices
from workbench.figures.modes import singular_modes
from workbench.figures.phases import phase_decomposition
from workbench.figures.style import COLUMN, PAGE, SLIDE, Style, dark
from workbench.figures.task import task
from workbench.figures.teaching import teaching_figures
from workbench.figures.timing import measures_compared
from workbench.figures.validity import local_posterior_validity

__all__ = [
    "COLUMN",
    "PAGE",
    "SLIDE",
    "Illustration",
    "Rendered",
    "Style",
    "agreement",
    "all_figures",
    "dark",
    "films",
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
    "teaching_figures",
    "write_film",
]
