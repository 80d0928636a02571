"""Run somebody's function where it can do no harm: in a child process with a time limit, its memory measured."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        value: what the function returned; None if it failed.
        failure: why there is no value, in a line; empty if there is.
        seconds: processor time of the call, which other work beside it does not lengthen; by the clock if it was ended.
        megabytes: memory that the call added to the process at its peak.
    """

    value: Any
    failure: str
    seconds: float
    megabytes: float


def call_isolated(compute: Callable[[], Any], limit: float) -> Outcome:
    """Call a function in a forked child and end it after ``limit`` seconds.

    The child begins as a copy of this process, so nothing has to be sent to it; what it returns is sent back. Where
    processes cannot be forked the function is called here, without a limit.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        return _call(compute)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(compute, there), daemon=True)
    begin = time.monotonic()
    child.start()
    there.close()
    try:
        answered = here.poll(limit)
        outcome: Outcome | None = here.recv() if answered else None
    except EOFError:
        child.join()
        return Outcome(None, f"its process died ({_cause(child.exitcode)})", time.monotonic() - begin, float("nan"))
    finally:
        if child.is_alive():
            child.kill()
        child.join()
        here.close()
    if outcome is None:
        return Outcome(None, f"took longer than {limit:g} s", limit, float("nan"))
    return outcome


def _cause(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _child(compute: Callable[[], Any], answer: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then kills
    torch.set_num_threads(1)
    answer.send(_call(compute))
    answer.close()
    sys.stdout.flush()  # what the function printed
    os._exit(0)  # no cleaning up of what the parent owns


def _call(compute: Callable[[], Any]) -> Outcome:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    try:
        value, failure = compute(), ""
    except WorkbenchError as error:
        value, failure = None, str(error)
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        value, failure = None, f"raised {type(error).__name__}{': ' + text if text else ''}"[:300]
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Outcome(value, failure, seconds, max(0.0, (peak - before) / 1024))
