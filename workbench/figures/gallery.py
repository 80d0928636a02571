"""Every figure there is, as a list for the terminal and as a page with images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.comparison.prediction import prediction
from workbench.figures.figure import Illustration, Subject
from workbench.figures.files import draw
from workbench.figures.registry import FIGURES
from workbench.influence import DEFAULT_MEASURES
from workbench.semantics import Hierarchy

#: Dots per inch of the images: sharp at the width of a page, and small.
DPI = 90

_INTRODUCTION = """\
# Gallery

Every figure that `workbench` draws, of the default tree; `workbench figures --gallery docs/gallery` makes this page.
All of them take any task (`--task my_table.csv`), come as column, page or slide (`--size`), light or dark (`--dark`),
and leave their numbers beside them as CSV. In Python: `FIGURES["loss"].draw(Subject(ds))`, with `FIGURES`, `Subject`
and `prediction` from `workbench.figures`.
"""


def listing() -> str:
    """A line a figure: its name, the sets it belongs to, and what it is for."""
    width = max(map(len, FIGURES)) + 2
    lines = [f"{name:<{width}}{', '.join(figure.sets):<17}{figure.purpose}" for name, figure in FIGURES.items()]
    return "\n".join([f"{'name':<{width}}{'set':<17}what it is for", *lines])


def call_of(figure: Illustration) -> str:
    """The command that makes a figure."""
    if needs_no_comparison(figure):
        return f"workbench figures --only {figure.name} --out DIR"
    return "workbench compare --out DIR"


def shown_figures() -> dict[str, Illustration]:
    """The figures that a prediction alone can show; the others need a comparison."""
    return {name: figure for name, figure in FIGURES.items() if needs_no_comparison(figure)}


def needs_no_comparison(figure: Illustration) -> bool:
    """Whether theory alone draws it: all but those that only stand beside a comparison."""
    return set(figure.sets) != {"report"}


def page(subject: Subject) -> str:
    """The gallery in Markdown."""
    entries = []
    for name, figure in FIGURES.items():
        words = figure.words(subject)
        image = f"![{words.alt}]({name}.png)\n\n" if name in shown_figures() else ""
        purpose = figure.purpose[0].upper() + figure.purpose[1:]
        entries.append(f"## {name}\n\n{purpose}.\n\n{image}{words.caption}\n\n    {call_of(figure)}\n")
    return "\n".join([_INTRODUCTION, *entries])


def example() -> Subject:
    """What the gallery shows: the default tree."""
    return Subject(prediction(Hierarchy((2, 2, 2)).indicator_task()), only=DEFAULT_MEASURES)


def write_gallery(folder: Path, advance: Callable[[int], Any] = lambda n: None) -> Path:
    """Write ``README.md`` and the images; returns the page."""
    subject = example()
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in shown_figures().items():
        (folder / f"{name}.png").write_bytes(draw(figure.draw(subject), {}, ("png",), dpi=DPI)["png"])
        advance(1)
    written = folder / "README.md"
    written.write_text(page(subject), encoding="utf-8")
    return written
