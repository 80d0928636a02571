"""What the explorer says and how it looks: layout, labels, verdicts, remarks, kept curves, undo, colours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("ipywidgets")
pytest.importorskip("anywidget")

from driven_app import language_text
from matplotlib.colors import to_rgb

from workbench.errors import WorkbenchError
from workbench.explorer import ExplorerState, explore
from workbench.explorer.frame import Frame, kept_curves
from workbench.explorer.guide import CONTROLS, PRESETS, TOUR
from workbench.explorer.history import History
from workbench.explorer.labels import together
from workbench.explorer.layout import Window, layout
from workbench.explorer.menu import App, language_result
from workbench.explorer.model import curves, start_of
from workbench.explorer.more_panels import representation
from workbench.explorer.page import open_app
from workbench.explorer.remarks import remarks
from workbench.explorer.runner import Runner
from workbench.explorer.scene import scene_of
from workbench.explorer.simulate import Simulated, simulate
from workbench.explorer.state import OPTIONS, PANELS
from workbench.explorer.status import Status
from workbench.explorer.theme import look
from workbench.explorer.verdict import at_checkpoints, verdict
from workbench.explorer.view import Explorer
from workbench.explorer.words import picture_in_words


@pytest.fixture(scope="module")
def shared() -> Explorer:
    return explore("tree:2,2,2")


@pytest.fixture
def view(shared: Explorer, monkeypatch: pytest.MonkeyPatch) -> Explorer:
    # Nothing here needs simulated points, after which the picture would be drawn anew each time.
    monkeypatch.setattr(shared.follower.runner, "start", lambda *rest: None)
    shared.reset()
    return shared


def framed(state: ExplorerState) -> Frame:
    scene = scene_of(state)
    return Frame(state, scene, curves(state, scene), kept=kept_curves(state))


# Layout


@given(
    st.permutations(list(PANELS)).flatmap(lambda names: st.integers(1, 8).map(lambda n: tuple(names[:n]))),
    st.integers(360, 2600),
    st.integers(300, 1600),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_panels_of_any_window_lie_inside_it_and_on_no_other(
    names: tuple[str, ...], width: int, height: int, large: bool
) -> None:
    places = layout(names, Window(width, height, large=large))
    assert len(places.places) == len(names) and places.width == width
    for k, (x, y, wide, high) in enumerate(places.places):
        assert wide > 0 and high > 0 and x >= 0 and y >= 0 and x + wide <= 1.001 and y + high <= 1.001
        for a, b, w, h in places.places[:k]:
            assert x >= a + w or a >= x + wide or y >= b + h or b >= y + high


@pytest.mark.parametrize("width", [900, 1400])
def test_the_tree_of_many_items_stands_beside_all_rows_with_names_in_full(width: int) -> None:
    few, many = (layout(tuple(PANELS)[:5], Window(width, 560), items) for items in (8, 33))
    assert many.places[0][3] > 1.7 * few.places[0][3]
    for k, (x, y, wide, high) in enumerate(many.cells):
        assert x >= -1e-9 and y >= -1e-9 and x + wide <= 1.001 and y + high <= 1.001
        assert all(x >= a + w - 1e-9 or y >= b + h - 1e-9 or b >= y + high - 1e-9 for a, b, w, h in many.cells[:k])
    assert layout(tuple(PANELS)[:5], Window(400, 560), 33) == layout(tuple(PANELS)[:5], Window(400, 560))


@pytest.mark.parametrize("width", [533, 800, 914, 1280, 1920])
def test_every_panel_is_wide_enough_to_be_read(width: int) -> None:
    places = layout(tuple(PANELS), Window(width, 700))
    assert min(wide * places.width for _, _, wide, _ in places.places) > 8 * places.em


def test_letters_grow_with_the_window_and_for_a_lecture() -> None:
    sizes = [Window(width).em for width in (500, 900, 1300, 1900)]
    assert sizes == sorted(sizes) and sizes[0] >= 12
    assert Window(1300, large=True).em > 1.3 * Window(1300).em


def test_names_on_curves_do_not_lie_over_each_other(view: Explorer) -> None:
    for time, task in ((0.0, "tree:2,2,2"), (9.0, "tree:3,3"), (5.0, "table:rumelhart")):
        view.show(replace(ExplorerState(task=task), time=time))
        view.canvas.png()
        texts = [text for text in view.panels.by_name["influence"].labels.texts if text.get_visible()]
        assert texts and texts[0].get_text()
        boxes = [text.get_window_extent() for text in texts]
        assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])


def test_items_that_share_a_curve_share_a_name() -> None:
    frame = framed(ExplorerState())
    groups = together(frame.curves.influence[:, 0], range(1, 8))
    assert sorted(map(len, groups)) == [1, 2, 4]


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        rgb = np.array(to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("night", [False, True])
def test_colours_stand_out_from_the_background(night: bool) -> None:
    style = look(14, 1200, night=night)
    branch, place = np.repeat(np.arange(6), 11), np.tile(np.linspace(0, 1, 11), 6)
    # Names of items are written in their colours, names of modes too: text needs 4.5 (WCAG 2.2, 1.4.3).
    for colour in (*style.item_colours(branch, place), *style.sequence(9), style.ink, style.muted):
        assert contrast(colour, style.background) >= 4.5, colour


# Verdicts


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depth": 3, "eta": 0.1},
        {"depth": 3},
        {"depth": 6},
        {"start": "gaussian"},
        {"start": "gaussian", "depth": 3},
        {"depth": 1},
        {"lam": 2.0, "eta": 0.1},
        {"measure": "leave_one_out", "eta": 0.05},
        {"measure": "trajectory_derivative"},
        {"eta": 1.0},
        {"hidden": 3},
        {"task": "table:rumelhart", "prepare": "centred"},
    ],
)
def test_what_the_step_size_explains_is_expected_and_an_error_of_the_theory_is_not(changes: dict[str, Any]) -> None:
    state = ExplorerState(**changes)
    scene = scene_of(state)
    run = simulate(state, scene, curves(state, scene).end, lambda fraction: None)
    found = at_checkpoints(state, scene, run)
    assert run.eta == state.eta
    said = verdict(state, scene, run, found)
    assert said.expected, said.line
    off = ~np.eye(scene.task.n_items, dtype=bool)
    if state.depth > 1:  # influence between items 1.25 times as large, or 2 times where a coarse step hides less
        factor = np.where(off, 1.25 if state.eta < 0.5 and state.measure == "gradient_kernel" else 2.0, 1.0)
        assert not verdict(state, scene, run, replace(found, influence=found.influence * factor)).expected
    assert not verdict(state, scene, run, replace(found, strengths=1.2 * found.strengths)).expected


def test_a_step_beyond_the_largest_curvature_is_said_to_diverge_and_one_below_it_is_not() -> None:
    # Two layers: curvature 2 s of the strongest mode, stable below 1 / s = 2.07.
    for eta, diverges in ((4.0, True), (1.9, False)):
        state = ExplorerState(eta=eta)
        scene = scene_of(state)
        run = simulate(state, scene, curves(state, scene).end, lambda fraction: None)
        said = verdict(state, scene, run, at_checkpoints(state, scene, run))
        assert ("diverges" in said.line) == diverges
        if diverges:
            assert not said.expected and f"{1 / scene.modes.s[0]:.3g}" in said.line


def test_a_network_that_is_not_linear_starts_from_the_same_weights_and_no_agreement_is_claimed() -> None:
    def run(activation: str) -> Simulated:
        state = ExplorerState(depth=3, a0=0.001, activation=activation, eta=0.1)
        return simulate(state, scene_of(state), 40.0, lambda fraction: None)

    linear, tanh = run("linear"), run("tanh")
    # tanh h = h - h^3/3, and small first weights make small h.
    np.testing.assert_allclose(tanh.strengths[0], linear.strengths[0], rtol=0.02)
    assert np.abs(tanh.strengths[-1] - linear.strengths[-1]).max() > 1e-3
    state = ExplorerState(depth=3, a0=0.001, activation="tanh", eta=0.1)
    assert "no agreement is claimed" in verdict(state, scene_of(state), tanh, curves(state, scene_of(state))).line
    with pytest.raises(WorkbenchError, match="gradient kernel"):
        simulate(replace(state, depth=1), scene_of(state), 40.0, lambda fraction: None)


# What is missing from the picture


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ExplorerState(depth=1), "exactly 0"),
        (ExplorerState(hidden=3), "3 units for 8 modes: level 2 (1 of 2), level 3 are never learned"),
        (ExplorerState(task="tree:2,2,2,2,2"), "16 units for 32 modes: level 5 is never learned"),
        (ExplorerState(a0=0.2), ""),
        (ExplorerState(), ""),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(state: ExplorerState, words: str) -> None:
    scene = scene_of(state)
    said = " ".join(remarks(state, scene, curves(state, scene)))
    assert words in said if words else said == ""


def test_a_mode_without_units_is_drawn_at_zero_and_named(view: Explorer) -> None:
    view.show(ExplorerState(hidden=3))
    panel: Any = view.panels.by_name["strengths"]
    assert [dashes is None for _, dashes in panel.lines.get_linestyles()] == [True, True, True, False, False]
    assert any("level 2 (1 of 2)" in text.get_text() for text in panel.names)
    assert any("never learned" in text.get_text() for text in panel.names)


def test_the_picture_in_words_names_who_helps_and_who_harms() -> None:
    words = picture_in_words(framed(ExplorerState(time=8.0)))
    # Flips at 5.82 (plants) and 7.09 (birds), the cat's at 10.20.
    assert "helps cat, harms sparrow, robin, oak" in words


@pytest.mark.parametrize("prepare", ["centred", "standardised"])
def test_a_prepared_table_has_mean_0_and_if_asked_variance_1(prepare: str) -> None:
    Y = scene_of(ExplorerState(task="table:rumelhart", prepare=prepare)).task.Y
    np.testing.assert_allclose(Y.mean(axis=1), 0, atol=1e-12)
    if prepare == "standardised":
        # What all items share is 0 then.
        np.testing.assert_allclose(Y.std(axis=1), Y.any(axis=1), rtol=1e-12)


def test_the_representation_parts_the_items_in_the_order_of_the_tree() -> None:
    frame = framed(ExplorerState())
    values = representation(frame)
    assert (np.diff(values[-1]) < 0).all()
    # One linear map of the hidden activity for all times: w_k(t) v_ki over the modes, at the end and half-way.
    V = frame.scene.modes.V[:, : frame.scene.modes.rank]
    w = np.sqrt(frame.curves.first)[:, frame.groups.of_mode]
    activity = w[:, None, :] * V
    direction = np.linalg.lstsq(activity[-1], values[-1], rcond=None)[0]
    np.testing.assert_allclose(activity @ direction, values, atol=1e-9)


# Keeping, undoing, playing


def test_kept_curves_stay_and_are_labelled_with_what_differed(view: Explorer) -> None:
    before = view.curves.loss
    view.keep()
    view.controls.a0.value = 0.1
    panel: Any = view.panels.by_name["loss"]
    np.testing.assert_array_equal(panel.kept[0].get_ydata(), before)
    assert [kept.label for kept in view.frame().kept] == ["a₀ = 0.01"]
    assert ExplorerState.from_query(view.state.query()) == view.state
    view.controls.depth.value = 3
    assert view.frame().kept[0].label == "D = 2, a₀ = 0.01"
    view.show(replace(view.state, beside=True))
    assert [name for name in view.panels.names if name.endswith("@kept")] == [
        f"{name}@kept" for name in view.state.panels if name != "tree"
    ]
    view.drop()
    assert not view.state.kept and not any(line.get_visible() for line in view.panels.by_name["loss"].kept)


def test_undo_goes_back_state_by_state_and_time_alone_is_none(view: Explorer) -> None:
    start = view.state
    for a0 in (0.02, 0.05):
        view.controls.a0.value = a0
    view.controls.time.value = 12.0
    view.undo()
    assert view.state.a0 == 0.02
    view.undo()
    assert replace(view.state, time=start.time) == start
    history = History(start)
    assert not history.add(replace(start, time=3.0)) and not history.can_undo


def test_playing_moves_time_and_slider_together_to_the_end_and_stops_under_the_hand(view: Explorer) -> None:
    frames: list[tuple[float, float]] = []

    async def story() -> None:
        view.hand.toggle_play()
        while len({time for time, _ in frames}) < 5:
            await asyncio.sleep(0.01)
            frames.append((view.state.time, view.controls.time.value))
            line: Any = view.panels.by_name["loss"]
            assert line.axis.now.get_xdata()[0] == view.state.time
        assert view.hand.player.playing
        view.controls.depth.value = 3
        assert not view.hand.player.playing

    view.show(replace(view.state, time=0.0))
    asyncio.run(story())
    times = [time for time, _ in frames]
    assert times == sorted(times) and all(time == slider for time, slider in frames)


def test_presets_and_tour_stops_can_all_be_shown(view: Explorer) -> None:
    for preset in PRESETS:
        view.show(preset.state)
        assert view.status.error.value == ""
    view.toolbar.begin_tour()
    for k, stop in enumerate(TOUR):
        assert f"{k + 1} of {len(TOUR)}" in view.toolbar.stop_text.value
        assert view.status.error.value == "" and view.state.depth == stop.state.depth
        view.toolbar.next.click()
    assert view.toolbar.stop_box.layout.display == "none"
    assert len(TOUR) == 5


def test_what_the_tour_says_of_signs_is_so() -> None:
    early, later = (framed(stop.state) for stop in TOUR[1:3])
    row = early.curves.matrix(early.time)[0]
    assert (row[1:] < 0).all()
    row = later.curves.matrix(later.time)[0]
    assert row[1] < 0 and (row[2:] > 0).all()


def test_what_the_centred_preset_says_of_signs_is_so() -> None:
    (state,) = (preset.state for preset in PRESETS if preset.name == "centred data")
    influence = framed(state).curves.influence[:, 0]
    assert (influence[:, 4:] <= 1e-12).all() and influence[:, 4:].min() < -0.01
    assert influence[:, 1].min() < -0.01 < 0.01 < influence[:, 1].max()


def test_every_control_has_a_line_of_help_and_every_helped_control_exists(view: Explorer) -> None:
    assert set(OPTIONS) <= set(CONTROLS)
    for name in CONTROLS:
        assert view.controls[name].tooltip == CONTROLS[name]
    view.toolbar.explain.value = True
    assert view.controls.help["a0"].layout.display is None and view.toolbar.symbols.layout.display is None
    view.toolbar.explain.value = False


def test_more_than_six_targets_are_all_shown(view: Explorer) -> None:
    names = view.scene.task.items
    view.controls.targets.value = names
    panel: Any = view.panels.by_name["influence"]
    assert view.state.targets == names and sum(width > 2 for width in panel.item_lines.get_linewidths()) == 8
    assert sum(cell.get_visible() for cell in view.panels.by_name["matrix"].cells) == 8


@pytest.mark.parametrize("size", [(700, 500), (1500, 900)])
def test_the_picture_has_the_pixels_of_the_window(view: Explorer, size: tuple[int, int]) -> None:
    width, height = size
    view.bridge.window = {"width": width, "height": height, "ratio": 1.5, "night": True, "narrow": False}
    assert view.figure.bbox.width == pytest.approx(1.5 * width, abs=2)
    assert "workbench-dark" in view._dom_classes
    view.bridge.window = {"width": 0, "height": 0, "ratio": 1.0, "night": False, "narrow": False}


@pytest.mark.parametrize("query", ["panels=nonsense", "kept=depth%3D99", "prepare=x", "look=x", "large=maybe"])
def test_a_link_with_what_is_no_state_is_refused(query: str) -> None:
    with pytest.raises(WorkbenchError):
        explore(state=query)


@pytest.mark.parametrize("query", ["task=/etc/hosts", "nonsense=3", "a0=foo"])
def test_the_app_says_of_a_damaged_link_that_it_was_not_understood(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setenv("QUERY_STRING", query)
    monkeypatch.setattr(Runner, "start", lambda *rest: None)
    view = open_app(json.dumps(ExplorerState(task="tree:2,2").config())).explorer
    assert "not understood" in view.status._notice.value and view.state.task == "tree:2,2"


def test_reset_leads_to_where_the_app_began_whatever_the_link_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERY_STRING", "task=tree:2,2&depth=3")
    monkeypatch.setattr(Runner, "start", lambda *rest: None)
    view = open_app(json.dumps(ExplorerState(task="tree:2,2").config())).explorer
    assert view.state.depth == 3
    view.reset()
    assert view.state.depth == 2


# Lectures and a language model in place of the explorer


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Callable[..., App]:
    monkeypatch.setattr(Runner, "start", lambda *rest: None)

    def opened(query: str, language: str = "") -> App:
        monkeypatch.setenv("QUERY_STRING", query)
        return open_app(json.dumps(ExplorerState(task="tree:2,2").config()), language)

    return opened


def test_a_link_opens_a_lecture_with_its_quantities_and_the_address_follows_its_controls(
    app: Callable[..., App],
) -> None:
    opened = app("task=tree:2,2&lecture=one_mode&depth=3&a0=0.001&look=dark")
    ((_, view),) = opened._made.values()
    assert opened.children != (opened.explorer,) and (view.mode.depth, view.mode.a0) == (3, 0.001)
    assert to_rgb(view.figure.get_facecolor()) == to_rgb(look(14, 900, night=True).background)
    view.controls["a0"].value = 0.01
    query = opened.explorer.bridge.query
    assert "lecture=one_mode" in query and "a0" not in query and ExplorerState.from_query(query).depth == 3
    opened.explorer.undo()
    assert view.mode.a0 == 0.001
    opened.visit("")
    assert opened.children == (opened.explorer,) and "lecture" not in opened.explorer.state.query()


def test_the_pair_of_a_lecture_is_that_of_the_explorer(app: Callable[..., App]) -> None:
    opened = app("task=tree:2,2&source=item+1.2&targets=item+2.1")
    opened.visit("one_pair")
    ((_, view),) = opened._made.values()
    assert (view.controls["source"].value, view.controls["target"].value) == ("item 1.2", "item 2.1")
    view.controls["target"].value = "item 1.1"
    assert opened.explorer.state.targets == ("item 1.1",)


def test_only_who_starts_the_app_names_a_language_model(app: Callable[..., App], tmp_path: Path) -> None:
    ds = language_text(tmp_path)
    opened = app("lecture=language", str(tmp_path))
    ((box, panel),) = opened._made.values()
    assert opened.children == (box,)
    step, text = panel.children[0].children[0], panel.children[1]
    before = text.value
    step.value = 1
    # Of the last token on the one before it, the first of the class "induction".
    assert text.value != before and f"{ds['token_correlation'].values[1, 0, 2, 1]:+.3f} ± 0.100" in text.value
    without = app("lecture=language")
    assert without.children == (without.explorer,) and "--language" in without.explorer.status._notice.value
    for path in ("nowhere", str(tmp_path / "other.nc")):
        with pytest.raises(WorkbenchError, match="no such file"):
            language_result(path)
    with pytest.raises(WorkbenchError):
        ExplorerState.from_query("language=/etc/hosts")


def test_a_deviation_that_is_explained_and_large_is_neither_green_nor_red() -> None:
    state = ExplorerState(eta=1.5)
    scene = scene_of(state)
    run = simulate(state, scene, curves(state, scene).end, lambda fraction: None)
    said = verdict(state, scene, run, at_checkpoints(state, scene, run))
    assert said.expected and said.far
    status = Status(lambda: None, lambda: None)
    status.fresh(said)
    assert "workbench-wait" in status.line.value


def test_every_target_has_its_number_and_every_helping_cell_its_sign(view: Explorer) -> None:
    view.show(ExplorerState(time=8.0, targets=("cat", "robin", "oak")))
    matrix, line = view.curves.matrix(view.state.time), view.panels.numbers_line
    for name in ("cat", "robin", "oak"):
        value = matrix[0, view.scene.task.item_index(name)]
        assert f"I(dog → {name}) = {value:.3g}".replace("-", "−") in line
    panel: Any = view.panels.by_name["matrix"]
    off = matrix[~np.eye(8, dtype=bool)]
    assert panel.signed and len(panel.signs.get_segments()) == (off < -0.04 * panel.largest).sum() > 0


def test_presets_and_tour_stand_on_the_steps_of_their_sliders(view: Explorer) -> None:
    for state in (*(preset.state for preset in PRESETS), *(stop.state for stop in TOUR)):
        for name in ("a0", "eta"):
            slider = view.controls[name]
            steps = (np.log10(getattr(state, name)) - slider.min) / slider.step
            assert abs(steps - round(steps)) < 1e-6, (name, getattr(state, name))


def test_a_random_start_has_the_strength_that_the_slider_says_on_average() -> None:
    state = ExplorerState(start="gaussian", a0=0.04, depth=3, hidden=9)
    scene = scene_of(state)
    starts = [start_of(replace(state, seed=seed), scene) for seed in range(60)]
    products = [net.weights[2] @ net.weights[1] @ net.weights[0] for net in starts]
    modes = [np.diag(scene.modes.U.T @ product @ scene.modes.V) for product in products]
    # Of 480 strengths, each a sum of 81 products: a mean square within a sixth.
    assert np.sqrt(np.mean(np.square(modes))) == pytest.approx(0.04, rel=0.16)


@pytest.mark.parametrize(
    "changes",
    [{"lam": 1.0}, {"measure": "leave_one_out"}, {"activation": "tanh"}, {"panels": ("tree", "factors")}],
)
def test_a_random_start_says_what_it_does_not_go_with(changes: dict[str, Any]) -> None:
    with pytest.raises(WorkbenchError, match="a random start goes with"):
        ExplorerState(start="gaussian", **changes)


def test_the_seed_moves_the_lines_of_a_random_start_alone(view: Explorer) -> None:
    for start, moves in (("", False), ("gaussian", True)):
        view.show(ExplorerState(start=start))
        before = view.curves.loss
        view.controls.seed.value = 1
        assert (np.abs(view.curves.loss - before).max() > 1e-3) == moves


def test_a_link_to_a_presentation_opens_with_the_controls_folded() -> None:
    for large in (True, False):
        view = Explorer(ExplorerState(large=large), app=True)
        view.bridge.window = {"width": 1000, "height": 560, "ratio": 1.0, "night": False, "narrow": False}
        assert view.toolbar.fold.value != large and (view.column.layout.display == "none") == large
        view.close()


@pytest.mark.parametrize("large", [False, True])
def test_titles_of_panels_are_shortened_before_they_are_cut(large: bool) -> None:
    view = Explorer(ExplorerState(large=large), app=True)
    view.bridge.window = {"width": 900, "height": 560, "ratio": 1.0, "night": False, "narrow": False}
    view.show(replace(view.state.keep(), a0=0.1, beside=True))
    for state in (view.state, replace(view.state, beside=False, kept=())):
        view.show(state)
        titles = [panel.ax.get_title(loc="left") for panel in view.panels.by_name.values()]
        assert not [line for line in titles if "…" in line]
    view.close()
