"""The explorer's page in windows of several sizes, reloaded, opened by links, closed.

Skipped where the browser or its driver is missing, unless WORKBENCH_BROWSER=required.
Screenshots go to .artifacts/browser.
"""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from driven_app import SHOTS, App, Server, what_is_missing
from PIL import Image

pytestmark = pytest.mark.browser

if (missing := what_is_missing()) and os.environ.get("WORKBENCH_BROWSER") != "required":
    pytest.skip(missing, allow_module_level=True)


# The page at several widths

SIZES = [(800, 700), (1280, 800), (1366, 768), (1920, 1080)]
ENDS = [SIZES[0], SIZES[-1]]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_app_fits_the_window_and_names_every_control(app: App, width: int, height: int) -> None:
    app.page.set_viewport_size({"width": width, "height": height})
    app.sharp()
    narrow = width <= 1010
    if not narrow:
        app.page.wait_for_function(  # the kernel draws it anew at the height of the window
            "height => [...document.querySelectorAll('.workbench-export button')].pop().getBoundingClientRect().bottom"
            " <= height",
            arg=height,
        )
    assert app.page.evaluate("document.documentElement.scrollWidth") <= width
    box = app.image.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert box["width"] > (0.95 if narrow else 0.65) * width
    assert app.handle("flow time").bounding_box() and app.button("▶ play").is_visible()
    # Controls fold away where there is no room beside the picture.
    assert app.control("depth").is_visible() != narrow
    if narrow:
        app.button("controls").click()
        app.control("depth").wait_for()
    names = "task", "branching", "depth", "hidden", "initial scale", "balance", "step size", "source", "flow time"
    for name in names:
        assert app.control(name).is_visible()
    for label in app.page.locator("label.widget-label:visible").all():
        assert label.evaluate("e => e.scrollWidth <= e.clientWidth"), label.inner_text()
    picture = app.pixels()
    assert picture.std() > 10 and (picture == 255).all(axis=2).mean() < 0.98


@pytest.mark.parametrize(("width", "height"), ENDS)
def test_play_moves_time_through_all_panels_and_slider_and_line_never_differ(app: App, width: int, height: int) -> None:
    app.page.set_viewport_size({"width": width, "height": height})
    app.sharp()
    before = app.readout("flow time")
    app.button("▶ play").click()
    app.page.wait_for_function(
        "before => parseFloat(document.querySelector('.workbench-time .widget-readout').innerText) > before + 1",
        arg=before,
    )
    app.button("❚❚ pause").click()
    app.button("▶ play").wait_for()
    app.settled()
    app.one_time()


@pytest.mark.parametrize(("width", "height"), ENDS)
def test_presets_and_the_tour_explain_what_is_seen(app: App, width: int, height: int) -> None:
    app.page.set_viewport_size({"width": width, "height": height})
    app.choose("preset", "depth 1: no influence between items")
    app.page.locator(".workbench-remark", has_text="exactly 0").wait_for()
    app.button("tour").click()
    for k in range(1, 6):
        app.page.get_by_role("heading", name=f"{k} of 5").wait_for()
        app.button("next" if k < 5 else "finish").click()
    app.page.locator(".workbench-tour").wait_for(state="hidden")


@pytest.mark.parametrize(("width", "height"), ENDS)
def test_dark_and_presentation(app: App, width: int, height: int) -> None:
    app.page.set_viewport_size({"width": width, "height": height})
    app.sharp()
    light = app.source()
    app.choose("look", "dark")
    app.page.locator(".workbench-dark").first.wait_for()
    app.new_picture(light)
    app.at_rest()
    assert np.median(app.pixels()) < 40
    # No white frame either: the edges of the window are dark.
    window = np.asarray(Image.open(io.BytesIO(app.page.screenshot())).convert("L")).astype(int)
    edges = window[:2], window[-2:], window[:, :2], window[:, -2:]
    assert max((edge > 90).mean() for edge in edges) < 0.2  # letters may be cut by one
    app.page.get_by_role("button", name="presentation").click()
    app.page.locator(".workbench-large").first.wait_for()
    app.control("depth").wait_for(state="hidden")
    app.sharp()
    app.page.screenshot(path=SHOTS / f"presentation_{width}.png", full_page=True)
    app.page.get_by_role("button", name="presentation").click()
    app.choose("look", "as the system")


