"""The explorer as people meet it: its app in Chromium, driven by keyboard and mouse.

Skipped where the browser or its driver is missing, unless WORKBENCH_BROWSER=required.
Screenshots go to .artifacts/browser.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from driven_app import SHOTS, App, what_is_missing
from PIL import Image

pytestmark = pytest.mark.browser

if (missing := what_is_missing()) and os.environ.get("WORKBENCH_BROWSER") != "required":
    pytest.skip(missing, allow_module_level=True)

GOOD = "item,swims,flies,big\nsalmon,1,0,0\nrobin,0,1,0\nwhale,1,0,1\n"
BAD = "item,swims\nsalmon,1\nrobin,often\n"


def test_arrow_keys_move_a_focused_slider_and_the_picture_with_it(app: App) -> None:
    before, picture = app.readout("flow time"), app.source()
    app.handle("flow time").focus()
    for _ in range(5):
        app.page.keyboard.press("ArrowRight")
    app.new_picture(picture)
    app.one_time()
    assert app.readout("flow time") > before
    app.settled()  # time only picks from what was simulated


def test_a_simulation_follows_a_key_and_says_when_it_belongs_to_the_sliders(app: App) -> None:
    old = app.settled()
    app.press("depth", "ArrowRight")
    app.settled("stale")
    assert app.readout("depth") == 3
    assert app.settled() != old


def test_the_picture_follows_a_slider_while_the_mouse_drags_it(app: App) -> None:
    handle = app.handle("initial scale")
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    picture, before = app.source(), app.readout("initial scale")
    app.page.mouse.move(x, y)
    app.page.mouse.down()
    app.page.mouse.move(x + 12, y, steps=4)
    app.new_picture(picture)
    picture = app.source()
    app.page.mouse.move(x + 24, y, steps=4)
    app.new_picture(picture)
    assert app.page.locator(".workbench-stale").count() == 1
    app.page.mouse.up()
    assert app.readout("initial scale") > 2 * before
    app.settled()


def test_menus_pick_a_pair(app: App) -> None:
    app.choose("source item", "oak")
    app.choose("target items", "pine", "dog")
    app.page.get_by_text("I(oak → dog)").wait_for()


def test_a_click_on_a_cell_of_the_matrix_picks_its_pair(app: App) -> None:
    from workbench.explorer.state import ExplorerState
    from workbench.explorer.view import Explorer

    view = Explorer(ExplorerState(), app=True)  # the same figure, for the place of the cell
    wide, high = app.image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    view.bridge.window = {"width": wide, "height": high, "ratio": 1.0, "night": False}
    ax, order = view.panels.by_name["matrix"].ax, view.scene.order.order
    names = view.scene.task.items
    column, row = ax.transData.transform((6, 2))
    box, (wide, high) = app.image.bounding_box(), view.figure.bbox.size
    position = {"x": column / wide * box["width"], "y": (1 - row / high) * box["height"]}
    app.image.click(position=position)
    app.page.get_by_text(f"I({names[order[2]]} → {names[order[6]]})").wait_for()
    assert app.control("source item").locator("select").input_value()
    assert app.control("source item").locator("option:checked").inner_text() == names[order[2]]


def test_an_uploaded_table_is_the_task_and_a_bad_one_says_one_line(app: App) -> None:
    def upload(name: str, text: str) -> None:
        with app.page.expect_file_chooser() as chooser:
            app.page.locator("button.widget-upload, button.jupyter-widget-upload").click()
        chooser.value.set_files({"name": name, "mimeType": "text/csv", "buffer": text.encode()})

    app.choose("task", "uploaded CSV")
    app.page.locator(".workbench-invitation", has_text="Choose a CSV").wait_for()
    upload("mine.csv", GOOD)
    app.page.get_by_text("I(salmon → whale)").wait_for()
    assert app.error() == ""
    app.page.get_by_text("mine.csv: another", exact=True).wait_for()  # not "another (0)"
    app.at_rest()
    before = app.source()
    upload("bad.csv", BAD)
    app.page.locator(".workbench-error", has_text="often").wait_for()
    assert "\n" not in app.error().strip() and app.source() == before
    app.page.screenshot(path=SHOTS / "a_bad_upload.png", full_page=True)
    app.choose("task", "tree")
    app.page.get_by_text("I(dog → cat)").wait_for()
    assert app.error() == ""


def test_a_simulation_can_be_cancelled_and_run(app: App) -> None:
    app.choose("measure", "local BIF")
    app.settled("stale")
    app.button("cancel").click()
    assert "cancelled" in app.settled("stopped")
    app.button("simulate").click()
    assert "standard errors" in app.settled()


@pytest.mark.parametrize("kind", ["PNG", "SVG", "PDF"])
def test_a_saved_figure_opens(app: App, tmp_path: Path, kind: str) -> None:
    app.page.locator("select", has=app.page.locator("option", has_text="PDF")).select_option(kind)
    app.button("save figure").click()
    with app.page.expect_download() as download:
        app.page.locator(f"a[download='explorer.{kind.lower()}']").click()
    name = download.value.suggested_filename
    assert name == f"explorer.{kind.lower()}"
    download.value.save_as(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    if kind == "PNG":
        image = Image.open(tmp_path / name)
        image.load()
        assert image.width > 1500 and np.asarray(image.convert("L")).std() > 10
    else:
        assert content.startswith({"SVG": b"<?xml", "PDF": b"%PDF"}[kind]) and len(content) > 20_000


def test_saved_data_open_as_a_table(app: App, tmp_path: Path) -> None:
    app.button("save data").click()
    with app.page.expect_download() as download:
        app.page.locator("a[download='explorer.csv']").click()
    download.value.save_as(tmp_path / "data.csv")
    app.choose("source item", "oak")  # what was brought out is of a state no longer shown
    app.page.wait_for_function("document.querySelectorAll('a[download]').length === 0")
    table = pd.read_csv(tmp_path / "data.csv")
    assert set(table["side"]) == {"theory", "simulation"}
    assert "gradient_kernel, dog on cat" in set(table["quantity"])


def test_an_impossible_combination_says_one_line_and_leaves_the_picture(app: App) -> None:
    # Unequal layers have a closed form at depth 2 alone.
    app.press("balance λ", "ArrowRight")
    app.settled("stale")
    app.at_rest()
    source, before, place = app.source(), app.pixels(), app.image.bounding_box()
    app.press("depth", "ArrowRight")
    app.page.locator(".workbench-error").wait_for()
    line = app.error()
    assert "depth 3" in line and "\n" not in line.strip()
    assert app.source() == source and app.image.bounding_box() == place
    after = app.pixels()
    assert after.shape == before.shape and (after == before).all()
    app.page.screenshot(path=SHOTS / "an_impossible_combination.png", full_page=True)
    app.page.keyboard.press("ArrowLeft")
    app.page.wait_for_function("document.querySelectorAll('.workbench-error').length === 0")


def test_dragging_inside_the_curves_moves_time(app: App) -> None:
    app.sharp()
    box, before = app.image.bounding_box(), app.readout("flow time")
    y = box["y"] + 0.25 * box["height"]
    app.page.mouse.move(box["x"] + 0.45 * box["width"], y)
    app.page.mouse.down()
    app.page.mouse.move(box["x"] + 0.55 * box["width"], y, steps=8)
    app.page.wait_for_function(
        "before => parseFloat(document.querySelector('.workbench-time .widget-readout').innerText) !== before",
        arg=before,
    )
    app.page.mouse.up()
    app.settled()
    app.one_time()


def test_the_value_under_the_pointer_is_read_out(app: App) -> None:
    app.sharp()
    box = app.image.bounding_box()
    app.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.25 * box["height"])
    app.page.locator(".workbench-pointed", has_text="at t =").wait_for()


def test_a_kept_curve_stays_and_can_stand_beside_the_present_one(app: App) -> None:
    app.button("keep this curve").click()
    app.press("depth", "ArrowRight")
    app.page.wait_for_function("location.search.includes('kept=')")
    app.page.get_by_role("button", name="side by side").click()
    app.settled()
    app.at_rest()
    app.button("drop kept").click()
    app.page.wait_for_function("!location.search.includes('kept=')")


def test_everything_has_a_name_for_readers_of_the_screen(app: App) -> None:
    app.settled()
    nameless = app.page.evaluate(
        """() => [...document.querySelectorAll('.workbench :is(button, select, input, textarea, [role=slider], img)')]
        .filter(e => e.checkVisibility() && !(e.getAttribute('aria-label') || e.innerText || e.alt || e.labels?.length))
        .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    alt = app.image.get_attribute("alt")
    assert "gradient kernel of dog" in alt and "helps" in alt
    assert app.page.locator("h1").count() == 1 and app.page.locator("[role=main]").count() == 1
    assert "explorer" in app.page.title().lower()
    assert app.page.locator(".workbench-status[aria-live=polite]").count() == 1


