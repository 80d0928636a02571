"""How fast the explorer follows the hand: in this process, and from key to painted pixels in Chromium.

    python benchmarks/explorer.py

Times are wall-clock, since that is what a hand feels; on a machine that does other work they are larger. CPU times,
given beside them, are not.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness import Table, number

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from driven_app import App, Server, chromium, served, what_is_missing

MOVES = 400
#: Seconds after which the kernel of the next page has long been ready.
PREPARED = 20

#: In the page: times from a key to the frame in which its picture is painted, and of every picture loaded.
_WATCH = """() => {
    const image = document.querySelector('img.widget-image, img.jupyter-widget-image');
    window.pressed = null; window.waits = []; window.frames = [];
    document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
    image.addEventListener('load', () => {
        window.frames.push(performance.now());
        if (window.pressed === null) return;
        const began = window.pressed;
        window.pressed = null;
        // A message posted in an animation frame arrives after that frame was painted.
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => window.waits.push(performance.now() - began);
            channel.port2.postMessage(null);
        });
    });
}"""


def resident() -> float:
    """Memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def in_process() -> list[tuple[str, str, str]]:
    """One frame, memory, and how long after the last movement the simulation is there."""
    from workbench.explorer import explore

    view = explore()
    spent: list[float] = []

    async def move(count: int) -> list[float]:
        costs = []
        cpu = time.process_time()
        for k in range(count):
            value = 10 ** (-2 - 0.02 * (k % 20))
            began = time.perf_counter()
            view.controls.a0.value = value
            costs.append(time.perf_counter() - began)
            await asyncio.sleep(0)
        spent.append((time.process_time() - cpu) / count)
        return costs

    async def settle() -> float:
        began = time.perf_counter()
        while view.status.word != "fresh" or view.follower.runner.busy:
            await asyncio.sleep(0.002)
        return time.perf_counter() - began

    async def story() -> tuple[list[float], float, list[float]]:
        await move(100)
        gc.collect()
        before = resident()
        costs = await move(MOVES)
        spent[:] = spent[-1:]
        gc.collect()
        growth = resident() - before
        settled = []
        for k in range(5):
            view.controls.time.value = 3.0 + k
            view.controls.a0.value = 0.02 + 0.01 * k
            settled.append(await settle())
        return costs, growth, settled

    costs, growth, settled = asyncio.run(story())
    milliseconds = [1e3 * cost for cost in costs]
    return [
        ("one frame, in process: median, ms", number(statistics.median(milliseconds)), "25"),
        ("one frame, in process: CPU, ms", number(1e3 * spent[0]), "25"),
        (f"memory after {MOVES} more moves, MB", f"{growth:+.1f}", "5"),
        ("simulation there after the last move, in process: median, s", number(statistics.median(settled)), "0.5"),
    ]


def in_browser() -> list[tuple[str, str, str]]:
    """The same through kernel, server, websocket and browser."""
    with served() as server, chromium() as browser:
        began = time.perf_counter()
        app = App(browser, server.link, at_rest=False)
        painted = time.perf_counter() - began
        app.at_rest()
        app.page.evaluate(_WATCH)
        keys = press(app)
        before = cpu_of(server)
        dragging, settled = drag(app)
        per_frame = (cpu_of(server) - before) / max(len(app.page.evaluate("window.frames")), 1)
        playing = play(app)
        app.page.context.close()
        time.sleep(PREPARED)
        began = time.perf_counter()
        App(browser, server.link, at_rest=False)
        again = time.perf_counter() - began
    return [
        ("key to painted frame: median, ms", number(statistics.median(keys)), "80"),
        ("frames a second while dragging", number(dragging), "at least 10"),
        ("CPU of the program for each of them, simulation included, ms", number(1e3 * per_frame), "100"),
        ("frames a second while playing", number(playing), "at least 10"),
        ("simulation there after the mouse is released, s", number(settled), "0.5"),
        ("first picture after the address is opened at once, kernel start included, s", number(painted), "4"),
        (f"the same {PREPARED} s later: a kernel has been waiting, s", number(again), "4"),
    ]


def cpu_of(server: Server) -> float:
    """Seconds of CPU that the kernels of a server have taken (Linux)."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in server.children()]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def play(app: App, seconds: float = 3.0) -> float:
    """Pictures a second while time plays."""
    app.at_rest()
    app.button("▶ play").click()
    app.page.wait_for_timeout(300)
    app.page.evaluate("() => { window.frames = []; }")
    began = time.perf_counter()
    app.page.wait_for_timeout(1e3 * seconds)
    frames = len(app.page.evaluate("window.frames")) / (time.perf_counter() - began)
    app.button("❚❚ pause").click()
    return frames


def press(app: App, count: int = 40) -> list[float]:
    """Milliseconds from each of some key presses to the painted frame."""
    app.handle("initial scale").focus()
    for k in range(count):
        app.page.keyboard.press("ArrowRight" if k % 20 < 10 else "ArrowLeft")
        app.page.wait_for_function("count => window.waits.length >= count", arg=k + 1)
        # Less than the rest after which simulation begins: a hand that keeps pressing.
        app.page.wait_for_timeout(60)
    return [float(wait) for wait in app.page.evaluate("window.waits")]


def drag(app: App, seconds: float = 3.0) -> tuple[float, float]:
    """Pictures a second while the mouse drags a slider, and seconds from its release to the end of simulation."""
    app.at_rest()
    handle = app.handle("initial scale")
    box, track = handle.bounding_box(), handle.evaluate("e => e.closest('.noUi-base').getBoundingClientRect().toJSON()")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    app.page.mouse.move(x, y)
    app.page.mouse.down()
    app.page.evaluate("() => { window.frames = []; }")
    began, k = time.perf_counter(), 0
    # Back and forth over the middle of the track: at its ends a hand that moves on changes nothing.
    middle, reach = track["x"] + track["width"] / 2, round(0.35 * track["width"])
    while time.perf_counter() - began < seconds:
        app.page.mouse.move(middle - reach + abs(k % (4 * reach) - 2 * reach), y)
        app.page.wait_for_timeout(16)
        k += 1
    frames = len(app.page.evaluate("window.frames")) / (time.perf_counter() - began)
    app.page.mouse.move(x + 4, y)
    app.page.mouse.up()
    released = time.perf_counter()
    app.settled("stale")
    app.settled("fresh")
    return frames, time.perf_counter() - released


def main() -> None:
    if find_spec("ipywidgets") is None:
        print("## The explorer\n\nnot measured: ipywidgets is not installed; `make browser` installs it\n")
        return
    rows: list[Any] = in_process()
    missing = what_is_missing()
    rows += [] if missing else in_browser()
    browser = f"not measured in a browser: {missing}" if missing else "browser: Chromium, headless, on the same machine"
    note = f"Wall-clock times, larger where the machine does other work; {browser}."
    print(Table("The explorer: how fast it follows the hand", ("what", "measured", "goal (at most)"), rows, note))


if __name__ == "__main__":
    main()
