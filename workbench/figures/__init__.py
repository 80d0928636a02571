"""Figures: data in, matplotlib `Figure` out; every one can be made again from the saved dataset alone."""

from workbench.figures.agreement import agreement
from workbench.figures.gallery import Illustration, all_figures
from workbench.figures.influence import influence_of_item
from workbench.figures.learning import loss, mode_strengths
from workbench.figures.matrices import influence_matrices
from workbench.figures.style import COLUMN, PAGE, SLIDE, Rendered, Style, dark, render, save
from workbench.figures.task import task

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
    "influence_matrices",
    "influence_of_item",
    "loss",
    "mode_strengths",
    "render",
    "save",
    "task",
]
