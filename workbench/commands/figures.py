"""``workbench figures``: the set of figures for a lecture or a paper."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help, auto, bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import xarray as xr

    from workbench.figures.style import Style

_FIGURES = """\
Draw twelve figures and two animations of one task, for a slide or a paper.

what comes out, in DIR
  task, singular_modes                     what is to be learned, and what each mode adds to it
  mode_strengths, loss                     progressive differentiation, the staircase of the loss
  hidden_trajectories                      how the items part inside the network, with branch points
  influence_of_item, influence_matrices    who helps and harms whom, when
  sign_flip_anatomy                        why the sign of an influence changes: its two factors
  local_posterior_validity                 where a local posterior exists, and the localization it needs
  measures_compared                        why measures of influence peak at different times
  phase_decomposition                      is the peak of a covariance a change of phase?
  learning_coefficient                     complexity of what has been learned so far
  learning_the_hierarchy, influence_over_time    animations: MP4 if ffmpeg is installed, GIF otherwise
  config.json                              settings, captions, and descriptions for those who cannot see them

Beside every figure lies a .csv with the numbers in it. Every file says which code and which settings made it: in its
metadata (PNG: Description, SVG: dc:description, PDF: Subject, MP4 and GIF: comment) and in config.json.

The curves are predictions: closed forms and the gradient flow, nothing is trained, so it takes under a minute. For
figures with simulated points over the lines, run `workbench compare`.

  workbench figures --out slides --size slide --dark
  workbench figures --out paper --size column --formats pdf --no-animations
  workbench figures --task my_table.csv --source Robin --target Canary --out mine

