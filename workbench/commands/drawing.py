"""What ``workbench figures`` writes into its directory: figures, their numbers, animations, and a record."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.figures.figure import Illustration, Subject


def write_figures(
    subject: Subject, figures: dict[str, Illustration], folder: Path, args: argparse.Namespace, formats: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Draw into ``folder``; returns the names of the files and what was left out."""
    from workbench.figures.fonts import lacking
    from workbench.figures.reading import names_in
    from workbench.influence import MEASURES
    from workbench.report.directory import MARKER
    from workbench.store.files import write_file

    ds = subject.ds
    chosen = ("source", "target", "size", "dark", "dpi", "only", "measures")
    settings = json.loads(ds.attrs["config"]) | {name: getattr(args, name) for name in chosen}
    settings["formats"] = list(formats)
    facts = {"code_version": str(ds.attrs["code_version"]), "config": settings, "seed": args.seed}
    notes = [
        f"no {measure.short}: it would take minutes for more than {measure.quick_up_to} items"
        for measure in MEASURES.values()
        if 0 < measure.quick_up_to < ds.sizes["item"]
    ]
    notes += filter(None, [lacking(names_in(ds))])
    if "learning_coefficient" in figures:
        subject = _with_chains(subject)
    words: dict[str, dict[str, str]] = {}
    stills = {name: figure for name, figure in figures.items() if figure.film is None}
    with bar("figures", len(stills)) as advance:
        for name, figure in stills.items():
            try:
                _write_figure(figure, subject, folder, facts, formats, args.dpi)
            except WorkbenchError as error:
                notes.append(f"no {name}: {error}")
            else:
                words[name] = asdict(figure.words(subject))
            advance(1)
    for name, figure in figures.items():
        if figure.film is not None:
            _write_film(figure, subject, folder, facts)
            words[name] = asdict(figure.words(subject))
    files = [path.name for path in folder.iterdir()]
    resolved = {"task": ds.attrs["task"], "task_digest": ds.attrs["task_digest"], "gamma": ds.attrs["gamma"]}
    resolved |= {"t_max": float(ds["time"].values[-1]), "code_version": facts["code_version"]}
    config = {"settings": settings, "resolved": resolved, "figures": words}
    write_file(folder / MARKER, json.dumps(config, indent=2) + "\n")
    return [*files, MARKER], notes


def _with_chains(subject: Subject) -> Subject:
    from workbench.figures.complexity import sampled_estimate

    with bar("chains", 1) as advance:
        sampled = sampled_estimate(subject.ds)
        advance(1)
    return replace(subject, sampled=sampled)


def _write_figure(
    figure: Illustration, subject: Subject, folder: Path, facts: dict[str, Any], formats: tuple[str, ...], dpi: int
) -> None:
    from workbench.figures.files import draw
    from workbench.store.files import write_file
    from workbench.store.sheets import sheet

    drawn = draw(figure.draw(subject), facts, formats, figure.words(subject).title, dpi)
    table = figure.table(subject)
    for kind, content in drawn.items():
        write_file(folder / f"{figure.name}.{kind}", content)
    write_file(folder / f"{figure.name}.csv", sheet(table))


def _write_film(figure: Illustration, subject: Subject, folder: Path, facts: dict[str, Any]) -> None:
    from workbench.figures.film_files import write_film
    from workbench.figures.films import FRAMES

    assert figure.film is not None
    with bar(figure.name, FRAMES) as advance:
        film = figure.film(subject, FRAMES)
        write_film(film, folder / f"{figure.name}.mp4", figure.words(subject), facts, advance)
