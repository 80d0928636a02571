"""The command line: parse, call, print."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from workbench import __version__
from workbench.commands import bench, compare, derive, explore, figures, verify
from workbench.commands.console import Help, Parser
from workbench.commands.options import spelled
from workbench.errors import WorkbenchError

_ABOUT = """\
How does one training item's influence on another change while a network learns?

workbench answers twice: in closed form, and by training the same network, sampling around its checkpoints and
retraining without each item. `compare` does both for a task and writes a report with verdicts.

first steps
  workbench compare --task tree --out results/tree
      a (2,2,2) hierarchy of living things; then open results/tree/report.html
  workbench compare --task my_table.csv --out results/mine
      your own items x properties: first column item names, header = property names, numbers
  workbench figures --out slides --size slide
      twelve figures and two animations for a lecture, in seconds
  workbench derive --list
      every formula the predictions rest on; `workbench derive mode_strength` shows how one comes about
  workbench verify
      every formula against an independent computation, in about a minute
  workbench bench --out results/bench
      attribution methods, your own too, where the truth is known
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
    for command in (compare, explore, figures, derive, verify, bench):
        command.add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 2 for bad input, 130 after Ctrl-C, 143 when terminated."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal's encoding lacks
    # A letter that the font lacks is drawn as a box: nothing that the user could mend.
    warnings.filterwarnings("ignore", r"Glyph .* missing from font")
    try:
        with _interruptible():
            args = parser().parse_args(argv)
            return int(args.run(args))
    except _Interrupted as caught:
        print(f"workbench: {caught.word}; {_notes(caught) or 'nothing was written'}", file=sys.stderr)
        return 128 + caught.number
    except WorkbenchError as error:
        return _refuse(str(error), error)
    except MemoryError as error:
        return _refuse("out of memory; use fewer --checkpoints, --chains or a smaller --hidden", error)
    except OverflowError:
        return _refuse("a number grows beyond what can be computed with; use settings nearer to the defaults")
    except BrokenPipeError:
        # Whoever read the output has left; the interpreter must not complain about it when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _refuse(f"cannot read or write{f' {error.filename}' if error.filename else ''}: {error.strerror}", error)


def _refuse(message: str, error: BaseException | None = None) -> int:
    line = "; ".join(filter(None, (spelled(message), _notes(error))))
    print(f"workbench: {' '.join(line.split())}", file=sys.stderr)
    return 2


def _notes(error: BaseException | None) -> str:
    """What the command has noted on the error: what it keeps."""
    return "; ".join(getattr(error, "__notes__", ()))


class _Interrupted(KeyboardInterrupt):
    """A signal asked the program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn Ctrl-C and termination into `_Interrupted`, so that both clear up on their way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> None:
        raise _Interrupted(number)

    # A signal that the parent process has switched off (as for jobs in the background) stays off.
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    before = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
