"""``workbench compare``: predict, simulate, compare and report one task."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.commands.console import Help, auto
from workbench.commands.console import bar as shown_bar
from workbench.commands.keeping import keeping, store_for
from workbench.errors import WorkbenchError

_COMPARE = """\
Predict and simulate one task, measure influence on both sides, and write a report.

what comes out, in DIR
  influence.nc   every curve with its labels; xarray.open_dataset("DIR/influence.nc")
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
    """Add the command to the subparsers of `workbench`, with all defaults taken from `Settings`."""
    from workbench.semantics.specs import SPEC_HELP

    p = commands.add_parser(
        "compare",
        help="predict, simulate, compare and report one task",
        description=_COMPARE,
        formatter_class=Help,
    )
    p.add_argument("--task", default="tree", metavar="T", help=SPEC_HELP)
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory to write (required)")
    p.add_argument("--force", action="store_true", help="replace an earlier result in DIR; start over")
    p.add_argument("--resume", action="store_true", help="go on with a run that was cut off, from DIR.partial")
    p.add_argument("--source", metavar="ITEM", help="item whose influence is drawn (default: the first)")

    g = p.add_argument_group("network and training")
    g.add_argument(
        "--hidden",
        type=int,
        default=16,
        metavar="N",
        help="hidden units; fewer than modes means fewer are learned",
    )
    g.add_argument(
        "--init",
        default="auto",
        metavar="I",
        help="balanced:a0 starts every mode at strength a0 (the closed forms' case); "
        "gaussian:sigma independent weights; auto: balanced:0.01, smaller for a table in small numbers",
    )
    g.add_argument("--checkpoints", type=int, default=60, metavar="N", help="how many, from flow time 0")
    g.add_argument(
        "--spacing",
        choices=("even", "log", "stages"),
        default="even",
        help="of the checkpoints: even or log-spaced in flow time, or the stages that theory predicts and even between",
    )
    g.add_argument(
        "--t-max",
        default="auto",
        metavar="T",
        help="last flow time; auto: 99.5%% of the loss gone, and 25%% more",
    )
    g.add_argument(
        "--eta",
        default="auto",
        metavar="X",
        help="learning rate; auto: mode strengths within 1e-3 of the flow",
    )
    g.add_argument(
        "--eta-fraction", type=float, metavar="X", help="learning rate as a fraction of the largest stable one, 1/s_max"
    )

    g = p.add_argument_group("influence")
    g.add_argument(
        "--measures",
        default="gradient_kernel,local_bif,leave_one_out",
        metavar="M,M",
        help="which of gradient_kernel, local_bif, leave_one_out, window_removal, trajectory_derivative, "
        "damped_newton, separated by commas",
    )
    g.add_argument(
        "--convention",
        choices=("unnormalised", "renormalised"),
        default="unnormalised",
        help="leave-one-out: the other items keep their weight, or the weights are rescaled to sum to 1",
    )
    g.add_argument(
        "--window",
        default="auto",
        metavar="T0:T1",
        help="of window_removal, in flow time; auto: from 0 to the first half-rise time",
    )
    g.add_argument(
        "--damping",
        default="auto",
        metavar="X",
        help="of damped_newton; auto: twice the largest singular value, enough at every checkpoint",
    )
    g = p.add_argument_group("local posterior exp(-n beta L - gamma |w - w*|^2 / 2)")
    g.add_argument(
        "--n-beta",
        default="auto",
        metavar="X",
        help="inverse temperature x number of items; auto: 100, or what suits losses far from order 1",
    )
    g.add_argument(
        "--gamma",
        default="auto",
        metavar="X",
        help="localization; auto: 20 n beta x the largest singular value",
    )
    g.add_argument(
        "--sampler",
        choices=("sgld", "rmsprop", "hmc"),
        default="sgld",
        help="Langevin dynamics, plain or preconditioned; or Hamiltonian Monte Carlo, without a bias from its step",
    )
    g.add_argument("--chains", type=int, default=4, metavar="N", help="chains per checkpoint")
    g.add_argument("--draws", type=int, default=500, metavar="N", help="kept draws per chain")
    g.add_argument("--step-size", default="auto", metavar="X", help="of the sampler; auto: bias of 2.5%% on variances")
    g.add_argument("--batch-size", type=int, metavar="N", help="items a mini-batch of sgld (default: all)")
    g.add_argument("--force-short", action="store_true", help="accept chains too short for their autocorrelation time")

    g = p.add_argument_group("running")
    g.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random")
    g.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where training and sampling run")
    g.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float64",
        help="of the chains; training is float64",
    )
    g.add_argument("--quiet", action="store_true", help="no progress bars")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predict, simulate, compare, write."""
    from workbench.report.directory import check_target
    from workbench.semantics import task_from_spec

    check_target(args.out, args.force)
    task = task_from_spec(args.task, seed=max(args.seed, 0))
    if args.source is not None:
        task.item_index(args.source)
    from workbench.comparison import Settings, compare, no_bar, run_identity
    from workbench.report.result import summary, write_result

    settings = Settings(
        task=args.task.encode("utf-8", "replace").decode(),  # a path may hold bytes that are no text
        hidden=args.hidden,
        init=args.init,
        checkpoints=args.checkpoints,
        t_max=auto(args.t_max, "--t-max"),
        eta=auto(args.eta, "--eta"),
        eta_fraction=args.eta_fraction,
        spacing=args.spacing,
        measures=tuple(dict.fromkeys(name.strip() for name in args.measures.split(",") if name.strip())),
        convention=args.convention,
        window=_window(args.window),
        chains=args.chains,
        draws=args.draws,
        sampler=args.sampler,
        step_size=auto(args.step_size, "--step-size"),
        batch_size=args.batch_size,
        force_short=args.force_short,
        n_beta=auto(args.n_beta, "--n-beta"),
        gamma=auto(args.gamma, "--gamma"),
        damping=auto(args.damping, "--damping"),
        seed=args.seed,
        device=args.device,
        dtype=args.dtype,
    )
    bar = no_bar if args.quiet else shown_bar
    store = store_for(args.out, run_identity(task, settings), resume=args.resume, force=args.force)
    print(f"{task.name}: {task.n_items} items x {task.n_outputs} properties", flush=True)
    with keeping(store):
        try:
            comparison = compare(task, settings, bar, store)
        except WorkbenchError:
            store.remove()  # the same would happen again
            raise
        for note in comparison.notes:
            print(f"note: {note}")
        place = store.folder if store.pieces else None
        rulings = write_result(comparison, args.out, force=args.force, source=args.source, bar=bar, within=place)
        store.remove()
    print()
    print(summary(comparison.dataset, rulings))
    print(f"\nwrote {args.out}/: open {args.out / 'report.html'} in a browser")
    return 0


def _window(text: str) -> tuple[float, float] | None:
    """``"T0:T1"``, or None for ``auto``."""
    if text == "auto":
        return None
    try:
        begin, end = map(float, text.split(":"))
    except ValueError:
        raise WorkbenchError(f"--window {text!r} is no window; give T0:T1 in flow time, such as 0:5, or auto") from None
    return begin, end
