"""Every figure there is: a file in this package that ends with ``FIGURES``, and its line here."""

from __future__ import annotations

from importlib import import_module

from workbench.errors import WorkbenchError
from workbench.figures.figure import Illustration

#: In the order of lists, reports and the gallery.
FILES = (
    "task",
    "modes",
    "learning",
    "hidden",
    "influence",
    "anatomy",
    "matrices",
    "agreement",
    "validity",
    "timing",
    "depth",
    "phases",
    "complexity",
    "films",
)

#: By name.
FIGURES: dict[str, Illustration] = {
    figure.name: figure for file in FILES for figure in import_module(f"workbench.figures.{file}").FIGURES
}


def figure_set(name: str) -> dict[str, Illustration]:
    """The figures that belong to a set, by name."""
    members = {key: figure for key, figure in FIGURES.items() if name in figure.sets}
    if not members:
        known = ", ".join(sorted({one for figure in FIGURES.values() for one in figure.sets}))
        raise WorkbenchError(f"no figure belongs to the set {name!r}; the sets are {known}")
    return members
