"""A kernel that waits for the next page: started, and everything imported, before it is asked for.

Most of the time until a page shows its picture goes into starting Python and importing; a spare kernel has done that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Seconds after which a page that took the spare kernel is there, and the next one may be started.
REFILL = 6.0
#: Seconds without a message after which no hand moves anything, and how often that is looked for at most.
_QUIET, _LOOKS = 2.0, 240
#: Seconds that a page waits for a spare kernel which is being started, before it starts one of its own.
_PATIENCE = 60.0
#: What a page needs at once, and what it needs next; a page that comes in between waits for nothing that it could do
#: without.
_FIRST = "import workbench.explorer.menu, workbench.explorer.view"
_THEN = "from workbench.explorer.page import rehearse\nrehearse()"


def kernel_manager_class() -> type:
    """A manager of kernels, one of which is spare."""
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

    base: Any = AsyncMappingKernelManager  # not annotated throughout

    class WithSpare(base):  # type: ignore[misc]
        """Pages get the spare kernel where there is one.

        Attributes:
            spare: the kernel that waits.
        """

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.spare = Spare(self, super().start_kernel)

        async def start_kernel(self, **asked: Any) -> str:
            """The spare kernel in the environment of the page, or a new one."""
            return await self.spare.taken(asked.get("env", {})) or str(await super().start_kernel(**asked))

        async def cull_kernel_if_idle(self, kernel_id: str) -> None:
            """End a kernel that no page is connected to; the spare one is to wait."""
            if kernel_id != self.spare.kernel:
                await super().cull_kernel_if_idle(kernel_id)

    return WithSpare


class Spare:
    """A kernel that no page has yet; another one is prepared once a page has taken it and is there.

    Args:
        manager: of all kernels.
        start: how it starts one.

    Attributes:
        kernel: its name; empty while there is none.
    """

    def __init__(self, manager: Any, start: Callable[..., Awaitable[str]]) -> None:
        self.kernel = ""
        self._manager, self._start = manager, start
        self._preparing: asyncio.Task[tuple[str, Any]] | None = None
        self._asking = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asked: dict[str, Any] = {}

    def prepare(self, wait: float = 0.0, **asked: Any) -> None:
        """Start one after some seconds, with the arguments that pages will start theirs with."""
        self._asked = asked or self._asked
        self._later(self._begin(wait))

    async def taken(self, env: dict[str, str]) -> str:
        """The name of the kernel, now a page's and in its environment; empty where there is none that is good."""
        preparing, self._preparing = self._preparing, None
        kernel = ""
        if preparing is not None:
            with contextlib.suppress(Exception):  # whatever is wrong with it, the page gets a kernel
                kernel = await self._handed_over(*await preparing, env)
            self.prepare(REFILL)
        return kernel

    async def stop(self) -> None:
        """Drop what is being prepared; at once, since nobody has used it."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.kernel in self._manager:
            await self._manager.shutdown_kernel(self.kernel, now=True)

    def _later(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _begin(self, wait: float) -> None:
        await asyncio.sleep(wait)
        for _ in range(_LOOKS):
            if not self._moving():
                break
            await asyncio.sleep(0.25)
        self._preparing = self._later(self._prepared())

    def _moving(self) -> bool:
        """Whether a page is being used: its beat alone is rarer."""
        now = datetime.now(UTC)
        pages = [self._manager.get_kernel(kernel) for kernel in self._manager.list_kernel_ids()]
        # One that is still being started has no last activity.
        return any((now - getattr(page, "last_activity", now)).total_seconds() < _QUIET for page in pages)

    async def _prepared(self) -> tuple[str, Any]:
        self.kernel = kernel = str(await self._start(**self._asked))
        if len(self._manager) > 1:
            self._last_in_line(kernel, True)
        # The only one: clients of one kernel have the same identity, and one gets the answers to all.
        client = self._manager.get_kernel(kernel).client()
        client.start_channels()
        self._later(self._rehearsed(kernel, client))
        return kernel, client

    async def _rehearsed(self, kernel: str, client: Any) -> None:
        with contextlib.suppress(Exception):  # if it was no good, the page will say why
            await self._execute(client, _FIRST)
            if kernel == self.kernel:
                await self._execute(client, _THEN)

    async def _handed_over(self, kernel: str, client: Any, env: dict[str, str]) -> str:
        self.kernel = ""
        self._last_in_line(kernel, False)
        before = self._asked.get("env", {})
        new = json.dumps({name: value for name, value in env.items() if before.get(name) != value})
        try:
            await self._execute(client, f"import json, os\nos.environ.update(json.loads({new!r}))")
        except Exception:
            await self._manager.shutdown_kernel(kernel, now=True)
            raise
        finally:
            client.stop_channels()
        return kernel

    async def _execute(self, client: Any, code: str) -> None:
        async with self._asking:
            reply = await client.execute(code, silent=True, store_history=False, reply=True, timeout=_PATIENCE)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(reply["content"].get("evalue", ""))

    def _last_in_line(self, kernel: str, last: bool) -> None:
        """Whether a kernel gets only what time of the processor others leave, moving pages above all (Linux)."""
        with contextlib.suppress(OSError, AttributeError):
            # Of the whole session, a process of its own: unlike the process's, this rank can be given back.
            group = Path(f"/proc/{self._manager.get_kernel(kernel).provisioner.pid}/autogroup")
            group.write_text("19" if last else "0")
