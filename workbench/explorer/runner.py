"""Work that follows when the hand rests: put off while input comes, cancelled by newer input, in step with the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

from workbench.errors import WorkbenchError
from workbench.explorer.simulate import Cancelled

#: The hand rests when nothing has moved for so many seconds.
REST = 0.15
#: Seconds between two movements of a progress bar; more of them only cost time.
_TELL = 0.1


def loop_running() -> bool:
    """Whether this code runs inside an event loop, as in a notebook or an app."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Later:
    """Does things after a rest, each instead of what was put off under the same name; at once without an event loop."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __call__(self, name: str, wait: float, act: Callable[[], None]) -> None:
        """Do ``act`` after ``wait`` seconds."""
        if name in self._timers:
            self._timers.pop(name).cancel()
        if loop_running():
            self._timers[name] = asyncio.get_running_loop().call_later(wait, act)
        else:
            act()


class Runner:
    """One piece of work at a time.

    With an event loop running (a notebook, an app) `start` returns at once; the work runs in a thread, so that the
    loop stays free for the sliders, and its end is reported in the loop. Without one (a script) `start` does the work
    itself.

    Args:
        progress: called with the fraction done.
        done: called with the result.
        failed: called with the line of a `WorkbenchError`.
    """

    def __init__(
        self, progress: Callable[[float], None], done: Callable[[Any], None], failed: Callable[[str], None]
    ) -> None:
        self._progress, self._done, self._failed = progress, done, failed
        self._task: asyncio.Task[None] | None = None
        self._stop = Event()

    @property
    def busy(self) -> bool:
        """Whether work is waiting or under way."""
        return self._task is not None and not self._task.done()

    def start(self, work: Callable[[Callable[[float], None]], Any], rest: float = REST) -> None:
        """Drop what is under way and do this, after ``rest`` seconds of quiet."""
        self.cancel()
        if not loop_running():
            self.run_now(work)
            return
        loop = asyncio.get_running_loop()
        self._stop = Event()
        self._task = loop.create_task(self._later(work, rest, self._stop, loop))

    def run_now(self, work: Callable[[Callable[[float], None]], Any]) -> None:
        """Drop what is under way and do this here and now."""
        self.cancel()
        try:
            result = work(self._progress)
        except WorkbenchError as error:
            self._failed(str(error))
        else:
            self._done(result)

    def cancel(self) -> bool:
        """Stop; returns whether there was anything to stop."""
        was_busy = self.busy
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        return was_busy

    async def _later(
        self, work: Callable[[Callable[[float], None]], Any], rest: float, stop: Event, loop: asyncio.AbstractEventLoop
    ) -> None:
        await asyncio.sleep(rest)
        told = loop.time()

        def tell(fraction: float) -> None:
            if not stop.is_set():
                self._progress(fraction)

        def report(fraction: float) -> None:
            # In the worker's thread: widgets are only touched in the loop's.
            nonlocal told
            if stop.is_set():
                raise Cancelled
            now = loop.time()
            if now - told >= _TELL:
                told = now
                loop.call_soon_threadsafe(tell, fraction)

        try:
            result = await asyncio.to_thread(work, report)
        except Cancelled:
            return
        except WorkbenchError as error:
            if not stop.is_set():
                self._failed(str(error))
            return
        if not stop.is_set():
            self._done(result)
