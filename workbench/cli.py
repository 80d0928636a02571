"""The command line: parse, call, print."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence

from workbench import __version__
from workbench.commands import bench, compare, derive, explore, figures, language, paper, study, sweep, verify
from workbench.commands.console import STAGE, Help, Parser, Printed
from workbench.commands.options import spelled
from workbench.errors import WorkbenchError
from workbench.interruption import interruptible

_ABOUT = """\
How does one training item's influence on another change while a network learns?

workbench answers twice: in closed form, and by training the same network, sampling around its checkpoints and
retraining without each item. `compare` does both for a task and writes a report with verdicts.

first steps
  workbench compare --task tree --out results/tree
      a (2,2,2) hierarchy of living things; then open results/tree/report.html
  workbench compare --task my_table.csv --out results/mine
      your own items x properties: first column item names, header = property names, numbers
  workbench sweep --over a0=0.001,0.01,0.1 --over depth=2,3,4 --side analytic --out results/starts
      the same for every combination of some values, on all cores or on a cluster
  workbench language --out results/language --quick
      a small transformer learns a generated language: influence between classes of tokens, in minutes
  workbench figures --out slides --size slide
      twelve figures and two animations for a lecture, in seconds
  workbench derive --list
      every formula the predictions rest on; `workbench derive mode_strength` shows how one comes about
  workbench verify
      every formula against an independent computation, in about a minute
  workbench bench --out results/bench
      attribution methods, your own too, where the truth is known
  workbench paper --out results/paper --quick
      the paper's abstract, sentence by sentence, each with a verdict
  workbench study --list
      questions about influence over training; --all --out DIR answers them
  workbench explore
      sliders and linked panels in the browser
  workbench compare --help
      every option, with its meaning and unit
"""


def parser() -> argparse.ArgumentParser:
    """The argument parser of all commands."""
    top = Parser(prog="workbench", description=_ABOUT, formatter_class=Help)
    top.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for command in (compare, sweep, language, explore, figures, derive, verify, bench, study, paper):
        command.add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 2 for bad input, 130 after Ctrl-C, 143 when terminated."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal's encoding lacks
    # A letter that no font has is drawn as a box; the commands say so once, in one line.
    warnings.filterwarnings("ignore", r"Glyph .* missing from font")
    log = logging.getLogger("workbench")
    log.setLevel(logging.INFO)
    log.handlers = [Printed()]
    # Everything is drawn into files; a backend that the environment asks for may not even exist.
    os.environ["MPLBACKEND"] = "agg"
    given = sys.argv[1:] if argv is None else list(argv)
    with interruptible(watched=given[:1] != ["explore"], last=argv is None) as interruption:
        try:
            args = parser().parse_args(given)
            return int(args.run(args))
        except BaseException as error:
            if interruption.number is not None:
                # Whatever it has become on its way through the libraries.
                code = interruption.say(_notes(error))
                return 128 + interruption.number if code is None else code
            return _answer(error)


def _answer(error: BaseException) -> int:
    """One line and the exit code for everything that a user can meet; anything else is raised again."""
    if isinstance(error, WorkbenchError):
        return _refuse(spelled(str(error)), error)
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has left; the interpreter must not complain about it when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return _refuse(f"cannot read or write{where}: {error.strerror}", error)
    words = " ".join(str(error).split())[:200]
    if isinstance(error, MemoryError) or "allocate" in words or "out of memory" in words:
        return _refuse(
            f"out of memory{_at(error)} ({words or 'no size given'}); ask for less, or for smaller sizes", error
        )
    if isinstance(error, OverflowError):
        return _refuse(
            f"a number grows beyond what can be computed with{_at(error)}; use settings nearer to the defaults", error
        )
    if isinstance(error, ArithmeticError | RuntimeError) or type(error).__name__ == "LinAlgError":
        return _refuse(
            f"the computation failed{_at(error)} ({type(error).__name__}: {words}); use settings nearer to the "
            "defaults, and please report this command",
            error,
        )
    raise error


def _at(error: BaseException) -> str:
    """Which stage an error comes from, if it is known."""
    stages = [note for note in getattr(error, "__notes__", ()) if note.startswith(STAGE)]
    return f" during {stages[0].removeprefix(STAGE)}" if stages else ""


def _refuse(message: str, error: BaseException) -> int:
    line = "; ".join(filter(None, (message, _notes(error))))
    print(f"workbench: {' '.join(line.split())}", file=sys.stderr)
    return 2


def _notes(error: BaseException) -> str:
    """What the command has noted on the error: what it keeps."""
    return "; ".join(note for note in getattr(error, "__notes__", ()) if not note.startswith(STAGE))


if __name__ == "__main__":
    sys.exit(main())
