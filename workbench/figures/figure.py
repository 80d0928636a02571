"""`Illustration`: one kind of figure with everything that belongs to it, and `Subject`: what it is drawn of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from string import Formatter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from workbench.errors import WorkbenchError
from workbench.figures.arrangement import arrange
from workbench.figures.reading import Measure, measures, stages, text
from workbench.figures.style import PAGE, Style

if TYPE_CHECKING:
    from workbench.figures.films import Film


@dataclass(frozen=True, eq=False)
class Subject:
    """What figures are drawn of, and how they are to look.

    Attributes:
        ds: from `workbench.figures.prediction`, or from a comparison.
        source: item whose influence is shown; the first unless given.
        target: the other item of a pair; the one whose sign changes most clearly unless given.
        style: size and theme.
        only: measures to draw; every one in the dataset unless given.
        sampled: estimates of the learning coefficient by chains, from `complexity.sampled_estimate`.

    Raises:
        WorkbenchError: if an item is not in the dataset, or source and target are the same.
    """

    ds: xr.Dataset
    source: str | None = None
    target: str | None = None
    style: Style = PAGE
    only: tuple[str, ...] | None = None
    sampled: xr.Dataset | None = None

    def __post_init__(self) -> None:
        names = self.items
        for name in (self.source, self.target):
            if name is not None and name not in names:
                some = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
                raise WorkbenchError(f"no item is called {name!r}; the items are {some}")
        if self.source is not None and self.source == self.target:
            raise WorkbenchError(f"source and target are both {self.source!r}; give two different items")

    @property
    def items(self) -> list[str]:
        """Names of the items."""
        return [str(name) for name in self.ds["source"].values]

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The measures to draw, the plainest first; all there are if none of ``only`` is in the dataset."""
        present = measures(self.ds)
        wanted = tuple(m for m in present if self.only is None or m.name in self.only)
        return wanted or present

    @property
    def i(self) -> int:
        """Index of the source."""
        if self.source is not None:
            return self.items.index(self.source)
        return int(self.items[0] == self.target)

    @cached_property
    def j(self) -> int:
        """Index of the target.

        Unless it is named, the one whose sign changes most clearly: the smaller of the largest help and the largest
        harm over time, by the first measure, is largest.
        """
        if self.target is not None:
            return self.items.index(self.target)
        influence = np.nan_to_num(measures(self.ds)[0].sides[0][1][:, self.i])
        clear = np.minimum(-influence.min(axis=0), influence.max(axis=0))
        clear[self.i] = -np.inf
        # Equal by symmetry up to rounding: the first of them.
        return int(np.flatnonzero(clear >= clear.max() - 1e-9 * abs(clear.max()))[0])


@dataclass(frozen=True)
class Words:
    """What stands beside a drawn figure: title, caption, and a description for those who cannot see it."""

    title: str
    caption: str
    alt: str


@dataclass(frozen=True, eq=False)
class Illustration:
    """A figure: what it is for, its words, how it is drawn, and the numbers in it.

    ``title``, ``caption`` and ``alt`` may name what they speak of in braces: ``{source}``, ``{target}``, ``{pair}``,
    ``{task}``, ``{size}``, ``{order}``, ``{stages}``, ``{measures}``; ``facts`` adds names of its own.

    Attributes:
        name: of the file, and in `FIGURES`.
        purpose: what it is for, in a line, for the list and the gallery.
        sets: those it belongs to: "report" (beside every comparison), "lecture" (`workbench figures`).
        film: for an animation, makes it with so many frames; ``draw`` then gives its last frame.
        two_layers: whether its formulas are those of two layers alone.
    """

    name: str
    purpose: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Subject], Figure]
    table: Callable[[Subject], pd.DataFrame]
    sets: tuple[str, ...] = ("lecture",)
    facts: dict[str, Callable[[Subject], str]] = field(default_factory=dict)
    film: Callable[[Subject, int], Film] | None = None
    two_layers: bool = False

    def words(self, subject: Subject) -> Words:
        """Title, caption and description of the figure of ``subject``."""
        known = _FACTS | self.facts
        return Words(*(_filled(template, known, subject) for template in (self.title, self.caption, self.alt)))


def _filled(template: str, known: dict[str, Callable[[Subject], str]], subject: Subject) -> str:
    named = [name for _, name, _, _ in Formatter().parse(template) if name]
    return template.format(**{name: known[name](subject) for name in named})


def _pair(subject: Subject) -> str:
    return " and ".join(text(subject.items[k], among=subject.items) for k in (subject.i, subject.j)).replace(r"\$", "$")


def _stages(subject: Subject) -> str:
    return ", ".join(f"{group.label} at t = {group.half_rise:.3g}" for group in stages(subject.ds)[:8]) or "none"


_FACTS: dict[str, Callable[[Subject], str]] = {
    "source": lambda s: s.items[s.i],
    "target": lambda s: s.items[s.j],
    "pair": _pair,
    "task": lambda s: str(s.ds.attrs.get("task", "the task")),
    "size": lambda s: f"{s.ds.sizes['item']} items and {s.ds.sizes['property']} properties",
    "order": lambda s: (
        "the tree its items hang on" if arrange(s.ds).kind == "tree" else "a hierarchical clustering of its items"
    ),
    "stages": _stages,
    "measures": lambda s: ", ".join(measure.title for measure in s.measures),
}
