"""What the commands share: parsers that answer in one line, numbers that may be ``auto``, progress bars."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from workbench.errors import WorkbenchError

#: Begins a note on an error that says during which stage it came.
STAGE = "stage: "


class Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps paragraphs and shows defaults."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # Options whose default is chosen from the theory say so themselves.
        return action.help if action.default is None or action.default is False else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """One line on stderr and exit code 2, as for every other bad input.

    Args:
        fill: adds the arguments when they are first needed: they may have to ask a library that takes time to load.
    """

    def __init__(
        self, *args: Any, fill: Callable[[argparse.ArgumentParser], None] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._fill = fill

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As usual, with the arguments there."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> Any:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


@contextmanager
def bar(title: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], Any]]:
    """A progress bar that advances by what it is given; what fails below it is noted to be of that stage."""
    from tqdm import tqdm

    with tqdm(
        total=total,
        desc=f"{title:<24}",
        leave=False,
        unit_scale=True,
        mininterval=0.2,
        delay=0.5,
        disable=quiet or None,  # None: only a terminal gets bars; a log file gets the messages alone.
    ) as shown:
        try:
            yield shown.update
        except Exception as error:
            error.add_note(f"{STAGE}{title}")
            raise


@contextmanager
def steps_in_one_bar(title: str, total: int) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    """One bar for tasks that each would open bars of their own: what opens those, and what is called after each task.

    A task's own progress stands behind the bar.
    """
    from tqdm import tqdm

    with tqdm(total=total, desc=f"{title:<24}", leave=False, miniters=0, mininterval=0.2, disable=None) as shown:

        @contextmanager
        def within(part: str, amount: int) -> Iterator[Callable[[int], Any]]:
            done = 0

            def advance(more: int) -> None:
                nonlocal done
                done += more
                shown.set_postfix_str(f"{part} {done / max(1, amount):.0%}", refresh=False)
                shown.update(0)

            shown.set_postfix_str(part)
            try:
                yield advance
            except Exception as error:
                error.add_note(f"{STAGE}{part}")
                raise

        yield within, lambda done: shown.update(1)


def auto(text: str, option: str) -> float | None:
    """A number, or None for ``auto``."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise WorkbenchError(f"{option} {text!r} is no number; give a positive number or auto") from None


class Printed(logging.Handler):
    """Prints what the library logs, such as how long something will take, as a note."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line on standard output."""
        from workbench.commands.options import spelled

        print(f"note: {spelled(record.getMessage())}", flush=True)
