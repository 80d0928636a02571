"""The page that needs no server: its curves are theory's, it fetches nothing, its sliders pick what they say."""

import re

import numpy as np
import pytest

from workbench.cli import main
from workbench.explorer.scene import Scene
from workbench.explorer.standalone import DEPTHS, STARTS, grid
from workbench.explorer.state import RANGES, ExplorerState
from workbench.influence import gradient_kernel, predict
from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec

bokeh = pytest.importorskip("bokeh")


@pytest.fixture(scope="module")
def pair():
    task = task_from_spec("tree:2")
    return task, grid(ExplorerState(task="tree:2"), Scene.of(task))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert main(["explore", "--task", "tree:2", "--export", str(path), "--quiet"]) == 0
    return path


def test_every_cell_holds_the_curves_of_its_network(pair):
    task, cells = pair
    assert len(cells.cells) == len(DEPTHS) * len(STARTS)
    for cell in cells.cells[:: len(STARTS) + 1]:
        start = network(task, hidden=4, init=f"balanced:{cell.a0}", depth=cell.depth)
        kernel = gradient_kernel(predict(start, cell.times)).values
        # Linear between the explorer's own points.
        np.testing.assert_allclose(cell.influence["gradient_kernel"], kernel, atol=0.03 * np.abs(kernel).max())


def test_the_page_is_one_small_file_that_fetches_nothing(written):
    text = written.read_text(encoding="utf-8")
    assert len(text.encode()) < 5e6
    assert not re.findall(r"<script[^>]*src=|<link[^>]*href=", text)


def test_an_existing_page_is_kept_unless_told_otherwise(written, capsys):
    before = written.read_bytes()
    assert main(["explore", "--task", "tree:2", "--export", str(written), "--quiet"]) == 2
    assert "--force" in capsys.readouterr().err
    assert written.read_bytes() == before


@pytest.mark.browser
def test_a_table_with_a_mode_below_every_start_begins_where_the_slider_does():
    task = SemanticTask("unlike", ("x", "y"), ("p", "q"), np.diag([1.0, 1e-5]))
    state = ExplorerState(task="given")
    starts = grid(state, Scene.of(task)).starts
    assert min(starts) == RANGES["a0"][0] and len(set(starts)) == len(starts)


def test_a_slider_moves_the_filter_of_its_rows(written):
    driven = pytest.importorskip("driven_app")
    with driven.chromium() as browser:
        page = browser.new_page()
        fetched = []
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(written.as_uri())
        page.wait_for_selector(".noUi-handle")
        kept = (
            "Bokeh.documents[0]._all_models.values().filter(m => m.column_name == 'depth').map(m => m.group).toArray()"
        )
        before = page.evaluate(kept)
        page.locator(".noUi-handle").first.focus()
        page.keyboard.press("ArrowRight")
        assert [url for url in fetched if not url.startswith(("file:", "data:"))] == []
        assert (before, page.evaluate(kept)) == (["2"], ["3"])
