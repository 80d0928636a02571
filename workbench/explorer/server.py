"""The server of the app: Voila behind `Guard`, with kernels that end when their page does and one to spare."""

from __future__ import annotations

import html
import logging
import os
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.explorer.guard import Answer, Guard
from workbench.explorer.page import EXTENSIONS, write_app
from workbench.explorer.spare import kernel_manager_class
from workbench.explorer.state import ExplorerState

#: Windows of the app open at once; each has a kernel of .3 GB, and one more kernel waits.
MAX_KERNELS = 8
#: Seconds after which a kernel that no page is connected to ends, and between two looks for such.
IDLE, LOOK = 120, 15
#: Bytes of the largest message a page may send: an upload of `controls.MAX_UPLOAD` bytes and what goes with it.
_MESSAGE = 32 * 2**20


def serve(
    state: ExplorerState, *, port: int, browser: bool, announce: Callable[[str], None], language: str = ""
) -> None:
    """Serve the app on this machine until interrupted; ``announce`` gets the link that opens it.

    ``language`` is the path of a result of `workbench language`, for its text.
    """
    guard = Guard(port, secrets.token_urlsafe(24))
    with tempfile.TemporaryDirectory(prefix="workbench-explorer-") as folder:
        arguments = write_app(Path(folder), state, language)
        paths = [folder, *filter(None, [os.environ.get("JUPYTER_PATH")])]
        os.environ["JUPYTER_PATH"] = os.pathsep.join(paths)
        arguments += [
            f"--port={port}",
            "--no-browser",
            "--Voila.ip=127.0.0.1",
            "--Voila.port_retries=0",
            "--Voila.log_level=ERROR",
            "--VoilaConfiguration.allow_template_override=NO",
            f"--MappingKernelManager.cull_idle_timeout={IDLE}",
            f"--MappingKernelManager.cull_interval={LOOK}",
        ]
        announce(guard.link())
        _server(guard, browser).launch_instance(arguments)


def _server(guard: Guard, browser: bool) -> Any:
    """Voila, asked only by whom `guard` lets pass."""
    try:
        from tornado.httpserver import HTTPServer
        from voila.app import Voila
    except ImportError as error:
        raise WorkbenchError(
            f"the app needs {error.name}, which is not installed; use: pip install 'stagewise-workbench[explore]'"
        ) from None

    class Server(Voila):  # type: ignore[misc]
        def initialize(self, argv: Any = None) -> None:
            self.config.VoilaConfiguration.multi_kernel_manager_class = kernel_manager_class()
            self.config.VoilaConfiguration.extension_allowlist = EXTENSIONS
            self.config.MappingKernelManager.transport_encryption = "auto"  # others may use this machine, too
            super().initialize(argv)

        def init_settings(self) -> Any:
            return super().init_settings() | {"websocket_max_message_size": _MESSAGE}

        def init_handlers(self) -> list[Any]:
            return [(r"/voila/api/shutdown/(.*)", _shutdown_handler()), *super().init_handlers()]

        def listen(self) -> None:
            from tornado.ioloop import IOLoop

            # A request that is refused is no fault of the server.
            logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
            HTTPServer(_gate(self.app, guard, self.kernel_manager), max_buffer_size=_MESSAGE).listen(
                self.port, "127.0.0.1"
            )
            self.ioloop = IOLoop.current()
            folder = os.path.dirname(os.path.relpath(self.notebook_path, self.root_dir))
            self.ioloop.add_callback(
                self.kernel_manager.spare.prepare, kernel_name="python3", path=folder, env={**os.environ}
            )
            if browser:
                self.ioloop.call_later(0.1, lambda: webbrowser.open(guard.link()))
            try:
                self.ioloop.start()
            finally:
                self.ioloop.run_sync(self.kernel_manager.spare.stop)
                self.stop()

    return Server


def _gate(app: Any, guard: Guard, kernel_manager: Any) -> Any:
    """The router before the app: every request, sockets included, passes here first."""
    from tornado.routing import Router
    from tornado.web import RequestHandler

    class Refused(RequestHandler):
        def initialize(self, answer: Answer) -> None:
            self.answer = answer

        def check_xsrf_cookie(self) -> None:
            """Nothing is done here that another page could want."""

        def prepare(self) -> None:
            answer = self.answer
            self.set_header("Cache-Control", "no-store")
            if answer.cookie:
                self.set_header("Set-Cookie", answer.cookie)
            if answer.location:
                self.redirect(answer.location, status=answer.status)
                return
            self.set_status(answer.status)
            self.finish(_plain_page(answer))

        def log_exception(self, *_: Any) -> None:
            """A refused request is no fault of the server."""

    class Gate(Router):
        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            answer = guard.refusal(request.uri, request.headers)
            if answer is None and request.path == "/" and open_kernels(kernel_manager) >= MAX_KERNELS:
                answer = Answer(
                    503,
                    f"{MAX_KERNELS} windows of the explorer are open on this machine, each with a process of its own: "
                    "close one of them, and this page opens by itself",
                )
            if answer is None:
                return app.find_handler(request, **kwargs)
            return app.get_handler_delegate(request, Refused, {"answer": answer})

    return Gate()


def open_kernels(kernel_manager: Any) -> int:
    """How many kernels of pages run or are being started."""
    return len({*kernel_manager.list_kernel_ids(), *kernel_manager._pending_kernels} - {kernel_manager.spare.kernel})


def _shutdown_handler() -> Any:
    """What answers a page's last word."""
    from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler

    class Shutdown(VoilaShutdownKernelHandler):  # type: ignore[misc]
        def check_xsrf_cookie(self) -> None:
            """A page that closes sends no header of ours; `Guard` knows it by origin and cookie."""

        async def post(self, kernel_id: str) -> None:
            if kernel_id in self.kernel_manager:
                await super().post(kernel_id)
            else:  # culled before: what was asked for is so
                self.set_status(204)
                self.finish()

    return Shutdown


def _plain_page(answer: Answer) -> str:
    """One sentence; a page that is refused for want of room asks again by itself."""
    again = '<meta http-equiv="refresh" content="4">' if answer.status == 503 else ""
    line = answer.line
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>workbench explorer</title>'
        '<body style="font:18px/1.5 sans-serif;max-width:34em;margin:15vh auto;padding:0 1em">'
        f"{again}<h1>Workbench explorer</h1><p>{html.escape(line)}.</p>"
    )


def free_port(wanted: int) -> int:
    """The wanted port if it is free, or else any that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise WorkbenchError("no port of this machine is free; close another server")
