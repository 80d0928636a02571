"""The explorer: states that can be written down, curves, artists that follow sliders, simulation that follows both."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

pytest.importorskip("ipywidgets")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

import workbench.explorer as explorer
from workbench import Hierarchy, SemanticTask, theory
from workbench.errors import WorkbenchError
from workbench.explorer import ExplorerState, explore, follower, model
from workbench.explorer import view as view_module
from workbench.explorer.labels import _place
from workbench.explorer.model import curves, start_of
from workbench.explorer.scales import limits
from workbench.explorer.scene import Scene, scene_of
from workbench.explorer.simulate import simulate, simulation_key
from workbench.explorer.ticks import numbers
from workbench.explorer.upload import uploaded_text
from workbench.explorer.view import Explorer

TABLE = "item,swims,flies,big\nsalmon,1,0,0\nrobin,0,1,0\nwhale,1,0,1\n"


@pytest.fixture(scope="module")
def shared() -> Explorer:
    return explore("tree:2,2,2")


@pytest.fixture
def live(shared: Explorer) -> Explorer:
    """Simulates whenever it is moved."""
    shared.reset()
    return shared


@pytest.fixture
def view(shared: Explorer, monkeypatch: pytest.MonkeyPatch) -> Explorer:
    """Simulated once, and again only by `Explorer.settle`: each time would draw the picture twice."""
    monkeypatch.setattr(shared.follower.runner, "start", lambda *rest: None)
    shared.reset()
    shared.settle()
    return shared


def panel(view: Explorer, name: str) -> Any:
    return view.panels.by_name[name]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


# States


@pytest.mark.parametrize(
    "state",
    [
        ExplorerState(),
        ExplorerState(depth=3, a0=0.0123456789, targets=("robin", "oak & pine, etc.", "ä=b")),
        ExplorerState(task="csv:my table", table=TABLE, lam=-1.5, measure="leave_one_out", time=0.1 + 0.2),
        ExplorerState(
            task="diffusion:2,2,2:0.1", options=(("n_beta", 30.0), ("gamma", 500.0)), measure="local_bif", seed=7
        ),
    ],
)
def test_a_state_survives_config_json_and_link(state: ExplorerState) -> None:
    assert ExplorerState.from_config(json.loads(json.dumps(state.config()))) == state
    assert ExplorerState.from_query("?" + state.query()) == state


@pytest.mark.parametrize(
    "task", ["/etc/hosts", "mine.csv", "../x.csv", "~/x.csv", "file:///etc/hosts", "", "trees:2,2"]
)
def test_no_state_names_a_file(task: str) -> None:
    for make in (lambda: ExplorerState.from_query(f"task={task}"), lambda: ExplorerState.from_config({"task": task})):
        with pytest.raises(WorkbenchError, match="a link may name"):
            make()


@pytest.mark.parametrize(
    "query",
    ["depht=3", "depth=many", "depth=2.5", "a0=nan", "lam=99", "measure=vibes", "time=-1", "table=%21%21", "gamma="],
)
def test_a_state_that_is_none_is_refused_in_one_line(query: str) -> None:
    with pytest.raises(WorkbenchError) as caught:
        ExplorerState.from_query(query)
    assert "\n" not in str(caught.value)


def test_a_table_too_long_for_a_link_is_refused_but_has_a_config() -> None:
    rng = np.random.default_rng(0)
    table = "item,x\n" + "\n".join(f"i{k},{x}" for k, x in enumerate(rng.normal(size=2000)))
    state = ExplorerState(task="csv:long", table=table)
    with pytest.raises(WorkbenchError, match="link of"):
        state.query()
    assert ExplorerState.from_config(state.config()) == state


# Curves


@pytest.mark.parametrize("hidden", [3, 8, 16])
def test_the_kernel_at_depth_2_is_that_of_the_predicted_weights(hidden: int) -> None:
    state = ExplorerState(hidden=hidden)
    scene = scene_of(state)
    found = curves(state, scene)
    run = theory.aligned_trajectory(start_of(state, scene), found.times)
    influence = theory.gradient_kernel_from_weights(scene.task.X, scene.task.Y, run.W1, run.W2)
    np.testing.assert_allclose(found.influence, influence, atol=1e-10 * np.abs(influence).max())
    np.testing.assert_allclose(found.loss, run.loss, atol=1e-12 * run.loss[0])


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_kernel_at_any_depth_is_that_of_the_single_modes(depth: int) -> None:
    state = ExplorerState(task="table:rumelhart", depth=depth)
    scene = scene_of(state)
    found = curves(state, scene)
    a = theory.mode_strength(found.times[:, None], scene.modes.s, c=scene.c, a0=state.a0, depth=depth)
    influence = theory.gradient_kernel(scene.modes, a, depth=depth)
    np.testing.assert_allclose(found.influence, influence, atol=1e-10 * np.abs(influence).max())


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 1},
        {"depth": 3},
        {"lam": 1.5},
        {"lam": -1.5, "measure": "leave_one_out"},
        {"lam": 1.5, "measure": "trajectory_derivative"},
        {"measure": "trajectory_derivative", "hidden": 3},
        {"measure": "leave_one_out"},
        {"measure": "trajectory_derivative", "depth": 3},
    ],
)
def test_training_with_small_steps_meets_the_curves(changes: dict[str, object]) -> None:
    state = ExplorerState(eta=0.004, a0=0.05, **changes)  # type: ignore[arg-type]
    scene = scene_of(state)
    found = curves(state, scene)
    run = simulate(state, scene, found.end, lambda fraction: None)
    there = np.stack([found.matrix(t) for t in run.influence_times])
    a = np.stack([found.at(found.strengths, t) for t in run.times])
    # Gradient descent departs from its flow by O(eta s ln(s / c a0)), here 0.004 x 0.5 x 5 = 1%; curves of the
    # slower measures are drawn through 61 points, straight lines between which miss a peak by about 1% more.
    assert np.abs(run.strengths - a).max() <= 0.02 * np.abs(a).max()
    assert np.abs(run.influence - there).max() <= 0.03 * np.abs(there).max()


def test_sampling_meets_the_gaussian_prediction_within_its_error_bars() -> None:
    state = ExplorerState(measure="local_bif", eta=0.005)
    scene = scene_of(state)
    found = curves(state, scene)
    run = simulate(state, scene, found.end, lambda fraction: None)
    assert run.stderr is not None
    there = np.stack([found.matrix(t) for t in run.influence_times])
    later = run.influence_times > 0.2 * found.end
    z = np.abs(run.influence - there)[later] / run.stderr[later]
    # By symmetry only a few of the values are independent; 5 of their errors would be one chance in a million each.
    assert z.max() < 6 and np.median(z) < 1.5


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"depth": 3, "lam": 1.0}, "balance"),
        ({"lam": 1.0, "measure": "local_bif"}, "balance"),
        ({"options": (("gamma", 10.0),), "measure": "local_bif"}, "gamma"),
    ],
)
def test_combinations_without_closed_form_are_refused_in_one_line(changes: dict[str, object], word: str) -> None:
    state = ExplorerState(**changes)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match=word) as caught:
        curves(state, scene_of(state))
    assert "\n" not in str(caught.value)


def test_limits_hold_still_for_small_changes_and_follow_large_ones() -> None:
    low, high = limits(-0.35, 0.31)
    assert low < -0.35 and high > 0.31
    assert limits(-0.34, 0.32) == (low, high)
    assert limits(-3.5, 3.1) == pytest.approx((10 * low, 10 * high))
    assert limits(0.0, 0.0) == (-1.0, 1.0) and limits(0.0, 5.0)[0] < 0


# The view


def test_a_slider_moves_the_curves_at_once(view: Explorer) -> None:
    lines, before = panel(view, "strengths").lines, view.canvas.widget.value
    view.controls.a0.value = 0.1
    s, c = view.scene.modes.s[0], view.scene.c
    expected = (s / c) / (1 + (s / (c * 0.1) - 1) * np.exp(-2 * s * view.curves.times))
    np.testing.assert_allclose(lines.get_segments()[0][:, 1], expected, rtol=1e-9)
    assert view.canvas.widget.value != before
    shown = panel(view, "influence").item_lines.get_segments()[1][:, 1]
    np.testing.assert_array_equal(shown, view.curves.influence[:, 0, 1])


def test_moving_sliders_adds_no_artists_and_no_pyplot_figures(view: Explorer) -> None:
    def count() -> int:  # without ticks, which come and go with the limits of the colour bar
        return sum(len(part.get_children()) for part in (view.figure, *view.figure.axes))

    before = count()
    for k in range(8):
        view.controls.a0.value = 10 ** (-2 - 0.02 * k)
        view.controls.time.value = 4 + k
    assert count() == before
    assert plt.get_fignums() == []


def test_time_source_and_targets_only_pick_from_what_is_there(live: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    view = live
    runs: list[ExplorerState] = []
    monkeypatch.setattr(follower, "_simulate_and_judge", lambda state, *rest: runs.append(state))
    found = view.simulated
    view.controls.time.value = 12.0  # on a step of the slider
    view.controls.source.value = "oak"
    view.controls.targets.value = ("pine", "dog")
    assert runs == [] and view.simulated is found and not view.stale
    assert found is not None
    np.testing.assert_array_equal(panel(view, "influence").target_points[0].get_ydata(), found.influence[:, 4, 0])
    np.testing.assert_allclose(panel(view, "matrix").image.get_array()[4, 5], view.curves.matrix(12.0)[4, 5])


def test_an_old_simulation_is_faded_until_the_new_one_is_there(view: Explorer) -> None:
    view.controls.a0.value = 0.03
    assert view.status.word == "stale"
    assert panel(view, "loss").points.get_alpha() < 0.5
    view.settle()
    assert view.status.word == "fresh" and panel(view, "loss").points.get_alpha() == 1.0


def test_an_impossible_combination_says_one_line_and_leaves_the_picture(view: Explorer) -> None:
    before, state = view.canvas.widget.value, view.state
    view.controls.measure.value = "local_bif"
    view.controls.measure.value = "gradient_kernel"
    before, state = view.canvas.widget.value, view.state
    view.controls.branching.value = "2,x"
    assert view.canvas.widget.value == before and view.state == state
    assert "branching" in view.status.error.value and view.status.error.value.count("\n") == 0
    view.controls.branching.value = "3,2"
    assert view.status.error.value == "" and view.scene.task.n_items == 6


def test_a_new_task_keeps_the_items_it_knows(view: Explorer) -> None:
    view.controls.source.value = "oak"
    view.controls.kind.value = "diffusion"
    assert view.state.source == "oak"
    view.controls.kind.value = "table"
    assert view.state.source == view.scene.task.items[0] == "Pine"
    assert view.controls.source.options == view.scene.task.items


@pytest.mark.parametrize("version", [7, 8])
def test_an_uploaded_table_becomes_the_task_and_a_bad_one_does_not(view: Explorer, version: int) -> None:
    def value(text: str) -> object:
        content = text.encode()
        if version == 7:
            return {"mine.csv": {"metadata": {"name": "mine.csv"}, "content": content}}
        return ({"name": "mine.csv", "content": memoryview(content)},)

    controls = view.controls
    assert uploaded_text(value(TABLE)) == ("mine.csv", TABLE)
    controls.kind.value = "csv"
    if controls._table == "":
        assert "Choose a CSV" in view.status.error.value
    controls.receive(value(TABLE))
    assert view.scene.task.items == ("salmon", "robin", "whale") and view.status.error.value == ""
    before = view.canvas.widget.value
    controls.receive(value("item,swims\nsalmon,1\nrobin,often\n"))
    assert "often" in view.status.error.value and view.canvas.widget.value == before
    controls.receive(value("\xff\xfe".encode("latin-1").decode("latin-1") + "x"))
    assert view.status.error.value and view.canvas.widget.value == before
    controls.time.value = 1.0
    assert view.state.table == TABLE


def test_clicks_pick_pairs_curves_items_and_times(view: Explorer) -> None:
    def click(ax: object, x: float, y: float, shift: bool = False) -> None:
        column, row = ax.transData.transform((x, y))  # type: ignore[attr-defined]
        view.hand.clicked(column, view.figure.bbox.height - row, shift)

    click(panel(view, "matrix").ax, 6, 2)
    assert (view.state.source, view.state.targets) == ("sparrow", ("rose",))
    click(panel(view, "tree").ax, 0.0, 1.0)
    assert view.state.targets == ("cat",)
    click(panel(view, "tree").ax, 0.0, 4.0, shift=True)
    assert view.state.source == "oak" and view.controls.source.value == "oak"
    values = view.curves.matrix(10.0)[4]
    click(panel(view, "influence").ax, 10.0, values[5])
    assert view.state.targets == ("pine",)
    click(panel(view, "loss").ax, 3.0, 0.5)
    # On the slider's nearest step, so that slider, line and numbers never differ.
    assert abs(view.state.time - 3.0) <= 0.501 * view.controls.time.step and view.controls.time.value == view.state.time
    view.hand.clicked(1.0, 1.0, False)


def test_a_blitted_picture_is_nearly_the_full_drawing_also_where_limits_have_changed(view: Explorer) -> None:
    end = view.curves.end
    view.controls.time.value = 9.0
    view.controls.a0.value = 0.1
    view.controls.a0.value = 1e-3
    assert view.curves.end != end
    view.canvas.blit()
    blitted = pixels(bytes(view.canvas.widget.value))
    full = pixels(view.canvas.png())
    # They differ only where a moving line crosses a spine or a name.
    assert (np.abs(blitted - full).max(axis=2) > 60).mean() < 0.002


def test_the_same_sliders_give_the_same_picture_whatever_came_before(view: Explorer) -> None:
    view.controls.a0.value = 0.5
    view.controls.depth.value = 3
    view.reset()
    view.settle()
    assert explore(state=view.state).picture() == view.picture()


def test_the_same_seed_gives_the_same_simulation_and_another_seed_another() -> None:
    def covariance(seed: int) -> np.ndarray:
        state = ExplorerState(task="tree:2,2", hidden=4, measure="local_bif", seed=seed)
        return simulate(state, scene_of(state), 10.0, lambda fraction: None).influence

    np.testing.assert_array_equal(covariance(3), covariance(3))
    assert not np.allclose(covariance(3), covariance(4), rtol=1e-3)


def test_a_display_carries_the_picture_for_readers_without_widgets(view: Explorer) -> None:
    bundle = view._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == view.model_id
    assert pixels(bundle["image/png"]).std() > 10


def test_running_a_cell_again_closes_its_old_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "_cell", lambda: "cell-1")
    first = explore("tree:2,2")
    second = explore("tree:2,2")
    assert first.comm is None and second.comm is not None and first.controls.a0.comm is None
    monkeypatch.setattr(explorer, "_VIEWS", {})


def test_a_task_of_ones_own_is_shown_and_its_code_asks_for_it() -> None:
    task = Hierarchy((3, 2)).indicator_task()
    view = explore(task)
    assert view.scene.task is task and "explore(task, state=state)" in view.code()
    with pytest.raises(WorkbenchError, match="handed over"):
        explore(state=view.state)


def test_too_many_items_are_refused() -> None:
    with pytest.raises(WorkbenchError, match="up to 40"):
        Scene.of(Hierarchy((8, 8)).indicator_task())


# What can be taken away


@pytest.mark.parametrize(("name", "mark"), [("f.png", b"\x89PNG"), ("f.svg", b"<?xml"), ("f.pdf", b"%PDF")])
def test_a_saved_figure_says_how_it_was_made(view: Explorer, tmp_path, name: str, mark: bytes) -> None:
    view.save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(mark)
    if name != "f.pdf":  # a PDF's metadata are compressed
        assert b"code_version" in content and b"gradient_kernel" in content
    with pytest.raises(WorkbenchError, match="format"):
        view.save(tmp_path / "f.bmp")


def test_saved_data_hold_both_sides_and_the_state(view: Explorer, tmp_path) -> None:
    view.save_data(tmp_path / "d.nc")
    with xr.open_dataset(tmp_path / "d.nc") as ds:
        np.testing.assert_array_equal(ds["gradient_kernel_analytic"].values, view.curves.influence)
        assert ds["gradient_kernel_simulated"].sel(source="dog", target="cat").notnull().all()
        assert ExplorerState.from_config(json.loads(ds.attrs["state"])) == view.state
    view.save_data(tmp_path / "d.csv")
    text = (tmp_path / "d.csv").read_text()
    assert '"gradient_kernel, dog on oak",simulation' in text and "loss,theory" in text


def test_the_code_makes_the_same_picture(view: Explorer) -> None:
    view.controls.a0.value = 0.05
    view.controls.targets.value = ("rose",)
    view.controls["gamma"].value = 2000.0
    names: dict[str, object] = {}
    exec(view.code().removesuffix("view  # in a notebook; in a script view.save('figure.png')"), names)
    other = names["view"]
    assert isinstance(other, Explorer) and other.state == view.state
    view.settle()
    assert other.picture() == view.picture()


# Simulation beside a running loop


def in_loop(story) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def test_simulation_waits_for_the_hand_to_rest_and_only_the_last_state_is_simulated(live, monkeypatch) -> None:
    view = live
    runs: list[float] = []

    def counted(state, *rest):
        runs.append(state.a0)
        return simulate(state, *rest)

    monkeypatch.setattr(follower, "simulate", counted)

    async def story() -> None:
        for k in range(5):
            view.controls.a0.value = 0.02 + 0.01 * k
            assert view.status.word == "stale"
            await asyncio.sleep(0.01)
        await until(lambda: view.status.word == "fresh")

    in_loop(story)
    assert runs == [view.state.a0] and view.simulated.key == simulation_key(view.state)


def test_a_running_simulation_can_be_cancelled_and_started_again(live) -> None:
    view = live

    async def story() -> None:
        view.controls.measure.value = "local_bif"
        await until(lambda: view.status.bar.value > 0)
        old = view.simulated
        view.status.cancel.click()
        assert view.status.word == "stopped" and not view.follower.runner.busy
        await asyncio.sleep(0.3)
        assert view.simulated is old and view.status.word == "stopped"
        view.status.again.click()
        await until(lambda: view.status.word == "fresh")

    in_loop(story)
    assert view.simulated.stderr is not None


def test_a_simulation_that_cannot_be_is_said_in_one_line_and_theory_stays(live) -> None:
    view = live
    view.show(replace(view.state, depth=6, a0=1e-4, eta=1e-3))
    assert view.status.word == "stopped" and "steps (limit" in view.status.line.value
    assert panel(view, "strengths").lines.get_segments()[0][-1, 0] == view.curves.end > 1000


def test_curves_too_slow_for_a_slider_wait_for_the_hand_to_rest(live, monkeypatch) -> None:
    view = live
    monkeypatch.setattr(model, "SLOW_ITEMS", 7)
    made: list[float] = []

    def counted(state, scene):
        made.append(state.a0)
        return curves(state, scene)

    async def story() -> None:
        view.controls.measure.value = "leave_one_out"
        await until(lambda: view.status.word == "fresh")
        monkeypatch.setattr(view_module, "curves", counted)
        for a0 in (0.02, 0.03, 0.04):
            view.controls.a0.value = a0
            assert view.status.word == "stale"
        await until(lambda: view.status.word == "fresh")
        view.controls.time.value = 2.0  # only picks: at once, without new curves
        assert view.state.time == 2.0

    in_loop(story)
    assert made == [0.04] and view.state.a0 == 0.04


# The app


@pytest.mark.parametrize(
    "arguments",
    [
        ("--state", "depth=99"),
        ("--state", "colour=red"),
        ("--state", "task=/etc/hosts"),
        ("--task", "tree:x"),
        ("--port", "0"),
    ],
)
def test_the_command_refuses_what_it_cannot_open_before_serving(run_cli, arguments: tuple[str, str]) -> None:
    ran = run_cli("explore", "--no-browser", *arguments)
    assert ran.code == 2 and ran.err.count("\n") == 1 and ran.out == ""


def test_the_notebook_of_the_app_runs_and_saves_a_picture(tmp_path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    from workbench.explorer.page import NOTEBOOK, write_app

    write_app(tmp_path, ExplorerState(task="tree:2,2", depth=3))
    notebook = nbformat.read(tmp_path / NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=60).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs if "data" in output]
    assert len(outputs) == 1 and "image/png" in outputs[0]["data"]


@pytest.mark.parametrize("unit", [1e-4, 1000.0])
def test_a_table_in_other_units_is_brought_to_where_the_sliders_are_and_says_so(unit):
    Y = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1.0, 0.0]])
    plain, scaled = (explore(SemanticTask("t", tuple("abc"), tuple("xyz"), k * Y)) for k in (1.0, unit))
    np.testing.assert_allclose(scaled.curves.influence, plain.curves.influence, rtol=1e-9)
    assert f"table in units of {unit:g};" in scaled.numbers.value
    assert "units of" not in plain.numbers.value


@pytest.mark.parametrize("measure", ["local_bif", "trajectory_derivative", "leave_one_out"])
@pytest.mark.parametrize("depth", [1, 3])
def test_every_measure_follows_the_depth(measure: str, depth: int) -> None:
    state = ExplorerState(depth=depth, hidden=8, measure=measure, options=(("gamma", 1e5),))
    found = curves(state, scene_of(state))
    assert np.isfinite(found.influence).all() and np.abs(found.influence).max() > 0


# Letters and limits


def test_a_stamped_name_has_the_pixels_that_matplotlib_draws(view: Explorer) -> None:
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.text import Text
    from matplotlib.transforms import IdentityTransform

    from workbench.explorer.stamp import Stamp

    papers = []
    for kind in (Stamp, Text, Stamp):  # drawn, drawn by matplotlib, put there again
        name = kind(60, 20, "robin, −0.25", ha="right", va="center", color="#123456", transform=IdentityTransform())
        name.set_figure(view.figure)
        paper: Any = RendererAgg(90, 40, view.figure.dpi)
        name.draw(paper)
        papers.append(np.asarray(paper.buffer_rgba()).astype(int))
    stamped, drawn, again = papers
    assert drawn[..., 3].max() > 200
    np.testing.assert_allclose(stamped[..., 3], drawn[..., 3], atol=2)  # rounding of one blending more
    np.testing.assert_array_equal(stamped, again)


@pytest.mark.parametrize(
    ("low", "high", "power", "names"),
    [
        (0.0, 32.0, 0, ["0", "10", "20", "30"]),
        (-0.3, 0.3, 0, ["−0.2", "0.0", "0.2"]),
        (-0.002, 0.001, -3, ["−2", "−1", "0", "1"]),
        (0.0, 5e4, 4, ["0", "2", "4"]),
        (0.0, 1.0, 0, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
    ],
)
def test_numbers_of_an_axis_are_round_and_their_power_of_ten_is_taken_out(
    low: float, high: float, power: int, names: list[str]
) -> None:
    places, written, taken = numbers(low, high, 4)
    assert (list(written), taken) == (names, power)
    read = [float(name.replace("−", "-")) * 10.0**taken for name in written]
    np.testing.assert_allclose(places, read, rtol=1e-12, atol=1e-15)


def test_new_limits_leave_the_background_and_numbers_follow_them(view: Explorer) -> None:
    view.canvas.blit()
    background, end = view.canvas._background, view.curves.end
    view.controls.a0.value = 1e-4
    assert view.curves.end > end and view.canvas._background is background
    ticks = panel(view, "loss").axis.ticks[0]
    ticks._known.clear()  # so that its numbers are written now
    view.canvas.blit()
    shown = [float(text.get_text()) for text in ticks.texts if text.get_visible()]
    assert 0.7 * view.curves.end < max(shown) <= view.curves.end


def test_the_picture_does_not_depend_on_the_way_there(view: Explorer) -> None:
    for value in (0.1, 1e-3, 0.02):
        view.controls.a0.value = value
        view.controls.time.value = 7.0
    view.keep()
    view.drop()
    view.settle()
    fresh = Explorer(view.state)
    fresh.settle()
    shown, straight = (pixels(bytes(each.canvas.widget.value)).astype(int) for each in (view, fresh))
    np.testing.assert_array_equal(shown, straight)
    # Drawn as a whole, as it is saved, only spines and curves that cross lie over each other in another order.
    whole = pixels(fresh.canvas.png()).astype(int)
    assert (np.abs(shown - whole).max(axis=-1) > 0).mean() < 0.002
    fresh.close()


def test_an_axis_kept_as_pixels_is_the_axis(view: Explorer) -> None:
    ticks = panel(view, "loss").axis.ticks[0]

    def drawn(high: float) -> Any:
        ticks.ax.set_xlim(0.0, high)
        view.canvas.canvas.draw()
        return np.asarray(view.canvas.canvas.buffer_rgba()).astype(int)

    first, other, again = (drawn(high) for high in (10.0, 100.0, 10.0))
    np.testing.assert_array_equal(first, again)
    ticks._known.clear()
    np.testing.assert_array_equal(first, drawn(10.0))
    assert np.abs(first - other).max() > 100


def test_names_of_modes_are_seen_over_their_curves(view: Explorer) -> None:
    names = [stamp for stamp in panel(view, "strengths").names if stamp.get_text()]
    assert [stamp.get_text() for stamp in names] == ["level 0", "level 1", "level 2", "level 3"]
    view.canvas.blit()
    shown = pixels(bytes(view.canvas.widget.value)).astype(int)
    for stamp in names:
        x, y = stamp.get_transform().transform(stamp.get_position())
        height = shown.shape[0]
        room = shown[round(height - y) - 9 : round(height - y) - 2, round(x) - 20 : round(x) - 2, :3]
        ink = np.array([round(255 * part) for part in to_rgb(stamp.get_color())])
        assert (np.abs(room - ink).max(axis=-1) < 60).sum() > 10


def test_side_by_side_axes_and_colours_have_the_same_ends(view: Explorer) -> None:
    view.keep()
    view.show(replace(view.state, beside=True, a0=0.1))
    try:
        sides = view.panels.by_name
        for name in ("influence", "loss", "strengths"):
            kept, now = sides[f"{name}@kept"].ax, sides[name].ax
            assert kept.get_xlim() == now.get_xlim() and kept.get_ylim() == now.get_ylim()
        assert view.curves.end < max(sides["loss"].ax.get_xlim())  # the kept one is slower
        assert sides["matrix@kept"].image.get_clim() == sides["matrix"].image.get_clim()
    finally:
        view.drop()


def test_a_name_stands_where_no_other_curve_runs() -> None:
    x = np.linspace(0.0, 400.0, 161)
    # The second curve runs where the name of the first would stand: above its middle.
    rows = [100 + 50 * np.exp(-(((x - 200) / 80) ** 2)), np.where(np.abs(x - 200) < 60, 162.0, 20.0)]
    alone, pushed = (_place(x, rows[:n], 0, 100.0, (20.0, 8.0), [], (400.0, 200.0)) for n in (1, 2))
    assert alone == (pytest.approx(200, abs=6), pytest.approx(162, abs=2))
    assert pushed is not None and pushed != alone
    near = np.abs(x - pushed[0]) < 20
    assert all((np.abs(row[near] - pushed[1]) >= 8).all() for row in rows)


def test_an_echo_of_playing_time_takes_neither_the_picture_nor_the_handle_back(view: Explorer) -> None:
    step = view.curves.end / 400
    for k in (100, 101, 102):
        view.move_time(k * step, remember=False)
    view.controls.time.set_state({"value": 100 * step})  # what a browser answers, later than the next are there
    assert view.state.time == pytest.approx(102 * step)
    view.session.settled()
    assert view.controls.time.value == pytest.approx(102 * step)
    view.controls.time.value = 100 * step  # a hand
    assert view.state.time == pytest.approx(100 * step)
