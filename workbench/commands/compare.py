"""``workbench compare``: predict, simulate, compare and report one task."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from workbench.commands.console import Help
from workbench.commands.console import bar as shown_bar
from workbench.commands.keeping import add_result_options, keeping, store_for
from workbench.commands.options import add_options, spelled, values
from workbench.errors import WorkbenchError

_COMPARE = """\
Predict and simulate one task, measure influence on both sides, and write a report.

what comes out, in DIR
  influence.nc   every curve with its labels; xarray.open_dataset("DIR/influence.nc") reads it with h5netcdf
  report.html    figures, tables, equations and verdicts in one page
  figures/       PNG and SVG
  config.json    all settings, to run it again

a run that was cut off
  While it runs, DIR.partial keeps what is done; it goes when DIR is complete. However the run ended, the same command
  with --resume goes on from there and ends with the same numbers, bit by bit.

reading it
  influence(source -> target) < 0: more weight on the source lowers the target's loss, it helps; > 0: harm.
  flow time t is learning rate x step: the unit in which training runs of different learning rates agree.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`; its flags, which ask the library, when they are needed."""
    p = commands.add_parser(
        "compare",
        help="predict, simulate, compare and report one task",
        description=_COMPARE,
        formatter_class=Help,
        fill=_add_arguments,
    )
    p.set_defaults(run=run)


def _add_arguments(p: argparse.ArgumentParser) -> None:
    from workbench.comparison.options import all_options
    from workbench.influence import MEASURES
    from workbench.semantics.specs import SPEC_HELP

    p.add_argument("--task", default="tree", metavar="T", help=SPEC_HELP)
    add_result_options(p)
    p.add_argument("--source", metavar="ITEM", help="item whose influence is drawn (default: the first)")
    add_options(p, all_options(), MEASURES)
    p.add_argument("--quiet", action="store_true", help="no progress bars")


def run(args: argparse.Namespace) -> int:
    """Predict, simulate, compare, write."""
    from workbench.report.directory import check_target
    from workbench.semantics import task_from_spec

    check_target(args.out, args.force)
    task = task_from_spec(args.task, seed=max(args.seed, 0))
    if args.source is not None:
        task.item_index(args.source)
    from workbench.comparison import Settings, compare, run_identity
    from workbench.comparison.options import all_options
    from workbench.report.result import write_result

    spec = args.task.encode("utf-8", "replace").decode()  # a path may hold bytes that are no text
    settings = Settings(task=spec, **values(args, all_options()))
    bar = partial(shown_bar, quiet=args.quiet)
    store = store_for(args.out, run_identity(task, settings), resume=args.resume, force=args.force)
    print(f"{task.name}: {task.shape_words}", flush=True)
    with keeping(store):
        try:
            comparison = compare(task, settings, bar, store)
        except WorkbenchError:
            store.remove()  # the same would happen again
            raise
        for note in comparison.notes:
            print(f"note: {spelled(note)}")
        place = store.folder if store.pieces else None
        write_result(comparison, args.out, force=args.force, source=args.source, bar=bar, within=place)
        store.remove()
    print()
    print(comparison.summary())
    print(f"\nwrote {args.out}/: open {args.out / 'report.html'} in a browser")
    return 0