In all figures an item's colour follows its place in the tree (hue: top branch, lightness: place within it); blue helps
(the loss of the target falls), orange harms.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    from workbench.semantics.specs import SPEC_HELP

    p = commands.add_parser(
        "figures",
        help="draw the figures of a lecture or a paper",
        description=_FIGURES,
        formatter_class=Help,
    )
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory to write (required)")
    p.add_argument("--force", action="store_true", help="replace earlier figures in DIR")
    p.add_argument("--task", default="tree", metavar="T", help=SPEC_HELP)
    p.add_argument("--source", metavar="ITEM", help="item whose influence is drawn (default: the first)")
    p.add_argument(
        "--target",
        metavar="ITEM",
        help="the other item where a figure shows one pair (default: the one whose sign changes most clearly)",
    )
    g = p.add_argument_group("looks")
    g.add_argument(
        "--size", choices=("column", "page", "slide"), default="page", help="3.5, 7.2 or 12 inches wide, 7, 8 or 14 pt"
    )
    g.add_argument("--dark", action="store_true", help="light on dark")
    g.add_argument("--formats", default="png,svg,pdf", metavar="F,F", help="of the figures, separated by commas")
    g.add_argument("--no-animations", action="store_true", help="leave out the two animations, the longest part")
    g = p.add_argument_group("network")
    g.add_argument("--hidden", type=int, default=16, metavar="N", help="hidden units; fewer than modes: fewer learned")
    g.add_argument(
        "--a0",
        default="auto",
        metavar="X",
        help="strength of every mode at the start, weight^2; auto: 0.01, smaller for a table in small numbers",
    )
    g.add_argument("--seed", type=int, default=0, metavar="N", help="of sampled properties and of chains")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predict, draw, write; everything that can be refused is refused first."""
    from workbench.report.directory import check_target, staged
    from workbench.semantics import task_from_spec

    check_target(args.out, args.force)
    formats = _formats(args.formats)
    if not 0 <= args.seed < 2**63:
        raise WorkbenchError(f"seed {args.seed}; give a whole number from 0 to 2^63 - 1")
    a0 = auto(args.a0, "--a0")
    if a0 is not None and not 0 < a0 < float("inf"):
        raise WorkbenchError(f"--a0 {args.a0}; give a positive number or auto")
    task = task_from_spec(args.task, seed=args.seed)
    for name in (args.source, args.target):
        if name is not None:
            task.item_index(name)
    if args.source is not None and args.source == args.target:
        raise WorkbenchError(f"--source and --target are both {args.source!r}; give two different items")
    from workbench.comparison.prediction import prediction

    spec = args.task.encode("utf-8", "replace").decode()  # a path may hold bytes that are no text
    print(f"{task.name}: {task.n_items} items x {task.n_outputs} properties", flush=True)
    ds = prediction(task, hidden=args.hidden, a0=a0, seed=args.seed, spec=spec)
    with staged(args.out, args.force) as work:
        written, notes = _write(ds, work, args, _style(args.size, args.dark), formats)
    for note in notes:
        print(f"note: {note}")
    print(f"wrote {len(written)} files to {args.out}/")
    return 0


def _formats(given: str) -> tuple[str, ...]:
    from workbench.figures.files import FORMATS

    names = tuple(dict.fromkeys(name.strip().lower() for name in given.split(",") if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise WorkbenchError(f"--formats {given!r}; give one or more of {', '.join(FORMATS)}, separated by commas")
    return names


def _style(size: str, in_dark: bool) -> Style:
    from workbench.figures.style import COLUMN, PAGE, SLIDE, dark

    style = {"column": COLUMN, "page": PAGE, "slide": SLIDE}[size]
    return dark(style) if in_dark else replace(style)


def _write(
    ds: xr.Dataset, folder: Path, args: argparse.Namespace, style: Style, formats: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Draw into ``folder``; returns the names of the files and what was left out."""
    from workbench.figures.complexity import sampled_estimate
    from workbench.figures.files import draw
    from workbench.figures.film_files import write_film
    from workbench.figures.films import films
    from workbench.figures.teaching import teaching_figures
    from workbench.influence import MEASURES
    from workbench.report.directory import MARKER
    from workbench.store.files import write_file
    from workbench.store.sheets import sheet

    settings = json.loads(ds.attrs["config"]) | {
        "source": args.source,
        "target": args.target,
        "size": args.size,
        "dark": args.dark,
        "formats": list(formats),
    }
    facts = {"code_version": str(ds.attrs["code_version"]), "config": settings, "seed": args.seed}
    words: dict[str, dict[str, str]] = {}
    notes = [
        f"no {measure.short}: it would take minutes for more than {measure.quick_up_to} items"
        for measure in MEASURES.values()
        if 0 < measure.quick_up_to < ds.sizes["item"]
    ]
    with bar("chains", 1) as advance:
        sampled = sampled_estimate(ds)
        advance(1)
    plates = teaching_figures(ds, source=args.source, target=args.target, style=style, sampled=sampled)
    with bar("figures", len(plates)) as advance:
        for name, plate in plates.items():
            try:
                drawn, table = draw(plate.figure(), facts, formats, plate.title), plate.table()
            except WorkbenchError as error:
                notes.append(f"no {name}: {error}")
            else:
                for kind, content in drawn.items():
                    write_file(folder / f"{name}.{kind}", content)
                write_file(folder / f"{name}.csv", sheet(table))
                words[name] = {"title": plate.title, "caption": plate.caption, "alt": plate.alt}
            advance(1)
    if not args.no_animations:
        shown = films(ds, source=args.source, style=style)
        with bar("animations", sum(len(film.times) for film in shown.values())) as advance:
            for name, film in shown.items():
                write_film(film, folder, name, facts, advance)
                words[name] = {"title": film.title, "caption": film.caption}
    files = [path.name for path in folder.iterdir()]
    resolved = {"task": ds.attrs["task"], "task_digest": ds.attrs["task_digest"], "gamma": ds.attrs["gamma"]}
    resolved |= {"t_max": float(ds["time"].values[-1]), "code_version": facts["code_version"]}
    config = {"settings": settings, "resolved": resolved, "figures": words}
    write_file(folder / MARKER, json.dumps(config, indent=2) + "\n")
    return [*files, MARKER], notes
