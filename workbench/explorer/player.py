"""Time that plays: frame after frame, as fast as they can be drawn and no faster than asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from workbench.explorer.runner import loop_running

#: Frames a second at most, and seconds from the beginning to the end.
FRAMES, SECONDS = 20.0, 10.0


class Player:
    """Moves a share of the whole from 0 to 1.

    Args:
        show: called with the share.
        ended: called when playing stops, by itself or not.
    """

    def __init__(self, show: Callable[[float], None], ended: Callable[[], None]) -> None:
        self._show, self._ended = show, ended
        self._task: asyncio.Task[None] | None = None

    @property
    def playing(self) -> bool:
        """Whether time moves."""
        return self._task is not None and not self._task.done()

    def start(self, share: float) -> None:
        """Play from a share of the whole; from the beginning if it is the end."""
        self.stop()
        if loop_running():
            self._task = asyncio.get_running_loop().create_task(self._run(0.0 if share > 0.999 else share))
        else:
            self._ended()

    def stop(self) -> None:
        """Stand still."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._ended()

    async def _run(self, share: float) -> None:
        began = time.perf_counter() - share * SECONDS
        while share < 1.0:
            frame = time.perf_counter()
            share = min((frame - began) / SECONDS, 1.0)
            self._show(share)
            # At least a little, so that a hand on the controls is heard.
            await asyncio.sleep(max(1 / FRAMES - (time.perf_counter() - frame), 0.008))
        self._task = None
        self._ended()
