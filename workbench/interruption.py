"""Ctrl-C and termination: one line, nothing half-written, and within two seconds whatever is being computed.

Python notices a signal between two of its own steps, and then raises `Interrupted`, so that everything clears up on its
way out. A call into a numerical library is one step and may take minutes; some libraries swallow exceptions. A thread
waits for the signal as well: if the program is still there `PATIENCE` seconds later, it clears up in its stead and ends
the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from workbench.clearing import clear_up

#: Seconds from a signal until the process is ended from outside of its main thread.
PATIENCE = 1.0


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interruption:
    """Which signal has arrived, if any.

    Attributes:
        number: of the first signal; None while there is none.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._ended = threading.Event()
        self._said = threading.Lock()

    def say(self, notes: str) -> int | None:
        """Print the one line about the signal and return the exit code; None if another thread has said it."""
        if self.number is None or not self._said.acquire(blocking=False):
            return None
        word = "interrupted" if self.number == signal.SIGINT else "terminated"
        sys.stdout.flush()
        print(f"workbench: {word}; {notes or 'nothing was written'}", file=sys.stderr, flush=True)
        return 128 + self.number

    def arrived(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: the first one interrupts, others have nothing to add."""
        if self.number is None:
            self.number = number
            raise Interrupted(number)

    def watch(self, pipe: int, numbers: set[int]) -> None:
        """Wait for a signal, and end the process if the main thread does not."""
        while True:
            arrived = os.read(pipe, 1)
            if not arrived or self._ended.is_set():
                return
            if arrived[0] in numbers:
                break
        self.number = self.number or arrived[0]
        if not self._ended.wait(PATIENCE):
            code = self.say("; ".join(clear_up()))
            if code is not None:
                os._exit(code)

    def end(self) -> None:
        """The program has come to its end by itself."""
        self._ended.set()


@contextmanager
def interruptible(*, watched: bool, last: bool) -> Iterator[Interruption]:
    """Turn Ctrl-C and termination into `Interrupted`.

    Args:
        watched: whether the process is ended from outside where the main thread does not come to it.
        last: whether the process ends afterwards: once it was interrupted, further signals find nobody. The handlers
            before it are restored otherwise.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    # A signal that the parent process has switched off (as for jobs in the background) stays off.
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    before = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, interruption.arrived)
    hook = sys.unraisablehook
    sys.unraisablehook = lambda caught: None if isinstance(caught.exc_value, Interrupted) else hook(caught)
    close = _watch(interruption, set(map(int, before))) if watched and before else lambda: None
    try:
        yield interruption
    finally:
        interruption.end()
        close()
        sys.unraisablehook = hook
        over = last and interruption.number is not None
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if over else handler)


def _watch(interruption: Interruption, numbers: set[int]) -> Callable[[], None]:
    """Start the thread that waits; returns what ends it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread = threading.Thread(target=interruption.watch, args=(reading, numbers), daemon=True, name="interruption")
    thread.start()

    def close() -> None:
        signal.set_wakeup_fd(earlier)
        os.write(writing, b"\0")
        thread.join(timeout=0.5)
        for handle in (reading, writing):
            os.close(handle)

    return close
