"""Every closed form of the package by name, built only when asked for.

Forms that depend on a tree are named by the level they belong to (``tree_kernel_m1``), those that depend on the number
of layers by that number (``mode_time_depth_5``): any depth may be asked for, the usual ones are listed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby

from workbench.errors import WorkbenchError
from workbench.semantics.hierarchy import Hierarchy
from workbench.theory.closed_form import ClosedForm
from workbench.theory.forms import BY_DEPTH, BY_LEVEL, FIXED, SPECTRA

_FAMILIES = ("Spectra of hierarchies", *FIXED)


@dataclass(frozen=True)
class Entry:
    """A closed form that can be built.

    Attributes:
        name: what `workbench derive` calls it.
        title: one line.
        family: what it belongs to.
        build: makes it (cached by the form's own function).
    """

    name: str
    title: str
    family: str
    build: Callable[[], ClosedForm]


def catalogue(hierarchy: Hierarchy | None = None) -> dict[str, Entry]:
    """All entries by name; those on a tree for ``hierarchy``, (2, 2, 2) unless given. Builds nothing."""
    tree = hierarchy or Hierarchy((2, 2, 2))
    return {entry.name: entry for entry in (*_spectra(tree), *_fixed(), *_at_depth(), *_on_tree(tree))}


def find(name: str, hierarchy: Hierarchy | None = None) -> Entry:
    """The entry called ``name``, of any depth; a `WorkbenchError` lists near names if there is none."""
    known = catalogue(hierarchy)
    if name in known:
        return known[name]
    parts = re.fullmatch(r"(.*_)(\d+)", name)
    if parts and parts[1] in BY_DEPTH:
        low, high = BY_DEPTH[parts[1]][2:4]
        if int(parts[2]) < low or (high is not None and int(parts[2]) > high) or int(parts[2]) > 12:
            raise WorkbenchError(f"{parts[1]}D is derived for D = {low} to {high or 12}; got {parts[2]}")
        return _deep(parts[1], int(parts[2]))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or list(known)[:3]
    raise WorkbenchError(
        f"no closed form is called {name!r}; did you mean {', '.join(near)}? workbench derive --list shows all"
    )


def derivation(name: str, hierarchy: Hierarchy | None = None) -> ClosedForm:
    """The closed form called ``name`` with its derivation, as `workbench derive NAME` shows it.

    >>> derivation("half_rise_time").title
    'Half-rise time of a mode'
    """
    return find(name, hierarchy).build()


def listing(hierarchy: Hierarchy | None = None) -> str:
    """Names and titles by family, for a terminal."""
    entries = sorted(catalogue(hierarchy).values(), key=lambda entry: list(_FAMILIES).index(entry.family))
    width = max(len(entry.name) for entry in entries)
    blocks = [
        "\n".join([family, *(f"  {entry.name:<{width}}  {entry.title}" for entry in members)])
        for family, members in groupby(entries, key=lambda entry: entry.family)
    ]
    return "\n\n".join(blocks)


def _call(module: str, function: str, *arguments: object) -> Callable[[], ClosedForm]:
    def build() -> ClosedForm:
        made: ClosedForm = getattr(import_module(f"workbench.theory.{module}"), function)(*arguments)
        return made

    return build


def _fixed() -> Iterator[Entry]:
    for family, forms in FIXED.items():
        for name, (module, function, title) in forms.items():
            yield Entry(name, title, family, _call(module, function))


def _deep(prefix: str, depth: int) -> Entry:
    module, function, *_, title = BY_DEPTH[prefix]
    arguments = (depth, -1) if "negative" in prefix else (depth,)
    families = {"influence.gradient_kernel": "Influence", "modes.depth": "Mode dynamics"}
    family = families.get(module, "Influence at any depth")
    return Entry(f"{prefix}{depth}", title.format(depth), family, _call(module, function, *arguments))


def _at_depth() -> Iterator[Entry]:
    for prefix, (*_, listed, _title) in BY_DEPTH.items():
        for depth in listed:
            yield _deep(prefix, depth)


def _on_tree(tree: Hierarchy) -> Iterator[Entry]:
    for prefix, (module, function, self_too, title) in BY_LEVEL.items():
        for m in range(tree.depth + self_too):
            yield Entry(f"{prefix}{m}", title.format(m), "Influence", _call(module, function, tree.cover, m))


def _spectra(tree: Hierarchy) -> Iterator[Entry]:
    for prefix, (kind, title) in SPECTRA.items():
        for k in range(tree.depth + 1):

            def build(kind: str = kind, k: int = k) -> ClosedForm:
                from workbench.theory.modes.spectrum import hierarchy_spectrum

                return hierarchy_spectrum(tree, kind).eigenvalues[k]

            yield Entry(f"{prefix}{k}", title.format(k), "Spectra of hierarchies", build)
