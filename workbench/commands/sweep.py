"""``workbench sweep``: one task at every combination of some values, on as many cores or machines as there are."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help
from workbench.commands.console import bar as shown_bar
from workbench.commands.keeping import add_result_options, keeping, store_for
from workbench.commands.options import add_options, spelled, values

if TYPE_CHECKING:
    from workbench.store import Store
    from workbench.sweeps import Plan, Zarr
    from workbench.sweeps.layout import Layout

_SWEEP = """\
Compare one task at every combination of some values; each field that is run over is a dimension of one labelled result.

  workbench sweep --over a0=0.001,0.01,0.1 --over depth=2,3,4 --side analytic --out results/starts
  workbench sweep --over init=gaussian:0.05 --over seed=0:20 --measures gradient_kernel --out results/seeds
  workbench sweep --task diffusion --over flip_probability=0.05,0.1,0.2 --over branching=2x2,2x2x2 --out results/trees

what comes out, in DIR
  sweep.zarr.zip  every curve of every cell, labelled; workbench.load_sweep("DIR") reads what it is asked for
  cells.csv       one row a cell, measure and group of pairs: flips, peaks, difference between the sides
  figures/        flip and peak times and agreement against what was run over
  config.json     all settings, to run it again

on what it runs
  Dask, one worker a core of this machine, unless --scheduler names the scheduler of a cluster that you started; its
  workers must have this version installed and see DIR.partial under the same path. Without Dask (or with --workers 0)
  cells are computed one after another. A worker that dies costs its cell's time. A cell that fails is recorded with
  its message, and the rest goes on: the exit code is then 1. However it ended, the same command with --resume
  computes what is missing, and ends with the same bytes.
"""


#: Of one machine.
_MOST_WORKERS = 256


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`; its flags, which ask the library, when they are needed."""
    p = commands.add_parser(
        "sweep",
        help="compare at every combination of some values",
        description=_SWEEP,
        formatter_class=Help,
        fill=_add_arguments,
    )
    p.set_defaults(run=run)


def _add_arguments(p: argparse.ArgumentParser) -> None:
    from workbench.comparison.options import all_options
    from workbench.influence import MEASURES
    from workbench.semantics.specs import SPEC_HELP

    p.add_argument("--task", default="tree", metavar="T", help=SPEC_HELP)
    p.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="F=V,V",
        help="a field and its values (more than once): any option below, or a0, sigma (of a balanced or Gaussian "
        "start), branching (2x2,3x2), flip_probability, task (separated by ;); whole numbers also as 0:20, 20 left out",
    )
    p.add_argument(
        "--side", choices=("both", "analytic", "simulated"), default="both", help="analytic: milliseconds a cell"
    )
    add_result_options(p)
    p.add_argument("--scheduler", metavar="TCP", help="address of a Dask scheduler, tcp://host:port")
    p.add_argument("--workers", type=int, metavar="N", help="of this machine (default: one a core); 0: no Dask")
    add_options(p, all_options(), MEASURES)
    p.add_argument("--quiet", action="store_true", help="no progress bars")


def run(args: argparse.Namespace) -> int:
    """Compute every cell, write."""
    from workbench.errors import WorkbenchError
    from workbench.report.directory import check_target

    check_target(args.out, args.force)
    if args.workers is not None and (not 0 <= args.workers <= _MOST_WORKERS or args.scheduler is not None):
        raise WorkbenchError(f"--workers {args.workers}; give 0 to {_MOST_WORKERS}, and no --scheduler beside it")
    from workbench.comparison import Settings
    from workbench.comparison.options import all_options
    from workbench.influence.quantities import SIDES
    from workbench.sweeps import axis_of_text, layout_of, plan_of
    from workbench.sweeps.engines import starting
    from workbench.sweeps.result import identity

    if find_spec("zarr") is None:
        raise WorkbenchError(
            "sweep writes its cells with zarr, which is not installed: pip install 'stagewise-workbench[sweep]'"
        )
    settings = Settings(**values(args, all_options()))
    over = _read_once([axis_of_text(text) for text in args.over])
    plan = plan_of(_spec(args.task), settings, over, SIDES if args.side == "both" else (args.side,))
    layout, scheduler = layout_of(plan), _scheduler(args)
    # A cluster comes up while the rest is prepared, and goes before the store says what it keeps.
    with ExitStack() as begun:
        coming = begun.enter_context(starting(scheduler, args.workers)) if scheduler else None
        about = identity(plan)
        client = None if coming is None else coming()  # where nobody answers nothing has been made yet
        store = store_for(args.out, about, resume=args.resume, force=args.force)
        with keeping(store):
            with begun.pop_all():
                cells, failed = _swept(args, plan, layout, store, client)
            return _written(args, cells, failed, store)


def _swept(
    args: argparse.Namespace, plan: Plan, layout: Layout, store: Store, client: Any
) -> tuple[Zarr, dict[int, str]]:
    """Compute the cells, on the cluster of ``client`` if there is one."""
    from workbench.errors import counted
    from workbench.sweeps import Zarr, sweep_into

    sizes = " x ".join(f"{len(axis.values)} {axis.name}" for axis in plan.axes)
    print(f"{args.task}: {counted(plan.n_cells, 'cell')} ({sizes})", flush=True)
    cells = Zarr(store.annex, plan, layout)
    cells.begin(store)
    return cells, sweep_into(cells, partial(shown_bar, quiet=args.quiet), client=client)


def _written(args: argparse.Namespace, cells: Zarr, failed: dict[int, str], store: Store) -> int:
    """Write the result; the exit code."""
    from workbench.errors import WorkbenchError
    from workbench.sweeps.result import write_sweep

    plan, bar = cells.plan, partial(shown_bar, quiet=args.quiet)
    for number, message in list(failed.items())[:5]:
        print(f"note: cell {plan.words(number)} failed: {spelled(message)}")
    if len(failed) == plan.n_cells:
        store.remove()
        raise WorkbenchError(f"all {plan.n_cells} cells failed, nothing was written: {failed[0]}")
    write_sweep(cells, args.out, force=args.force, bar=bar, within=store.folder)
    store.remove()
    print(f"wrote {args.out}/: {plan.n_cells - len(failed)} of {plan.n_cells} cells; open {args.out / 'figures'}")
    return int(bool(failed))


def _spec(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # a path may hold bytes that are no text


def _read_once(axes: list[tuple[str, tuple[Any, ...]]]) -> dict[str, tuple[Any, ...]]:
    from workbench.errors import WorkbenchError

    names = [name for name, _ in axes]
    for name in names:
        if names.count(name) > 1:
            raise WorkbenchError(f"--over {name} is given twice; give all its values at once")
    return dict(axes)


def _scheduler(args: argparse.Namespace) -> str | None:
    from workbench.sweeps.engines import LOCAL

    if args.scheduler is not None:
        return str(args.scheduler)
    if args.workers == 0:
        return None
    if find_spec("distributed") is None:
        print("note: without Dask one cell after another; pip install 'stagewise-workbench[sweep]' for all cores")
        return None
    return LOCAL
