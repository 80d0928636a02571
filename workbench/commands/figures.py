"""``workbench figures``: the set of figures for a lecture or a paper."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help, auto, bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.figures.figure import Illustration, Subject
    from workbench.figures.style import Style

_FIGURES = """\
Draw figures and animations of one task, for a slide or a paper.

  workbench figures --list                                     every figure, and what it is for
  workbench figures --out slides --size slide --dark           16 : 9, for a projector
  workbench figures --out paper --size column --formats pdf --only loss,sign_flip_anatomy
  workbench figures --task my_table.csv --source Robin --target Canary --out mine
  workbench figures --gallery docs/gallery                     a page that shows them all

DIR holds every figure in every format, beside it a .csv with the numbers in it, animations as MP4, and config.json with
settings, captions, and descriptions for those who cannot see them. Every file says which code and which settings made
it: in its metadata (PNG: Description, SVG: dc:description, PDF: Subject, MP4: comment) and in config.json.

The curves are predictions: closed forms and the gradient flow, nothing is trained, so it takes under a minute. For
figures with simulated points over the lines, run `workbench compare`.

A colour has one meaning in a figure: blue helps (the loss of the target falls) and orange harms; magenta and green are
negative and positive entries of a table; other hues are branches of the tree, the same for an item in every figure.
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
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="DIR", help="directory to write")
    what.add_argument("--list", action="store_true", help="print the names of all figures and what each is for")
    what.add_argument(
        "--gallery", type=Path, metavar="DIR", help="write README.md and an image of every figure into this directory"
    )
    p.add_argument(
        "--only", metavar="F,F", help="names of the figures to draw, from --list (default: all of a lecture)"
    )
    p.add_argument("--force", action="store_true", help="replace earlier figures in DIR")
    p.add_argument("--task", default="tree", metavar="T", help=SPEC_HELP)
    p.add_argument("--source", metavar="ITEM", help="item whose influence is drawn (default: the first)")
    p.add_argument(
        "--target",
        metavar="ITEM",
        help="the other item where a figure shows one pair (default: the one whose sign changes most clearly)",
    )
    _add_looks(p)
    g = p.add_argument_group("the table")
    g.add_argument("--centre", action="store_true", help="take its mean over the items from every property")
    g.add_argument("--standardise", action="store_true", help="centre, and divide by the standard deviation")
    g = p.add_argument_group("network")
    g.add_argument(
        "--depth",
        type=int,
        default=2,
        metavar="D",
        help="layers of weights; other than 2 leaves out the figures of two layers alone (default: 2)",
    )
    g.add_argument("--hidden", type=int, default=16, metavar="N", help="hidden units; fewer than modes: fewer learned")
    g.add_argument(
        "--a0",
        default="auto",
        metavar="X",
        help="strength of every mode at the start, weight^2; auto: 0.01, smaller for a table in small numbers",
    )
    g.add_argument("--seed", type=int, default=0, metavar="N", help="of sampled properties and of chains")
    p.set_defaults(run=run)


def _add_looks(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("looks")
    g.add_argument(
        "--size",
        choices=("column", "page", "slide"),
        default="page",
        help="3.5, 7.2 or 13.3 inches wide; 7, 8 or 14 pt",
    )
    g.add_argument(
        "--dpi", type=int, default=150, metavar="N", help="dots per inch of PNG files (default: %(default)s)"
    )
    g.add_argument("--dark", action="store_true", help="light on dark")
    g.add_argument("--formats", default="png,svg,pdf", metavar="F,F", help="of the figures, separated by commas")
    g.add_argument("--no-animations", action="store_true", help="leave out the two animations, the longest part")
    g.add_argument(
        "--measures",
        metavar="M,M",
        help="of the figures that show one panel a measure (default: those of `workbench compare`)",
    )


def run(args: argparse.Namespace) -> int:
    """Predict, draw, write; everything that can be refused is refused first."""
    if args.list:
        from workbench.figures.gallery import listing

        print(listing())
        return 0
    if args.gallery is not None:
        return _gallery(args.gallery)
    from workbench.commands.drawing import write_figures
    from workbench.report.directory import check_target, staged

    check_target(args.out, args.force)
    formats, figures = _formats(args.formats), _chosen(args.only, not args.no_animations, args.depth)
    if not 20 <= args.dpi <= 1200:
        raise WorkbenchError(f"--dpi {args.dpi}; give a whole number from 20 to 1200")
    subject = _subject(args)
    with staged(args.out, args.force) as work:
        written, notes = write_figures(subject, figures, work, args, formats)
    for note in notes:
        print(f"note: {note}")
    print(f"wrote {len(written)} files to {args.out}/")
    return 0


def _subject(args: argparse.Namespace) -> Subject:
    """The prediction that the figures show, and what of it."""
    from workbench.semantics import task_from_spec

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
    from workbench.figures.figure import Subject

    spec = args.task.encode("utf-8", "replace").decode()  # a path may hold bytes that are no text
    print(f"{task.name}: {task.shape_words}", flush=True)
    columns = {"centre": args.centre, "standardise": args.standardise}
    ds = prediction(task, hidden=args.hidden, depth=args.depth, a0=a0, seed=args.seed, spec=spec, **columns)
    only = _measures(args.measures)
    return Subject(ds, args.source, args.target, _style(args.size, args.dark), only)


def _measures(given: str | None) -> tuple[str, ...]:
    from workbench.influence import DEFAULT_MEASURES, MEASURES

    if given is None:
        return DEFAULT_MEASURES
    names = tuple(name.strip().replace("-", "_") for name in given.split(",") if name.strip())
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        raise WorkbenchError(
            f"--measures {given!r}: no measure is called {', '.join(unknown)}; use {', '.join(MEASURES)}"
        )
    return names


def _chosen(only: str | None, films: bool, depth: int) -> dict[str, Illustration]:
    """The figures named, or those of a lecture; none of two layers alone at another depth."""
    from workbench.figures.registry import FIGURES, figure_set

    if only is None:
        lecture = {name: figure for name, figure in figure_set("lecture").items() if films or figure.film is None}
        return {name: figure for name, figure in lecture.items() if depth == 2 or not figure.two_layers}
    names = list(dict.fromkeys(name.strip() for name in only.split(",") if name.strip()))
    unknown = [name for name in names if name not in FIGURES]
    if unknown or not names:
        raise WorkbenchError(f"--only {only!r}: no figure is called {', '.join(unknown) or '(nothing)'}; see --list")
    two = [name for name in names if FIGURES[name].two_layers]
    if two and depth != 2:
        raise WorkbenchError(f"--depth {depth}: {', '.join(two)} is of two layers alone; leave it out of --only")
    return {name: FIGURES[name] for name in names}


def _gallery(folder: Path) -> int:
    from workbench.figures.gallery import shown_figures, write_gallery

    with bar("figures", len(shown_figures())) as advance:
        page = write_gallery(folder, advance)
    print(f"wrote {page}")
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
    return dark(style) if in_dark else style