def test_reload_back_and_undo_keep_the_state(app: App) -> None:
    def depth(value: int) -> None:
        app.page.wait_for_function(
            "value => [...document.querySelectorAll('.widget-readout')].some(e => e.innerText === String(value)"
            " && e.closest('.widget-inline-hbox').innerText.startsWith('depth'))",
            arg=value,
        )

    for k in (3, 4):
        app.press("depth", "ArrowRight")
        app.page.wait_for_function("k => location.search.includes(`depth=${k}`)", arg=k)
    app.page.go_back()
    depth(3)
    app.button("undo").click()  # the state before going back
    depth(4)
    app.page.wait_for_function("location.search.includes('depth=4')")
    app.page.go_back()
    depth(3)
    app.page.reload()
    app.image.wait_for()
    depth(3)
    app.at_rest()


# A second window, opened by a link at the zoom of a small laptop; the kernels of both are counted

LINK = "depth=3&source=rose&targets=cat&a0=0.0123&time=7.77"


@pytest.fixture(scope="module")
def other(browser: object, server: Server, page: App) -> Iterator[App]:
    assert server.comes_to(1) == 1
    other = App(browser, server.page(LINK), viewport=(853, 512), zoom=1.5)
    yield other
    other.page.context.close()


def link_of(app: App) -> str:
    app.button("link").click()
    return str(app.page.locator("a.workbench-link").get_attribute("href"))


def test_a_link_opens_the_same_state_in_another_window(app: App, other: App) -> None:
    app.choose("source item", "rose")
    app.press("depth", "ArrowRight")
    app.settled("stale")
    app.at_rest()
    # Values between the steps of the sliders, on the nearest of which a browser puts the handles.
    assert link_of(app).partition("?")[2] + "&a0=0.0123&time=7.77" == LINK
    # Time stands on a step of its slider, of which there are 400.
    assert other.readout("depth") == 3 and "t = 7.7" in other.numbers() and "I(rose →" in other.numbers()
    assert "a0=0.0123" in link_of(other) and "eta" not in link_of(other)
    assert other.errors == []


def test_a_zoom_of_150_percent_is_drawn_sharp(other: App) -> None:
    other.sharp(1.5)
    assert other.page.evaluate("document.documentElement.scrollWidth") <= 853
    other.page.screenshot(path=SHOTS / "zoom_150.png", full_page=True)


def test_a_damaged_link_says_so_until_the_user_has_read_it(other: App, server: Server) -> None:
    other.open(server.page("task=/etc/hosts"))
    notice = other.page.locator(".workbench-notice")
    assert "not understood" in notice.inner_text()
    other.button("▶ play").click()
    other.button("❚❚ pause").click()
    other.settled()
    assert "not understood" in notice.inner_text()
    other.button("understood").click()
    notice.wait_for(state="hidden")
    assert other.errors == []


def test_reloads_leave_no_kernels(other: App, server: Server) -> None:
    for _ in range(2):
        other.page.reload()
        other.image.wait_for()
    assert server.comes_to(2) == 2


def test_a_program_that_has_ended_is_said_in_words(other: App, page: App, server: Server) -> None:
    assert server.comes_to(2) == 2
    for kernel in server.children()[1:]:  # all but that of the first page
        os.kill(kernel, signal.SIGKILL)
    # Voila starts a dead kernel anew, without the cell's objects: its page gets no more answers either.
    other.page.locator(".workbench-gone").wait_for()
    other.page.screenshot(path=SHOTS / "program_has_ended.png")


def test_a_spare_kernel_that_has_ended_is_no_loss(other: App, server: Server) -> None:
    other.open(server.page(LINK))
    assert "t = 7.7" in other.numbers() and other.errors == []


def test_a_closed_window_leaves_no_kernel(other: App, page: App, server: Server) -> None:
    other.page.close(run_before_unload=True)
    assert server.comes_to(1) == 1