def test_a_file_too_large_is_said_and_not_sent(app: App, tmp_path: Path) -> None:
    big = tmp_path / "big.csv"
    big.write_bytes(b"x" * 12_000_000)
    app.choose("task", "uploaded CSV")
    with app.page.expect_file_chooser() as chooser:
        app.page.locator("button.widget-upload, button.jupyter-widget-upload").click()
    chooser.value.set_files(big)
    app.page.locator(".workbench-error", has_text="big.csv has 12 MB").wait_for()
    app.choose("task", "tree")


def test_lectures_and_the_language_model_are_on_the_menu_and_in_the_address(app: App) -> None:
    for name, words in {"one mode": "One mode", "one pair": "One pair", "language": "language model"}.items():
        app.button(name).click()
        app.page.get_by_role("heading", name=words).wait_for()
        app.page.wait_for_function("name => location.search.includes(`lecture=${name}`)", arg=name.replace(" ", "_"))
        app.page.screenshot(path=SHOTS / f"{name.replace(' ', '_')}.png", full_page=True)
        app.button("back to the explorer").click()
        app.control("depth").wait_for()
    app.page.wait_for_function("!location.search.includes('lecture=')")


def test_a_step_that_is_too_long_turns_the_status_red(app: App) -> None:
    app.press("step size", "End")
    app.settled("stale")
    assert "diverges" in app.settled() and app.page.locator(".workbench-fresh.workbench-bad").count() == 1
