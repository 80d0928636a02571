"""``workbench bench``: attribution methods against influence that is exactly known."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help
from workbench.commands.console import bar as shown_bar
from workbench.commands.keeping import add_result_options, keeping, store_for
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.bench import Method, Problem
    from workbench.bench.runner import BenchResult

_BENCH = """\
Score methods of attribution against influence that is exactly known, at every stage of training.

Each problem is a small network whose training is run, differentiated through every step and run again without items;
a method sees the checkpoints, the data and how training went, never the truth.

  workbench bench --list                                      problems and methods
  workbench bench --out results/bench                         three problems, every method, about two minutes
  workbench bench --suite full --out results/full             ten problems
  workbench bench --method mine.py:score --out results/mine   your own function beside the others; its file is run
  workbench bench --peers --out results/peers                 captum, dattri, kronfluence, devinterp beside them
  workbench bench --problems my_table.csv --out results/table a problem made of your own table
  workbench bench --recheck results/bench                     train stored index sets again and compare

a method of your own
  def score(network, examples):        # one checkpoint; examples.inputs, .targets, .losses(network)
      ...                              # -> array (source, target); or score(run) -> (time, source, target)
  Register it with @workbench.bench.method("name", sign="positive_helps") if more weight on a helpful source gives a
  positive number (Koh & Liang, TracIn); without that, negative helps, as everywhere here.

what comes out, in DIR
  leaderboard.html   the table, sorted by any column; every method's curves over the truth's, and where it fails
  bench.md           the tables and what each score is, as a page of documentation
  scores.csv, .nc    long form: method, problem, truth, time, level, score, value, low, high
  costs.csv          seconds, memory, forward passes; the reason where a method failed
  truths/            the truth of each problem, with the index sets of its subset losses
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    p = commands.add_parser(
        "bench",
        help="score attribution methods where the truth is known",
        description=_BENCH,
        formatter_class=Help,
    )
    add_result_options(p, required=False)
    p.add_argument("--suite", choices=("small", "full"), default="small", help="which problems")
    p.add_argument("--problems", metavar="P,P", help="problems by name, or tasks (a CSV path, tree:3,2), instead")
    p.add_argument("--methods", metavar="M,M", help="methods by name (default: all; controls are always there)")
    p.add_argument(
        "--method", action="append", default=[], metavar="FILE.py:FUNCTION", help="your own; may be given several times"
    )
    p.add_argument("--peers", action="store_true", help="methods of other libraries, too (extra `peers`)")
    p.add_argument("--seeds", type=int, default=3, metavar="N", help="initial weights of every problem")
    p.add_argument("--limit", type=float, default=120.0, metavar="S", help="seconds a method may take on one run")
    p.add_argument("--list", action="store_true", help="show problems and methods, and stop")
    p.add_argument("--recheck", type=Path, metavar="DIR", help="train stored index sets of a result again, and stop")
    p.add_argument("--threads", type=int, default=1, metavar="N", help="of torch, for --recheck")
    p.add_argument("--quiet", action="store_true", help="no progress bars")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score and write, list, or recheck."""
    if args.recheck is not None:
        return _recheck(args.recheck, args.threads)
    if args.list:
        return _list()
    if args.out is None:
        raise WorkbenchError("--out DIR is missing; give the directory to write, or --list")
    if not 1 <= args.seeds <= 100:
        raise WorkbenchError(f"--seeds {args.seeds}; give 1 to 100")
    if not 0 < args.limit < float("inf"):
        raise WorkbenchError(f"--limit {args.limit:g}; give a positive number of seconds")
    from workbench.report.directory import check_target

    check_target(args.out, args.force)
    problems, methods = _problems(args), _methods(args)
    import torch

    from workbench.bench import bench
    from workbench.comparison import no_bar

    torch.set_num_threads(1)  # matrices of a few hundred entries: more threads cost more than they give
    settings = _settings(args, problems, methods)
    store = store_for(args.out, settings, resume=args.resume, force=args.force)
    with keeping(store):
        result = bench(
            problems,
            methods,
            seeds=args.seeds,
            limit=args.limit,
            bar=no_bar if args.quiet else shown_bar,
            store=store,
        )
        _write(result, args, settings)
        store.remove()
    return _say(result, args.out)


def _write(result: BenchResult, args: argparse.Namespace, settings: dict[str, Any]) -> None:
    from workbench import __version__
    from workbench.bench.results import write_results
    from workbench.report.directory import MARKER, staged

    with staged(args.out, args.force) as work:
        write_results(result, work, _command(args))
        config = {"settings": settings, "resolved": {"code_version": __version__}}
        (work / MARKER).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _command(args: argparse.Namespace) -> str:
    """What to type to have the same scores again, without paths."""
    asked = [f"--problems {args.problems}" if args.problems else f"--suite {args.suite}", f"--seeds {args.seeds}"]
    asked += [f"--methods {args.methods}"] if args.methods else []
    return " ".join(["workbench bench", *asked, *(["--peers"] if args.peers else []), "--out DIR"])


def _say(result: BenchResult, out: Path) -> int:
    from workbench.bench.summary import leaderboard, sign_warning

    board = leaderboard(result.table, result.costs, result.methods)
    columns = ["method", "agreement", "worst level", "right signs", "LDS given target", "seconds a run"]
    print(board[columns].to_string(index=False, float_format="{:.3f}".format))
    for record in result.costs[result.costs.failure != ""].itertuples():
        print(f"note: {record.method} on {record.problem}: {record.failure}")
    for (_, problem), evaluation in result.evaluations.items():
        warning = sign_warning(evaluation, result.truths[problem])
        if warning and not evaluation.method.control:
            print(f"note: {evaluation.method.name}: {warning}")
    print(f"\nwrote {out}/: open {out / 'leaderboard.html'} in a browser")
    return 0


def _problems(args: argparse.Namespace) -> list[Problem]:
    from workbench.bench import PROBLEMS, SUITES, problem_of

    if args.problems is None:
        return [PROBLEMS[name] for name in SUITES[args.suite]]
    problems = [problem_of(name) for name in _split(args.problems, "--problems")]
    if len({problem.name for problem in problems}) < len(problems):
        raise WorkbenchError(f"--problems {args.problems}: two problems have one name; give each once")
    return problems


def _split(text: str, option: str) -> list[str]:
    """Names separated by commas; those of a tree's branching, and between the parentheses of Newick, stay with it."""
    names: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if names and (part.isdigit() or names[-1].count("(") > names[-1].count(")")):
            names[-1] += f",{part}"
        elif part:
            names.append(part)
    if not names:
        raise WorkbenchError(f"{option} {text!r} names nothing; leave it out, or give names separated by commas")
    return list(dict.fromkeys(names))


