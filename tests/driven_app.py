"""The explorer's app and a browser that drives it: what the browser tests and `benchmarks/explorer.py` share."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
#: Where the browser tests leave what they saw.
SHOTS = Path(__file__).resolve().parent.parent / ".artifacts" / "browser"
#: A browser that only talks to the app.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def what_is_missing() -> str:
    """Why the app cannot be driven here, in one line; empty if it can."""
    packages = [name for name in ("ipywidgets", "voila", "playwright") if find_spec(name) is None]
    if packages:
        return f"{', '.join(packages)} not installed; `make browser` installs the extra `browser`"
    if not CHROMIUM:
        return "no chromium found; install Debian's (apt-get install chromium) or set CHROMIUM to its path"
    return ""


@dataclass(frozen=True)
class Server:
    """`workbench explore`, running: the link it printed, and its process."""

    link: str
    process: subprocess.Popen[str]

    @property
    def address(self) -> str:
        """Without the token."""
        return self.link.partition("/?")[0]

    def page(self, query: str) -> str:
        """The link that opens a state."""
        return f"{self.link}&{query.lstrip('?')}"

    def comes_to(self, kernels: int, seconds: float = 60) -> int:
        """Wait until pages have so many kernels and one is spare: each takes a moment to end or to begin.

        Returns how many pages have.
        """
        until = time.monotonic() + seconds
        while len(self.children()) != kernels + 1 and time.monotonic() < until:
            time.sleep(0.1)
        return len(self.children()) - 1

    def children(self) -> list[int]:
        """The processes that the server has started and that still run, the oldest first (Linux)."""
        running: list[tuple[int, int]] = []  # numbers of processes begin again from 1 when they have come to the last
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if fields[1] == str(self.process.pid) and fields[0] != "Z":
                running.append((int(fields[19]), int(entry.parent.name)))
        return [process for _, process in sorted(running)]


@contextmanager
def served(*arguments: str) -> Iterator[Server]:
    """`workbench explore` on a free port, until the block ends; gives it once it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "explore", "--no-browser", "--port", str(_free_port()), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        # Ctrl-C reaches it even where this process ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "`workbench explore` printed no address"
        yield _answering(Server(found[0], process))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    """Of its own for every server: two that begin at once would both find the same one free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answering(server: Server) -> Server:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.process.poll() is None:
        try:
            # Not the app itself: each of its pages starts a kernel.
            urllib.request.urlopen(f"{server.address}/voila/static/voila.js", timeout=5).close()
        except urllib.error.HTTPError:
            return server
        except OSError:
            time.sleep(0.05)
        else:
            return server
    raise AssertionError(f"the app at {server.address} does not answer")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


class App:
    """One page of the app, and what a hand and an eye do with it."""

    def __init__(
        self,
        browser: Any,
        address: str,
        *,
        at_rest: bool = True,
        viewport: tuple[int, int] = (1280, 900),
        zoom: float = 1.0,
    ) -> None:
        size = {"width": viewport[0], "height": viewport[1]}
        context = browser.new_context(viewport=size, device_scale_factor=zoom, accept_downloads=True)
        self.page: Any = context.new_page()
        self.page.set_default_timeout(60_000)  # a machine that does other work
        #: Errors on the page, and requests to anywhere but this machine.
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)
        self.open(address, at_rest=at_rest)
        self._begun, self._first = address, self.numbers()

    def open(self, address: str, *, at_rest: bool = True) -> None:
        """Go to an address, in the same window."""
        self.page.goto(address)
        self.image.wait_for()
        if at_rest:
            self.at_rest()

    def _note(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
            self.errors.append(f"asked for {request.url}")

    @property
    def image(self) -> Any:
        """The picture."""
        return self.page.locator("img.widget-image, img.jupyter-widget-image")

    def source(self) -> str:
        """Changes with every new picture."""
        return str(self.image.get_attribute("src"))

    def new_picture(self, old: str) -> None:
        """Wait until the picture is another one."""
        self.page.wait_for_function(
            "old => document.querySelector('img.widget-image, img.jupyter-widget-image').src !== old", arg=old
        )

    def numbers(self) -> str:
        """The line below the picture."""
        return str(self.page.get_by_text(re.compile("^t = ")).inner_text())

    def reset(self) -> None:
        """Back to the state of the beginning; opened anew where something else left no way there."""
        from playwright.sync_api import TimeoutError

        try:
            self.button("reset").click(timeout=10_000)
            self.choose("look", "as the system")
            self.page.get_by_text(self._first, exact=True).wait_for(timeout=20_000)
            self.at_rest()
        except TimeoutError:
            self.open(self._begun)

    def answered(self) -> None:
        """Wait until the program has dealt with all that the page has sent so far."""
        before = self.page.evaluate(
            "() => { const e = document.querySelector('[data-answers]'); e.click(); return e.dataset.answers; }"
        )
        self.page.wait_for_function(
            "before => document.querySelector('[data-answers]').dataset.answers !== before", arg=before
        )

    def at_rest(self) -> None:
        """Wait until the simulation is done and no new picture comes: the last is drawn when the hand rests."""
        self.answered()
        self.page.evaluate("window.seenBefore = null")
        self.page.wait_for_function(
            """() => {
                const image = document.querySelector('img.widget-image, img.jupyter-widget-image');
                const fresh = document.querySelector('.workbench-fresh'), now = performance.now();
                if (!fresh || image.src !== window.seenBefore) { window.seenBefore = image.src; window.since = now; }
                return now - window.since > 300;
            }"""
        )

    def pixels(self) -> Any:
        """The picture as painted, ``(height, width, 3)``."""
        import numpy as np
        from PIL import Image

        # Until the pixels of a new source are there, a browser paints those of the old.
        painted = "image => image.decode().then(() => new Promise(done => requestAnimationFrame(() => done())))"
        self.image.evaluate(painted)
        return np.asarray(Image.open(io.BytesIO(self.image.screenshot())).convert("RGB")).astype(int)

    def one_time(self) -> None:
        """Wait until the time slider and the line of numbers below the picture say the same time."""
        self.page.wait_for_function(
            """() => {
                const line = [...document.querySelectorAll('.workbench-numbers')].map(e => e.innerText).join();
                const slider = document.querySelector('.workbench-time .widget-readout').innerText;
                return parseFloat(line.replace('t = ', '')) === parseFloat(slider);
            }"""
        )

    def sharp(self, zoom: float = 1.0) -> None:
        """Wait until the picture has as many pixels as its place."""
        self.page.wait_for_function(
            """zoom => {
                const image = document.querySelector('img.widget-image, img.jupyter-widget-image');
                return Math.abs(image.naturalWidth - zoom * image.clientWidth) <= 2;
            }""",
            arg=zoom,
        )

    def settled(self, word: str = "fresh") -> str:
        """Wait until the simulation is in this state; returns the line that says so."""
        # In one go: the line may be gone a moment later.
        text = "word => { const line = document.querySelector('.workbench-' + word); return line && line.innerText }"
        return str(self.page.wait_for_function(text, arg=word).json_value())

    def control(self, name: str) -> Any:
        """The control whose label begins with a name."""
        label = self.page.locator("label.widget-label", has_text=re.compile(f"^{re.escape(name)}"))
        return self.page.locator(".widget-inline-hbox, .widget-hbox", has=label).last

    def handle(self, name: str) -> Any:
        """The handle of a slider."""
        return self.control(name).locator(".noUi-handle")

    def press(self, name: str, key: str) -> None:
        """Press a key on a slider, once it is there to be pressed: folded controls take no focus."""
        handle = self.handle(name)
        handle.wait_for()
        handle.focus()
        self.page.wait_for_function("handle => document.activeElement === handle", arg=handle.element_handle())
        self.page.keyboard.press(key)

    def readout(self, name: str) -> float:
        """The number beside a slider."""
        return float(self.control(name).locator(".widget-readout").inner_text())

    def choose(self, name: str, *options: str) -> None:
        """Choose from a menu or a list."""
        self.control(name).locator("select").select_option(label=list(options))

    def error(self) -> str:
        """The line about what cannot be shown; empty if there is none."""
        line = self.page.locator(".workbench-error")
        return str(line.inner_text()) if line.count() else ""

    def button(self, name: str) -> Any:
        """A button."""
        return self.page.get_by_role("button", name=name, exact=True)


def language_text(folder: Path) -> Any:
    """A ``language.nc`` with nothing but the text: one document of four tokens at two checkpoints."""
    import numpy as np
    import xarray as xr

    pairs = ("time", "document", "source_token", "target_token")
    values = np.linspace(-1, 1, 18).reshape(2, 1, 3, 3)
    ds = xr.Dataset(
        {
            "token_correlation": (pairs, values),
            "token_correlation_stderr": (pairs, np.full_like(values, 0.1)),
            "text": (("document", "position"), np.array([["<", "a", "b", "a"]])),
            "text_class": (("document", "position"), np.array([[-1, 0, 1, 0]])),
        },
        coords={"step": ("time", [0, 10]), "class": ["word", "induction"]},
    )
    ds.to_netcdf(folder / "language.nc", engine="h5netcdf")
    return ds