def _methods(args: argparse.Namespace) -> list[Method]:
    from importlib import import_module

    from workbench.bench import METHODS, method_from_file

    peers: list[Method] = []
    if args.peers:
        adapters = import_module("workbench.bench.adapters").__name__
        peers = [method for method in METHODS.values() if method.function.__module__.startswith(adapters)]
    shipped = [method for method in METHODS.values() if not method.control]
    if args.methods is not None:
        unknown = [name for name in _split(args.methods, "--methods") if name not in METHODS]
        if unknown:
            names = ", ".join(method.name for method in shipped)
            raise WorkbenchError(
                f"no method {', '.join(unknown)}; choose from {names}, or give --method FILE.py:FUNCTION"
            )
        shipped = [METHODS[name] for name in _split(args.methods, "--methods") if not METHODS[name].control]
        # Other libraries' methods are named too, or all of them stand beside those that are.
        shipped += [] if any(method in peers for method in shipped) else peers
    own = [method_from_file(text) for text in dict.fromkeys(args.method)]
    controls = [method for method in METHODS.values() if method.control]
    chosen = {method.name: method for method in (*shipped, *controls, *own)}
    if len(chosen) < len({id(method) for method in (*shipped, *controls, *own)}):
        raise WorkbenchError("--method: its name is that of another method; register it under a name of its own")
    return list(chosen.values())


def _settings(args: argparse.Namespace, problems: list[Problem], methods: list[Method]) -> dict[str, Any]:
    import hashlib

    import workbench

    own = {Path(text.rpartition(":")[0]).resolve() for text in args.method}
    read = own | {place for place in _imported() if place.parent in {path.parent for path in own}}
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(read)}
    return {
        "problems": {problem.name: problem.task().digest for problem in problems},
        "methods": [method.name for method in methods],
        "files": files,
        "seeds": args.seeds,
        "limit": args.limit,
        "code_version": workbench.__version__,
    }


def _imported() -> set[Path]:
    """Files of the modules that are loaded, those beside a method's own among them."""
    import sys

    places = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {path for place in places if place and (path := Path(place).resolve()).is_file()}


def _list() -> int:
    from workbench.bench import METHODS, PROBLEMS, SUITES

    print("problems (suite small: " + ", ".join(SUITES["small"]) + ")")
    for problem in PROBLEMS.values():
        print(f"  {problem.name:<16}{problem.words}")
    for title, control in (("methods", False), ("controls, which must lose", True)):
        print(f"\n{title}")
        for method in METHODS.values():
            if method.control is control:
                print(f"  {method.name:<27}{method.source or method.scale}")
    return 0


def _recheck(folder: Path, threads: int) -> int:
    import torch

    if not 1 <= threads <= 1024:
        raise WorkbenchError(f"--threads {threads}; give 1 to 1024")
    torch.set_num_threads(threads)
    from workbench.bench.results import RECHECK_TOLERANCE, recheck

    for problem, difference in recheck(folder).items():
        print(
            f"{problem}: stored losses and losses trained again on {threads} thread(s) differ by "
            f"{difference:.1e} of the largest (allowed {RECHECK_TOLERANCE:.0e})"
        )
    return 0
